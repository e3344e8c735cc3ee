"""tests/golden/models/mpt, by the code that comes with the checkpoints: python make_mpt.py OUT CODE

CODE is a folder that holds `llmfoundry` as of llm-foundry v0.4.0. It wants transformers 4.36."""

import copy
import importlib
import math
import pathlib
import sys
import types

import torch
from transformers import MptConfig, MptForCausalLM

from common import Fixtures, changed, edited
from reference import Reference, reading_head, transformers_reference

SCALES = [("norm", (1.0, 0.3)), ("_ln.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("wte", (0.0, 0.8)),
          ("wpe", (0.0, 0.6)), ("Wqkv", (0.0, 0.25)), ("down_proj", (0.0, 0.3)), ("lm_head", (0.0, 0.4)),
          ("", (0.0, 0.25))]


class Anything(types.ModuleType):
    """A package that the code imports and that these models never use."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def rearrange(tensor, pattern, h=None):
    if pattern == "b h s d -> b s (h d)":
        return tensor.transpose(1, 2).flatten(2)
    apart = tensor.unflatten(2, (h, -1)).transpose(1, 2)
    return {"b s (h d) -> b h s d": apart, "b s (h d) -> b h d s": apart.transpose(2, 3)}[pattern]


def load(code):
    """The folders' own __init__ would import all that training needs."""
    for name in ("composer", "composer.metrics", "composer.metrics.nlp", "composer.models", "composer.utils",
                 "omegaconf", "einops"):
        sys.modules[name] = Anything(name)
    sys.modules["einops"].rearrange = rearrange
    for name in ("llmfoundry", "llmfoundry.models", "llmfoundry.models.layers", "llmfoundry.models.utils",
                 "llmfoundry.models.mpt"):
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [str(pathlib.Path(code) / name.replace(".", "/"))]
    return importlib.import_module("llmfoundry.models.mpt.modeling_mpt")


def reference(mpt):
    def build(config):
        model = mpt.MPTForCausalLM(copy.deepcopy(config)).float().eval()
        model.tie_weights = lambda: None  # its own forgets a head of its own
        return model

    def run(model, ids, prompt):
        out, hidden = reading_head(model.transformer.norm_f, lambda: model(
            torch.tensor([ids]), output_attentions=True, use_cache=False))
        hidden = model.transformer.norm_f(hidden)
        return out.logits[0], hidden, out.attentions

    return Reference(build, run, "MPTForCausalLM")


def with_attention(config, **values):
    other = copy.deepcopy(config)
    other.attn_config.update(values)
    return other


def zeroed(config, state, *parts):
    return {part: (config, edited(state, part, torch.zeros_like)) for part in parts}


def main(out, code):
    mpt = load(code)
    fixtures = Fixtures(out, reference(mpt))

    def config(attention, **values):
        return mpt.MPTConfig(vocab_size=97, n_layers=2, max_seq_len=320, **values,
                             attn_config={"attn_impl": "torch", **attention})

    full = config({"alibi": True, "alibi_bias_max": 5, "clip_qkv": 1.5, "qk_ln": True, "softmax_scale": 0.7},
                  d_model=36, n_heads=6, expansion_ratio=3, logit_scale="inv_sqrt_d_model", no_bias=False)
    model = fixtures.model(full, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("full", model)
    toggles = {
        "slopes": (with_attention(full, alibi_bias_max=0), state),  # all 1
        "largest slope": (with_attention(full, alibi_bias_max=8), state),
        "clip": (with_attention(full, clip_qkv=None), state),
        "scale": (with_attention(full, softmax_scale=None), state),
        "logit scale": (changed(full, logit_scale=None), state),
        "query norm": (full, edited(state, "q_ln.weight", torch.ones_like)),
        "key norm": (full, edited(state, "k_ln.weight", torch.ones_like)),
    }
    # A shift of all keys changes all scores of a query alike: k_ln.bias can't show.
    toggles |= zeroed(full, state, "norm_1.bias", "norm_2.bias", "norm_f.bias", "q_ln.bias", "Wqkv.bias",
                      "out_proj.bias", "up_proj.bias", "down_proj.bias")
    fixtures.add("full", full, model, "full", toggles, 61)

    learned = config({"attn_type": "multiquery_attention", "qk_ln": True}, d_model=30, n_heads=5, no_bias=True,
                     norm_type="rmsnorm", logit_scale=0.5, tie_word_embeddings=False)
    model = fixtures.model(learned, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("learned", model)
    fixtures.add("learned", learned, model, "learned", {
        "positions": (learned, edited(state, "wpe", lambda t: t.roll(1, 0))),
        "head": (learned, edited(state, "lm_head", lambda t: state["transformer.wte.weight"])),
        "logit scale": (changed(learned, logit_scale=None), state),
        "query norm": (learned, edited(state, "q_ln.weight", torch.ones_like)),
        "key norm": (learned, edited(state, "k_ln.weight", torch.ones_like)),
    }, 62)

    rope = {"rope": True, "rope_impl": "hf", "rope_theta": 500, "attn_type": "grouped_query_attention",
            "kv_n_heads": 2}
    linear = config({**rope, "rope_hf_config": {"type": "linear", "factor": 4.0}}, d_model=36, n_heads=6,
                    expansion_ratio=2, no_bias=True)
    model = fixtures.model(linear, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("linear", model)
    plain = with_attention(linear, rope_hf_config={"type": "no_scaling", "factor": 1.0})
    groups = {"groups": (linear, edited(state, "Wqkv", lambda t: torch.cat([t[:36], t[42:48], t[36:42], t[48:]])))}
    fixtures.add("linear", linear, model, "linear", {"scaling": (plain, state), **groups}, 63)
    fixtures.add("rope", plain, model, "linear",
                 {"theta": (with_attention(plain, rope_theta=10000), state), "scaling": (linear, state)}, 64)

    # As the class of transformers writes it, with the sizes that it has.
    fixtures.reference = transformers_reference(MptForCausalLM)
    usual = MptConfig(vocab_size=97, n_layers=2, max_seq_len=320, d_model=28, n_heads=4, layer_norm_epsilon=0.2)
    model = fixtures.model(usual, 4, SCALES)
    fixtures.write_weights("usual", model)
    fixtures.add("usual", usual, model, "usual",
                 {"eps": (changed(usual, layer_norm_epsilon=1e-5), model.state_dict())}, 65)
    fixtures.finish()


main(*sys.argv[1:])
