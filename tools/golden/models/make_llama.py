"""tests/golden/models/llama, by transformers 4.57: python make_llama.py OUT"""

import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from common import Fixtures, as_transformers_5, changed, edited

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)),
          ("q_proj", (0.0, 0.22)), ("k_proj", (0.0, 0.22)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def per_head(order, heads, dim):
    def edit(tensor):
        return tensor.view(heads, dim, -1)[:, order].reshape(tensor.shape)
    return edit


def swap_heads(heads, dim):
    return lambda tensor: tensor.view(heads, dim, -1).flip(0).reshape(tensor.shape)


def common_toggles(config, state):
    dim, heads, kv_heads = config.head_dim, config.num_attention_heads, config.num_key_value_heads
    pairs = torch.arange(dim).view(2, -1).t().reshape(-1)
    neighbours = edited(edited(state, "q_proj.weight", per_head(pairs, heads, dim)),
                        "k_proj.weight", per_head(pairs, kv_heads, dim))
    other_groups = edited(edited(state, "k_proj.weight", swap_heads(kv_heads, dim)),
                          "v_proj.weight", swap_heads(kv_heads, dim))
    return {
        "neighbours": (config, neighbours),
        "groups": (config, other_groups),
        "eps": (changed(config, rms_norm_eps=1e-6), state),
        "theta": (changed(config, rope_theta=500.0), state),
        "activation": (changed(config, hidden_act="gelu"), state),
    }


def add_scaled(fixtures, shape, model):
    """Every scaling of rope, with the other sides of its keys."""
    state = model.state_dict()

    def add(name, seed, scaling, others, config={}, **options):
        config = LlamaConfig(**{**shape, **config}, rope_scaling=scaling)
        toggles = {"scaling": (changed(config, rope_scaling=None), state)}
        for key, value in others.items():
            other = {k: v for k, v in {**scaling, key: value}.items() if v is not None}
            toggles[key] = (changed(config, rope_scaling=other), state)
        fixtures.add(name, config, model, "grouped", toggles, seed, **options)

    add("linear", 12, {"rope_type": "linear", "factor": 2.5}, {"factor": 1.5})
    add("dynamic", 13, {"type": "dynamic", "factor": 3.0}, {"factor": 1.5}, {"max_position_embeddings": 24},
        cached=True)
    add("llama3", 14, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 256}, {"factor": 1.5, "high_freq_factor": 1.5})
    # Bounds that lie between the three frequencies of a head.
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256, "beta_fast": 1.5,
            "beta_slow": 0.05}
    add("yarn", 17, yarn, {"factor": 1.5, "beta_fast": None, "beta_slow": None, "truncate": False,
                           "original_max_position_embeddings": 32, "attention_factor": 1.0})
    add("yarn_scaled", 18, {**yarn, "truncate": False, "mscale": 2.0, "mscale_all_dim": 0.5},
        {"truncate": True, "mscale": None, "mscale_all_dim": 2.0}, spelling=as_transformers_5)
    # Some prompts end before the original length, the greedy continuation passes it.
    long = {"rope_type": "longrope", "short_factor": [1.0, 1.25, 0.75], "long_factor": [1.5, 2.5, 8.0]}
    short = {"original_max_position_embeddings": 24}
    add("longrope", 19, long, {"short_factor": [1.0] * 3, "long_factor": [1.5, 2.5, 2.0], "attention_factor": 1.0},
        short, cached=True, spelling=as_su)
    add("longrope_factor", 20, {**long, "factor": 3.0, "attention_factor": 1.2},
        {"attention_factor": None}, {"max_position_embeddings": 24}, cached=True)


def as_su(written):
    return {**written, "rope_scaling": {**written["rope_scaling"], "rope_type": "su"}}


def main(out):
    fixtures = Fixtures(out, LlamaForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2,
                 num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=512,
                 rms_norm_eps=0.2, rope_theta=10000.0, tie_word_embeddings=False)

    grouped = LlamaConfig(**shape, eos_token_id=[2, 5])
    model = fixtures.model(grouped, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("grouped", model)
    fixtures.add("grouped", grouped, model, "grouped", common_toggles(grouped, state), 11)
    add_scaled(fixtures, shape, model)

    biased = LlamaConfig(**{**shape, "num_key_value_heads": 6}, head_dim=10, attention_bias=True,
                         mlp_bias=True, hidden_act="gelu_pytorch_tanh")
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    # A constant added to all keys moves no score but by rope: the key's bias matters too.
    toggles = {f"{part} bias": (biased, edited(state, f"{part}_proj.bias", torch.zeros_like))
               for part in ("q", "k", "v", "o", "gate", "up", "down")}
    toggles["head order"] = (biased, edited(state, "q_proj.weight", swap_heads(6, 10)))
    fixtures.add("biased", biased, model, "biased", toggles, 15)

    tied = LlamaConfig(**{**shape, "tie_word_embeddings": True, "num_key_value_heads": 1})
    model = fixtures.model(tied, 3, SCALES)
    fixtures.write_weights("tied", model)
    fixtures.add("tied", tied, model, "tied", {}, 16)
    fixtures.finish()


main(sys.argv[1])
