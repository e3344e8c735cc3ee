"""tests/golden/models/qwen2, by transformers 4.57: python make_qwen2.py OUT"""

import sys

from transformers import Qwen2Config, Qwen2ForCausalLM

from common import Fixtures, as_transformers_5, changed
from toggles import flags, groups, pairs, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.22)),
          ("k_proj", (0.0, 0.22)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
SLIDING, FULL = "sliding_attention", "full_attention"


def main(out):
    fixtures = Fixtures(out, Qwen2ForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=3, num_attention_heads=6,
                 num_key_value_heads=3, max_position_embeddings=512, rms_norm_eps=0.2)

    late = Qwen2Config(**shape, use_sliding_window=True, sliding_window=7, max_window_layers=1)
    model = fixtures.model(late, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("late", model)
    toggles = {
        "one layer less": (Qwen2Config(**shape, use_sliding_window=True, sliding_window=7, max_window_layers=2), state),
        "one layer more": (Qwen2Config(**shape, use_sliding_window=True, sliding_window=7, max_window_layers=0), state),
        "no window": (Qwen2Config(**shape), state), "one key more": (changed(late, sliding_window=8), state),
        **flags(late, state, rms_norm_eps=1e-6, rope_theta=500.0, hidden_act="gelu"),
        **without(late, state, "q_proj.bias", "k_proj.bias", "v_proj.bias"),
        **groups(late, state, 6), **pairs(late, state, 6, 6)}
    fixtures.add("late", late, model, "late", toggles, 121, drop=("layer_types",))

    types = changed(late, layer_types=[SLIDING, FULL, SLIDING])
    fixtures.add("types", types, model, "late", {
        "late": (late, state), "the others": (changed(types, layer_types=[FULL, SLIDING, FULL]), state)}, 122)

    # The window's keys are there, and unused.
    full = Qwen2Config(**{**shape, "num_hidden_layers": 2, "num_attention_heads": 5, "num_key_value_heads": 5,
                          "hidden_size": 30}, use_sliding_window=False, sliding_window=7, max_window_layers=0,
                       rope_theta=1e6, tie_word_embeddings=True)
    model = fixtures.model(full, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("full", model)
    fixtures.add("full", full, model, "full", {
        "window": (changed(full, sliding_window=7, layer_types=[SLIDING, SLIDING]), state),
        **flags(full, state, rope_theta=500.0)}, 123, drop=("layer_types",), extra={"sliding_window": 7},
        spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
