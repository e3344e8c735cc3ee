"""tests/golden/models/codegen, by transformers 4.57: python make_codegen.py OUT"""

import sys

import torch
from transformers import CodeGenConfig, CodeGenForCausalLM

from common import Fixtures, changed, edited
from edits import zeroed

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("wte", (0.0, 1.0)),
          ("qkv_proj", (0.0, 0.28)), ("fc_out", (0.0, 0.5)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
BIASES = ("ln_1.bias", "ln_f.bias", "fc_in.bias", "fc_out.bias", "lm_head.bias")


def swapped(tensor):
    """Values where the keys are and the reverse, in 4 groups."""
    parts = tensor.view(4, 3, -1, tensor.shape[1])
    return parts[:, [0, 2, 1]].reshape(tensor.shape)


def regrouped(tensor, groups):
    """Rows of 4 groups as rows of `groups`."""
    parts = tensor.view(4, 3, -1, tensor.shape[1]).transpose(0, 1).reshape(3, groups, -1, tensor.shape[1])
    return parts.transpose(0, 1).reshape(tensor.shape)


def in_eight_groups(state):
    return {k: regrouped(v, 8) if "qkv_proj" in k else v for k, v in state.items()}


def main(out):
    fixtures = Fixtures(out, CodeGenForCausalLM)
    shape = dict(vocab_size=97, n_layer=2, n_positions=320, layer_norm_epsilon=0.2)

    # Three heads in each of the four groups.
    first = CodeGenConfig(**shape, n_embd=48, n_head=12, rotary_dim=2, n_inner=34)
    model = fixtures.model(first, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("first", model)
    fixtures.add("first", first, model, "first", {
        **zeroed(first, state, *BIASES),
        "order": (first, edited(state, "qkv_proj", swapped)),
        "groups": (first, edited(state, "qkv_proj", lambda t: regrouped(t, 2))),
        "rotary_dim": (changed(first, rotary_dim=4), state),
        "eps": (changed(first, layer_norm_epsilon=1e-5), state),
        "activation": (changed(first, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(first, activation_function="gelu"), state, 1.5),
    }, 61)

    # The second generation: eight groups, which its own code has; the reference runs them as four.
    second = CodeGenConfig(**shape, n_embd=48, n_head=8, rotary_dim=6, tie_word_embeddings=True)
    model = fixtures.model(second, 2, SCALES)
    fixtures.write_weights("second", model, edit=in_eight_groups)
    fixtures.add("second", second, model, "second",
                 {"groups": (second, in_eight_groups(model.state_dict()))}, 62, drop=("n_inner",), extra={"head_dim": 6})
    fixtures.finish()


main(sys.argv[1])
