"""tests/golden/models/gemma, by transformers 4.57: python make_gemma.py OUT"""

import sys

from transformers import GemmaConfig, GemmaForCausalLM

from common import Fixtures, as_transformers_5, edited
from toggles import flags, groups, pairs, without

# Embeddings are multiplied by the square root of the width, norms by 1 + weight.
SCALES = [("norm", (0.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.15)), ("q_proj", (0.0, 0.25)),
          ("k_proj", (0.0, 0.25)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, GemmaForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 rms_norm_eps=0.2)

    single = GemmaConfig(**shape, hidden_size=36, num_attention_heads=3, num_key_value_heads=1, head_dim=16)
    model = fixtures.model(single, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("single", model)
    toggles = flags(single, state, rms_norm_eps=1e-6, rope_theta=100.0, hidden_act="silu")
    toggles |= pairs(single, state, 16, 16)
    toggles["norms without 1"] = (single, edited(state, "norm", lambda t: t - 1))
    fixtures.add("single", single, model, "single", toggles, 11)

    biased = GemmaConfig(**shape, hidden_size=30, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
                         attention_bias=True, tie_word_embeddings=False, hidden_act="relu",
                         rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkvo"))
    toggles["scale of embeddings"] = (biased, edited(state, "embed_tokens", lambda t: t * 1.1))
    toggles |= flags(biased, state, rope_scaling=None, hidden_act="silu") | groups(biased, state, 10)
    fixtures.add("biased", biased, model, "biased", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
