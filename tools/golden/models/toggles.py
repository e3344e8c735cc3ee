"""Other sides of flags that many decoders share, for Fixtures.add."""

import torch

from common import changed, edited


def flags(config, state, **others):
    """One toggle for each key: another value of it."""
    return {key: (changed(config, **{key: value}), state) for key, value in others.items()}


def without(config, state, *parts):
    """One toggle for each part of names: zeros instead."""
    return {f"no {part}": (config, edited(state, part, torch.zeros_like)) for part in parts}


def pairs(config, state, dim, turned, parts=("q_proj", "k_proj")):
    """Rope on the other pairing of the first `turned` values of a head."""
    order = torch.arange(dim)
    order[:turned] = torch.arange(turned).view(2, -1).t().reshape(-1)

    def edit(tensor):
        return tensor.unflatten(0, (-1, dim))[:, order].flatten(0, 1)
    for part in parts:
        state = edited(state, part, edit)
    return {"pairs": (config, state)}


def groups(config, state, dim, parts=("k_proj", "v_proj")):
    """Keys and values of the heads in reverse: other queries meet them."""
    for part in parts:
        state = edited(state, part, lambda t: t.unflatten(0, (-1, dim)).flip(0).flatten(0, 1))
    return {"groups": (config, state)}
