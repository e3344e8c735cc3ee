"""tests/golden/models/gpt_bigcode, by transformers 4.57: python make_gpt_bigcode.py OUT"""

import sys

from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

from common import Fixtures, changed, edited
from edits import zeroed

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_2.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)),
          (".bias", (0.0, 0.4)), ("wte", (0.0, 0.8)), ("wpe", (0.0, 0.6)), ("mlp.c_proj", (0.0, 0.6)),
          ("lm_head", (0.0, 0.4))]
BIASES = ("ln_1.bias", "ln_2.bias", "ln_f.bias", "c_attn.bias", "attn.c_proj.bias", "c_fc.bias", "mlp.c_proj.bias")


def scales(attention):
    return [("c_attn.weight", (0.0, attention)), *SCALES, ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, GPTBigCodeForCausalLM)
    shape = dict(vocab_size=97, n_layer=2, n_positions=320, layer_norm_epsilon=0.2)

    shared = GPTBigCodeConfig(**shape, n_embd=40, n_head=5, n_inner=52)
    model = fixtures.model(shared, 1, scales(0.28))
    state = model.state_dict()
    fixtures.write_weights("shared", model)
    fixtures.add("shared", shared, model, "shared", {
        **zeroed(shared, state, *BIASES),
        "positions": (shared, edited(state, "wpe", lambda t: t.roll(1, 0))),
        "scale": (changed(shared, scale_attn_weights=False), state),
        "eps": (changed(shared, layer_norm_epsilon=1e-5), state),
        "activation": (changed(shared, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(shared, activation_function="gelu"), state, 1.5),
    }, 111)

    # Keys of each head, side by side with its queries; a head of its own.
    by_head = GPTBigCodeConfig(**shape, n_embd=27, n_head=3, multi_query=False, tie_word_embeddings=False,
                               activation_function="gelu")
    model = fixtures.model(by_head, 2, scales(0.3))
    state = model.state_dict()

    def in_order(tensor):
        """As if all queries came first."""
        return tensor.view(3, 3, 9, -1).transpose(0, 1).reshape(tensor.shape)

    fixtures.write_weights("by_head", model, prefix_strip="transformer.")
    fixtures.add("by_head", by_head, model, "by_head",
                 {"order": (by_head, edited(state, "c_attn", in_order))}, 112, drop=("n_inner", "num_key_value_heads"))

    unscaled = GPTBigCodeConfig(**shape, n_embd=30, n_head=3, n_inner=34, scale_attn_weights=False)
    model = fixtures.model(unscaled, 3, scales(0.16))
    fixtures.write_weights("unscaled", model)
    fixtures.add("unscaled", unscaled, model, "unscaled",
                 {"scale": (changed(unscaled, scale_attn_weights=True), model.state_dict())}, 113)
    fixtures.finish()


main(sys.argv[1])
