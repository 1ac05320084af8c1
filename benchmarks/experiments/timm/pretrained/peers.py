"""What people would use instead of replacing operations: Torch-Pruning and FastNAS of modelopt (the extra ``peers``).

Both prune channels. Without training they get what our own methods do: running statistics are those of the model, and
what pictures say that changed; dense layers that lost inputs are also fitted by least squares, to what they gave
before, and of the two the better on the pictures to choose on counts.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence

import torch
from nat_timm.fitting.reference import Reference
from nat_timm.training.tuning import Tuning, TuningImages, fine_tune, judged
from torch import nn
from torch.nn import functional

from benchmarks.experiments.timm.pretrained.bench import Bench, Limit
from benchmarks.experiments.timm.pretrained.reload import ratio
from benchmarks.experiments.timm.pretrained.restoring import channels_left, refitted, settled
from nat_plugin.device import Compute, memory_kept
from nat_plugin.errors import NATError
from nat_plugin.measuring.latency_limits import ATTEMPTS
from nat_plugin.nets.counting import count
from nat_plugin.training.statistics import best_first

CPU = Compute(torch.device("cpu"))
STEPS = 400
"""In which Torch-Pruning comes down to nothing; it stops at the first that keeps the limit."""
ROUND_TO = 8
SCORED = 48
"""Pictures on which FastNAS scores each width of each layer."""


def torch_pruning(importance: str, bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    """Channels of all its groups, in whole steps of the hardware's width, global and isomorphic."""
    try:
        import torch_pruning as tp
    except ImportError:
        raise NATError("Torch-Pruning is not installed: pip install '.[peers]'") from None
    model = copy.deepcopy(bench.model)
    if importance == "taylor":
        for parameter, gradient in zip(model.parameters(), bench.gradients, strict=True):
            parameter.grad = gradient.clone()
    pruner = tp.pruner.BasePruner(
        model,
        torch.zeros(1, *bench.subject.shape),
        tp.importance.GroupTaylorImportance()
        if importance == "taylor"
        else tp.importance.GroupMagnitudeImportance(p=1),
        global_pruning=True,
        isomorphic=True,
        pruning_ratio=1.0,
        iterative_steps=STEPS,
        round_to=ROUND_TO,
        ignored_layers=[model.get_classifier()],  # type: ignore[operator]
    )
    room = _Room(bench, limit)
    for _ in range(STEPS):
        for group in pruner.step(interactive=True):
            group.prune()
        if room.holds(model):
            model.zero_grad(set_to_none=True)
            return _better(model, bench.reference, bench, tuning)
    raise NATError(f"Torch-Pruning does not come down to {limit.text}")


def fastnas(bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    """Widths by binary search on what each costs by itself, norms parted from activations, which it does not know. What
    each costs is found out once for all limits."""
    try:
        import modelopt.torch.prune as mtp
    except ImportError:
        raise NATError("modelopt is not installed: pip install '.[peers]'") from None
    room, share = _Room(bench, limit), limit.share
    pictures = next(iter(bench.split.choice))
    x, y = (each[:SCORED].contiguous() for each in pictures)

    @torch.no_grad()
    def score(model: nn.Module) -> float:
        return -float(functional.cross_entropy(model.eval()(x), y))

    for _ in range(ATTEMPTS):  # a limit on latency it does not know: by MACs, as much less as it was over
        model = copy.deepcopy(bench.parted.model).to(memory_format=torch.contiguous_format)
        config = {"score_func": score, "data_loader": [], "checkpoint": str(bench.scores)}
        shown = io.StringIO()
        with memory_kept(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            model, _ = mtp.prune(
                model, "fastnas", {"flops": f"{100 * share:g}%"}, torch.zeros(1, *bench.subject.shape), config
            )
        model = model.to(memory_format=torch.channels_last)
        if room.holds(model):
            return _better(model, bench.parted, bench, tuning)
        share *= 0.98 * limit.share / room.last
    raise NATError(f"FastNAS does not come down to {limit.text}")


class _Room:
    """Whether a model keeps a limit; latency is timed as a whole, in turns with the original."""

    def __init__(self, bench: Bench, limit: Limit) -> None:
        self._bench, self._limit = bench, limit
        self._whole = count(bench.model, bench.subject.shape).macs
        self._seen = 2.0
        self.last = 1.0
        """What was left of the metric by the last model that was asked about."""

    def holds(self, model: nn.Module) -> bool:
        macs = count(model, self._bench.subject.shape).macs / self._whole
        if self._limit.metric == "macs":
            self.last = macs
            return macs <= self._limit.share
        if macs > 0.98 * self._seen:  # nearly as before: timing takes longer than pruning
            return False
        self._seen = macs
        x = torch.zeros(self._limit.batch, *self._bench.subject.shape).contiguous(memory_format=torch.channels_last)
        found = ratio(model, self._bench.model, x)
        self.last = found["high"]
        return self.last <= self._limit.share


def _better(model: nn.Module, reference: Reference, bench: Bench, tuning: Tuning) -> nn.Module:
    left = channels_left(model, reference.model)
    found = [way(copy.deepcopy(model), reference, left) for way in (settled, refitted)]
    return _finished(found, bench, tuning)


def _finished(models: Sequence[nn.Module], bench: Bench, tuning: Tuning) -> nn.Module:
    """The best on the pictures to choose on, each as it is and tuned."""
    ways = [tuning] if not tuning.epochs else [tuning.model_copy(update={"epochs": 0}), tuning]
    found = [_tuned(copy.deepcopy(each), bench, way) for each in models for way in ways]
    known = [(each, judged(each, bench.split.choice, CPU)) for each in found]
    return best_first(known, lambda pair: pair[1])[0][0]


def _tuned(model: nn.Module, bench: Bench, tuning: Tuning) -> nn.Module:
    torch.manual_seed(bench.seed)
    if tuning.epochs:
        work = bench.split.work
        fine_tune(model, TuningImages(lambda: iter(work), len(work)), tuning, CPU, bench.model)
    return model.eval()
