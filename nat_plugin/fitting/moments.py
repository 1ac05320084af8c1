"""What least squares needs of rows of inputs and outputs: their sums of products, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 4096
"""Rows that are converted at a time."""
BANDS, NARROWEST = 4, 96
"""Of the matrix of products: so many, of so many rows at least."""
_CENTRED = "centred"
_ROUNDED = 1e-13
"""Share of a square that is lost where its mean is taken off."""


def _bands(inputs: int) -> Iterator[slice]:
    """Of the products of inputs, which are symmetric: only those from the diagonal on are computed."""
    step = max(NARROWEST, -(-inputs // BANDS))
    return (slice(start, start + step) for start in range(0, inputs, step))


class Moments:
    """Of rows x (inputs) and y (outputs), added batch by batch, so that memory does not grow with the rows."""

    def __init__(self, inputs: int, outputs: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        self.rows = 0
        self._of_inputs: dict[float | str, Tensor] = {}  # factors by their ridge, which fits to any outputs share
        self.x, self.y, self.square = zeros(inputs), zeros(outputs), zeros(outputs)
        self.xx, self.xy = zeros(inputs, inputs), zeros(inputs, outputs)

    def add(self, x: Tensor, y: Tensor) -> None:
        """``x`` is (rows, inputs), ``y`` (rows, outputs)."""
        self.rows += len(x)
        self._of_inputs.clear()
        for start in range(0, len(x), CHUNK):
            ins, outs = (each[start : start + CHUNK].double() for each in (x, y))
            self.x += ins.sum(0)
            self.y += outs.sum(0)
            self.square += (outs**2).sum(0)
            for rows in _bands(len(self.xx)):
                self.xx[rows, rows.start :].addmm_(ins[:, rows].T, ins[:, rows.start :])
            self.xy.addmm_(ins.T, outs)
        for rows in _bands(len(self.xx)):
            self.xx[rows.stop :, rows] = self.xx[rows, rows.stop :].T

    def __add__(self, other: Moments) -> Moments:
        made = Moments(len(self.x), len(self.y), self.x.device)
        made.rows = self.rows + other.rows
        for name in ("x", "y", "square", "xx", "xy"):
            setattr(made, name, getattr(self, name) + getattr(other, name))
        return made

    def of(self, columns: Tensor) -> Moments:
        """Of some of the inputs."""
        made = Moments(0, len(self.y), self.x.device)
        made.rows, made.y, made.square = self.rows, self.y, self.square
        made.x, made.xy, made.xx = self.x[columns], self.xy[columns], self.xx[columns][:, columns]
        return made

    def beyond(self, inputs: Tensor) -> Moments:
        """Of what the outputs are more than some of the inputs, as many as there are outputs."""
        made = Moments(0, len(self.y), self.x.device)
        made.rows, made.x, made.xx, made._of_inputs = self.rows, self.x, self.xx, self._of_inputs  # nothing adds to it
        made.y = self.y - self.x[inputs]
        made.square = self.square - 2 * self.xy[inputs].diagonal() + self.xx[inputs, inputs]
        made.xy = self.xy - self.xx[:, inputs]
        return made

    @property
    def mean(self) -> tuple[Tensor, Tensor]:
        rows = max(self.rows, 1)
        return self.x / rows, self.y / rows

    @property
    def centred(self) -> tuple[Tensor, Tensor]:
        """The sums of products xx and xy of what differs from the mean."""
        x, y = self.mean
        if _CENTRED not in self._of_inputs:
            self._of_inputs[_CENTRED] = self.xx - self.rows * torch.outer(x, x)
        return self._of_inputs[_CENTRED], self.xy - self.rows * torch.outer(x, y)

    def grown(self, ridge: float) -> Tensor:
        """The centred products of the inputs, with a share of their mean square on the diagonal."""
        made = self.centred[0].clone()
        made.diagonal().add_(self.penalty(ridge))
        return made

    def penalty(self, ridge: float) -> Tensor:
        """What a ridge adds to the square of each input; more than is lost by rounding where inputs hardly differ from
        their mean."""
        spread, square = self.centred[0].diagonal().mean(), self.xx.diagonal().mean()
        return (ridge * spread.clamp(min=1e-12)).maximum(_ROUNDED * square)

    def factor(self, ridge: float) -> Tensor:
        """The Cholesky factor of ``grown``, which all fits on these inputs share. RuntimeError where there is none."""
        if ridge not in self._of_inputs:
            self._of_inputs[ridge] = torch.linalg.cholesky(self.grown(ridge))
        return self._of_inputs[ridge]

    @property
    def spread(self) -> float:
        """The sum of squares of what the outputs differ from their mean."""
        return float((self.square - self.rows * self.mean[1] ** 2).sum())

    def error(self, weight: Tensor, bias: Tensor) -> float:
        """The sum of squares of what x weight + bias, (inputs, outputs) and (outputs,), differs from y."""
        (xx, xy), (x, y) = self.centred, self.mean
        about = self.spread - float((2 * xy * weight - xx @ weight * weight).sum())
        return max(0.0, about + self.rows * float(((y - x @ weight - bias) ** 2).sum()))
