"""A form as what is fitted, and what it reads."""

from __future__ import annotations

import torch
from torch import Tensor

from nat_plugin.fitting import LinearMap
from nat_timm.documents.forms import Form


def map_of(form: Form) -> LinearMap:
    return LinearMap.of(*form.layers, same=form.same)


def given(form: Form, x: Tensor) -> Tensor:
    """With the channel of ones that a form reads in the place of a bias."""
    return torch.cat([x, torch.ones_like(x[:, :1])], 1) if form.border else x
