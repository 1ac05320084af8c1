"""What a change does to the output of a network, from pictures without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nat_plugin.advising.advice import Effect


@dataclass(frozen=True, eq=False)
class Outputs:
    """Logits of a changed network and of the ``original`` for the same pictures, (N, classes) each; ``labels`` (N,)
    where they are known."""

    changed: Tensor
    original: Tensor
    labels: Tensor | None = None

    @property
    def difference(self) -> Tensor:
        return self.changed - self.original

    def scaled(self, factor: float) -> Outputs:
        """With a difference so many times as large."""
        return Outputs(self.original + factor * self.difference, self.original, self.labels)

    @property
    def effect(self) -> Effect:
        count = len(self.original)
        spread = float(((self.original - self.original.mean(0)) ** 2).sum()) / count
        squares = (self.difference**2).sum(1).double() / max(spread, 1e-30)
        change, deviation = math.sqrt(float(squares.mean())), float(squares.std() if count > 1 else squares.mean())
        error = deviation / math.sqrt(count) / max(2 * change, 1e-12)
        top_changed, top_original = self.changed.argmax(1), self.original.argmax(1)
        gained = None
        if self.labels is not None:
            gained = (int((top_changed == self.labels).sum()) - int((top_original == self.labels).sum())) / count
        return Effect(change, error, int((top_changed == top_original).sum()) / count, count, gained)


def together(parts: Sequence[Outputs]) -> Outputs:
    """Of the pictures of all parts."""
    if len(parts) == 1:
        return parts[0]
    labels = [part.labels for part in parts if part.labels is not None]
    return Outputs(
        torch.cat([part.changed for part in parts]),
        torch.cat([part.original for part in parts]),
        torch.cat(labels) if labels else None,
    )


def added(parts: Sequence[Outputs]) -> Outputs:
    """What several changes would give if each did in the logits what it does by itself. All of the same pictures."""
    first = parts[0]
    return Outputs(first.original + sum(part.difference for part in parts), first.original, first.labels)
