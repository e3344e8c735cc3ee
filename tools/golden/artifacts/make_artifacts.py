#!/usr/bin/env python3
"""Writes tests/golden/artifacts: GGUF blocks and models with what the references read from them,
and files of torch.save in every form that the restricted reader knows.

Needs torch, transformers, safetensors, gguf and tokenizers. Usage: make_artifacts.py OUT
"""

import collections
import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPTNeoXConfig,
                          GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM)

Type = gguf.GGMLQuantizationType
# Where a block's f16 scales stand: random bits there would make infinities.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
          "IQ4_XS": [0], "F16": [0]}
BLOCKS = 3


def blocks(out, rng):
    tensors = {}
    for name in list(SCALES) + ["Q8_K", "BF16", "F32"]:
        kind = Type[name]
        _, size = gguf.GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
        for place in SCALES.get(name, []):
            raw[:, place:place + 2] = (rng.standard_normal((BLOCKS, 1)) * 0.1).astype(
                np.float16).view(np.uint8)
        if name in ("F32", "Q8_K"):
            raw[:, :4] = rng.standard_normal((BLOCKS, 1)).astype(np.float32).view(np.uint8)
        if name == "BF16":
            raw[:, 1] &= 0x3f  # no infinities
        if name == "Q8_K":  # {f32 scale; i8 values[256]; i16 sums[16]}
            values = raw[:, :4].copy().view(np.float32) * raw[:, 4:260].view(np.int8).astype(
                np.float32)
        else:
            values = dequantize(raw, kind)
        tensors[name + ".blocks"] = torch.from_numpy(raw.copy())
        tensors[name + ".values"] = torch.from_numpy(values.astype(np.float32).reshape(-1).copy())
    save_file(tensors, out / "gguf_blocks.safetensors")


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return {k: v.contiguous().clone() for k, v in model.state_dict().items()}


def begin(path, architecture, sizes, floats):
    writer = gguf.GGUFWriter(str(path), architecture)
    for key, value in sizes.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    for key, value in floats.items():
        writer.add_float32(f"{architecture}.{key}", value)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + [
        "▁", "t", "h", "e", "▁t", "he", "▁the", "th", "▁th", "▁▁", "A", "B"]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-6.0, -7.0, -8.0, -9.0, -1.0, -2.0, -3.0, -4.0,
                                        -5.0, -1e9, -10.0, -11.0])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * 12)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for m in messages %}<s>{{ m['content'] }}{% endfor %}")
    return writer, len(tokens)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def permute(weight, heads):
    """The order of llama GGUF files: the two halves of a head's rows interleaved."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(
        weight.shape)


def llama(out):
    path = out / "llama.gguf"
    writer, vocabulary = begin(
        path, "llama",
        {"context_length": 64, "embedding_length": 32, "block_count": 2, "feed_forward_length": 64,
         "attention.head_count": 4, "attention.head_count_kv": 2, "rope.dimension_count": 8},
        {"rope.freq_base": 5000.0, "attention.layer_norm_rms_epsilon": 1e-5})
    config = LlamaConfig(vocab_size=vocabulary, hidden_size=32, intermediate_size=64,
                         num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                         tie_word_embeddings=False)
    state = randomize(LlamaForCausalLM(config), 1)
    for name, value in state.items():
        target = (name.replace("model.layers.", "blk.").replace("self_attn.q_proj", "attn_q")
                  .replace("self_attn.k_proj", "attn_k").replace("self_attn.v_proj", "attn_v")
                  .replace("self_attn.o_proj", "attn_output").replace("mlp.gate_proj", "ffn_gate")
                  .replace("mlp.up_proj", "ffn_up").replace("mlp.down_proj", "ffn_down")
                  .replace("input_layernorm", "attn_norm")
                  .replace("post_attention_layernorm", "ffn_norm")
                  .replace("model.embed_tokens", "token_embd").replace("model.norm", "output_norm")
                  .replace("lm_head", "output"))
        array = value.numpy()
        if "attn_q" in target:
            array = permute(array, 4)
        if "attn_k" in target:
            array = permute(array, 2)
        kind = Type.F32 if array.ndim == 1 else Type.Q8_0 if "ffn" in target else Type.F16
        writer.add_tensor(target, quantize(np.ascontiguousarray(array), kind), raw_dtype=kind)
    finish(writer)
    reference = AutoModelForCausalLM.from_pretrained(out, gguf_file="llama.gguf")
    read = {k: v.contiguous() for k, v in reference.state_dict().items()}
    for name, value in read.items():
        assert (value - state[name]).abs().max() < 2e-3, name
    save_file(read, out / "llama_gguf.safetensors")


def gpt2(out):
    writer, vocabulary = begin(
        out / "gpt2.gguf", "gpt2",
        {"context_length": 16, "embedding_length": 32, "block_count": 1, "feed_forward_length": 128,
         "attention.head_count": 4}, {"attention.layer_norm_epsilon": 1e-5})
    config = GPT2Config(vocab_size=vocabulary, n_positions=16, n_embd=32, n_layer=1, n_head=4)
    state = randomize(GPT2LMHeadModel(config), 2)
    state.pop("lm_head.weight")
    for name, value in state.items():
        target = (name.replace("transformer.h.", "blk.").replace("ln_1", "attn_norm")
                  .replace("attn.c_attn", "attn_qkv").replace("attn.c_proj", "attn_output")
                  .replace("ln_2", "ffn_norm").replace("mlp.c_fc", "ffn_up")
                  .replace("mlp.c_proj", "ffn_down").replace("transformer.wte", "token_embd")
                  .replace("transformer.wpe", "position_embd")
                  .replace("transformer.ln_f", "output_norm"))
        array = value.numpy()
        if array.ndim == 2 and "embd" not in target:
            array = array.T
        writer.add_tensor(target, np.ascontiguousarray(array))
    finish(writer)
    save_file(state, out / "gpt2_gguf.safetensors")


def gpt_neox(out):
    heads, dim = 4, 8
    writer, vocabulary = begin(
        out / "gpt_neox.gguf", "gptneox",
        {"context_length": 16, "embedding_length": 32, "block_count": 1, "feed_forward_length": 64,
         "attention.head_count": heads, "rope.dimension_count": 2},
        {"attention.layer_norm_epsilon": 1e-5})
    writer.add_bool("gptneox.use_parallel_residual", True)
    config = GPTNeoXConfig(vocab_size=vocabulary, hidden_size=32, intermediate_size=64,
                           num_hidden_layers=1, num_attention_heads=heads)
    state = randomize(GPTNeoXForCausalLM(config), 3)
    for name, value in state.items():
        target = (name.replace("gpt_neox.layers.", "blk.").replace("input_layernorm", "attn_norm")
                  .replace("post_attention_layernorm", "ffn_norm")
                  .replace("attention.query_key_value", "attn_qkv")
                  .replace("attention.dense", "attn_output")
                  .replace("mlp.dense_h_to_4h", "ffn_up").replace("mlp.dense_4h_to_h", "ffn_down")
                  .replace("gpt_neox.embed_in", "token_embd").replace("embed_out", "output")
                  .replace("gpt_neox.final_layer_norm", "output_norm"))
        array = value.numpy()
        if "attn_qkv" in target:
            array = array.reshape(heads, 3, dim, -1).swapaxes(0, 1).reshape(array.shape)
        writer.add_tensor(target, np.ascontiguousarray(array))
    finish(writer)
    save_file(state, out / "gpt_neox_gguf.safetensors")


def rezip(source, target, change=None, method=zipfile.ZIP_STORED, drop=None):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            data = old.read(name)
            key = name.split("/", 1)[1]
            if key == drop:
                continue
            new.writestr(name, change(key, data) if change else data)


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def surprise(tensor):
    raise AssertionError("a reader must not call this")


def torch_files(out):
    torch.manual_seed(4)
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
    shared = torch.randn(10)
    state = collections.OrderedDict(
        f32=base, f16=base.half(), bf16=base.bfloat16(), f64=base.double(),
        i64=torch.arange(5), i32=torch.arange(5, dtype=torch.int32),
        i16=torch.arange(5, dtype=torch.int16), i8=torch.arange(-2, 3, dtype=torch.int8),
        u8=torch.arange(5, dtype=torch.uint8), bool=torch.tensor([True, False, True]),
        transposed=base.t(), column=base[:, 2], slice=shared[3:7], whole=shared,
        scalar=torch.tensor(3.5), empty=torch.zeros(0, 4),
        parameter=torch.nn.Parameter(base + 1), row=base[1:2].expand(1, 6))
    state._metadata = {"version": 1}
    save_file({k: v.detach().contiguous().clone() for k, v in state.items()},
              out / "torch_expected.safetensors")
    torch.save(state, out / "plain.bin")
    torch.save(state, out / "protocol5.bin", pickle_protocol=5)
    torch.save({"epoch": 3, "args": collections.Counter(a=1), "model": {"module": dict(state)}},
               out / "wrapped.bin")
    torch.save(state, out / "legacy.bin", _use_new_zipfile_serialization=False)
    rezip(out / "plain.bin", out / "deflated.bin", method=zipfile.ZIP_DEFLATED)
    widths = {n: v.element_size() for n, v in state.items()}
    order = []  # storages are numbered in the order of their first use
    for name, value in state.items():
        if value.untyped_storage().data_ptr() not in [p for p, _ in order]:
            order.append((value.untyped_storage().data_ptr(), widths[name]))

    def swap(key, data):
        if key == "byteorder":
            return b"big"
        if key.startswith("data/") and data:
            width = order[int(key[5:])][1]
            return np.frombuffer(data, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
        return data

    rezip(out / "plain.bin", out / "big_endian.bin", swap)
    small = {"w": torch.arange(4.0)}
    torch.save(small, out / "small.bin")
    rezip(out / "small.bin", out / "no_storage.bin", drop="data/0")
    rezip(out / "small.bin", out / "short_storage.bin",
          lambda key, data: data[:-4] if key == "data/0" else data)

    def pickled(name, value):
        """A checkpoint whose data.pkl is `value`, storages as torch writes them."""
        buffer = io.BytesIO()

        class Pickler(pickle.Pickler):
            def persistent_id(self, item):
                if isinstance(item, torch.UntypedStorage):
                    return ("storage", torch.FloatStorage, "0", "cpu", item.nbytes() // 4)
                return None

        Pickler(buffer, protocol=2).dump(value)
        rezip(out / "small.bin", out / name,
              lambda key, data: buffer.getvalue() if key == "data.pkl" else data)

    storage = small["w"].untyped_storage()
    rebuild = torch._utils._rebuild_tensor_v2
    pickled("calls_unused.bin", {"w": Calls(rebuild, storage, 0, (4,), (1,), False, None),
                                 "note": Calls(os.system, "exit 1")})
    pickled("calls_tensor.bin", {"w": Calls(surprise, Calls(rebuild, storage, 0, (4,), (1,), False,
                                                            None))})
    pickled("out_of_bounds.bin", {"w": Calls(rebuild, storage, 1, (4,), (1,), False, None)})
    pickled("huge_stride.bin", {"w": Calls(rebuild, storage, 0, (2, 2), (1 << 62, 1 << 62), False,
                                           None)})
    pickled("expanded.bin", {"w": Calls(rebuild, storage, 0, (1 << 40,), (0,), False, None)})
    pickled("negative.bin", {"w": Calls(rebuild, storage, 0, (-4,), (1,), False, None)})
    pickled("no_tensors.bin", {"epoch": 3})


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    blocks(out, np.random.default_rng(0))
    llama(out)
    gpt2(out)
    gpt_neox(out)
    torch_files(out)


if __name__ == "__main__":
    main()
