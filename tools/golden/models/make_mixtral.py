"""tests/golden/models/mixtral, by transformers 4.57: python make_mixtral.py OUT"""

import sys

from transformers import MixtralConfig, MixtralForCausalLM

from common import Fixtures, as_transformers_5, changed, edited
from experts import swap_experts

SCALES = [("norm", (1.0, 0.3)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.23)), ("k_proj", (0.0, 0.23)),
          ("lm_head", (0.0, 0.4)), ("block_sparse_moe.gate", (0.0, 0.5)), ("", (0.0, 0.15))]


def main(out):
    fixtures = Fixtures(out, MixtralForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=22, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=0.2, rope_theta=10000.0,
                 num_local_experts=5, num_experts_per_tok=2, sliding_window=None, tie_word_embeddings=False)

    two = MixtralConfig(**shape)
    model = fixtures.model(two, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("two", model)
    toggles = {
        "active": (changed(two, num_experts_per_tok=1), state),
        "experts' order": (two, swap_experts(state, "block_sparse_moe.experts", 5)),
        "router": (two, edited(state, "block_sparse_moe.gate", lambda w: w.flip(0))),
        "eps": (changed(two, rms_norm_eps=1e-5), state),
        "theta": (changed(two, rope_theta=500.0), state),
        "activation": (changed(two, hidden_act="gelu"), state),
    }
    fixtures.add("two", two, model, "two", toggles, 11, spelling=as_transformers_5)

    window = MixtralConfig(**{**shape, "sliding_window": 19, "num_experts_per_tok": 3, "head_dim": 8})
    model = fixtures.model(window, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("window", model)
    toggles = {"window": (changed(window, sliding_window=None), state),
               "active": (changed(window, num_experts_per_tok=2), state)}
    fixtures.add("window", window, model, "window", toggles, 12)
    fixtures.finish()


main(sys.argv[1])
