"""tests/golden/models/gemma3_text, by transformers 4.57: python make_gemma3_text.py OUT"""

import sys

from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from common import Fixtures, edited
from toggles import flags, groups, without

# Embeddings are multiplied by the square root of the width, norms by 1 + weight.
SCALES = [("q_norm", (0.3, 0.3)), ("k_norm", (0.3, 0.3)), ("norm", (-0.2, 0.3)), (".bias", (0.0, 0.4)),
          ("embed_tokens", (0.0, 0.15)), ("q_proj", (0.0, 0.3)), ("k_proj", (0.0, 0.3)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def as_transformers_5(written):
    """One object of rope parameters for each type of layers."""
    written = dict(written)
    written["dtype"] = written.pop("torch_dtype")
    written["rope_parameters"] = {
        "full_attention": {**written.pop("rope_scaling"), "rope_theta": written.pop("rope_theta")},
        "sliding_attention": {"rope_type": "default", "rope_theta": written.pop("rope_local_base_freq")}}
    return written


def main(out):
    fixtures = Fixtures(out, Gemma3ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, max_position_embeddings=512, rms_norm_eps=0.2)

    usual = Gemma3TextConfig(**shape, hidden_size=36, num_hidden_layers=3, num_attention_heads=4,
                             num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=6, sliding_window=21,
                             sliding_window_pattern=2, rope_theta=100000.0, rope_local_base_freq=500.0)
    model = fixtures.model(usual, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("usual", model)
    toggles = flags(usual, state, sliding_window=22, query_pre_attn_scalar=8, rms_norm_eps=1e-6, rope_theta=500.0,
                    rope_local_base_freq=100000.0, hidden_activation="silu",
                    layer_types=["full_attention", "sliding_attention", "full_attention"])
    for part in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                 "post_feedforward_layernorm", "q_norm", "k_norm"):
        toggles[f"{part} in reverse"] = (usual, edited(state, part, lambda t: t.flip(0)))
    toggles["norms without 1"] = (usual, edited(state, "norm", lambda t: t - 1))
    fixtures.add("usual", usual, model, "usual", toggles | groups(usual, state, 8), 11, drop=("layer_types",))

    scaled = Gemma3TextConfig(**shape, hidden_size=30, num_hidden_layers=2, num_attention_heads=3,
                              num_key_value_heads=1, head_dim=10, query_pre_attn_scalar=10, sliding_window=40,
                              attention_bias=True, tie_word_embeddings=False, final_logit_softcapping=4.0,
                              rope_theta=10000.0, rope_local_base_freq=300.0,
                              rope_scaling={"rope_type": "linear", "factor": 4.0},
                              layer_types=["full_attention", "sliding_attention"])
    model = fixtures.model(scaled, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("scaled", model)
    toggles = without(scaled, state, *(f"{part}_proj.bias" for part in "qkvo"))
    toggles |= flags(scaled, state, rope_scaling=None, final_logit_softcapping=None,
                     layer_types=["sliding_attention", "full_attention"])
    fixtures.add("scaled", scaled, model, "scaled", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
