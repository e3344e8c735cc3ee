"""tests/golden/models/olmo2, by transformers 4.57: python make_olmo2.py OUT"""

import sys

from transformers import Olmo2Config, Olmo2ForCausalLM

from common import Fixtures, as_transformers_5, edited
from toggles import flags, without

SCALES = [("q_norm", (1.5, 0.4)), ("k_norm", (1.5, 0.4)), ("layernorm", (0.6, 0.3)), ("norm", (1.0, 0.3)),
          (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]


def main(out):
    fixtures = Fixtures(out, Olmo2ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 rms_norm_eps=0.2, pad_token_id=1, eos_token_id=2)

    grouped = Olmo2Config(**shape, hidden_size=36, num_attention_heads=9, num_key_value_heads=3,
                          rope_theta=500000.0)
    model = fixtures.model(grouped, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("grouped", model)
    toggles = flags(grouped, state, rms_norm_eps=1e-6, rope_theta=100.0, hidden_act="gelu")
    for part in ("q_norm", "k_norm", "post_attention_layernorm", "post_feedforward_layernorm"):
        toggles[f"{part} in reverse"] = (grouped, edited(state, part, lambda t: t.flip(0)))
    fixtures.add("grouped", grouped, model, "grouped", toggles, 11)

    biased = Olmo2Config(**shape, hidden_size=40, num_attention_heads=5, num_key_value_heads=5, attention_bias=True,
                         tie_word_embeddings=True, rope_scaling={"type": "linear", "factor": 3.0})
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkvo"))
    fixtures.add("biased", biased, model, "biased", toggles | flags(biased, state, rope_scaling=None), 12,
                 spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
