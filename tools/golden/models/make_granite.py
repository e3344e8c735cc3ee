"""tests/golden/models/granite, by transformers 4.57: python make_granite.py OUT"""

import sys

from transformers import GraniteConfig, GraniteForCausalLM

from common import Fixtures, as_transformers_5
from toggles import flags, groups, pairs, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.4)),
          ("q_proj", (0.0, 0.35)), ("k_proj", (0.0, 0.35)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, GraniteForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 rms_norm_eps=0.2, rope_theta=10000.0)

    tied = GraniteConfig(**shape, hidden_size=40, num_attention_heads=10, num_key_value_heads=2,
                         embedding_multiplier=3.0, attention_multiplier=0.21, residual_multiplier=0.6,
                         logits_scaling=4.0, tie_word_embeddings=True)
    model = fixtures.model(tied, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("tied", model)
    toggles = flags(tied, state, embedding_multiplier=1.0, attention_multiplier=0.5, residual_multiplier=1.0,
                    logits_scaling=1.0, rms_norm_eps=1e-6, rope_theta=300.0, hidden_act="gelu")
    fixtures.add("tied", tied, model, "tied",
                 toggles | pairs(tied, state, 4, 4) | groups(tied, state, 4), 11, spelling=as_transformers_5)

    biased = GraniteConfig(**shape, hidden_size=36, num_attention_heads=3, num_key_value_heads=3, attention_bias=True,
                           mlp_bias=True, hidden_act="gelu", attention_multiplier=0.15,
                           rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in ("q", "k", "v", "o", "gate", "up", "down")))
    toggles |= flags(biased, state, rope_scaling=None, embedding_multiplier=2.0, residual_multiplier=0.5,
                     logits_scaling=2.0)
    fixtures.add("biased", biased, model, "biased", toggles, 12)
    fixtures.finish()


main(sys.argv[1])
