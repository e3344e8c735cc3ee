"""tests/golden/models/gpt_neox, by transformers 4.57: python make_gpt_neox.py OUT"""

import sys

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from common import Fixtures, changed, edited

SCALES = [("norm.weight", (1.0, 0.3)), ("layernorm.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("embed_in", (0.0, 1.0)), ("query_key_value", (0.0, 0.2)), ("dense_4h_to_h", (0.0, 1.0)),
          ("embed_out", (0.0, 0.4)),
          ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, GPTNeoXForCausalLM)
    shape = dict(vocab_size=97, hidden_size=40, intermediate_size=52, num_hidden_layers=2,
                 num_attention_heads=5, max_position_embeddings=512, layer_norm_eps=0.2, rotary_pct=0.5,
                 hidden_act="gelu")

    parallel = GPTNeoXConfig(**shape, use_parallel_residual=True)
    model = fixtures.model(parallel, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("parallel", model)
    toggles = {
        "parallel": (changed(parallel, use_parallel_residual=False), state),
        "share": (changed(parallel, rotary_pct=1.0, partial_rotary_factor=1.0), state),
        "theta": (changed(parallel, rope_theta=100.0), state),
        "eps": (changed(parallel, layer_norm_eps=1e-5), state),
        "activation": (changed(parallel, hidden_act="relu"), state),
        # The two forms of GELU differ by at most 5e-4.
        "tanh gelu": (changed(parallel, hidden_act="gelu_new"), state, 1.5),
    }
    for part in ("input_layernorm.bias", "post_attention_layernorm.bias", "final_layer_norm.bias",
                 "query_key_value.bias", "attention.dense.bias", "dense_h_to_4h.bias", "dense_4h_to_h.bias"):
        toggles[part] = (parallel, edited(state, part, torch.zeros_like))
    fixtures.add("parallel", parallel, model, "parallel", toggles, 31)

    sequential = GPTNeoXConfig(**{**shape, "rotary_pct": 0.75, "rotary_emb_base": 500},
                               use_parallel_residual=False)
    fixtures.add("sequential", sequential, model, "parallel",
                 {"parallel": (changed(sequential, use_parallel_residual=True), state),
                  "share": (changed(sequential, rotary_pct=0.5, partial_rotary_factor=0.5), state),
                  "theta": (changed(sequential, rope_theta=10000.0), state)}, 32)

    unbiased = GPTNeoXConfig(**{**shape, "rotary_pct": 1.0}, attention_bias=False, tie_word_embeddings=True,
                             rope_scaling={"type": "linear", "factor": 4.0})
    model = fixtures.model(unbiased, 2, SCALES)
    fixtures.write_weights("unbiased", model)
    fixtures.add("unbiased", unbiased, model, "unbiased",
                 {"scaling": (changed(unbiased, rope_scaling=None), model.state_dict())}, 33)
    fixtures.finish()


main(sys.argv[1])
