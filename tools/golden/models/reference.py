"""How a reference model is built and run, whoever wrote it."""

import copy
import dataclasses
import typing

import torch


@dataclasses.dataclass
class Reference:
    """build(config) makes a model in f32. run(model, ids, prompt) runs ids, of which the first `prompt` are the
    prompt's (families whose mask or positions depend on it), without a cache: logits [n, vocabulary], what the head
    reads [n, width], and attention probabilities of each layer [1, heads, n, n], or None."""

    build: typing.Callable
    run: typing.Callable
    name: str  # for config.json's architectures


def reading_head(head, call):
    """call() and what module `head` read meanwhile, [n, width]."""
    seen = []
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        out = call()
    finally:
        hook.remove()
    assert len(seen) == 1, f"the head ran {len(seen)} times"
    return out, seen[0].reshape(-1, seen[0].shape[-1])


def transformers_reference(model_class):
    def make(config):
        config = copy.deepcopy(config)
        config._attn_implementation = "eager"
        return model_class(config).float().eval()

    def run(model, ids, prompt):
        out, hidden = reading_head(model.get_output_embeddings(), lambda: model(
            torch.tensor([ids]), output_attentions=True, use_cache=False))
        return out.logits[0], hidden, out.attentions

    return Reference(make, run, model_class.__name__)


def round_inputs(model):
    """Rounds what the products of the model read, as bf16 weights want it."""
    def rounded(module, inputs):
        x = inputs[0]  # token ids, in embeddings that are no torch.nn.Embedding
        return (x.bfloat16().float() if x.is_floating_point() else x, *inputs[1:])
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() == 2 and not isinstance(module, torch.nn.Embedding):
            module.register_forward_pre_hook(rounded)
    return model
