"""tests/golden/models/phi, by transformers 4.57: python make_phi.py OUT"""

import sys

from transformers import PhiConfig, PhiForCausalLM

from common import Fixtures, as_transformers_5, edited
from toggles import flags, groups, without

SCALES = [("q_layernorm.weight", (1.8, 0.5)), ("k_layernorm.weight", (1.8, 0.5)), ("norm.weight", (1.0, 0.3)),
          (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.25)), ("k_proj", (0.0, 0.25)),
          ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, PhiForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 layer_norm_eps=0.2)

    plain = PhiConfig(**shape, hidden_size=40, num_attention_heads=5, partial_rotary_factor=0.5)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model)
    toggles = without(plain, state, *(f"{part}_proj.bias" for part in "qkv"), "dense.bias", "fc1.bias", "fc2.bias",
                      "input_layernorm.bias", "final_layernorm.bias", "lm_head.bias")
    toggles |= flags(plain, state, partial_rotary_factor=0.25, layer_norm_eps=1e-5, rope_theta=100.0,
                     hidden_act="silu")
    fixtures.add("plain", plain, model, "plain", toggles, 11)

    normed = PhiConfig(**shape, hidden_size=48, num_attention_heads=6, num_key_value_heads=2, qk_layernorm=True,
                       partial_rotary_factor=0.8, hidden_act="relu", tie_word_embeddings=True,
                       rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(normed, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("normed", model)
    toggles = without(normed, state, "q_layernorm.bias", "k_layernorm.bias", "lm_head.bias")
    toggles |= flags(normed, state, partial_rotary_factor=0.5, rope_scaling=None) | groups(normed, state, 8)
    for part in ("q_layernorm", "k_layernorm"):
        toggles[f"{part} in reverse"] = (normed, edited(state, part, lambda t: t.flip(0)))
    fixtures.add("normed", normed, model, "normed", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
