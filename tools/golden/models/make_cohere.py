"""tests/golden/models/cohere, by transformers 4.57: python make_cohere.py OUT"""

import sys

from transformers import CohereConfig, CohereForCausalLM

from common import Fixtures, as_transformers_5, edited
from toggles import flags, groups, without

SCALES = [("q_norm", (1.2, 0.4)), ("k_norm", (1.2, 0.4)), ("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.3)), ("k_proj", (0.0, 0.3)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, CohereForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 layer_norm_eps=0.2, pad_token_id=0, bos_token_id=5, eos_token_id=7)

    tied = CohereConfig(**shape, hidden_size=36, num_attention_heads=3, num_key_value_heads=3, logit_scale=0.25,
                        rope_theta=8000000.0)
    model = fixtures.model(tied, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("tied", model)
    toggles = flags(tied, state, logit_scale=1.0, layer_norm_eps=1e-5, rope_theta=100.0, hidden_act="gelu")
    fixtures.add("tied", tied, model, "tied", toggles, 11)

    normed = CohereConfig(**shape, hidden_size=40, num_attention_heads=10, num_key_value_heads=2, use_qk_norm=True,
                          attention_bias=True, tie_word_embeddings=False,
                          rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(normed, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("normed", model)
    toggles = without(normed, state, *(f"{part}_proj.bias" for part in "qkvo"))
    toggles |= flags(normed, state, logit_scale=1.0, rope_scaling=None) | groups(normed, state, 4)
    for part in ("q_norm", "k_norm"):
        toggles[f"{part} of another head"] = (normed, edited(state, part, lambda t: t.flip(0)))
    fixtures.add("normed", normed, model, "normed", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
