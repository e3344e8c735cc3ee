"""tests/golden/models/internlm2, by the code that ships with the checkpoints and transformers 4.36:
python make_internlm2.py OUT CODE, where CODE has modeling_internlm2.py and configuration_internlm2.py"""

import sys

import shipped
from common import Fixtures, changed, edited
from toggles import flags, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("tok_embeddings", (0.0, 1.0)), ("wqkv", (0.0, 0.24)),
          ("feed_forward", (0.0, 0.2)), ("output", (0.0, 0.4)), ("", (0.0, 0.3))]


def heads(config, state, name, order, dim):
    """Heads of the fused product in another order."""
    edit = lambda tensor: tensor.unflatten(0, (-1, dim))[order].flatten(0, 1)
    return {name: (config, edited(state, "wqkv", edit))}


def main(out, code):
    config_class = shipped.load(code, "configuration_internlm2").InternLM2Config
    fixtures = Fixtures(out, shipped.load(code, "modeling_internlm2").InternLM2ForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=0.2)

    grouped = config_class(**shape, bias=False)
    model = fixtures.model(grouped, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("grouped", model)
    fixtures.add("grouped", grouped, model, "grouped", {
        **flags(grouped, state, rms_norm_eps=1e-6, rope_theta=500.0, hidden_act="gelu"),
        **heads(grouped, state, "key before queries", [3, 0, 1, 2, 4, 8, 5, 6, 7, 9], 6),
        **heads(grouped, state, "queries first", [0, 1, 2, 5, 6, 7, 3, 8, 4, 9], 6)}, 141)

    dynamic = config_class(**{**shape, "max_position_embeddings": 24}, bias=False,
                           rope_scaling={"type": "dynamic", "factor": 3.0})
    fixtures.add("dynamic", dynamic, model, "grouped", {
        "no scaling": (changed(dynamic, rope_scaling=None), state),
        "factor": (changed(dynamic, rope_scaling={"type": "dynamic", "factor": 1.5}), state),
        "length": (changed(dynamic, max_position_embeddings=30), state)}, 142, cached=True, greedy_prompt=3)

    biased = config_class(**{**shape, "num_attention_heads": 5, "num_key_value_heads": 5, "hidden_size": 30}, bias=True,
                          rope_scaling={"type": "linear", "factor": 2.5}, rope_theta=2000.0, tie_word_embeddings=True)
    model = fixtures.model(biased, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    fixtures.add("biased", biased, model, "biased", {
        "no scaling": (changed(biased, rope_scaling=None), state),
        **without(biased, state, "wqkv.bias", "wo.bias")}, 143)
    fixtures.finish()


main(*sys.argv[1:])
