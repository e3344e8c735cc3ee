"""tests/golden/models/starcoder2, by transformers 4.57: python make_starcoder2.py OUT"""

import sys

from transformers import Starcoder2Config, Starcoder2ForCausalLM

from common import Fixtures, as_transformers_5, changed, edited
from edits import repaired, zeroed

SCALES = [("norm.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.25)),
          ("k_proj", (0.0, 0.25)), ("mlp.c_proj", (0.0, 0.6)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
BIASES = ("input_layernorm.bias", "post_attention_layernorm.bias", "model.norm.bias", "q_proj.bias", "k_proj.bias",
          "v_proj.bias", "o_proj.bias", "c_fc.bias", "c_proj.bias")


def main(out):
    fixtures = Fixtures(out, Starcoder2ForCausalLM)
    shape = dict(vocab_size=97, num_hidden_layers=2, max_position_embeddings=512, norm_epsilon=0.2)

    window = Starcoder2Config(**shape, hidden_size=36, intermediate_size=50, num_attention_heads=6,
                              num_key_value_heads=2, sliding_window=19, tie_word_embeddings=False)
    model = fixtures.model(window, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("window", model)
    fixtures.add("window", window, model, "window", {
        **zeroed(window, state, *BIASES),
        "window": (changed(window, sliding_window=None), state),
        "window's size": (changed(window, sliding_window=20), state),
        "theta": (changed(window, rope_theta=500.0), state),
        "pairs": (window, edited(edited(state, "q_proj", repaired(6, 6)), "k_proj", repaired(2, 6))),
        "eps": (changed(window, norm_epsilon=1e-5), state),
        "activation": (changed(window, hidden_act="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(window, hidden_act="gelu"), state, 1.5),
    }, 121)

    unbiased = Starcoder2Config(**shape, hidden_size=40, intermediate_size=34, num_attention_heads=5,
                                num_key_value_heads=1, use_bias=False, rope_theta=700.0, tie_word_embeddings=True)
    model = fixtures.model(unbiased, 2, SCALES)
    fixtures.write_weights("unbiased", model)
    fixtures.add("unbiased", unbiased, model, "unbiased",
                 {"theta": (changed(unbiased, rope_theta=10000.0), model.state_dict())}, 122,
                 spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
