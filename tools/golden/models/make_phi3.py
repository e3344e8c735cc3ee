"""tests/golden/models/phi3, by transformers 4.57: python make_phi3.py OUT"""

import sys

from transformers import Phi3Config, Phi3ForCausalLM

from common import Fixtures, edited
from toggles import flags, pairs

SCALES = [("norm", (1.0, 0.3)), ("embed_tokens", (0.0, 0.8)), ("qkv_proj", (0.0, 0.25)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def halves_swapped(tensor):
    return tensor.roll(len(tensor) // 2, 0)


def main(out):
    fixtures = Fixtures(out, Phi3ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, rms_norm_eps=0.2, pad_token_id=3,
                 eos_token_id=5)

    window = Phi3Config(**shape, hidden_size=36, num_attention_heads=3, num_key_value_heads=3, sliding_window=21,
                        max_position_embeddings=512, original_max_position_embeddings=512)
    model = fixtures.model(window, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("window", model)
    toggles = flags(window, state, sliding_window=22, rms_norm_eps=1e-6, rope_theta=100.0, hidden_act="gelu")
    toggles["gate and up"] = (window, edited(state, "gate_up_proj", halves_swapped))
    fixtures.add("window", window, model, "window", toggles, 11)

    scaling = {"type": "longrope", "short_factor": [1.0, 1.1, 1.5], "long_factor": [1.2, 2.5, 6.0]}
    long = Phi3Config(**shape, hidden_size=48, num_attention_heads=6, num_key_value_heads=2,
                      partial_rotary_factor=0.75, max_position_embeddings=512,
                      original_max_position_embeddings=64, rope_scaling=scaling, tie_word_embeddings=True)
    model = fixtures.model(long, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("long", model)
    toggles = flags(long, state, rope_scaling=None, max_position_embeddings=128,
                    original_max_position_embeddings=512)
    for key in ("short_factor", "long_factor"):
        toggles |= {key: flags(long, state, rope_scaling=scaling | {key: [1.0, 1.0, 1.0]})["rope_scaling"]}
    fixtures.add("long", long, model, "long", toggles | pairs(long, state, 8, 6, ("qkv_proj",)), 12)
    fixtures.finish()


main(sys.argv[1])
