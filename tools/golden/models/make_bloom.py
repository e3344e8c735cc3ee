"""tests/golden/models/bloom, by transformers 4.57: python make_bloom.py OUT"""

import copy
import sys
import types

import torch
from transformers import BloomConfig, BloomForCausalLM

from common import Fixtures, changed, edited
from reference import Reference, transformers_reference

SCALES = [("layernorm.weight", (1.0, 0.3)), ("ln_f.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("word_embeddings.weight", (0.0, 0.8)), ("query_key_value", (0.0, 0.25)), ("dense_4h_to_h", (0.0, 0.3)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]


def with_slopes(config, slopes):
    """The config of a model whose heads have other slopes."""
    other = copy.deepcopy(config)
    other.test_slopes = slopes
    return other


def reference():
    usual = transformers_reference(BloomForCausalLM)

    def build(config):
        model = usual.build(config)
        slopes = getattr(config, "test_slopes", None)
        if slopes is not None:
            def alibi(self, mask, heads, dtype):
                return (torch.tensor(slopes)[:, None, None] * torch.arange(mask.shape[1])).to(dtype)
            model.transformer.build_alibi_tensor = types.MethodType(alibi, model.transformer)
        return model

    return Reference(build, usual.run, usual.name)


def apart(heads):
    """Rows of query, key and value head by head, taken for all queries, all keys, all values."""
    def edit(tensor):
        return tensor.view(heads, 3, -1).transpose(0, 1).reshape(tensor.shape)
    return edit


def main(out):
    fixtures = Fixtures(out, reference())
    shape = dict(vocab_size=97, hidden_size=30, n_layer=2, layer_norm_epsilon=0.2)

    odd = BloomConfig(**shape, n_head=5)
    model = fixtures.model(odd, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("odd", model, prefix_strip="transformer.")
    toggles = {
        "eps": (changed(odd, layer_norm_epsilon=1e-5), state),
        "residual": (changed(odd, apply_residual_connection_post_layernorm=True), state),
        "alibi": (with_slopes(odd, [0.0] * 5), state),
        # In falling order, as for a power of two.
        "slopes": (with_slopes(odd, [2.0 ** -(i + 1) for i in range(5)]), state),
        "order": (odd, edited(state, "query_key_value", apart(5))),
        "embedding norm": (odd, edited(state, "word_embeddings_layernorm.weight", torch.ones_like)),
    }
    for part in ("word_embeddings_layernorm.bias", "input_layernorm.bias", "post_attention_layernorm.bias",
                 "ln_f.bias", "query_key_value.bias", "self_attention.dense.bias", "dense_h_to_4h.bias",
                 "dense_4h_to_h.bias"):
        toggles[part] = (odd, edited(state, part, torch.zeros_like))
    fixtures.add("odd", odd, model, "odd", toggles, 41)

    # As the first checkpoints spell it, with the residual after the norms and a head of its own.
    older = BloomConfig(**{**shape, "hidden_size": 24}, n_head=4, apply_residual_connection_post_layernorm=True,
                        tie_word_embeddings=False)
    model = fixtures.model(older, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("older", model)
    fixtures.add("older", older, model, "older", {
        "residual": (changed(older, apply_residual_connection_post_layernorm=False), state),
        "head": (older, edited(state, "lm_head", lambda t: state["transformer.word_embeddings.weight"])),
    }, 42, drop=("hidden_size", "n_head"),
        extra={"n_embed": 24, "num_attention_heads": 4, "seq_length": 512, "offset_alibi": 100, "n_inner": None,
               "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "masked_softmax_fusion": True,
               "skip_bias_add": True, "skip_bias_add_qkv": False, "unk_token_id": 0})
    fixtures.finish()


main(sys.argv[1])
