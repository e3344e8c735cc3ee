"""Writes a GGUF file of a model folder: Llama, Qwen2 and GPT-2 shapes with random weights, or the
Llama weights of model.safetensors, with the words of tokenizer.json."""

import json
import os

import gguf
import numpy

TYPES = {"f32": gguf.GGMLQuantizationType.F32, "bf16": gguf.GGMLQuantizationType.BF16,
         "f16": gguf.GGMLQuantizationType.F16, "int8": gguf.GGMLQuantizationType.Q8_0}


class Safetensors:
    """model.safetensors as float32 arrays."""

    def __init__(self, path):
        self.bytes = numpy.memmap(path, mode="r")
        size = int(self.bytes[:8].view("<u8")[0])
        self.entries = json.loads(bytes(self.bytes[8:8 + size]))
        self.base = 8 + size

    def get(self, name):
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        raw = numpy.array(self.bytes[self.base + begin:self.base + end])
        if entry["dtype"] == "BF16":
            values = (raw.view("<u2").astype("<u4") << 16).view("<f4")
        else:
            values = raw.view({"F32": "<f4", "F16": "<f2"}[entry["dtype"]]).astype("<f4")
        return values.reshape(entry["shape"])


def pairs_together(weight, heads):
    """Rows of queries or keys: the two halves of a head, as rotary pairs side by side."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def llama_tensors(config, get):
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    kv = width // heads * kv_heads
    vocabulary = config["vocab_size"]
    yield "token_embd.weight", get("model.embed_tokens.weight", (vocabulary, width))
    yield "output_norm.weight", get("model.norm.weight", (width,))
    if not config["tie_word_embeddings"]:
        yield "output.weight", get("lm_head.weight", (vocabulary, width))
    permuted = config["model_type"] == "llama"
    for layer in range(config["num_hidden_layers"]):
        to, at = f"blk.{layer}.", f"model.layers.{layer}."
        query = get(at + "self_attn.q_proj.weight", (width, width))
        key = get(at + "self_attn.k_proj.weight", (kv, width))
        yield to + "attn_q.weight", pairs_together(query, heads) if permuted else query
        yield to + "attn_k.weight", pairs_together(key, kv_heads) if permuted else key
        for name, source, shape in (
                ("attn_v.weight", "self_attn.v_proj.weight", (kv, width)),
                ("attn_output.weight", "self_attn.o_proj.weight", (width, width)),
                ("attn_norm.weight", "input_layernorm.weight", (width,)),
                ("ffn_norm.weight", "post_attention_layernorm.weight", (width,)),
                ("ffn_gate.weight", "mlp.gate_proj.weight", (inner, width)),
                ("ffn_up.weight", "mlp.up_proj.weight", (inner, width)),
                ("ffn_down.weight", "mlp.down_proj.weight", (width, inner))):
            yield to + name, get(at + source, shape)
        if not permuted:  # Qwen2
            for name, size in (("attn_q", width), ("attn_k", kv), ("attn_v", kv)):
                yield f"{to}{name}.bias", get(at + name, (size,))


def gpt2_tensors(config, get):
    width, vocabulary = config["n_embd"], config["vocab_size"]
    yield "token_embd.weight", get("wte", (vocabulary, width))
    yield "position_embd.weight", get("wpe", (config["n_positions"], width)).astype("<f4")
    norms, products = ["output_norm"], []
    for layer in range(config["n_layer"]):
        to = f"blk.{layer}."
        norms += [to + "attn_norm", to + "ffn_norm"]
        products += [(to + "attn_qkv", 3 * width, width), (to + "attn_output", width, width),
                     (to + "ffn_up", 4 * width, width), (to + "ffn_down", width, 4 * width)]
    for name in norms:
        yield name + ".weight", get(name, (width,))
        yield name + ".bias", get(name, (width,))
    for name, outputs, inputs in products:
        yield name + ".weight", get(name, (outputs, inputs))
        yield name + ".bias", get(name, (outputs,))


def describe(writer, config):
    if config["model_type"] == "gpt2":
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_block_count(config["n_layer"])
        writer.add_feed_forward_length(4 * config["n_embd"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return gpt2_tensors
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    return llama_tensors


def add_vocabulary(writer, folder, size):
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        stored = json.load(file)
    model = stored["model"]
    words = {i: word for word, i in model["vocab"].items()}
    special = {entry["id"] for entry in stored["added_tokens"] if entry["special"]}
    words.update({entry["id"]: entry["content"] for entry in stored["added_tokens"]})
    bytes_first = model.get("byte_fallback", False)  # as SentencePiece has them; else all words are bytes

    def type_of(i):
        if i in special:
            return gguf.TokenType.CONTROL
        is_byte = bytes_first and words[i].startswith("<0x")
        return gguf.TokenType.BYTE if is_byte else gguf.TokenType.NORMAL

    writer.add_tokenizer_model("llama" if bytes_first else "gpt2")
    writer.add_token_list([words.get(i, f"<unused {i}>") for i in range(size)])
    writer.add_token_types([type_of(i) if i in words else gguf.TokenType.UNUSED for i in range(size)])
    if bytes_first:
        writer.add_token_scores([float(-i) for i in range(size)])
    else:
        writer.add_tokenizer_pre("smollm")
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge)
                                 for merge in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def make(folder, random, kind, path):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(path + ".partial", config["model_type"])
    writer.add_vocab_size(config["vocab_size"])
    add_vocabulary(writer, folder, config["vocab_size"])
    tensors = describe(writer, config)
    draw = numpy.random.default_rng(1)
    if random:
        def get(name, shape):
            values = draw.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)
            return values + 1 if "norm" in name and len(shape) == 1 else values
    else:
        stored = Safetensors(os.path.join(folder, "model.safetensors"))

        def get(name, shape):
            values = stored.get(name)
            assert values.shape == shape, (name, values.shape, shape)
            return values
    for name, values in tensors(config, get):
        plain = values.ndim == 1 or name == "position_embd.weight"
        to = gguf.GGMLQuantizationType.F32 if plain else TYPES[kind]
        writer.add_tensor(name, gguf.quants.quantize(numpy.ascontiguousarray(values), to), raw_dtype=to)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(path + ".partial", path)
