"""tests/golden/models/qwen2_moe, by transformers 4.57: python make_qwen2_moe.py OUT"""

import sys

import torch
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from common import Fixtures, changed, edited
from experts import swap_experts

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.2)),
          ("k_proj", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("mlp.gate.", (0.0, 0.6)), ("experts.", (0.0, 0.15)),
          ("shared_expert_gate", (0.0, 0.3)), ("", (0.0, 0.15))]


def main(out):
    fixtures = Fixtures(out, Qwen2MoeForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_attention_heads=6, num_key_value_heads=3,
                 max_position_embeddings=512, rms_norm_eps=0.2, rope_theta=10000.0, moe_intermediate_size=15,
                 shared_expert_intermediate_size=26, num_experts=7, num_experts_per_tok=3)

    # Layer 1 of three is dense by name; of the others every one has experts.
    plain = Qwen2MoeConfig(**shape, num_hidden_layers=3, mlp_only_layers=[1])
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model)
    toggles = {
        "active": (changed(plain, num_experts_per_tok=2), state),
        "normalize": (changed(plain, norm_topk_prob=True), state),
        "experts' order": (plain, swap_experts(state, "mlp.experts", 7)),
        "router": (plain, edited(state, "mlp.gate.", lambda w: w.flip(0))),
        "shared gate": (plain, edited(state, "shared_expert_gate", torch.zeros_like)),
        "shared expert": (plain, edited(state, "shared_expert.down_proj", torch.zeros_like)),
    }
    for part in ("q", "k", "v"):
        toggles[f"{part} bias"] = (plain, edited(state, f"{part}_proj.bias", torch.zeros_like))
    fixtures.add("plain", plain, model, "plain", toggles, 21)

    # Every second layer has experts; weights sum to 1; no biases; tied.
    step = Qwen2MoeConfig(**{**shape, "num_key_value_heads": 6}, num_hidden_layers=2, decoder_sparse_step=2,
                          norm_topk_prob=True, qkv_bias=False, tie_word_embeddings=True)
    model = fixtures.model(step, 2, [("q_proj", (0.0, 0.3)), *SCALES])
    state = model.state_dict()
    fixtures.write_weights("step", model)
    toggles = {"normalize": (changed(step, norm_topk_prob=False), state),
               "active": (changed(step, num_experts_per_tok=2), state)}
    fixtures.add("step", step, model, "step", toggles, 22)
    fixtures.finish()


main(sys.argv[1])
