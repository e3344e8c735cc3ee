"""tests/golden/models/baichuan, by the code that comes with the checkpoints: python make_baichuan.py OUT CODE

CODE holds the Python files of Baichuan-7B in 7b, of Baichuan-13B-Chat in 13b and of Baichuan2-13B-Chat in 13b_2.
Baichuan2-7B is the first with the last one's head. It wants transformers 4.36."""

import copy
import importlib
import sys
import types

import torch

from common import Fixtures, changed, edited
from reference import Reference, reading_head

SCALES = [("norm", (1.0, 0.3)), ("embed_tokens", (0.0, 0.8)), ("W_pack", (0.0, 0.25)), ("lm_head", (0.0, 0.4)),
          ("", (0.0, 0.15))]


def load(code, folder):
    package = sys.modules[f"baichuan_{folder}"] = types.ModuleType(f"baichuan_{folder}")
    package.__path__ = [f"{code}/{folder}"]
    return importlib.import_module(f"baichuan_{folder}.modeling_baichuan")


def reference(make, name):
    """Attentions are what any softmax over keys gives: the code hands out none."""
    def run(model, ids, prompt):
        seen, usual = [], torch.nn.functional.softmax

        def softmax(*arguments, **options):
            seen.append(usual(*arguments, **options))
            return seen[-1]

        torch.nn.functional.softmax = softmax
        try:
            out, hidden = reading_head(model.lm_head, lambda: model(torch.tensor([ids]), use_cache=False))
        finally:
            torch.nn.functional.softmax = usual
        attentions = [a.view(1, -1, len(ids), len(ids)) for a in seen]
        return out.logits[0], hidden, attentions

    return Reference(lambda config: make(copy.deepcopy(config)).float().eval(), run, name)


def parts(width):
    """Queries, keys and values in another order."""
    return lambda tensor: torch.cat([tensor[width:2 * width], tensor[:width], tensor[2 * width:]])


def marked(config, mark):
    """The config of a model with something else in one place."""
    other = copy.deepcopy(config)
    other.test_mark = mark
    return other


def is_marked(config, mark):
    return getattr(config, "test_mark", None) == mark


def main(out, code):
    sys.modules["xformers"] = types.ModuleType("xformers")
    sys.modules["xformers"].ops = None
    rotary, first, second = (load(code, folder) for folder in ("7b", "13b", "13b_2"))

    def with_rope(config):
        model = rotary.BaiChuanForCausalLM(config)
        if is_marked(config, "theta"):
            for layer in model.model.layers:
                layer.self_attn.rotary_emb = rotary.RotaryEmbedding(layer.self_attn.head_dim, 320, base=100)
        return model

    def with_rope_second(config):
        model = with_rope(config)
        if not is_marked(config, "head"):
            model.lm_head = second.NormHead(config.hidden_size, config.vocab_size)
        return model

    def with_alibi(config, module=first):
        model = module.BaichuanForCausalLM(config)
        if is_marked(config, "alibi"):
            model.model.get_alibi_mask = lambda tensor, n: torch.full((6, n, n), -torch.inf).triu(1)
        if is_marked(config, "head"):
            model.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        return model

    fixtures = Fixtures(out, reference(with_rope, "BaiChuanForCausalLM"))
    shape = dict(vocab_size=97, num_hidden_layers=2, rms_norm_eps=0.2, intermediate_size=50)

    seven = rotary.BaiChuanConfig(**shape, hidden_size=30, num_attention_heads=5, max_position_embeddings=320)
    model = fixtures.model(seven, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("rope", model)
    toggles = {"theta": (marked(seven, "theta"), state), "order": (seven, edited(state, "W_pack", parts(30)))}
    fixtures.add("rope", seven, model, "rope", toggles | {
        "eps": (changed(seven, rms_norm_eps=1e-6), state),
        "activation": (changed(seven, hidden_act="gelu"), state),
    }, 71)
    fixtures.reference = reference(with_rope_second, "BaichuanForCausalLM")
    fixtures.add("rope_second", seven, fixtures.build(seven, state), "rope",
                 toggles | {"head": (marked(seven, "head"), state)}, 72,
                 extra={"model_max_length": 320, "z_loss_weight": 0})

    thirteen = first.BaichuanConfig(**shape, hidden_size=36, num_attention_heads=6, model_max_length=320)
    fixtures.reference = reference(with_alibi, "BaichuanForCausalLM")
    model = fixtures.model(thirteen, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("alibi", model)
    toggles = {"alibi": (marked(thirteen, "alibi"), state),
               "order": (thirteen, edited(state, "W_pack", parts(36)))}
    fixtures.add("alibi", thirteen, model, "alibi", toggles, 73, drop=("z_loss_weight",))
    fixtures.reference = reference(lambda config: with_alibi(config, second), "BaichuanForCausalLM")
    fixtures.add("alibi_second", thirteen, fixtures.build(thirteen, state), "alibi",
                 toggles | {"head": (marked(thirteen, "head"), state)}, 74)
    fixtures.finish()


main(*sys.argv[1:])
