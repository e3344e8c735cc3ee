"""tests/golden/models/qwen3, by transformers 4.57: python make_qwen3.py OUT"""

import sys

from transformers import Qwen3Config, Qwen3ForCausalLM

from common import Fixtures, as_transformers_5, changed, edited
from toggles import flags, groups, without

# Queries and keys are normed: their norms spread the scores.
SCALES = [("q_norm", (1.2, 0.4)), ("k_norm", (1.2, 0.4)), ("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("embed_tokens", (0.0, 1.0)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def rolled(config, state, *parts):
    return {f"{part} of the next": (config, edited(state, part, lambda t: t.roll(1, 0))) for part in parts}


def main(out):
    fixtures = Fixtures(out, Qwen3ForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=3, head_dim=10, max_position_embeddings=512, rms_norm_eps=0.1)

    plain = Qwen3Config(**shape)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model)
    toggles = {**flags(plain, state, rms_norm_eps=1e-6, rope_theta=500.0, hidden_act="gelu"),
               **rolled(plain, state, "q_norm", "k_norm", "q_proj"), **groups(plain, state, 10)}
    fixtures.add("plain", plain, model, "plain", toggles, 131, drop=("layer_types",))

    late = Qwen3Config(**shape, use_sliding_window=True, sliding_window=7, max_window_layers=1)
    fixtures.add("late", late, model, "plain", {
        "no window": (plain, state), "one key more": (changed(late, sliding_window=8), state),
        "the other layer": (changed(late, layer_types=late.layer_types[::-1]), state)}, 132)

    biased = Qwen3Config(**{**shape, "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 6},
                         attention_bias=True, rope_theta=1e6, tie_word_embeddings=True)
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    fixtures.add("biased", biased, model, "biased",
                 without(biased, state, "q_proj.bias", "k_proj.bias", "v_proj.bias", "o_proj.bias") |
                 rolled(biased, state, "q_norm", "k_norm"), 133, drop=("layer_types",), spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
