"""tests/golden/models/gptj, by transformers 4.57: python make_gptj.py OUT"""

import sys

from transformers import GPTJConfig, GPTJForCausalLM

from common import Fixtures, changed, edited
from edits import repaired, zeroed

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("wte", (0.0, 1.0)),
          ("q_proj", (0.0, 0.3)), ("k_proj", (0.0, 0.3)), ("fc_out", (0.0, 0.5)), ("lm_head", (0.0, 0.4)),
          ("", (0.0, 0.3))]
BIASES = ("ln_1.bias", "ln_f.bias", "fc_in.bias", "fc_out.bias", "lm_head.bias")


def rope_toggles(config, state):
    heads, other = config.n_head, 4 if config.rotary_dim != 4 else 2
    pairs = edited(edited(state, "q_proj", repaired(heads, config.rotary_dim)), "k_proj",
                   repaired(heads, config.rotary_dim))
    return {"pairs": (config, pairs), "rotary_dim": (changed(config, rotary_dim=other), state)}


def main(out):
    fixtures = Fixtures(out, GPTJForCausalLM)
    shape = dict(vocab_size=97, n_embd=36, n_layer=2, n_head=3, n_positions=320, layer_norm_epsilon=0.2)

    partial = GPTJConfig(**shape, rotary_dim=6, n_inner=50)
    model = fixtures.model(partial, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("partial", model)
    fixtures.add("partial", partial, model, "partial", {
        **rope_toggles(partial, state),
        **zeroed(partial, state, *BIASES),
        "eps": (changed(partial, layer_norm_epsilon=1e-5), state),
        "activation": (changed(partial, activation_function="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "exact gelu": (changed(partial, activation_function="gelu"), state, 1.5),
    }, 51)

    # The whole head turns, the head is tied but keeps its bias; names lack the base model's prefix.
    tied = GPTJConfig(**{**shape, "n_embd": 30}, rotary_dim=10, activation_function="gelu", tie_word_embeddings=True)
    model = fixtures.model(tied, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("tied", model, prefix_strip="transformer.")
    fixtures.add("tied", tied, model, "tied", {
        **rope_toggles(tied, state), **zeroed(tied, state, "lm_head.bias"),
        "tanh gelu": (changed(tied, activation_function="gelu_new"), state, 1.5),
    }, 52, drop=("n_inner",))
    fixtures.finish()


main(sys.argv[1])
