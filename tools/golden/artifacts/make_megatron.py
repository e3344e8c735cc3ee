#!/usr/bin/env python3
"""Writes tests/golden/artifacts/megatron: checkpoints as Megatron-LM saves them, in every version,
split and age that is read, and the Hugging Face tensors that the references make of them.

The expected tensors come from transformers' two conversions of Megatron-LM's GPT-2, as 4.36 has
them: the one of a single file, and the one that merges ranks. Where these are right only for one
rank (version 0 with several tensor ranks, whose queries, keys and values lie apart on each rank),
the expected tensors are those of the same model on one rank.

Needs torch, safetensors and a transformers that still has models/megatron_gpt2 (4.36).
Usage: make_megatron.py OUT
"""

import argparse
import enum
import functools
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GPT2Config
from transformers.models.megatron_gpt2 import checkpoint_reshaping_and_interoperability as many
from transformers.models.megatron_gpt2 import convert_megatron_gpt2_checkpoint as single

HEADS, WIDTH, INNER, LAYERS, POSITIONS = 4, 8, 20, 2, 12
VOCABULARY, PADDED = 27, 32


class ModelType(enum.Enum):  # as the training pickles it: an object that is never made
    encoder_or_decoder = 1


ModelType.__module__, ModelType.__qualname__ = "megatron.model.enums", "ModelType"


def arguments(**changes):
    values = dict(
        num_layers=LAYERS, hidden_size=WIDTH, num_attention_heads=HEADS, ffn_hidden_size=INNER,
        kv_channels=WIDTH // HEADS, max_position_embeddings=POSITIONS, padded_vocab_size=PADDED,
        tensor_model_parallel_size=1, pipeline_model_parallel_size=1, layernorm_epsilon=1e-5,
        bias_gelu_fusion=False, openai_gelu=False, tokenizer_type="GPT2BPETokenizer",
        params_dtype=torch.float16, model_type=ModelType.encoder_or_decoder, lr=1.5e-4,
        data_path=["text_document"], num_experts=None, virtual_pipeline_model_parallel_size=None,
        apply_residual_connection_post_layernorm=False, rank=0)
    return argparse.Namespace(**{**values, **changes})


def stored_order(param, version):
    """[3, heads, size] rows as a version stores them: what the readers undo."""
    if version == 0:
        return param
    split = param.view(3, HEADS, WIDTH // HEADS, *param.shape[1:])
    order = (1, 2, 0) if version == 1.0 else (1, 0, 2)
    return split.permute(*order, *range(3, split.dim())).reshape(param.shape).contiguous()


def model(seed, dtype):
    """One rank's tensors in Megatron-LM's layout, with the rows of version 0."""
    generator = torch.Generator().manual_seed(seed)

    def random_tensor(*shape):
        return (torch.randn(shape, generator=generator) * 0.2).to(dtype)

    tensors = {"word": random_tensor(PADDED, WIDTH), "position": random_tensor(POSITIONS, WIDTH),
               "layers": []}
    for _ in range(LAYERS):
        tensors["layers"].append({
            "input_layernorm.weight": random_tensor(WIDTH) + 1,
            "input_layernorm.bias": random_tensor(WIDTH),
            "attention.query_key_value.weight": random_tensor(3 * WIDTH, WIDTH),
            "attention.query_key_value.bias": random_tensor(3 * WIDTH),
            "attention.dense.weight": random_tensor(WIDTH, WIDTH),
            "attention.dense.bias": random_tensor(WIDTH),
            "post_attention_layernorm.weight": random_tensor(WIDTH) + 1,
            "post_attention_layernorm.bias": random_tensor(WIDTH),
            "mlp.dense_h_to_4h.weight": random_tensor(INNER, WIDTH),
            "mlp.dense_h_to_4h.bias": random_tensor(INNER),
            "mlp.dense_4h_to_h.weight": random_tensor(WIDTH, INNER),
            "mlp.dense_4h_to_h.bias": random_tensor(WIDTH)})
    tensors["final_layernorm.weight"] = random_tensor(WIDTH) + 1
    tensors["final_layernorm.bias"] = random_tensor(WIDTH)
    return tensors


def share(name, tensor, version, rank, ranks):
    """What a tensor rank has of a layer's tensor."""
    if "query_key_value" in name:
        if version == 0:  # each rank has its own queries, then keys, then values
            parts = [part.chunk(ranks)[rank] for part in tensor.chunk(3)]
            return torch.cat(parts).clone()
        return stored_order(tensor, version).chunk(ranks)[rank].clone()
    if "dense_h_to_4h" in name:
        return tensor.chunk(ranks)[rank].clone()
    if name in ("attention.dense.weight", "mlp.dense_4h_to_h.weight"):
        return tensor.chunk(ranks, dim=1)[rank].clone()
    return tensor.clone()


def rank_state(tensors, version, names, place, args):
    (rank, ranks), (stage, stages) = place
    stack = {}
    per_stage = LAYERS // stages
    for i in range(per_stage):
        for name, tensor in tensors["layers"][stage * per_stage + i].items():
            spelled = name.replace("attention.", names["attention"]) if name.startswith(
                "attention.") else name
            stack[f"layers.{i}.{spelled}"] = share(name, tensor, version, rank, ranks)
    language = {}
    word = tensors["word"].chunk(ranks)[rank].clone()
    if stage == 0:
        language["embedding"] = {"word_embeddings": {"weight": word},
                                 "position_embeddings": {"weight": tensors["position"].clone()}}
    language[names["stack"]] = stack
    inner = {"language_model": language}
    if stage == stages - 1:
        for ending in ("weight", "bias"):
            stack["final_layernorm." + ending] = tensors["final_layernorm." + ending].clone()
        if stages > 1:
            inner["word_embeddings_for_head"] = {"weight": word}
    state = {"iteration": 7, "model": inner,
             "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
             "lr_scheduler": {"max_lr": 1.5e-4}, "random_rng_state": (3, (1, 2, 624), None),
             "np_rng_state": ("MT19937", np.arange(4, dtype=np.uint32), 4, 0, 0.0),
             "torch_rng_state": torch.get_rng_state()[:16].clone(), "rng_tracker_states": {}}
    if version != 0:
        state["checkpoint_version"] = version
    if args is not None:
        state["args"] = args
    return state


NAMES = {"old": {"stack": "transformer", "attention": "attention."},
         "new": {"stack": "encoder", "attention": "self_attention."}}


def write(folder, tensors, version, names="new", ranks=1, stages=1, args=True, changes=None,
          zipped=True):
    for stage in range(stages):
        for rank in range(ranks):
            namespace = arguments(tensor_model_parallel_size=ranks, rank=stage * ranks + rank,
                                  pipeline_model_parallel_size=stages, **(changes or {}))
            state = rank_state(tensors, version, NAMES[names], ((rank, ranks), (stage, stages)),
                               namespace if args else None)
            name = f"mp_rank_{rank:02d}" if stages == 1 else f"mp_rank_{rank:02d}_{stage:03d}"
            (folder / name).mkdir(parents=True)
            torch.save(state, folder / name / "model_optim_rng.pt",
                       _use_new_zipfile_serialization=zipped)


def no_masks(state):
    """Without the buffers that a model makes for itself and the tied head."""
    return {k: v.contiguous().clone() for k, v in state.items()
            if not k.endswith((".attn.bias", ".attn.masked_bias", "lm_head.weight"))}


def config(vocabulary):
    return GPT2Config(vocab_size=vocabulary, n_positions=POSITIONS, n_embd=WIDTH, n_layer=LAYERS,
                      n_head=HEADS, n_inner=INNER)


def expect_single(file, out, vocabulary):
    """As the conversion of one file; config.vocab_size is the file's padded one when it says so."""
    state = torch.load(file, map_location="cpu")
    made = single.convert_megatron_checkpoint(None, state, config(vocabulary))
    save_file(no_masks(made), out)


def expect_many(folder, out, scratch):
    """As the conversion that merges ranks; it widens everything to float32."""
    args = types.SimpleNamespace(load_path=str(folder), save_path=str(scratch), tokenizer_name=None,
                                 max_shard_size="10GB", print_checkpoint_structure=False)
    many.convert_checkpoint_from_megatron_to_transformers(args)
    made = torch.load(scratch / "pytorch_model.bin")
    save_file(no_masks(made), out)
    shutil.copy(scratch / "config.json", out.with_suffix(".config.json"))


def main():
    out = Path(sys.argv[1])
    scratch = out / "scratch"
    scratch.mkdir(parents=True)
    sys.modules.update({name: types.ModuleType(name) for name in
                        ("megatron", "megatron.model", "megatron.model.enums")})
    sys.modules["megatron.model.enums"].ModelType = ModelType
    torch.load = functools.partial(torch.load, weights_only=False)  # the references say nothing
    many.AutoTokenizer = types.SimpleNamespace(from_pretrained=lambda name: None)  # no network

    half, full = model(1, torch.float16), model(2, torch.float32)
    # The age of the 345m model: no version, no arguments, the serialization before torch 1.6.
    write(out / "v0", half, 0, names="old", args=False, zipped=False)
    file = out / "v0" / "mp_rank_00" / "model_optim_rng.pt"
    expect_single(file, out / "v0.safetensors", VOCABULARY)
    with zipfile.ZipFile(out / "v0.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(file, "release/mp_rank_00/model_optim_rng.pt")
    write(out / "v0_tp2", half, 0, names="old", ranks=2, args=False)  # expected: v0.safetensors

    write(out / "v1", half, 1.0, names="old", changes={"bias_gelu_fusion": True})
    expect_single(out / "v1" / "mp_rank_00" / "model_optim_rng.pt", out / "v1.safetensors", 0)

    whole = {"orig_vocab_size": VOCABULARY}
    write(out / "v3", full, 3.0, changes={**whole, "openai_gelu": True})
    expect_many(out / "v3", out / "v3.safetensors", scratch)
    write(out / "v3_tp2", full, 3.0, ranks=2, changes=whole)
    write(out / "v1_tp2", full, 1.0, ranks=2, changes=whole)
    # The folder of a training that goes on.
    run = out / "run"
    write(run / "iter_0000007", full, 3.0, ranks=2, stages=2, changes=whole)
    (run / "latest_checkpointed_iteration.txt").write_text("7\n")
    # What those three are merged to is what one rank has, and what the reference makes of them.
    for name in ("v3_tp2", "v1_tp2", "run/iter_0000007"):
        expect_many(out / name, scratch / "merged.safetensors", scratch)
        assert (scratch / "merged.safetensors").read_bytes() == (
            out / "v3.safetensors").read_bytes(), name
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
