"""Fits of single blocks of a model as it is: what goes into a block and comes out of it is summed up once for all
forms that may stand in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.fitting import Moments, Solution, add_batch, best_ridge, empty_moments, moments_bytes, split_by_size
from nat_timm.documents.edits import Fitted
from nat_timm.documents.forms import CONV, Form
from nat_timm.fitting.fit import solution_of, start_of
from nat_timm.fitting.maps import given, map_of
from nat_timm.fitting.merging import merged
from nat_timm.fitting.probing import Point, probe

Paths: TypeAlias = tuple[str, ...]
Wanted: TypeAlias = Mapping[Paths, Sequence[Form]]
"""The forms that may stand in the place of each block, or of layers one after the other, by their paths."""


def by_place(fitted: Iterable[Fitted]) -> Wanted:
    found: dict[Paths, list[Form]] = {}
    for paths, form in fitted:
        found.setdefault(paths, []).append(form)
    return found


@torch.no_grad()
def fits_alone(model: nn.Module, wanted: Wanted, batches: Sequence[Tensor], seed: int = 0) -> dict[Fitted, Solution]:
    """For every block and form of it the weights that come nearest to the block in ``model``, which is in evaluation
    mode, and stays as it is."""
    found: dict[Fitted, Solution] = {}
    widest = {paths: _widest(forms) for paths, forms in wanted.items() if forms}
    for part in split_by_size({paths: moments_bytes(map_of(form)) for paths, form in widest.items()}):
        sums = _summed(model, {paths: widest[paths] for paths in part}, batches, seed)
        for paths in part:
            form, sides, moments = sums.pop(paths)
            ridge = best_ridge(map_of(form), *moments, start=start_of(form, moments[0]))
            blocks = [model.get_submodule(path) for path in paths]
            known = _WidestSums(form, sides, moments)
            for each in wanted[paths]:
                found[paths, each] = merged(blocks, each, sides) or known.solution(each, ridge)
    return found


def _widest(forms: Sequence[Form]) -> Form:
    """A dense convolution that reads all that any of the forms does."""
    widest = max(forms, key=lambda form: form.kernel)
    border = any(form.border for form in forms)
    return replace(widest, kind=CONV, groups=1, rank=0, shortcut=False, border=border)


_Sums: TypeAlias = tuple[Form, tuple[int, int], tuple[Moments, Moments]]


def _summed(model: nn.Module, widest: Mapping[Paths, Form], batches: Sequence[Tensor], seed: int) -> dict[Paths, _Sums]:
    ends = {
        paths: (Point(paths[0], is_input=True), Point(paths[-1], activation=form.activation))
        for paths, form in widest.items()
    }
    points = list(dict.fromkeys(point for pair in ends.values() for point in pair))
    sums: dict[Paths, _Sums] = {}
    number, count = 0, sum(len(x) for x in batches)
    for batch in batches:
        values = probe(model, points, batch)
        for paths, form in widest.items():
            x, wanted = (values[point] for point in ends[paths])
            if paths not in sums:
                sums[paths] = form, (x.shape[2], x.shape[3]), empty_moments(map_of(form), x.device)
            add_batch(sums[paths][2], map_of(form), given(form, x), wanted, number, count, seed)
        number += len(batch)
    return sums


class _WidestSums:
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
