"""Whether a module passes its input on, or gives zeros: tried out, in evaluation and in training."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

IDENTITY, ZERO, OP = "identity", "zero", "op"
_FEWEST = 256
"""Numbers that a module is tried with: a batch of so many images, or an input without a batch several times."""
_DECADES = 8
"""They are spread over so many powers of ten above and below one, on both sides of zero: activations pass on what lies
between their bounds."""


def kind_of(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """``identity`` or ``zero`` for a module without weights that does just that with any input of one tensor, training
    or not, without drawing random numbers; else ``op``."""
    if any(True for _ in module.parameters()) or any(True for _ in module.buffers()):
        return OP
    if len(args) != 1 or kwargs or not isinstance(args[0], torch.Tensor) or not args[0].is_floating_point():
        return OP
    shape = tuple(args[0].shape)
    if shape[:1] == (1,):  # what mixes the images of a batch does nothing to one
        shape = (max(2, -(-_FEWEST // max(math.prod(shape), 1))), *shape[1:])
    with torch.device("cpu"), _kept_generators(), torch.no_grad():
        try:
            kinds = {_answer(module.train(training), each) for training in (False, True) for each in _inputs(shape)}
        except Exception:  # noqa: BLE001 - a module of the user's may fail in any way; then it is neither
            return OP
        finally:
            module.eval()
    return kinds.pop() if len(kinds) == 1 else OP


def _inputs(shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    """Tensors of a shape with numbers of all sizes and both signs; always the same."""
    chance = torch.Generator().manual_seed(0)
    for _ in range(-(-_FEWEST // max(math.prod(shape), 1))):
        sizes = 10 ** (torch.rand(shape, generator=chance) * 2 * _DECADES - _DECADES)
        yield sizes * (torch.randint(0, 2, shape, generator=chance) * 2 - 1)


def _answer(module: nn.Module, image: torch.Tensor) -> str:
    before = _generators()
    output = module(image.clone())
    if _generators() != before or not isinstance(output, torch.Tensor):
        return OP
    if output.shape == image.shape and torch.equal(output, image):
        return IDENTITY
    return OP if output.any() else ZERO


def _generators() -> tuple[Any, ...]:
    """The states of all generators: a module that drops one number of a million gives back all that are tried."""
    _, keys, *others = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), np.asarray(keys).tobytes(), others


@contextmanager
def _kept_generators() -> Iterator[None]:
    """Leaves them as they were."""
    own, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numpys)
