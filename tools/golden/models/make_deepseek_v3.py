"""tests/golden/models/deepseek_v3, by transformers 4.57: python make_deepseek_v3.py OUT"""

import sys

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from common import Fixtures, changed, edited, exact
from experts import swap_experts

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.25)),
          ("q_a_proj", (0.0, 0.25)), ("q_b_proj", (0.0, 0.3)), ("kv_a_proj", (0.0, 0.25)), ("kv_b_proj", (0.0, 0.25)),
          ("o_proj", (0.0, 0.1)), ("lm_head", (0.0, 0.4)), ("mlp.gate.", (0.0, 0.6)), ("experts.", (0.0, 0.1)),
          ("", (0.0, 0.15))]


def with_bias(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if "e_score_correction_bias" in name:
            buffer.copy_(exact(1 + 0.6 * torch.randn(buffer.shape, generator=generator)))
    return model


def main(out):
    fixtures = Fixtures(out, DeepseekV3ForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=40, num_attention_heads=5, num_key_value_heads=5,
                 max_position_embeddings=1024, rms_norm_eps=0.2, rope_theta=10000.0, kv_lora_rank=20,
                 qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=7, moe_intermediate_size=11)
    yarn = dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=128, beta_fast=1.5, beta_slow=0.05,
                mscale=0.9, mscale_all_dim=0.7)

    groups = DeepseekV3Config(**shape, q_lora_rank=14, num_hidden_layers=3, first_k_dense_replace=1,
                              n_routed_experts=8, n_group=4, topk_group=2, num_experts_per_tok=3, n_shared_experts=1,
                              routed_scaling_factor=1.5, norm_topk_prob=True, rope_scaling=yarn)
    model = with_bias(fixtures.model(groups, 1, SCALES), 7)
    state = model.state_dict()
    fixtures.write_weights("groups", model)
    toggles = {
        "groups": (changed(groups, topk_group=3), state),
        "bias": (groups, edited(state, "e_score_correction_bias", torch.zeros_like)),
        "normalize": (changed(groups, norm_topk_prob=False), state),
        "scale": (changed(groups, routed_scaling_factor=1.0), state),
        "mscale": (changed(groups, rope_scaling={**yarn, "mscale": 0.7}), state),
        "interleave": (changed(groups, rope_interleave=False), state),
        "experts' order": (groups, swap_experts(state, "mlp.experts", 8)),
    }
    fixtures.add("groups", groups, model, "groups", toggles, 51)

    whole = DeepseekV3Config(**shape, q_lora_rank=None, num_hidden_layers=2, first_k_dense_replace=0,
                             n_routed_experts=7, n_group=1, topk_group=1, num_experts_per_tok=3, n_shared_experts=2,
                             routed_scaling_factor=1.2, norm_topk_prob=False, attention_bias=True,
                             rope_interleave=False)
    model = with_bias(fixtures.model(whole, 2, [("q_proj", (0.0, 0.17)), ("experts.", (0.0, 0.07)), *SCALES]), 8)
    state = model.state_dict()
    fixtures.write_weights("whole", model)
    toggles = {part: (whole, edited(state, part, torch.zeros_like))
               for part in ("kv_a_proj_with_mqa.bias", "o_proj.bias")}
    toggles["normalize"] = (changed(whole, norm_topk_prob=True), state)
    toggles["interleave"] = (changed(whole, rope_interleave=True), state)
    fixtures.add("whole", whole, model, "whole", toggles, 52)
    fixtures.finish()


main(sys.argv[1])
