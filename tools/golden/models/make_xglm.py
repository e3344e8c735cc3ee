"""tests/golden/models/xglm, by transformers 4.57: python make_xglm.py OUT"""

import sys

from transformers import XGLMConfig, XGLMForCausalLM

from common import Fixtures, changed, edited
from edits import zeroed

SCALES = [("layer_norm.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("q_proj", (0.0, 0.25)), ("k_proj", (0.0, 0.25)),
          ("fc2", (0.0, 0.6)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
# A key's bias adds the same to all scores of a row.
BIASES = ("self_attn_layer_norm.bias", "layers.0.final_layer_norm.bias", "model.layer_norm.bias", "q_proj.bias",
          "v_proj.bias", "out_proj.bias", "fc1.bias", "fc2.bias")


def main(out):
    fixtures = Fixtures(out, XGLMForCausalLM)
    shape = dict(vocab_size=97, num_layers=2, max_position_embeddings=320)

    # As older versions stored it, with the computed positions.
    scaled = XGLMConfig(**shape, d_model=40, ffn_dim=52, attention_heads=5)
    model = fixtures.model(scaled, 1, [("embed_tokens", (0.0, 0.15)), *SCALES])
    state = model.state_dict()
    positions = model.model.embed_positions.weights[:4]
    fixtures.write_weights("scaled", model, edit=lambda state: {**state, "model.embed_positions.weights": positions})
    fixtures.add("scaled", scaled, model, "scaled", {
        **zeroed(scaled, state, *BIASES),
        "scale": (changed(scaled, scale_embedding=False), state),
        "activation": (changed(scaled, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "tanh gelu": (changed(scaled, activation_function="gelu_new"), state, 1.5),
    }, 101)

    # An odd width: the last place of a position is 0.
    odd = XGLMConfig(**shape, d_model=33, ffn_dim=50, attention_heads=3, scale_embedding=False,
                     tie_word_embeddings=False, activation_function="relu")
    model = fixtures.model(odd, 2, [("embed_tokens", (0.0, 0.9)), *SCALES])
    state = model.state_dict()
    fixtures.write_weights("odd", model, prefix_strip="model.")
    fixtures.add("odd", odd, model, "odd", {"scale": (changed(odd, scale_embedding=True), state)}, 102)
    fixtures.finish()


main(sys.argv[1])
