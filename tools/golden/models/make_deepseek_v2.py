"""tests/golden/models/deepseek_v2, by the code that ships with DeepSeek-V2: python make_deepseek_v2.py OUT CODE

CODE is a folder with modeling_deepseek.py and configuration_deepseek.py. transformers 4.57 has the family too, but
scales neither scores by mscale nor weights that sum to 1 as that code does; elsewhere both must agree.
"""

import sys

import torch
from transformers import DeepseekV2Config as TransformersConfig
from transformers import DeepseekV2ForCausalLM as TransformersModel

from common import TOLERANCE, Fixtures, changed, draw, edited
from experts import swap_experts
from reference import Reference, reading_head, transformers_reference
from shipped import load

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.25)),
          ("q_a_proj", (0.0, 0.25)), ("q_b_proj", (0.0, 0.3)), ("kv_a_proj", (0.0, 0.25)), ("kv_b_proj", (0.0, 0.25)),
          ("o_proj", (0.0, 0.1)), ("lm_head", (0.0, 0.4)), ("mlp.gate.", (0.0, 0.6)), ("experts.", (0.0, 0.13)),
          ("", (0.0, 0.15))]


def reference_of(model_class):
    """As transformers_reference, but with a mask, without which that code refuses a single token."""
    reference = transformers_reference(model_class)

    def run(model, ids, prompt):
        tokens = torch.tensor([ids])
        out, hidden = reading_head(model.get_output_embeddings(), lambda: model(
            tokens, attention_mask=torch.ones_like(tokens), output_attentions=True, use_cache=False))
        return out.logits[0], hidden, out.attentions

    return Reference(reference.build, run, reference.name)


def check_agreement(config, state):
    """On short texts and without what transformers leaves out."""
    values = config.to_dict() | {"rope_scaling": None, "norm_topk_prob": False}
    values.pop("model_type")
    ids = draw(config.vocab_size, 30, 5)
    results = []
    for model_class, settings in ((model_of_authors, type(config)(**values)),
                                  (TransformersModel, TransformersConfig(**values))):
        reference = reference_of(model_class)
        model = reference.build(settings)
        model.load_state_dict(state)
        with torch.no_grad():
            results.append(reference.run(model, ids, len(ids))[0])
    difference = ((results[0] - results[1]).abs().max() / results[0].abs().max()).item()
    print(f"transformers differs by {difference:.1e}")
    assert difference < TOLERANCE


def main(out, code):
    global model_of_authors
    modeling = load(code, "modeling_deepseek")
    model_of_authors = modeling.DeepseekV2ForCausalLM
    make_config = modeling.DeepseekV2Config
    fixtures = Fixtures(out, reference_of(model_of_authors))
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=40, num_attention_heads=5, num_key_value_heads=5,
                 max_position_embeddings=1024, rms_norm_eps=0.2, rope_theta=10000.0, kv_lora_rank=20,
                 qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=7, moe_intermediate_size=11,
                 moe_layer_freq=1, topk_method="greedy")
    yarn = dict(type="yarn", factor=8.0, original_max_position_embeddings=128, beta_fast=1.5, beta_slow=0.05,
                mscale=0.9, mscale_all_dim=0.7)

    lite = make_config(**shape, q_lora_rank=None, num_hidden_layers=3, first_k_dense_replace=1, n_routed_experts=7,
                       num_experts_per_tok=3, n_shared_experts=2, routed_scaling_factor=1.6, rope_scaling=yarn)
    model = fixtures.model(lite, 1, SCALES)
    state = model.state_dict()
    check_agreement(lite, state)
    fixtures.write_weights("lite", model)
    toggles = {
        "active": (changed(lite, num_experts_per_tok=2), state),
        "scale": (changed(lite, routed_scaling_factor=1.0), state),
        "mscale": (changed(lite, rope_scaling={**yarn, "mscale": 0.7}), state),
        "mscale of all": (changed(lite, rope_scaling={**yarn, "mscale": 0.0, "mscale_all_dim": 0.0}), state),
        "factor": (changed(lite, rope_scaling={**yarn, "factor": 2.0}), state),
        "experts' order": (lite, swap_experts(state, "mlp.experts", 7)),
        "shared experts": (lite, edited(state, "shared_experts.down_proj", torch.zeros_like)),
        "latent's norm": (lite, edited(state, "kv_a_layernorm", torch.ones_like)),
    }
    fixtures.add("lite", lite, model, "lite", toggles, 41)
    normal = changed(lite, norm_topk_prob=True, rope_scaling=None, rope_theta=500.0)
    toggles = {"normalize": (changed(normal, norm_topk_prob=False), state),
               "theta": (changed(normal, rope_theta=10000.0), state)}
    fixtures.add("normal", normal, model, "lite", toggles, 42)

    groups = make_config(**{**shape, "topk_method": "group_limited_greedy", "moe_layer_freq": 2}, q_lora_rank=14,
                         num_hidden_layers=3, n_routed_experts=6, n_group=3, topk_group=2, num_experts_per_tok=3,
                         n_shared_experts=1, routed_scaling_factor=1.5, attention_bias=True)
    model = fixtures.model(groups, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("groups", model)
    toggles = {part: (groups, edited(state, part, torch.zeros_like))
               for part in ("q_a_proj.bias", "kv_a_proj_with_mqa.bias", "o_proj.bias")}
    toggles["groups"] = (changed(groups, topk_group=3), state)
    toggles["queries' norm"] = (groups, edited(state, "q_a_layernorm", torch.ones_like))
    fixtures.add("groups", groups, model, "groups", toggles, 43)
    fixtures.finish()


main(sys.argv[1], sys.argv[2])
