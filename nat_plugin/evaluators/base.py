"""What every evaluator is: it turns proposals into measurements, and knows no strategy."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from nat_plugin.evaluators.scale import Scale
from nat_plugin.evaluators.trial import Trial
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Network, NetworkSize, Rule
from nat_plugin.ir.budget import Metric
from nat_plugin.lazy import lazy_names
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import AnySettings, State

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nat_plugin.data import DataSet
    from nat_plugin.device import Compute

Split: TypeAlias = Literal["selection", "test"]


@dataclass(frozen=True, eq=False)
class Assessment:
    """How accurate a network is: a share of so many images, and which of them, where that is known."""

    value: float
    images: int  # 0: not known, so that there is no interval
    hits: torch.Tensor | None = None  # bool (images,), on the CPU

    @staticmethod
    def of(hits: torch.Tensor) -> Assessment:
        return Assessment(float(hits.double().mean()), len(hits), hits.cpu())


@dataclass(frozen=True)
class EvaluatorContext:
    """What an evaluator works with: the networks it may meet, the data, the device, a seed.

    ``wirings``: whether it may also meet other wirings of the same cells (inputs drawn at random, as in the paper).
    ``data`` is None for an evaluator that is not ``on_images``, or for which the recipe names none. ``module``: of the
    adapter (``Adapter.module``). ``resized``: the input with so many channels and cells (None: as it is), where
    there is a single one; NATError for a size that its format cannot have.
    """

    inputs: tuple[Network, ...]
    rule: Rule
    data: DataSet | None
    compute: Compute
    seed: int = 0
    wirings: bool = False
    module: Callable[[Network], nn.Module | None] = lambda _: None
    resized: Callable[[int | None, int | None], Network] | None = None

    @property
    def images(self) -> DataSet:
        """The data of an evaluator that is ``on_images``."""
        assert self.data is not None
        return self.data


@dataclass(frozen=True)
class Saved:
    """Weights in a folder: the path in there of what was written, and the Python that makes ``model`` of it, run in the
    folder."""

    path: str
    code: str


def _to_nobody(note: str) -> None:
    del note


class Evaluator(ABC):
    """Measures networks. ``train`` lets a weight-sharing evaluator learn; others ignore it.

    >>> import nat_plugin as nat
    >>> from nat_plugin.extending import Assessment, Measurement, Scale
    >>> from nat_plugin.ir import cost
    >>> class Leanest(nat.Evaluator):
    ...     on_images = False
    ...     untrained = True
    ...
    ...     @classmethod
    ...     def scale(cls, settings):
    ...         return Scale("minus parameters", percent=False)
    ...
    ...     def measure(self, proposals):
    ...         return [Measurement(-cost(each.network).params, -cost(each.source).params) for each in proposals]
    ...
    ...     def assess(self, network, split):
    ...         return Assessment(-cost(network).params, 0)
    >>> Leanest(None, Leanest.Settings()).assess(nat.read("DARTS_V2").network, "test").value
    -3349342
    """

    Settings: type[AnySettings] = AnySettings
    on_images: ClassVar[bool] = True
    """Whether it measures on a data set. Without one there is no final stage of real training either."""
    needs_images: ClassVar[bool] = True
    """Of one that is ``on_images``: whether a recipe that names no data set means the default one; False: none."""
    untrained: ClassVar[bool] = False
    """Whether its values only stand for what nothing was trained to show: no verdict follows from them."""
    how: ClassVar[str] = "scored by the evaluator"
    """What a report says that was done with the candidates, where there is no final stage."""
    how_final: ClassVar[str] = "trained from scratch"
    """The same where there is one."""
    assessed: ClassVar[str] = "these two networks as they were measured"
    """What an interval of accuracies is about, where there is no final stage."""
    cheap: ClassVar[bool] = True
    """Of its trials: whether it is better to carry them out anew than to keep a file of each for a resume."""
    metric_names: ClassVar[tuple[str, ...]] = ()
    """Metrics beyond parameters and MACs that a budget may limit."""

    @classmethod
    def metrics(cls, settings: AnySettings) -> Mapping[str, Metric]:  # noqa: ARG003 - what an override gets
        """Those of ``metric_names`` that can be measured under these settings."""
        return {}

    @classmethod
    def network_size(cls, settings: AnySettings) -> NetworkSize:
        """Of an evaluator that is not ``on_images``: the size of its networks, where a recipe leaves that open."""
        if (old := getattr(cls, "frame", None)) is None:
            return NetworkSize()
        warnings.warn("Evaluator.frame is Evaluator.network_size now", DeprecationWarning, stacklevel=2)
        found: NetworkSize = old(settings)
        return found

    @classmethod
    def scale(cls, settings: AnySettings) -> Scale:  # noqa: ARG003 - what an override gets
        """What its values are."""
        return Scale()

    def __init__(self, context: EvaluatorContext, settings: AnySettings) -> None:
        self.context, self.settings = context, settings
        self.report: Callable[[str], None] = _to_nobody
        """Hears in a few words of what takes long within a call: every epoch of a training."""

    @property
    def outside(self) -> tuple[Outside, ...]:
        """The files that were read of paths in the settings: a run goes on only while they are as they were."""
        return ()

    def train(self, networks: Sequence[Network]) -> dict[str, float]:  # noqa: ARG002 - what an override gets
        """One step on shared weights per network; what there is to report of it."""
        return {}

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:  # noqa: ARG002 - what an override gets
        """What is still to be measured for these and can be measured by workers, one by one: their evaluators, made
        alike, have it from ``carry_out``, and this one from ``take`` before it measures. By default nothing: all is
        measured in one process."""
        return []

    def carry_out(self, trial: Trial) -> State:
        """In a worker: carry out a trial; the result goes to ``take``. It depends on the trial alone, not on what was
        done before."""
        raise NotImplementedError

    def take(self, trial: Trial, found: State | None) -> None:
        """Store the result of a worker, in any order; None if it failed."""
        raise NotImplementedError

    @abstractmethod
    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        """One measurement per proposal, β and α on the same images; None where it failed (NaN, say)."""

    @abstractmethod
    def assess(self, network: Network, split: Split) -> Assessment:
        """The accuracy of the network on a split, by what is measured so far."""

    def can_assess(self, network: Network) -> bool:
        """Whether ``assess`` knows anything of a network."""
        del network
        return True

    def module(self, network: Network) -> nn.Module | None:
        """What the final stage trains; None: a fresh module that the core builds."""
        return self.context.module(network)

    def save(self, network: Network, weights: Mapping[str, torch.Tensor] | None, folder: Path) -> Saved | None:
        """Write a result with its weights (a state of ``module(network)``; None: as that module has them) in a format
        that its framework loads. By default nothing is written."""
        del network, weights, folder
        return None

    def summary(self) -> dict[str, Any]:
        """What a report says about the data, ready for JSON: at least ``name``, ``shape``, ``classes`` and the number
        of images in each of ``splits``."""
        return self.context.images.summary()

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:  # noqa: B027 - an evaluator that learns nothing has nothing to restore
        """Go on from a state."""

    @property
    def bench(self) -> EvaluatorContext:
        """Old name of ``context``; it warns."""
        warnings.warn("Evaluator.bench is Evaluator.context now", DeprecationWarning, stacklevel=2)
        return self.context


if not TYPE_CHECKING:
    __getattr__, _ = lazy_names(__name__, {}, {"Bench": f"{__name__}:EvaluatorContext"})
