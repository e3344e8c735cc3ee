"""tests/golden/models/olmo, by transformers 4.57: python make_olmo.py OUT"""

import sys

from transformers import OlmoConfig, OlmoForCausalLM

from common import Fixtures, as_transformers_5
from toggles import flags, groups, without

SCALES = [(".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.25)), ("k_proj", (0.0, 0.25)),
          ("mlp", (0.0, 0.15)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.2))]


def main(out):
    fixtures = Fixtures(out, OlmoForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 pad_token_id=1, eos_token_id=2)

    clipped = OlmoConfig(**shape, hidden_size=36, num_attention_heads=9, num_key_value_heads=3, clip_qkv=2.5,
                         tie_word_embeddings=True)
    model = fixtures.model(clipped, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("clipped", model)
    toggles = flags(clipped, state, clip_qkv=None, rope_theta=100.0, hidden_act="gelu")
    fixtures.add("clipped", clipped, model, "clipped", toggles | groups(clipped, state, 4), 11)

    biased = OlmoConfig(**shape, hidden_size=40, num_attention_heads=5, attention_bias=True, rope_theta=500.0,
                        rope_scaling={"type": "linear", "factor": 3.0})
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkvo"))
    fixtures.add("biased", biased, model, "biased", toggles | flags(biased, state, rope_scaling=None, clip_qkv=1.0),
                 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
