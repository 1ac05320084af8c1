"""What a model computes for pictures, as far as others that are made from it are fitted to it: found out once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.fitting import FitSample, draw_sample
from nat_timm.fitting.layers import rows_as_map
from nat_timm.fitting.probing import Point, taken_at

PictureStatistics: TypeAlias = tuple[Tensor, Tensor]
"""Mean and variance of each channel over the pixels of each picture, (pictures, C)."""


_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Target:
    """What is fitted to: so many ``pixels`` of each picture of the values at a point. ``in_rows``: as a linear layer
    gives them, channels last."""

    point: Point
    pixels: int
    in_rows: bool = False


class Reference:
    """Of ``model`` and batches of pictures, both of which stay as they are. Pickled, it begins anew."""

    def __init__(self, model: nn.Module, batches: Sequence[Tensor], seed: int = 0) -> None:
        self.model, self.batches, self.seed = model, batches, seed
        self.pictures = sum(len(x) for x in batches)
        self._samples: dict[Target, list[FitSample]] = {}
        self._statistics: dict[str, PictureStatistics] | None = None

    def samples(self, targets: Sequence[Target]) -> list[list[FitSample]]:
        """Of each target by batch."""
        missing = [each for each in dict.fromkeys(targets) if each not in self._samples]
        if missing:
            self._compute([*missing, *self._alike(missing)])
        return [self._samples[each] for each in targets]

    def _alike(self, missing: Sequence[Target]) -> list[Target]:
        """The same of modules like these whose paths differ in numbers alone: other blocks, which come next."""
        by_kind: dict[tuple[type, str], list[str]] = {}
        kinds = {path: (type(each), _DIGITS.sub("0", path)) for path, each in self.model.named_modules()}
        for path, kind in kinds.items():
            by_kind.setdefault(kind, []).append(path)
        found = (
            replace(target, point=replace(target.point, path=path))
            for target in missing
            for path in by_kind[kinds[target.point.path]]
        )
        return [each for each in dict.fromkeys(found) if each not in self._samples and each not in missing]

    @property
    def statistics(self) -> Mapping[str, PictureStatistics]:
        """Of what goes into each norm that keeps running statistics, by its path."""
        if self._statistics is None:
            self._compute(())
        assert self._statistics is not None
        return self._statistics

    def _compute(self, missing: Sequence[Target]) -> None:
        """In one pass all that is missing, and the first time the statistics of all norms."""
        by_point: dict[Point, list[Target]] = {}
        for target in missing:
            by_point.setdefault(target.point, []).append(target)
            self._samples[target] = []
        norms = {} if self._statistics is not None else _inputs_of_norms(self.model)
        points, was_training = list(dict.fromkeys([*by_point, *norms])), self.model.training
        seen: dict[str, list[PictureStatistics]] = {path: [] for path in norms.values()}
        number = 0
        self.model.eval()
        for x in self.batches:

            def take(point: Point, y: Tensor, start: int = number) -> None:
                if point in norms:
                    seen[norms[point]].append(by_picture(y))
                for target in by_point.get(point, ()):
                    found = rows_as_map(y) if target.in_rows else y
                    self._samples[target].append(draw_sample(found, target.pixels, start, self.seed))

            taken_at(self.model, points, partial(self.model, x), take)
            number += len(x)
        self.model.train(was_training)
        for target in [each for each in missing if len(self._samples[each]) < len(self.batches)]:
            del self._samples[target]  # it is called never, or not always
        if self._statistics is None:
            self._statistics = {path: joined(each) for path, each in seen.items() if len(each) == len(self.batches)}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_samples": {}, "_statistics": None}


def keeps_statistics(module: nn.Module | None) -> bool:
    """Whether it is a batch norm with running statistics."""
    return isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None


@torch.no_grad()
def by_picture(x: Tensor) -> PictureStatistics:
    """Of a batch (N, C, ...)."""
    found = [torch.batch_norm_update_stats(each, None, None, 0.0) for each in torch.split(x, 1)]
    return torch.stack([mean for mean, _ in found]), torch.stack([var for _, var in found])


def joined(batches: Sequence[PictureStatistics]) -> PictureStatistics:
    """Of the pictures of all batches."""
    return torch.cat([mean for mean, _ in batches]), torch.cat([var for _, var in batches])


def _inputs_of_norms(model: nn.Module) -> dict[Point, str]:
    return {Point(path, is_input=True): path for path, each in model.named_modules() if keeps_statistics(each)}
