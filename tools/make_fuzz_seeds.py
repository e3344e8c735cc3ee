#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets to fuzz/seeds/<target>/: small inputs that get deep at once.

Needs only Python's own library; run it again after a target's input changes.
"""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

SEEDS = Path(__file__).resolve().parent.parent / "fuzz" / "seeds"


def write(target, name, data):
    folder = SEEDS / f"{target}_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors_file(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def safetensors():
    file = safetensors_file
    two = {"a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
           "b": {"dtype": "BF16", "shape": [3], "data_offsets": [8, 14]}}
    write("safetensors", "two", file({"__metadata__": {"format": "pt"}, **two}, 14))
    write("safetensors", "empty", file({"e": {"dtype": "I64", "shape": [0, 7], "data_offsets": [0, 0]}}, 0))
    write("safetensors", "overlap", file({**two, "b": {**two["b"], "data_offsets": [4, 10]}}, 14))


def folders():
    write("weight_map", "two", json.dumps({"metadata": {"total_size": 3}, "weight_map": {
        "a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    config = {"peft_type": "LORA", "base_model_name_or_path": "b", "r": 2, "lora_alpha": 4}
    tensors = {"base_model.model.model.layers.10.self_attn.q_proj.lora_A.weight": [2, 1],
               "base_model.model.model.layers.10.self_attn.q_proj.lora_B.weight": [3, 2],
               "base_model.model.lm_head.modules_to_save.default.weight": [1, 1]}
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    for name, more in {
            "list": {"target_modules": ["q_proj"], "layers_to_transform": [10],
                     "layers_pattern": "layers", "modules_to_save": ["lm_head"],
                     "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.": 3}},
            "pattern": {"target_modules": ".*q_(proj|x)$", "exclude_modules": "x.*",
                        "use_rslora": True, "trainable_token_indices": {"embed_tokens": [1, 2]}},
            "all": {"target_modules": "all-linear", "bias": "all", "use_dora": True}}.items():
        write("adapter", name, json.dumps({**config, **more}).encode() + b"\0" +
              safetensors_file(header, end))


class Global:
    """Pickles as the global `module name`, called with arguments."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Storage:
    def __init__(self, kind, key, count):
        self.kind, self.key, self.count = kind, key, count


class Writer(pickle._Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", Global("torch", value.kind), value.key, "cpu", value.count)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
            if value.arguments:
                self.save(value.arguments)
                self.write(pickle.REDUCE)
            return
        super().save(value, save_persistent_id)


def dump(value, protocol=2):
    stream = io.BytesIO()
    Writer(stream, protocol).dump(value)
    return stream.getvalue()


def archive(data, storage=bytes(16), method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as zipped:
        for name, content in (("data.pkl", data), ("data/0", storage), ("byteorder", b"little")):
            zipped.writestr(zipfile.ZipInfo("a/" + name), content, method)
    return stream.getvalue()


def pickles():
    storage = Storage("FloatStorage", "0", 4)
    tensor = Global("torch._utils", "_rebuild_tensor_v2", storage, 0, (2, 2), (2, 1), False,
                    OrderedDict())
    call = Global("os", "system", "true")
    state = {"w": tensor, "b": [1, 2.5, None, True, "x", (3,)], "c": call}
    write("pickle", "bare", b"\0" + dump(state))
    write("pickle", "bare4", b"\0" + dump(state, 4))
    write("pickle", "plain5", b"\0" + pickle.dumps({"a": [1, -2**40, 2.5, b"b", {"k": ()}]}, 5))
    write("pickle", "archive", b"\1" + archive(dump({"w": tensor})))
    write("pickle", "deflated", b"\1" + archive(dump({"model": {"w": tensor}}), bytes(16),
                                                zipfile.ZIP_DEFLATED))


def gguf():
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    def value(item):
        if isinstance(item, str):
            return struct.pack("<I", 8) + string(item)
        if isinstance(item, float):
            return struct.pack("<If", 6, item)
        if isinstance(item, list):
            kind = value(item[0])[:4]
            return struct.pack("<I", 9) + kind + struct.pack("<Q", len(item)) + b"".join(
                value(each)[4:] for each in item)
        return struct.pack("<II", 4, item)

    def file(keys, tensors):
        out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys))
        for key, item in keys.items():
            out += string(key) + value(item)
        at, data = 0, b""
        for name, shape, kind, size in tensors:
            out += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, at)
            at += (size + 31) // 32 * 32
            data += bytes((size + 31) // 32 * 32)
        return out + bytes(-len(out) % 32) + data

    prefix = "llama."
    keys = {"general.architecture": "llama", prefix + "block_count": 1, prefix + "context_length": 16,
            prefix + "embedding_length": 32, prefix + "feed_forward_length": 32,
            prefix + "attention.head_count": 2, prefix + "attention.head_count_kv": 1,
            prefix + "attention.layer_norm_rms_epsilon": 1e-5, prefix + "rope.freq_base": 1e4,
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a", "b"]}
    write("gguf", "llama", file(keys, [("token_embd.weight", (32, 2), 8, 68),
                                       ("blk.0.attn_q.weight", (32, 2), 2, 36),
                                       ("output_norm.weight", (32,), 0, 128)]))
    write("gguf", "k_quants", file({"general.architecture": "gpt2"},
                                   [("a", (256,), 12, 144), ("b", (256,), 14, 210)]))


def texts():
    write("properties", "serving", "# c\nengine=DeepSpeed\noption.model_id = /m\n"
          "option.tensor_parallel_degree:max\noption.max_rolling_batch_size 8\n"
          "option.dtype=\\u0066p16\noption.rolling\\\n  _batch=auto\n!x\n")
    write("properties", "items", "load_models=m:1:DeepSpeed:0=file:///a/b.tar.gz,x\n"
          "inference_address=http://127.0.0.1:8080\njob_queue_size=10\n")
    bpe = {"added_tokens": [{"id": 3, "content": "<s>", "special": True}],
           "normalizer": {"type": "NFC"},
           "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\s+|\\p{L}+"},
                             "behavior": "Isolated", "invert": False},
           "post_processor": {"type": "TemplateProcessing", "single": [
               {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
               "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
           "decoder": {"type": "ByteLevel"},
           "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
    write("tokenizer", "json", b"\0" + json.dumps(bpe).encode())
    piece = b"".join(b"\x0a" + bytes([len(p)]) + p for p in (
        b"\x0a\x05<unk>\x15\0\0\0\0\x18\x02", b"\x0a\x03<s>\x15\0\0\0\0\x18\x03",
        b"\x0a\x01a\x15\0\0\x80\xbf", b"\x0a\x01b\x15\0\0\0\xc0", b"\x0a\x02ab\x15\0\0\0\0"))
    write("tokenizer", "sentencepiece", b"\1" + piece + b"\x12\x02\x18\x02")
    write("tokenizer", "regex", b"\2" + b"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s+(?!\\S)\0it's 12")
    write("tokenizer", "text", b"\3" + "a b <s> aB 12! \u00e9 ab".encode())
    write("chat_template", "loop", "{% for m in messages %}{% if loop.first and m['role'] == 'system' %}"
          "{% set s = m.content | trim %}{% endif %}{{ '<|' + m.role + '|>' ~ m['content'] }}{% endfor %}"
          "{%- if add_generation_prompt -%}{{ bos_token }}{% endif %}")
    write("chat_template", "tools", "{% macro f(x, y=1) %}{{ x | upper }}{{ y }}{% endmacro %}"
          "{% set ns = namespace(a=0) %}{% set ns.a = tools | length %}{{ f('q') }}"
          "{{ tools | tojson(indent=2) }}{{ messages[::-1][0:1] }}"
          "{{ raise_exception('no') if ns.a > 3 else range(2) | list | join(',') }}")
    write("chat_template", "recursive", "{% for t in tools recursive %}{{ loop.depth }}{{ loop.changed(t) }}"
          "{{ loop.cycle('a', 'b') }}{% if t is mapping %}{{ loop(t.values()) }}{% endif %}"
          "{% if loop.index > 3 %}{% break %}{% endif %}{% else %}none{% endfor %}")
    write("chat_template", "calls", "{% macro m(a, b='c') %}{{ varargs }}{{ kwargs }}{{ caller(a) if caller }}"
          "{% endmacro %}{{ m(1, 2, 3, *[4], **{'k': 5}) }}{% call(x) m(7) %}{{ x }}{% endcall %}"
          "{% set q | upper %}w{% endset %}{% filter indent(2) %}{{ q }}{% endfilter %}"
          "{% with e = documents %}{{ e[0].title }}{% endwith %}")
    write("chat_template", "values", "{{ '{:>5}|{0!r}|{a.b[0]:,.2f}'.format(1, a={'b': [2.5]}) }}"
          "{{ '%-5s|%05.1f|%x' % ('a', 1.25, 255) }}{{ [3, 1, 2] | sort | batch(2) | list }}"
          "{{ messages | selectattr('role', 'in', ['user']) | map(attribute='content') | first }}"
          "{{ messages | groupby('role') | tojson(indent=1) }}{{ ('<' | e) + '<' }}{{ -1 ** 2 // 3 }}")
    write("chat_template", "parts", "{%- for m in messages -%}{%- if m.content is string %}{{ m.content.split('</think>')[-1]"
          ".lstrip('\\n') }}{% else %}{% for c in m.content %}{{ c.text or '' }}{% endfor %}{% endif %}"
          "{% for t in m.tool_calls or [] %}{{ t.function.arguments | items | list }}{% endfor %}\n{% endfor %}")
    body = {"inputs": "a", "parameters": {"max_new_tokens": 4, "temperature": 0.5, "do_sample": True,
                                          "details": True, "stop_sequences": ["b"], "seed": "1"}}
    chat = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "h"}]}],
            "stream": True, "logprobs": True, "top_logprobs": 1, "stop": "x", "max_tokens": 2, "n": 2}
    for dialect in range(3):
        write("dialect", f"body{dialect}", bytes([dialect]) + json.dumps(body).encode())
        write("dialect", f"chat{dialect}", bytes([dialect]) + json.dumps(chat).encode())
    write("dialect", "several", b"\0" + json.dumps({"inputs": ["a", "b"], "stream": True}).encode())
    write("dialect", "text", b"\3plain")
    write("dialect", "form", b"\x09inputs=a%20b&max_new_tokens=3")


if __name__ == "__main__":
    safetensors()
    folders()
    pickles()
    gguf()
    texts()
