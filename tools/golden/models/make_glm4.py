"""tests/golden/models/glm4, by transformers 4.57: python make_glm4.py OUT"""

import sys

import torch
from transformers import Glm4Config, Glm4ForCausalLM

from common import Fixtures, as_transformers_5, changed, edited

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.3)), ("embed", (0.0, 0.8)), ("q_proj", (0.0, 0.22)),
          ("k_proj", (0.0, 0.22)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]


def main(out):
    fixtures = Fixtures(out, Glm4ForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, head_dim=12, max_position_embeddings=512, rms_norm_eps=0.2, rope_theta=500.0,
                 pad_token_id=0, eos_token_id=[2, 5])
    plain = Glm4Config(**shape, attention_bias=True)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = {"share": (changed(plain, partial_rotary_factor=1.0), state),
               "theta": (changed(plain, rope_theta=10000.0), state),
               "eps": (changed(plain, rms_norm_eps=1e-6), state)}
    for part in ("post_self_attn_layernorm", "post_mlp_layernorm", "post_attention_layernorm"):
        toggles[part] = (plain, edited(state, part, torch.ones_like))
    for part in ("q_proj.bias", "k_proj.bias", "v_proj.bias"):
        toggles[part] = (plain, edited(state, part, torch.zeros_like))
    fixtures.add("biased", plain, model, "biased", toggles, 21)
    free = Glm4Config(**{**shape, "partial_rotary_factor": 1.0}, attention_bias=False, tie_word_embeddings=True)
    model = fixtures.model(free, 2, SCALES)
    fixtures.write_weights("unbiased", model)
    fixtures.add("unbiased", free, model, "unbiased", {}, 22, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
