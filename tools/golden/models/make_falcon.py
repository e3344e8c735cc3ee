"""tests/golden/models/falcon, RefinedWeb and RefinedWebModel, by transformers 4.57: python make_falcon.py OUT...

RefinedWeb and RefinedWebModel are what the first uploads call themselves; their configs have keys of their own."""

import copy
import sys

import torch
from transformers import FalconConfig, FalconForCausalLM
from transformers.models.falcon import modeling_falcon

from common import Fixtures, changed, draw, edited
from reference import Reference, transformers_reference

SCALES = [("layernorm.weight", (1.0, 0.3)), ("ln_", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("word_embeddings.weight", (0.0, 0.8)), ("query_key_value", (0.0, 0.25)), ("dense_4h_to_h", (0.0, 0.3)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]


ROUNDED = modeling_falcon.build_alibi_tensor
# Keys that the first uploads have not, or spell otherwise.
NEWER = ("num_attention_heads", "num_hidden_layers", "num_kv_heads", "num_ln_in_parallel_attn", "activation",
         "ffn_hidden_size", "max_position_embeddings", "rope_theta", "rope_scaling")


def unrounded(mask, heads, dtype):
    """Slopes and places in f32."""
    below = 1 << (heads.bit_length() - 1)
    powers = [h + 1 if h < below else h - below + 0.5 for h in range(heads)]
    slopes = torch.tensor([2.0 ** (-8 * power / below) for power in powers])
    return (slopes[:, None, None] * torch.arange(mask.shape[1])).to(dtype)


def reference():
    """The eager attention of this version adds ALiBi to the scores and again with the mask; the faster one, and the
    code that came with the checkpoints, add it once."""
    usual = transformers_reference(FalconForCausalLM)

    def build(config):
        model = usual.build(config)
        mask = model.transformer._update_causal_mask
        model.transformer._update_causal_mask = lambda *arguments: mask(*arguments[:-1], None)
        return model

    def run(model, ids, prompt):
        modeling_falcon.build_alibi_tensor = getattr(model.config, "test_alibi", ROUNDED)
        return usual.run(model, ids, prompt)

    return Reference(build, run, usual.name)


def check_against_faster(fixtures, config, state):
    faster = FalconForCausalLM(config).eval()
    assert faster.config._attn_implementation == "sdpa"
    faster.load_state_dict(state)
    ids = draw(config.vocab_size, 300, 1)
    with torch.no_grad():
        logits = faster(torch.tensor([ids])).logits[0]
    difference = (fixtures.run(config, state, ids)[0] - logits).abs().max() / logits.abs().max()
    print(f"the faster attention differs by {difference:.1e}")
    assert difference < 1e-5


def with_alibi(config, alibi):
    other = copy.deepcopy(config)
    other.test_alibi = alibi
    return other


def reordered(groups, shared, order):
    """Rows of groups of `shared` queries, a key and a value, with the rows of a group in another order."""
    def edit(tensor):
        return tensor.view(groups, shared + 2, -1)[:, order].reshape(tensor.shape)
    return edit


def biases(config, state, *more):
    parts = ("query_key_value.bias", "self_attention.dense.bias", "dense_h_to_4h.bias", "dense_4h_to_h.bias", *more)
    return {part: (config, edited(state, part, torch.zeros_like)) for part in parts}


def main(out, web, web_model):
    fixtures = Fixtures(out, reference())
    shape = dict(vocab_size=97, num_hidden_layers=2, layer_norm_epsilon=0.2, max_position_embeddings=512)

    # As falcon-7b: many queries on one key, one norm for both branches, no biases.
    single = FalconConfig(**shape, hidden_size=42, num_attention_heads=7)
    model = fixtures.model(single, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("single", model)
    states = {"single": state}
    fixtures.add("single", single, model, "single", {
        "eps": (changed(single, layer_norm_epsilon=1e-5), state),
        "theta": (changed(single, rope_theta=100.0), state),
        "activation": (changed(single, activation="relu"), state),
        "order": (single, edited(state, "query_key_value", reordered(1, 7, [7, 8, *range(7)]))),
        "norm shift": (single, edited(state, "input_layernorm.bias", torch.zeros_like)),
        "last shift": (single, edited(state, "ln_f.bias", torch.zeros_like)),
    }, 51)

    # As falcon-40b and 180b: groups, two norms; other scaling, activation and biases than they have.
    groups = FalconConfig(**shape, hidden_size=36, num_attention_heads=6, num_kv_heads=2, bias=True,
                          new_decoder_architecture=True, activation="gelu_pytorch_tanh", rope_theta=500.0,
                          rope_scaling={"rope_type": "linear", "factor": 4.0})
    model = fixtures.model(groups, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("groups", model)
    states["groups"] = state
    toggles = {
        "scaling": (changed(groups, rope_scaling=None), state),
        "activation": (changed(groups, activation="silu"), state),
        "order": (groups, edited(state, "query_key_value", reordered(2, 3, [3, 4, 0, 1, 2]))),
        "attention norm": (groups, edited(state, "ln_attn.weight", torch.ones_like)),
        "mlp norm": (groups, edited(state, "ln_mlp.weight", torch.ones_like)),
    }
    fixtures.add("groups", groups, model, "groups",
                 toggles | biases(groups, state, "ln_attn.bias", "ln_mlp.bias"), 52)

    # As falcon-11B: groups, one norm, a head of its own.
    one_norm = FalconConfig(**shape, hidden_size=36, num_attention_heads=6, num_kv_heads=3, ffn_hidden_size=50,
                            new_decoder_architecture=True, num_ln_in_parallel_attn=1, tie_word_embeddings=False)
    model = fixtures.model(one_norm, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("one_norm", model)
    fixtures.add("one_norm", one_norm, model, "one_norm", {
        "head": (one_norm, edited(state, "lm_head", lambda t: state["transformer.word_embeddings.weight"])),
        "norm": (one_norm, edited(state, "input_layernorm.weight", torch.ones_like)),
    }, 53)

    # As falcon-rw-1b: ALiBi, one branch after the other, a key for each head, biases.
    alibi = FalconConfig(**shape, hidden_size=36, num_attention_heads=12, ffn_hidden_size=40, multi_query=False,
                         parallel_attn=False, alibi=True, bias=True)
    model = fixtures.model(alibi, 4, SCALES)
    state = model.state_dict()
    check_against_faster(fixtures, alibi, state)
    fixtures.write_weights("alibi", model)
    toggles = {
        "alibi": (with_alibi(alibi, lambda *a, **k: 0 * unrounded(*a, **k)), state),
        "rounding": (with_alibi(alibi, unrounded), state),
        "scaling": (with_alibi(alibi, lambda *a, **k: 3**0.5 * ROUNDED(*a, **k)), state),
        "order": (alibi, edited(state, "query_key_value", reordered(12, 1, [1, 2, 0]))),
    }
    fixtures.add("alibi", alibi, model, "alibi",
                 toggles | biases(alibi, state, "input_layernorm.bias", "post_attention_layernorm.bias"), 54)
    fixtures.finish()

    # As the first uploads of falcon-40b, which know of no other architecture, and of falcon-7b.
    older = Fixtures(web, reference())
    plain = changed(groups, activation="gelu", rope_theta=10000.0, rope_scaling=None)
    state = states["groups"]
    older.add("groups", plain, fixtures.build(plain, state), "../falcon/groups", {
        "theta": (changed(plain, rope_theta=100.0), state),
        "order": (plain, edited(state, "query_key_value", reordered(2, 3, [3, 4, 0, 1, 2]))),
    }, 56, drop=(*NEWER, "new_decoder_architecture", "multi_query"),
        extra={"model_type": "RefinedWeb", "n_head": 6, "n_head_kv": 2, "n_layer": 2,
               "apply_residual_connection_post_layernorm": False})
    older.finish()
    older = Fixtures(web_model, reference())
    state = states["single"]
    older.add("single", single, fixtures.build(single, state), "../falcon/single", {
        "theta": (changed(single, rope_theta=100.0), state),
        "order": (single, edited(state, "query_key_value", reordered(1, 7, [7, 8, *range(7)]))),
    }, 57, drop=(*NEWER, "new_decoder_architecture"),
        extra={"model_type": "RefinedWebModel", "n_head": 7, "n_layer": 2,
               "apply_residual_connection_post_layernorm": False})
    older.finish()


main(*sys.argv[1:])
