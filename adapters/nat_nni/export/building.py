"""Models of hub spaces as NNI freezes them, with fresh weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nat_nni.framework import load
from nat_nni.samples.values import Sample
from nat_nni.spaces.colour import take_grey
from nat_nni.spaces.hub import SUFFIX
from nat_plugin import NATError
from nat_plugin.ir import Shape


def build(name: str, arguments: Mapping[str, Any], sample: Sample) -> nn.Module:
    """NATError where NNI cannot build it."""
    kind = getattr(load("nat_nni.spaces" if name.endswith(SUFFIX) else "nni.nas.hub.pytorch"), name)
    refused = load("nni.mutable").SampleValidationError
    try:
        with load("nni.nas.space").model_context(sample):
            model: nn.Module = kind(**arguments)
    except (refused, KeyError, TypeError, ValueError, AssertionError) as error:
        raise NATError(f"{name} cannot be built with {arguments} from this sample: {str(error)[:200]}") from None
    return model


def build_for(name: str, arguments: Mapping[str, Any], sample: Sample, input: Shape, classes: int) -> nn.Module:
    """A model to train on images of a shape; grey ones are given to it in all three channels. NATError where it cannot
    take them, or gives anything but the logits of so many classes."""
    model = build(name, {"num_labels": classes, **arguments}, sample)
    if input[0] == 1:
        take_grey(model)
    try:
        with torch.no_grad():
            found = model.eval()(torch.zeros(2, *input))
    except (RuntimeError, ValueError) as error:
        raise NATError(f"{name} does not run on images of {input}: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, Tensor) or found.shape != (2, classes):
        raise NATError(f"{name} with {dict(arguments)} does not give logits of {classes} classes")
    return model.train()
