"""Fits of single blocks of a model as it is: what goes into a block and comes out of it is summed up once for all
forms that may stand in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.fitting.moments import Moments
from nat_plugin.fitting.sampling import add, bytes_of, empty, in_parts
from nat_plugin.fitting.solving import Solution, best_ridge
from nat_timm.documents.forms import CONV, Form
from nat_timm.fitting.fit import solution_of, start_of
from nat_timm.fitting.maps import given, map_of
from nat_timm.fitting.merging import merged
from nat_timm.fitting.probing import Point, probe

Wanted: TypeAlias = Mapping[str, Sequence[Form]]
"""The forms that may stand in the place of each block, by its path."""


@torch.no_grad()
def fits_alone(model: nn.Module, wanted: Wanted, batches: Sequence[Tensor], seed: int = 0) -> dict[str, list[Solution]]:
    """For every block and form of it the weights that come nearest to the block in ``model``, which is in evaluation
    mode, and stays as it is."""
    found: dict[str, list[Solution]] = {}
    widest = {path: _widest(forms) for path, forms in wanted.items() if forms}
    for paths in in_parts({path: bytes_of(map_of(form)) for path, form in widest.items()}):
        sums = _summed(model, {path: widest[path] for path in paths}, batches, seed)
        for path in paths:
            form, sides, moments = sums.pop(path)
            ridge = best_ridge(map_of(form), *moments, start=start_of(form, moments[0]))
            block = [model.get_submodule(path)]
            known = _Known(form, sides, moments)
            found[path] = [merged(block, form, sides) or known.solution(form, ridge) for form in wanted[path]]
    return found


def _widest(forms: Sequence[Form]) -> Form:
    """A dense convolution that reads all that any of the forms does."""
    widest = max(forms, key=lambda form: form.kernel)
    border = any(form.border for form in forms)
    return replace(widest, kind=CONV, groups=1, rank=0, shortcut=False, border=border)


_Sums: TypeAlias = tuple[Form, tuple[int, int], tuple[Moments, Moments]]


def _summed(model: nn.Module, widest: Mapping[str, Form], batches: Sequence[Tensor], seed: int) -> dict[str, _Sums]:
    ends = {
        path: (Point(path, is_input=True), Point(path, activation=form.activation)) for path, form in widest.items()
    }
    points = [point for pair in ends.values() for point in pair]
    sums: dict[str, _Sums] = {}
    number, count = 0, sum(len(x) for x in batches)
    for batch in batches:
        values = probe(model, points, batch)
        for path, form in widest.items():
            x, wanted = (values[point] for point in ends[path])
            if path not in sums:
                sums[path] = form, (x.shape[2], x.shape[3]), empty(map_of(form), x.device)
            add(sums[path][2], map_of(form), given(form, x), wanted, number, count, seed)
        number += len(batch)
    return sums


class _Known:
    """The sums for the widest form, of which those for the others are a part; forms that read the same share theirs."""

    def __init__(self, widest: Form, sides: tuple[int, int], moments: tuple[Moments, Moments]) -> None:
        self._widest, self._sides, self._moments = widest, sides, moments
        self._parts: dict[tuple[int, ...], tuple[Moments, Moments, Moments]] = {}

    def solution(self, form: Form, ridge: float) -> Solution:
        """``ridge``: what is best for the widest form."""
        inner = map_of(form)
        columns = tuple(map_of(self._widest).window.columns_of(inner.window, inner.channels, self._sides))
        if columns not in self._parts:
            chosen = torch.tensor(columns, device=self._moments[0].x.device)
            is_all = len(columns) == len(self._moments[0].x)
            known, held = self._moments if is_all else (each.of(chosen) for each in self._moments)
            self._parts[columns] = known, held, known + held
        known, held, both = self._parts[columns]
        return solution_of(form, (known, held), ridge if form.kernel == self._widest.kernel else None, both)
