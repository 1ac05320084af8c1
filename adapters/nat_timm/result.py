"""What ``compact`` gives: networks fine-tuned, and what can be said of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from nat_plugin.ir import Network
from nat_plugin.ir.costs import Cost
from nat_plugin.training.statistics import unpaired_difference
from nat_timm.saving import save


@dataclass(frozen=True, eq=False)
class Tuned:
    """A network, what it costs, its module in evaluation mode, its accuracy on ``val_loader``, and how it came by its
    weights."""

    network: Network
    cost: Cost
    model: nn.Module
    accuracy: float
    how: str

    def rank(self) -> tuple[float, int, int]:
        """The smallest is the best."""
        return -self.accuracy, self.cost.macs, self.cost.params


@dataclass(frozen=True, eq=False)
class Result:
    """``before``: the model as it came. ``reference``: the best that it reaches with the same fine-tuning. ``tuned``:
    the finalists, and ``reference`` where that is within the budget; best first. By the accuracy that is stated here, on
    ``images`` of ``val_loader``, the best was chosen: images of neither loader say more of it. Modules are on the device
    of the model that was given."""

    before: Tuned
    reference: Tuned
    tuned: tuple[Tuned, ...]
    evaluated: int
    images: int

    @property
    def best(self) -> Tuned:
        return self.tuned[0]

    @property
    def model(self) -> nn.Module:
        return self.best.model

    def save(self, folder: Path | str) -> bool:
        """``nat_timm.save`` of the best."""
        return save(self.model, folder)

    def __str__(self) -> str:
        rows = [("the model", self.before)]
        if self.reference is not self.before:
            rows.append(("the model", self.reference))
        rows += [("leaner", each) for each in self.tuned if each is not self.reference]
        lines = [
            f"{what}, {each.how}: accuracy {each.accuracy:.2%}, {each.cost.params:,} parameters, {each.cost.macs:,} MACs"
            for what, each in rows
        ]
        return "\n".join([*lines, self._difference()])

    def _difference(self) -> str:
        if self.best is self.reference:
            return "best: the model itself"
        found = unpaired_difference([self.best.accuracy], [self.reference.accuracy], self.images)
        low, value, high = (f"{100 * each:+.2f}" for each in (found.low, found.value, found.high))
        return (
            f"best against the model itself: {value} points [{low}, {high}]; the interval is for these two trained "
            f"models and images like the {self.images} of val_loader, by which the best was chosen"
        )
