"""tests/golden/models/cohere2, by transformers 4.57: python make_cohere2.py OUT"""

import sys

from transformers import Cohere2Config, Cohere2ForCausalLM

from common import Fixtures, as_transformers_5
from toggles import flags, groups, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.25)),
          ("k_proj", (0.0, 0.25)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, Cohere2ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, max_position_embeddings=512, layer_norm_eps=0.2,
                 pad_token_id=0, bos_token_id=5, eos_token_id=7)

    tied = Cohere2Config(**shape, hidden_size=36, num_hidden_layers=3, num_attention_heads=9, num_key_value_heads=3,
                         logit_scale=0.25, sliding_window=21, rope_theta=50000.0, sliding_window_pattern=2)
    model = fixtures.model(tied, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("tied", model)
    toggles = flags(tied, state, logit_scale=1.0, layer_norm_eps=1e-5, rope_theta=100.0, hidden_act="gelu",
                    sliding_window=22, layer_types=["sliding_attention"] * 3)
    fixtures.add("tied", tied, model, "tied", toggles | groups(tied, state, 4), 11, drop=("layer_types",))

    biased = Cohere2Config(**shape, hidden_size=40, num_hidden_layers=2, num_attention_heads=5,
                           num_key_value_heads=1, attention_bias=True, tie_word_embeddings=False, sliding_window=40,
                           rope_scaling={"rope_type": "linear", "factor": 2.0},
                           layer_types=["full_attention", "sliding_attention"])
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkvo"))
    toggles |= flags(biased, state, rope_scaling=None, layer_types=["sliding_attention", "full_attention"])
    fixtures.add("biased", biased, model, "biased", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
