"""Costs of frozen models, counted with torch on the meta device: nothing is computed, no memory is used."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from nat_plugin import NATError
from nat_plugin.ir import Cost, Shape
from nat_plugin.nets import count


def count_frozen(space: Any, sample: Mapping[str, Any], input: Shape) -> Cost:
    """The cost of the model that NNI makes of a sample. NATError where it cannot be frozen or run."""
    with torch.device("meta"):
        try:
            model = copy.deepcopy(space.freeze(dict(sample))).to("meta")  # it has weights of the space
            return count(model, input)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise NATError(f"{type(space).__name__}: this sample does not run on {input}: {error}") from None
