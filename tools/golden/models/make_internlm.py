"""tests/golden/models/internlm, by the code that ships with the checkpoints and transformers 4.36:
python make_internlm.py OUT CODE CODE2, where CODE has modeling_internlm.py and configuration_internlm.py.

The oldest code knows no `rotary`. Newer code reads it, and its dynamic rope is word for word that of
modeling_internlm2.py in CODE2, which stands in for it here."""

import sys

import shipped
from common import Fixtures, changed
from reference import Reference, transformers_reference
from toggles import flags, pairs, without

SCALES = [("norm", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.22)),
          ("k_proj", (0.0, 0.22)), ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
POSITIONS = 64


def newer(model_class, ropes):
    """The model with the rope that config.rotary asks for."""
    plain = transformers_reference(model_class)

    def build(config):
        model = plain.build(config)
        for layer in model.model.layers:
            rotary = getattr(config, "rotary", None)
            if rotary is None:
                continue
            attention = layer.self_attn
            arguments = dict(max_position_embeddings=config.max_position_embeddings, base=rotary["base"])
            if rotary["type"] == "dynamic":
                rope = ropes.InternLM2DynamicNTKScalingRotaryEmbedding(
                    attention.head_dim, scaling_factor=rotary.get("scaling_factor", 1.0), **arguments)
            else:
                rope = ropes.InternLM2RotaryEmbedding(attention.head_dim, **arguments)
            forward = rope.forward
            rope.forward = lambda x, seq_len, forward=forward: tuple(t[None, None] for t in forward(x, seq_len))
            attention.rotary_emb = rope
        return model

    return Reference(build, plain.run, plain.name)


def main(out, code, newer_code):
    config_class = shipped.load(code, "configuration_internlm").InternLMConfig
    fixtures = Fixtures(out, newer(shipped.load(code, "modeling_internlm").InternLMForCausalLM,
                                   shipped.load(newer_code, "modeling_internlm2")))
    shape = dict(vocab_size=97, hidden_size=30, intermediate_size=50, num_hidden_layers=2, num_attention_heads=5,
                 max_position_embeddings=POSITIONS, rms_norm_eps=0.2)

    biased = config_class(**shape, bias=True, rotary=None)
    model = fixtures.model(biased, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    fixtures.add("biased", biased, model, "biased", {
        **flags(biased, state, rms_norm_eps=1e-6, hidden_act="gelu"),
        **without(biased, state, "q_proj.bias", "k_proj.bias", "v_proj.bias", "o_proj.bias"),
        **pairs(biased, state, 6, 6)}, 151, drop=("rotary",))

    # The reference turns cached keys again once a sequence outgrows its training length, as if it had been one
    # prompt; so the greedy tokens end before that.
    dynamic = changed(biased, rotary={"base": 2000, "type": "dynamic", "scaling_factor": 2.0})
    fixtures.add("dynamic", dynamic, model, "biased", {
        "old": (biased, state), "base": (changed(dynamic, rotary={**dynamic.rotary, "base": 10000}), state),
        "factor": (changed(dynamic, rotary={**dynamic.rotary, "scaling_factor": 1.0}), state),
        "origin": (changed(dynamic, rotary={**dynamic.rotary, "type": "origin"}), state)}, 152)

    origin = config_class(**{**shape, "num_attention_heads": 3}, bias=False, tie_word_embeddings=True,
                          rotary={"base": 500, "type": "origin"})
    model = fixtures.model(origin, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("origin", model)
    fixtures.add("origin", origin, model, "origin", {
        "base": (changed(origin, rotary={"base": 10000, "type": "origin"}), state),
        "dynamic": (changed(origin, rotary={"base": 500, "type": "dynamic"}), state)}, 153)
    fixtures.finish()


main(*sys.argv[1:])
