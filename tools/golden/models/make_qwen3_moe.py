"""tests/golden/models/qwen3_moe, by transformers 4.57: python make_qwen3_moe.py OUT"""

import sys

import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from common import Fixtures, changed, edited
from experts import swap_experts

SCALES = [("q_norm", (1.5, 0.3)), ("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)),
          ("q_proj", (0.0, 0.2)), ("k_proj", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("mlp.gate.", (0.0, 0.6)), ("experts.", (0.0, 0.15)),
          ("", (0.0, 0.15))]


def main(out):
    fixtures = Fixtures(out, Qwen3MoeForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_attention_heads=6, num_key_value_heads=2,
                 head_dim=10, max_position_embeddings=512, rms_norm_eps=0.2, rope_theta=10000.0,
                 moe_intermediate_size=15, num_experts=7, num_experts_per_tok=3)

    plain = Qwen3MoeConfig(**shape, num_hidden_layers=3, mlp_only_layers=[0], norm_topk_prob=True)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model)
    toggles = {
        "active": (changed(plain, num_experts_per_tok=2), state),
        "normalize": (changed(plain, norm_topk_prob=False), state),
        "experts' order": (plain, swap_experts(state, "mlp.experts", 7)),
        "q norm": (plain, edited(state, "q_norm", torch.ones_like)),
        "k norm": (plain, edited(state, "k_norm", torch.ones_like)),
    }
    fixtures.add("plain", plain, model, "plain", toggles, 31)

    biased = Qwen3MoeConfig(**{**shape, "num_key_value_heads": 3}, num_hidden_layers=2, decoder_sparse_step=2,
                            attention_bias=True, tie_word_embeddings=True)
    model = fixtures.model(biased, 2, [("experts.", (0.0, 0.2)), *SCALES])
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = {f"{part} bias": (biased, edited(state, f"{part}_proj.bias", torch.zeros_like))
               for part in ("q", "k", "v", "o")}
    toggles["normalize"] = (changed(biased, norm_topk_prob=True), state)
    fixtures.add("biased", biased, model, "biased", toggles, 32)
    fixtures.finish()


main(sys.argv[1])
