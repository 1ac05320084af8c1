"""What ``compact`` gives: networks fine-tuned, and what can be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from nat_plugin.ir import Cost, Network
from nat_plugin.measuring import LatencySetting, MeasuredLatency
from nat_plugin.training import Accuracy, best_first, conclude, unpaired_difference, wilson
from nat_timm.compacting.figures import write_figures
from nat_timm.saving.folders import save
from nat_timm.training.tuning import Tuning


@dataclass(frozen=True, eq=False)
class Tuned:
    """A network, what it costs, its module in evaluation mode, what it got right of ``val_loader``, how it came by its
    weights, its latency where that is limited and timed, and what tables of costs say of it, with their units, as a
    whole and by cell."""

    network: Network
    cost: Cost
    model: nn.Module
    judged: Accuracy
    how: str
    latency: MeasuredLatency | None = None
    looked_up: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    by_cell: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        return self.judged.value

    def __str__(self) -> str:
        latency = "" if self.latency is None else f", latency {self.latency}"
        looked_up = (f"{name} {value:.4g} {unit}" for name, (value, unit) in self.looked_up.items())
        costs = ", ".join([f"{self.cost.params:,} parameters, {self.cost.macs:,} MACs", *looked_up])
        return f"{self.how}: accuracy {self.accuracy:.2%}, {costs}{latency}"


def ranked(found: Sequence[Tuned]) -> list[Tuned]:
    """Best first; what does equally well, by its cost."""
    return best_first(sorted(found, key=lambda each: (each.cost.macs, each.cost.params)), lambda each: each.judged)


def how_tuned(tuning: Tuning, start: str) -> str:
    return f"{'fine-tuned from' if tuning.epochs else 'with'} {start} weights"


@dataclass(frozen=True, eq=False)
class SearchedNetworks:
    """What the search of ``compact`` went out from, the limits that it kept, and its journal."""

    source: Network
    limits: Mapping[str, float]
    journal: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False)
class CompactionResult:
    """What ``compact`` found.

    ``before``: the model as it came. ``reference``: the best that it reaches with the same fine-tuning. ``tuned``: the
    finalists, and ``reference`` where that is within the budget; best first. By the accuracy that is stated here, on
    ``images`` of ``val_loader``, the best was chosen: images of neither loader say more of it. ``setting``: how latency
    was measured, where it is limited. ``notes``: what else has to be said, a line each. ``workers``: what each of an
    executor did, as in ``workers.json``. ``searched``: what was measured in the search.
    Modules are on the device of the model that was given.
    """

    before: Tuned
    reference: Tuned
    tuned: tuple[Tuned, ...]
    evaluated: int
    images: int
    setting: LatencySetting | None = None
    notes: tuple[str, ...] = ()
    workers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    searched: SearchedNetworks | None = None

    @property
    def best(self) -> Tuned:
        return self.tuned[0]

    @property
    def model(self) -> nn.Module:
        return self.best.model

    def save(self, folder: Path | str) -> bool:
        """``nat_timm.save`` of the best, with ``compaction.json`` and ``report.html``, which say how it came about."""
        plain = save(self.model, folder)
        write_figures(self, Path(folder), plain)
        return plain

    def __str__(self) -> str:
        own = [self.before] if self.reference is self.before else [self.before, self.reference]
        lines = [f"the model, {each}" for each in own]
        lines += [f"leaner, {each}" for each in self.tuned if each is not self.reference]
        lines.append(self.difference)
        if self.setting is not None:
            lines.append(f"latency of {self.setting}; whole models in turns with the model, 95 % intervals")
        return "\n".join([*lines, *self.notes])

    @property
    def difference(self) -> str:
        """What the best is worth against the model."""
        if self.best is self.reference:
            return "best: the model itself"
        accuracies = self.best.accuracy, self.reference.accuracy
        found = unpaired_difference(accuracies[:1], accuracies[1:], self.images)
        first, second = (wilson(round(each * self.images), self.images) for each in accuracies)
        said = conclude(found, (first, second), 1 / self.best.network.head.classes)
        value, low, high = (f"{100 * each:+.2f}" for each in (found.value, found.low, found.high))
        return (
            f"best against the model: {value} points [{low}, {high}] for these two trained models and images like the "
            f"{self.images} of val_loader, which chose the best; no verdict on architectures: {said.reason}"
        )
