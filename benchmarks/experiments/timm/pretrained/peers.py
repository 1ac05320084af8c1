"""What people would use instead of replacing operations: Torch-Pruning and FastNAS of modelopt (the extra ``peers``).

Both prune channels. Running statistics are estimated anew on the same pictures as for our own methods; of what
Torch-Pruning leaves, convolutions that lost inputs are fitted by least squares too, to what they gave before, and of
the two the better on the pictures to choose on counts.
"""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from nat_timm.fitting.layers import form_of
from nat_timm.fitting.maps import map_of
from nat_timm.fitting.probing import Point, calls, probe
from nat_timm.measuring.statistics import recalibrate
from nat_timm.training.evaluator import FITTED_ON
from nat_timm.training.tuning import Tuning, TuningImages, fine_tune, judged
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.experiments.timm.pretrained.bench import Bench, Limit
from benchmarks.experiments.timm.pretrained.reload import ratio
from benchmarks.experiments.timm.pretrained.subjects import BATCH
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.fitting.sampling import add_batch, empty_moments
from nat_plugin.fitting.solving import solve
from nat_plugin.nets.counting import count
from nat_plugin.training.statistics import best_first

CPU = Compute(torch.device("cpu"))
STEPS = 400
"""In which Torch-Pruning comes down to nothing; it stops at the first that keeps the limit."""
ROUND_TO = 8
SCORED = 48
"""Pictures on which FastNAS scores each width of each layer."""
ATTEMPTS = 4
"""Of FastNAS at a limit on latency, which it does not know: each time by MACs, as much less as it was over."""


def torch_pruning(importance: str, bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    """Channels of all its groups, in whole steps of the hardware's width, global and isomorphic."""
    try:
        import torch_pruning as tp
    except ImportError:
        raise NATError("Torch-Pruning is not installed: pip install '.[peers]'") from None
    model, kept = copy.deepcopy(bench.model), {}
    if importance == "taylor":
        _add_gradients(model, bench)
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
    names = {module: name for name, module in model.named_modules()}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            kept[name] = torch.arange(module.out_channels)
    room = _Room(bench, limit)
    for _ in range(STEPS):
        for group in pruner.step(interactive=True):
            for dependency, channels in group:
                name = names.get(dependency.target.module)
                if name in kept and pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                    left = torch.ones(len(kept[name]), dtype=torch.bool)
                    left[channels] = False
                    kept[name] = kept[name][left]
            group.prune()
        if room.holds(model):
            model.zero_grad(set_to_none=True)
            return _better(model, kept, bench, tuning)
    raise NATError(f"Torch-Pruning does not come down to {limit.text}")


def fastnas(bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    """Widths by binary search on what each costs by itself, norms parted from activations, which it does not know."""
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

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ATTEMPTS):
            model = parted(copy.deepcopy(bench.model)).to(memory_format=torch.contiguous_format)
            config = {"score_func": score, "data_loader": [], "checkpoint": str(Path(folder) / "scores.pt")}
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
                model, _ = mtp.prune(
                    model, "fastnas", {"flops": f"{100 * share:g}%"}, torch.zeros(1, *bench.subject.shape), config
                )
            model = model.to(memory_format=torch.channels_last)
            if room.holds(model):
                return _finished([model], bench, tuning)
            share *= 0.98 * limit.share / room.last
    raise NATError(f"FastNAS does not come down to {limit.text}")


def parted(model: nn.Module) -> nn.Module:
    """With plain norms: timm's, which hold an activation, become a norm, what they drop, and the activation."""
    from timm.layers.norm_act import BatchNormAct2d

    for path, module in list(model.named_modules()):
        if type(module) is BatchNormAct2d:
            norm = nn.BatchNorm2d(module.num_features, module.eps, module.momentum)
            norm.load_state_dict(module.state_dict())
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, nn.Sequential(norm, module.drop, module.act))
    return model.eval()


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


def _add_gradients(model: nn.Module, bench: Bench) -> None:
    for x, y in bench.split.work:
        torch.autograd.backward(functional.cross_entropy(model(x), y, reduction="sum"))


def _better(model: nn.Module, kept: Mapping[str, Tensor], bench: Bench, tuning: Tuning) -> nn.Module:
    recalibrate(model, (x for x, _ in bench.split.work))
    pictures = [x for x, _ in islice(bench.split.work, -(-FITTED_ON // BATCH))]
    fitted = refitted(copy.deepcopy(model), bench.model, kept, pictures, stages_of(model))
    return _finished((model, fitted), bench, tuning)


def _finished(models: Sequence[nn.Module], bench: Bench, tuning: Tuning) -> nn.Module:
    """The best on the pictures to choose on, each as it is and tuned."""
    ways = [tuning] if not tuning.epochs else [tuning.model_copy(update={"epochs": 0}), tuning]
    found = [_tuned(copy.deepcopy(each), bench, way) for each in models for way in ways]
    known = [(each, judged(each, bench.split.choice, CPU)) for each in found]
    return best_first(known, lambda pair: pair[1])[0][0]


def _tuned(model: nn.Module, bench: Bench, tuning: Tuning) -> nn.Module:
    torch.manual_seed(bench.seed)
    recalibrate(model, (x for x, _ in bench.split.work))
    if tuning.epochs:
        work = bench.split.work
        fine_tune(model, TuningImages(lambda: iter(work), len(work)), tuning, CPU, bench.model)
    return model.eval()


@torch.no_grad()
def refitted(
    model: nn.Module, original: nn.Module, kept: Mapping[str, Tensor], batches: Sequence[Tensor], stages: Sequence[str]
) -> nn.Module:
    """Convolutions that lost inputs, front to back, by least squares to what their outputs that stay were in the
    original (``kept``, by path). ``stages``: paths of modules, each of which reads what the one before it gives: what
    is before a stage is computed once."""
    order: Any = calls(model, batches[0][:1], (nn.Conv2d, nn.BatchNorm2d))
    at, given = "", (list(batches), list(batches))
    for call, behind in zip(order, [*order[1:], None], strict=True):
        conv, path = call.module, call.path
        if not isinstance(conv, nn.Conv2d) or conv.groups > 1:
            continue
        if conv.in_channels == _inputs(original, path):
            continue
        stage = next((each for each in stages if path.startswith(f"{each}.")), "")
        if stage != at:
            given = tuple(_entering(each, stage, batches) for each in (model, original))  # type: ignore[assignment]
            at = stage
        owners = [each.get_submodule(stage) if stage else each for each in (model, original)]
        inner = path.removeprefix(f"{stage}.") if stage else path
        norm = None if behind is None else behind.module
        _refit(conv, norm, owners, inner, given, kept[path])
    return model


def _inputs(original: nn.Module, path: str) -> int:
    conv = original.get_submodule(path)
    assert isinstance(conv, nn.Conv2d)
    return conv.in_channels


def _entering(model: nn.Module, stage: str, batches: Sequence[Tensor]) -> list[Tensor]:
    """What a stage reads; the whole model reads the pictures."""
    point = Point(stage, is_input=True)
    return [probe(model, [point], x)[point] if stage else x for x in batches]


def _refit(
    conv: nn.Conv2d,
    norm: object,
    owners: Sequence[nn.Module],
    path: str,
    given: tuple[Sequence[Tensor], Sequence[Tensor]],
    kept: Tensor,
) -> None:
    fitted, (mine, its), number = map_of(form_of(conv)), (Point(path, is_input=True), Point(path)), 0
    pair, whole = empty_moments(fitted, conv.weight.device), sum(map(len, given[0]))
    for x, z in zip(*given, strict=True):
        y = probe(owners[1], [its], z)[its][:, kept]
        add_batch(pair, fitted, probe(owners[0], [mine], x)[mine], y, number, whole, 0)
        number += len(x)
    found = solve(fitted, *pair, start=conv.weight.flatten(1).T)
    conv.weight.copy_(found.weights[0])
    if conv.bias is not None:
        conv.bias.copy_(found.bias)
    if isinstance(norm, nn.BatchNorm2d):  # of what it reads now, without a pass of its own
        both, weight = pair[0] + pair[1], found.weights[0].flatten(1).T
        bias = 0.0 if conv.bias is None else found.bias
        xx, _ = both.centred
        norm.running_mean.copy_(both.mean[0] @ weight + bias)  # type: ignore[union-attr]
        norm.running_var.copy_((xx @ weight * weight).sum(0) / both.rows)  # type: ignore[union-attr]


def stages_of(model: nn.Module) -> list[str]:
    """Of EfficientNets and ResNets of timm."""
    count = len(model.blocks) if hasattr(model, "blocks") else 0  # type: ignore[arg-type]
    found = [f"blocks.{number}" for number in range(count)] or [f"layer{number}" for number in range(1, 5)]
    return [path for path in found if path in dict(model.named_modules())]
