"""tests/golden/models/olmo3, by transformers 4.57: python make_olmo3.py OUT"""

import sys

from transformers import Olmo3Config, Olmo3ForCausalLM

from common import Fixtures, edited
from toggles import flags, groups

SCALES = [("q_norm", (1.2, 0.4)), ("k_norm", (1.2, 0.4)), ("layernorm", (0.4, 0.2)), ("norm", (1.0, 0.3)),
          ("embed_tokens", (0.0, 1.0)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]


def main(out):
    fixtures = Fixtures(out, Olmo3ForCausalLM)
    config = Olmo3Config(vocab_size=97, intermediate_size=50, hidden_size=36, num_hidden_layers=4,
                         num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=512, rms_norm_eps=0.2,
                         pad_token_id=1, eos_token_id=2, rope_theta=5000.0, sliding_window=21,
                         rope_scaling={"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64,
                                       "attention_factor": 1.2, "beta_fast": 32.0, "beta_slow": 1.0})
    model = fixtures.model(config, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("windows", model)
    toggles = flags(config, state, sliding_window=22, rope_theta=100.0, rope_scaling=None, rms_norm_eps=1e-6,
                    layer_types=["full_attention"] + ["sliding_attention"] * 3)
    for part in ("q_norm", "k_norm", "post_attention_layernorm", "post_feedforward_layernorm"):
        toggles[f"{part} in reverse"] = (config, edited(state, part, lambda t: t.flip(0)))
    fixtures.add("windows", config, model, "windows", toggles | groups(config, state, 4), 11)
    fixtures.finish()


main(sys.argv[1])
