"""A model made narrower until it is within a budget: of all groups, in steps, what carries least for what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm

import torch
from torch import nn

from nat_plugin import NATError
from nat_plugin.ir import METRICS, Budget, Cost, Shape, plain_amount
from nat_timm.building.build import build, input_size
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import Document
from nat_timm.documents.edits import ADAPTATIONS
from nat_timm.models import unmoved_document
from nat_timm.narrowing.costs import WidthCosts, width_costs
from nat_timm.narrowing.widths import Width, coupling_of, narrowed_by, widths_of
from nat_timm.surgery.width import group_importance

HARDWARE = 8
"""Channels that processors compute at once: widths are multiples of it."""
STEPS = 16
"""So many steps, at most, from all channels of a group to none."""
LEAST = Fraction(1, 4)
"""The share of its channels that a group keeps at least."""


def settings_of(width: Width) -> tuple[int, ...]:
    """The widths that a group may get, from what it has now down, multiples of what a processor likes where it is wide
    enough."""
    together = HARDWARE if width.built > 2 * HARDWARE else HARDWARE // 2
    unit = lcm(width.unit, together)
    if unit >= width.built:
        unit = width.unit
    step = unit * -(-width.built // (unit * STEPS))
    fewest = max(step, -(-width.built * LEAST.numerator // (LEAST.denominator * step)) * step)
    return (width.now, *(each for each in range(width.now // step * step, fewest - 1, -step) if each < width.now))


def thinned(model: nn.Module, budget: Mapping[str, object], input: Shape | None = None) -> nn.Module:
    """A copy of a timm model with fewer channels, within ``budget`` (``{"macs": "0.8x", "params": "2M"}``).

    In each step the group with the least importance per saved cost loses its least important channels. The others keep
    their weights. NATError if the narrowest model is over the budget."""
    found = unmoved_document(model)
    known, chosen = _chosen(model, found, budget, input or input_size(model))
    return narrowed_by(model, found, known, chosen)


def thinned_document(found: Document, input: Shape, classes: int) -> Document:
    """A document with edits instead of the limits that it states for widths. Without weights all channels of a group
    carry alike. NATError as for ``thinned``."""
    base = replace(found, widths="{}", edits=tuple(edit for edit in found.edits if edit.op in ADAPTATIONS))
    if base.edits != found.edits:
        raise NATError(
            f"{found.architecture}: widths come before moves: 'widths' and moves among 'edits' do not go together"
        )
    model = build(base, input, classes, device="meta")
    attach(model, base)
    known, chosen = _chosen(model, base, found.limits, input)
    edits = {edit.at: edit for edit in base.edits}
    for name, width in chosen.items():
        if width < known[name].now:
            edit = known[name].edit(width)
            edits[edit.at] = edit
    return base.with_edits(tuple(edits.values()))


def _chosen(
    model: nn.Module, found: Document, budget: Mapping[str, object], input: Shape
) -> tuple[dict[str, Width], dict[str, int]]:
    """The groups of a model, and how wide each is to be."""
    traced, coupled = coupling_of(model, found, input)
    known = widths_of(coupled, found)
    search = _Thinning(
        width_costs(traced, coupled),
        {each.group.number: each for each in known.values()},
        {each.number: group_importance(model, each.uses) for each in coupled.free},
    )
    chosen = search.run(_limits(budget, search.cost), found.architecture)
    return known, {name: chosen[each.group.number] for name, each in known.items()}


def _limits(budget: Mapping[str, object], now: Cost) -> dict[str, Fraction]:
    values = {"params": now.params, "macs": now.macs}
    found: dict[str, Fraction] = {}
    for limit in Budget.parse(budget, METRICS).limits:
        value = limit.value * (values[limit.metric] if limit.relative else 1)
        found[limit.metric] = min(value, found.get(limit.metric, value))
    return found


class _Thinning:
    def __init__(self, costs: WidthCosts, widths: Mapping[int, Width], scores: Mapping[int, torch.Tensor]) -> None:
        self.costs = costs
        self.settings = {number: settings_of(width) for number, width in widths.items()}
        self.lost = {number: _lost(scores[number], settings) for number, settings in self.settings.items()}
        self.at = dict.fromkeys(self.settings, 0)

    @property
    def widths(self) -> dict[int, int]:
        return {number: settings[self.at[number]] for number, settings in self.settings.items()}

    @property
    def cost(self) -> Cost:
        return self.costs.cost(self.widths)

    def run(self, limits: Mapping[str, Fraction], name: str) -> dict[int, int]:
        while True:
            cost, widths = self.cost, self.widths
            over = {metric: getattr(cost, metric) - limit for metric, limit in limits.items()}
            over = {metric: excess for metric, excess in over.items() if excess > 0}
            if not over:
                return widths
            best = min(self._steps(over, widths), default=None)
            if best is None:
                lines = [
                    f"{metric} {plain_amount(getattr(cost, metric))} (limit {plain_amount(limits[metric])})"
                    for metric in over
                ]
                raise NATError(f"{name}: the narrowest model has {', '.join(lines)}; raise the limit")
            self.at[best[1]] += 1

    def _steps(self, over: Mapping[str, Fraction], widths: Mapping[int, int]) -> list[tuple[float, int]]:
        """What every group would lose in its next step, for each part of the excess that is saved."""
        found = []
        for number, settings in self.settings.items():
            at = self.at[number]
            if at + 1 == len(settings):
                continue
            saved = self.costs.saved(number, widths, settings[at + 1])
            share = sum(min(1.0, getattr(saved, metric) / excess) for metric, excess in over.items())
            if share > 0:
                found.append(((self.lost[number][at + 1] - self.lost[number][at]) / share, number))
        return found


def _lost(scores: torch.Tensor, settings: Sequence[int]) -> list[float]:
    """The share of what a group carries that is lost in each setting."""
    carried = scores.double().square().sort(descending=True).values.cumsum(0)
    whole = float(carried[-1].clamp(min=1e-30))
    return [1 - float(carried[keep - 1]) / whole for keep in settings]
