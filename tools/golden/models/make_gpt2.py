"""tests/golden/models/gpt2, by transformers 4.57: python make_gpt2.py OUT"""

import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from common import Fixtures, changed, edited

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_2.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)),
          (".bias", (0.0, 0.4)), ("wte", (0.0, 0.8)), ("wpe", (0.0, 0.6)), ("c_attn", (0.0, 0.34)),
          ("mlp.c_proj", (0.0, 1.0)), ("lm_head", (0.0, 0.4)),
          ("", (0.0, 0.3))]
SMALLER = [("c_attn.weight", (0.0, 0.18))] + SCALES  # for scores that nothing divides


def main(out):
    fixtures = Fixtures(out, GPT2LMHeadModel)
    shape = dict(vocab_size=97, n_embd=40, n_layer=3, n_head=5, n_positions=320, n_inner=52,
                 layer_norm_epsilon=0.2, activation_function="gelu_new")

    plain = GPT2Config(**shape)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model)
    toggles = {
        "eps": (changed(plain, layer_norm_epsilon=1e-5), state),
        "activation": (changed(plain, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(plain, activation_function="gelu"), state, 1.5),
        "positions": (plain, edited(state, "wpe", lambda t: t.roll(1, 0))),
        "scale": (changed(plain, scale_attn_weights=False), state),
        "scale by layer": (changed(plain, scale_attn_by_inverse_layer_idx=True), state),
    }
    for part in ("ln_1.bias", "ln_2.bias", "ln_f.bias", "c_attn.bias", "attn.c_proj.bias", "c_fc.bias",
                 "mlp.c_proj.bias"):
        toggles[part] = (plain, edited(state, part, torch.zeros_like))
    fixtures.add("plain", plain, model, "plain", toggles, 21)

    by_layer = changed(plain, scale_attn_by_inverse_layer_idx=True)
    fixtures.add("by_layer", by_layer, model, "plain", {"scale by layer": (plain, state)}, 22)
    # Both flags off their defaults, a head of its own, the usual inner width.
    unscaled = GPT2Config(**{**shape, "n_inner": None, "n_layer": 2}, scale_attn_weights=False,
                          scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False)
    model = fixtures.model(unscaled, 2, SMALLER)
    state = model.state_dict()
    fixtures.write_weights("unscaled", model)
    toggles = {"scale": (changed(unscaled, scale_attn_weights=True), state),
               "scale by layer": (changed(unscaled, scale_attn_by_inverse_layer_idx=False), state)}
    fixtures.add("unscaled", unscaled, model, "unscaled", toggles, 23)
    fixtures.finish()


main(sys.argv[1])
