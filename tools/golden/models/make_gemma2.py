"""tests/golden/models/gemma2, by transformers 4.57: python make_gemma2.py OUT"""

import sys

from transformers import Gemma2Config, Gemma2ForCausalLM

from common import Fixtures, as_transformers_5, edited
from toggles import flags, groups, without

# Embeddings are multiplied by the square root of the width, norms by 1 + weight.
SCALES = [("norm", (-0.2, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.15)), ("q_proj", (0.0, 0.3)),
          ("k_proj", (0.0, 0.3)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, Gemma2ForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, max_position_embeddings=512, rms_norm_eps=0.2)

    capped = Gemma2Config(**shape, hidden_size=36, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
                          head_dim=8, query_pre_attn_scalar=6, sliding_window=21, attn_logit_softcapping=4.0,
                          final_logit_softcapping=5.0)
    model = fixtures.model(capped, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("capped", model)
    toggles = flags(capped, state, attn_logit_softcapping=None, final_logit_softcapping=None, sliding_window=22,
                    query_pre_attn_scalar=8, rms_norm_eps=1e-6, rope_theta=100.0, hidden_activation="silu",
                    layer_types=["full_attention", "sliding_attention", "full_attention"])
    for part in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                 "post_feedforward_layernorm"):
        toggles[f"{part} in reverse"] = (capped, edited(state, part, lambda t: t.flip(0)))
    toggles["norms without 1"] = (capped, edited(state, "norm", lambda t: t - 1))
    fixtures.add("capped", capped, model, "capped", toggles | groups(capped, state, 8), 11)

    biased = Gemma2Config(**shape, hidden_size=30, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
                          head_dim=12, query_pre_attn_scalar=12, sliding_window=40, attn_logit_softcapping=None,
                          final_logit_softcapping=None, attention_bias=True, tie_word_embeddings=False,
                          hidden_activation="relu", layer_types=["full_attention", "sliding_attention"])
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkvo"))
    toggles |= flags(biased, state, sliding_window=300, layer_types=["sliding_attention", "full_attention"],
                     attn_logit_softcapping=5.0, final_logit_softcapping=5.0)
    fixtures.add("biased", biased, model, "biased", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
