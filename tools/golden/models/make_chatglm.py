"""tests/golden/models/chatglm, by the code that ships with the checkpoints (modeling_chatglm.py and
configuration_chatglm.py of the first generation in FIRST, of a later one in LATER, each folder a package) and
transformers 4.36: python make_chatglm.py OUT FIRST LATER"""

import importlib
import math
import pathlib
import sys

import torch

import common
from common import Fixtures, changed, edited
from reference import Reference, reading_head

SCALES = [("norm.weight", (1.0, 0.3)), ("norm.bias", (0.0, 0.3)), (".bias", (0.0, 0.3)), ("embeddings", (0.0, 0.8)),
          ("query_key_value", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("output_layer", (0.0, 0.4)),
          ("", (0.0, 0.2))]
START, GMASK, MASK = 91, 92, 93


def load(folder):
    folder = pathlib.Path(folder)
    sys.path.insert(0, str(folder.parent))
    module = importlib.import_module(f"{folder.name}.modeling_chatglm")
    config = importlib.import_module(f"{folder.name}.configuration_chatglm")
    return module.ChatGLMForConditionalGeneration, config.ChatGLMConfig


def reference(model_class, attentions):
    def build(config):
        model = model_class(config, empty_init=False).float().eval()
        # Its last code multiplies the base by rope_ratio, which this one doesn't know.
        rope = getattr(model.transformer, "rotary_pos_emb", None)
        if rope is not None:
            base = 10000 * config.rope_ratio
            rope.forward = lambda length, offset=0: rope.forward_impl(length, rope.dim, torch.float32, "cpu", base)
        return model

    def run(model, ids, prompt):
        head = model.lm_head if hasattr(model, "lm_head") else model.transformer.output_layer
        out, hidden = reading_head(head, lambda: model(torch.tensor([ids]), use_cache=False,
                                                       output_attentions=attentions, return_dict=True))
        # The head reads [tokens, batch, width].
        return out.logits[0].float(), hidden.float(), [a[None] for a in out.attentions] if attentions else None

    return Reference(build, run, "ChatGLMModel")


def draw_blank(vocabulary, length, seed):
    """A context with one or both kinds of blank, then the start of the answer; some of it in longer ones."""
    ids = [token % 90 for token in common.draw(vocabulary, length, seed)]
    start = length - 1 if length < 20 else length * 2 // 3
    ids[start] = START
    if length > 10:
        ids[start // 3] = MASK
    if length <= 10 or seed % 2:
        ids[start - 1] = GMASK
    return ids


def make_first(fixtures, config_class):
    config = config_class(vocab_size=97, hidden_size=40, num_layers=2, num_attention_heads=5, layernorm_epsilon=0.2,
                          inner_hidden_size=54, max_sequence_length=512, bos_token_id=START, eos_token_id=2,
                          gmask_token_id=GMASK, mask_token_id=MASK, pad_token_id=3, use_cache=True)
    model = fixtures.model(config, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("first", model)
    toggles = {"eps": (changed(config, layernorm_epsilon=1e-5), state)}
    for part in ("query_key_value.bias", "dense.bias", "dense_h_to_4h.bias", "dense_4h_to_h.bias",
                 "input_layernorm.bias", "post_attention_layernorm.bias", "final_layernorm.bias"):
        toggles[part] = (config, edited(state, part, torch.zeros_like))
    fixtures.add("first", config, model, "first", toggles, 31, lengths=(3, 6, 17, 37, 300))


def make_later(fixtures, config_class):
    shape = dict(num_layers=2, padded_vocab_size=97, hidden_size=36, ffn_hidden_size=50, kv_channels=12,
                 num_attention_heads=6, seq_length=512, layernorm_epsilon=0.2, multi_query_attention=True,
                 multi_query_group_num=2, add_qkv_bias=True, original_rope=True, pad_token_id=0, eos_token_id=2,
                 torch_dtype=torch.float32, rope_ratio=1)
    plain = config_class(**shape)
    model = fixtures.model(plain, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("grouped", model)
    toggles = {
        "eps": (changed(plain, layernorm_epsilon=1e-5), state),
        "ratio": (changed(plain, rope_ratio=500), state),
        "post": (changed(plain, apply_residual_connection_post_layernorm=True), state),
        "bias": (plain, edited(state, "query_key_value.bias", torch.zeros_like)),
        "gate and up": (plain, edited(state, "dense_h_to_4h", lambda t: t.roll(len(t) // 2, 0))),
    }
    why = "its code gives no attention probabilities"
    fixtures.add("grouped", plain, model, "grouped", toggles, 32, spread=why)
    long = config_class(**{**shape, "rope_ratio": 50}, apply_residual_connection_post_layernorm=True)
    fixtures.add("kept_norms", long, model, "grouped", {
        "post": (changed(long, apply_residual_connection_post_layernorm=False), state),
        "ratio": (changed(long, rope_ratio=1), state)}, 33, spread=why)
    dense = config_class(**{**shape, "multi_query_attention": False, "multi_query_group_num": 1, "rmsnorm": False,
                            "add_bias_linear": True, "add_qkv_bias": False, "num_layers": 2}, post_layer_norm=False)
    model = fixtures.model(dense, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("dense", model)
    toggles = {part: (dense, edited(state, part, torch.zeros_like))
               for part in ("query_key_value.bias", "self_attention.dense.bias", "dense_h_to_4h.bias",
                            "dense_4h_to_h.bias")}
    fixtures.add("dense", dense, model, "dense", toggles, 34, spread=why)


def main(out, first, later):
    model_class, config_class = load(first)
    fixtures = Fixtures(out, reference(model_class, True), draw=draw_blank)
    make_first(fixtures, config_class)
    model_class, config_class = load(later)
    fixtures.reference, fixtures.draw = reference(model_class, False), common.draw
    make_later(fixtures, config_class)
    fixtures.finish()


main(*sys.argv[1:])
