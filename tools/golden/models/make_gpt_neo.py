"""tests/golden/models/gpt_neo, by transformers 4.57: python make_gpt_neo.py OUT"""

import sys

import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from common import Fixtures, changed, edited
from edits import zeroed

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_2.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)),
          (".bias", (0.0, 0.4)), ("wte", (0.0, 0.8)), ("wpe", (0.0, 0.6)), ("q_proj", (0.0, 0.15)),
          ("k_proj", (0.0, 0.15)), ("mlp.c_proj", (0.0, 0.6)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
BIASES = ("ln_1.bias", "ln_2.bias", "ln_f.bias", "out_proj.bias", "c_fc.bias", "mlp.c_proj.bias")


def typed(config, *types):
    """The layers' types changed; the reference builds its masks from them."""
    return changed(config, attention_types=[[list(types), 1]], attention_layers=list(types))


def main(out):
    fixtures = Fixtures(out, GPTNeoForCausalLM)
    shape = dict(vocab_size=97, max_position_embeddings=320, layer_norm_epsilon=0.2)

    mixed = GPTNeoConfig(**shape, hidden_size=40, num_heads=5, intermediate_size=52, num_layers=3, window_size=13,
                         attention_types=[[["global", "local"], 1], [["local"], 1]])
    model = fixtures.model(mixed, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("mixed", model)
    fixtures.add("mixed", mixed, model, "mixed", {
        **zeroed(mixed, state, *BIASES),
        "all global": (typed(mixed, "global", "global", "global"), state),
        "types": (typed(mixed, "local", "global", "local"), state),
        "last type": (typed(mixed, "global", "local", "global"), state),
        "window": (changed(mixed, window_size=14), state),
        "scale": (mixed, edited(state, "q_proj", lambda t: t / 8**0.5)),
        "positions": (mixed, edited(state, "wpe", lambda t: t.roll(1, 0))),
        "eps": (changed(mixed, layer_norm_epsilon=1e-5), state),
        "activation": (changed(mixed, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(mixed, activation_function="gelu"), state, 1.5),
    }, 71)

    # The usual window and inner width, a head of its own, names without the base model's prefix.
    usual = GPTNeoConfig(**shape, hidden_size=27, num_heads=3, num_layers=2, attention_types=[[["local", "global"], 1]],
                         tie_word_embeddings=False)
    model = fixtures.model(usual, 2, [("q_proj", (0.0, 0.2)), *SCALES])
    state = model.state_dict()
    fixtures.write_weights("usual", model, prefix_strip="transformer.")
    fixtures.add("usual", usual, model, "usual", {
        "types": (typed(usual, "global", "global"), state),
        "window": (changed(usual, window_size=128), state),
    }, 72, drop=("attention_layers", "window_size", "intermediate_size"))
    fixtures.finish()


main(sys.argv[1])
