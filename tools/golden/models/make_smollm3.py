"""tests/golden/models/smollm3, by transformers 4.57: python make_smollm3.py OUT"""

import sys

from transformers import SmolLM3Config, SmolLM3ForCausalLM

from common import Fixtures, as_transformers_5
from toggles import flags, groups, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.25)),
          ("k_proj", (0.0, 0.25)), ("mlp", (0.0, 0.15)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.2))]


def main(out):
    fixtures = Fixtures(out, SmolLM3ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, max_position_embeddings=512, rms_norm_eps=0.2,
                 pad_token_id=1, bos_token_id=2, eos_token_id=3)

    tied = SmolLM3Config(**shape, hidden_size=36, num_hidden_layers=3, num_attention_heads=9, num_key_value_heads=3,
                         no_rope_layer_interval=2, rope_theta=500.0)
    model = fixtures.model(tied, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("tied", model)
    toggles = flags(tied, state, rms_norm_eps=1e-6, rope_theta=50000.0, hidden_act="gelu", no_rope_layers=[1, 1, 1])
    fixtures.add("tied", tied, model, "tied", toggles | groups(tied, state, 4), 11, drop=("no_rope_layers",))

    biased = SmolLM3Config(**shape, hidden_size=40, num_hidden_layers=2, num_attention_heads=5,
                           num_key_value_heads=5, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
                           no_rope_layers=[0, 1], rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in ("q", "k", "v", "o", "gate", "up", "down")))
    toggles |= flags(biased, state, rope_scaling=None, no_rope_layers=[1, 0])
    fixtures.add("biased", biased, model, "biased", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
