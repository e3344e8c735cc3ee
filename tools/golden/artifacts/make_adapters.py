#!/usr/bin/env python3
"""Writes tests/golden/artifacts/adapters: LoRA adapters of the models in tests/golden/models, as
peft saves them, with the logits that peft computes with them.

Needs torch, transformers, safetensors and peft. Usage: make_adapters.py tests/golden/models OUT
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
ROWS = [0, 4, 9]

# name: the base, its LoraConfig, and what else to do.
CASES = {
    "llama_patterns": (("llama", "grouped"), dict(
        r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj", "lm_head"],
        rank_pattern={"layers.1.self_attn.q_proj": 2, "^model.layers.0.mlp.down_proj": 3},
        alpha_pattern={"v_proj": 3, "layers.[01].mlp.down_proj": 10}), {}),
    "llama_dora": (("llama", "grouped"), dict(
        r=3, lora_alpha=5, use_rslora=True, use_dora=True,
        target_modules=r".*\.(gate_proj|o_proj|embed_tokens)$",
        modules_to_save=["lm_head", "norm"]), {}),
    "llama_biases": (("llama", "biased"), dict(
        r=2, lora_alpha=4, bias="all", target_modules=["q_proj", "o_proj", "up_proj"],
        layers_to_transform=[1], layers_pattern="layers"), {"torch": True}),
    "llama_lora_bias": (("llama", "biased"), dict(
        r=2, lora_alpha=4, lora_bias=True, target_modules=["k_proj", "gate_proj"]), {}),
    "llama_tokens": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules="all-linear", exclude_modules=["layers.0.mlp.up_proj"],
        trainable_token_indices=[9, 1, 5]), {}),
    "llama_tied_embedding": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["embed_tokens", "q_proj"]), {}),
    "llama_tied_head": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["lm_head", "q_proj"]), {}),
    "llama_tied_saved": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"]), {}),
    "llama_tied_both": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"]),
        {}),
    "llama_ensured": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"],
        ensure_weight_tying=True), {}),
    "llama_resized": (("llama", "tied"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"]), {"vocabulary": 103}),
    "llama_resized_untied": (("llama", "grouped"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"]), {"vocabulary": 103}),
    "gpt2_conv1d": (("gpt2", "plain"), dict(
        r=3, lora_alpha=4, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True), {}),
    "gpt2_dora": (("gpt2", "unscaled"), dict(
        r=3, lora_alpha=4, target_modules=["c_attn", "attn.c_proj", "wpe"], use_dora=True,
        fan_in_fan_out=True, modules_to_save=["ln_f"]), {}),
    "bloom_fused": (("bloom", "odd"), dict(
        r=2, lora_alpha=4, bias="lora_only",
        target_modules=["query_key_value", "dense_h_to_4h", "word_embeddings"]), {}),
    "falcon_fused": (("falcon", "groups"), dict(
        r=2, lora_alpha=4, target_modules=["query_key_value", "dense"]), {}),
    "mixtral_experts": (("mixtral", "two"), dict(
        r=2, lora_alpha=4, target_modules=["q_proj", "w1", "w2", "w3", "gate"]), {}),
    "phi3_fused": (("phi3", "window"), dict(
        r=2, lora_alpha=4, target_modules=["qkv_proj", "gate_up_proj"]), {}),
    "neox_fused": (("gpt_neox", "parallel"), dict(
        r=2, lora_alpha=4, target_modules=["query_key_value", "embed_out"]), {}),
    "deepseek_latent": (("deepseek_v3", "whole"), dict(
        r=2, lora_alpha=4, target_modules=["q_b_proj", "kv_b_proj", "kv_a_proj_with_mqa"]), {}),
}


def base_folder(models, family, name, folder):
    variants = json.loads((models / family / "variants.json").read_text())
    weights = next(v["weights"] for v in variants if v["name"] == name)
    folder.mkdir()
    config = json.loads((models / family / (name + ".config.json")).read_text())
    # A later version's spelling, which this one would pass over.
    rope = dict(config.pop("rope_parameters", {}))
    if rope:
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else rope
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(models / family / weights, folder / "model.safetensors")


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32,
                                                attn_implementation="eager").eval()


def randomize(model, generator):
    """Values that half types hold, so that files are small; different for every trained tensor."""
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        noise = torch.randn(parameter.shape, generator=generator) * 0.1
        near = "lora_" not in name or "magnitude" in name
        with torch.no_grad():
            value = parameter + noise * (0.3 if near else 1) if near else noise
            parameter.copy_(value.bfloat16().float())


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([IDS])).logits[0, ROWS].float()


def make(models, out, scratch, case):
    (family, variant), settings, extra = CASES[case]
    generator = torch.Generator().manual_seed(sum(map(ord, case)))
    base = scratch / (case + "_base")
    base_folder(models, family, variant, base)
    model = load(base)
    if "vocabulary" in extra:
        model.resize_token_embeddings(extra["vocabulary"], mean_resizing=False)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
    randomize(model, generator)
    if "vocabulary" in extra:
        with torch.no_grad():
            for weight in {model.get_input_embeddings().weight, model.get_output_embeddings().weight}:
                weight.copy_((weight + torch.randn(weight.shape, generator=generator) * 0.03)
                             .bfloat16().float())
    folder = out / case
    model.save_pretrained(folder, safe_serialization=not extra.get("torch"))
    expected = logits(model)
    # What is saved is what is compared: read it again.
    again = load(base)
    if "vocabulary" in extra:
        again.resize_token_embeddings(extra["vocabulary"], mean_resizing=False)
    again = PeftModel.from_pretrained(again, folder).eval()
    read = (logits(again) - expected).abs().max().item()
    merged = (logits(again.merge_and_unload()) - expected).abs().max().item()
    plain = load(base)
    changed = (logits(plain) - expected[:, :plain.config.vocab_size]).abs().max().item()
    print(f"{case}: read again {read:.1e}, merged {merged:.1e}, without {changed:.1e}")
    for file in folder.glob("*.safetensors"):
        save_file({k: v.bfloat16() for k, v in load_file(file).items()}, file)
    for file in folder.glob("*.bin"):
        torch.save({k: v.bfloat16() for k, v in torch.load(file).items()}, file)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "../base"
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (folder / "case.json").write_text(json.dumps(
        {"family": family, "variant": variant, "ids": IDS, "rows": ROWS}) + "\n")
    save_file({"logits": expected.contiguous()}, folder / "expected.safetensors")


def main():
    models, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    cases = sys.argv[3:] or CASES
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases:
            make(models, out, Path(scratch), case)


if __name__ == "__main__":
    main()
