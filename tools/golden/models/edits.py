"""Other sides of what no flag switches: changes of a state that a fixture must notice."""

import torch

from common import edited


def zeroed(config, state, *parts):
    """Toggles: each part of the weights, mostly biases, as if it were not there."""
    return {part: (config, edited(state, part, torch.zeros_like)) for part in parts}


def repaired(heads, turned):
    """An edit: the first `turned` elements of each head in another order, so that a rope turns other pairs."""
    order = torch.arange(turned).view(2, -1).t().reshape(-1)

    def edit(tensor):
        rows = tensor.view(heads, tensor.shape[0] // heads, -1)
        rest = torch.arange(turned, rows.shape[1])
        return rows[:, torch.cat([order, rest])].reshape(tensor.shape)
    return edit
