"""Networks of a model with weights: its own or adapted ones, fitted in closed form and fine-tuned."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.device import Compute
from nat_plugin.ir import Network, Shape
from nat_plugin.training import Accuracy, derive_seed, seeded
from nat_timm.fitting.fit import fit_to
from nat_timm.fitting.reference import Reference
from nat_timm.measuring.statistics import recalibrate
from nat_timm.models import inherit
from nat_timm.training.evaluator import FITTED_ON
from nat_timm.training.loaders import LoaderFeed
from nat_timm.training.tuning import Tuning, TuningImages, fine_tune, judged

OWN, ADAPTED = "own", "adapted"
STARTS = (OWN, ADAPTED)
"""The weights that fine-tuning may begin from: those of the model that was given, or those that the search left."""
VIEWS = 1500
"""Images that what is returned is fitted on: pictures, each as often as a loader that augments has other views."""
VIEWS_BYTES = 2**30


def views_fitted_on(shape: Shape) -> int:
    """``VIEWS``, or as many images (C, H, W) as are to be in memory."""
    return min(VIEWS, max(FITTED_ON, VIEWS_BYTES // (4 * math.prod(shape))))


@dataclass(eq=False)
class Tuner:
    """Gives weights to networks of a model, each by itself. It can be pickled: workers have it too.

    ``given``: the model as it came, of the network ``source``; ``narrowed``: the same or, with widths, what came of
    them, which shared weights are of; ``moved``: of that, what has its moves made. ``original``: what is fitted to.
    """

    given: nn.Module
    source: Network
    narrowed: nn.Module
    moved: nn.Module
    original: nn.Module
    teacher: nn.Module
    feed: LoaderFeed
    steps: int
    recalibration: int
    compute: Compute
    seed: int
    in_closed_form: bool
    """Whether what reads a cut is fitted."""
    _made: tuple[Network, nn.Module, Tensor] | None = field(default=None, init=False)
    """The network that was fitted last, and where the random numbers were then: loaders draw what follows."""
    _given: tuple[Reference, Tensor] | None = field(default=None, init=False)
    """What all are fitted to, once its pictures were drawn, and where the random numbers were then."""

    def tune(
        self,
        network: Network,
        tuning: Tuning,
        adapted: Callable[[], nn.Module] | None = None,
        after_step: Callable[[int], object] = lambda _: None,
    ) -> nn.Module:
        """A network fine-tuned from its own weights, or from what ``adapted`` gives: for all on the same batches in the
        same order."""
        with self.seeded("tuning"):
            model = self._own(network) if adapted is None else adapted()
            images = TuningImages(self.feed.training, self.steps)
            fine_tune(model, images, tuning, self.compute, self.teacher, after_step=after_step)
        return model

    def judged(self, model: nn.Module) -> Accuracy:
        return judged(model, self.feed.validation(), self.compute)

    def is_uncut(self, network: Network) -> bool:
        """Whether a network is the model as it came, and not what its widths made of it."""
        return self.narrowed is not self.given and network == self.source

    def shell(self, network: Network, is_adapted: bool = False) -> nn.Module:
        """A network as it is before anything of it is fitted or tuned, or gets adapted weights."""
        if is_adapted:  # in the layout of shared weights: another one rounds otherwise
            return inherit(placed(copy.deepcopy(self.narrowed), self.compute), network)
        return placed(inherit(self.given if self.is_uncut(network) else self.moved, network), self.compute)

    def adapted(self, network: Network, weights: Mapping[str, Tensor]) -> nn.Module:
        """A network with weights that another process adapted."""
        made = self.shell(network, is_adapted=True)
        made.load_state_dict(dict(weights))
        return self._recalibrated(made)

    def _own(self, network: Network) -> nn.Module:
        """With the weights of the model that was given; with ``fits`` what was put in place of blocks, and what reads a
        cut, is fitted to it. Where something is moved, its running statistics are those of the model, and what
        pictures say that they change."""
        if self._made is None or self._made[0] != network:
            self._made = network, self._make(network), torch.get_rng_state()
        torch.set_rng_state(self._made[2])
        return copy.deepcopy(self._made[1])

    def _make(self, network: Network) -> nn.Module:
        made = self.shell(network)
        if self._given is None:
            views = views_fitted_on(self.feed.shape)
            found = self.feed.views(views) if self.in_closed_form else self.feed.calibration_batches(FITTED_ON)
            self._given = Reference(self.original, [x for x, _ in found]), torch.get_rng_state()
        reference, random = self._given
        fit_to(made, reference, cut=self.in_closed_form, norms=self.recalibration > 0)
        torch.set_rng_state(random)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None, "_given": None}

    def _recalibrated(self, made: nn.Module) -> nn.Module:
        if self.recalibration:
            recalibrate(made, (x for x, _ in self.feed.calibration_batches(self.recalibration)))
        return made

    def seeded(self, what: str) -> AbstractContextManager[None]:
        return seeded(self.compute.device, derive_seed(self.seed, what))


def placed(model: nn.Module, compute: Compute) -> nn.Module:
    made: nn.Module = model.to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return made
