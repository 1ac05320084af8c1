"""``advise``: for every move of a model what it saves and what it changes, in a minute, without training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Cost, Moves, Network, Op, Slot, cost, find_rule
from nat_plugin.ir.layers import Shape
from nat_timm.adapter import moved_document
from nat_timm.advising.advice import Advice, Effect, Move, Part
from nat_timm.advising.effects import effects, output
from nat_timm.advising.running import Cut, Steps
from nat_timm.advising.timing import Stopwatch
from nat_timm.documents.edits import forms_in
from nat_timm.documents.forms import Form
from nat_timm.fitting.alone import fits_alone
from nat_timm.fitting.fit import Pictures, checked, install
from nat_timm.fitting.solving import Solution
from nat_timm.models import make_moves, shell, to_network
from nat_timm.reading.trace import Trace, to_meta, trace
from nat_timm.reading.units import Unit, units
from nat_timm.saving.weights import check_usable
from nat_timm.surgery.apply import apply_edits
from nat_timm.surgery.fitted import Fitted

ROUGH, FINE, BEST = 12, 48, 30
"""Pictures on which every move is compared, and on which so many of the best are once more."""
_CLOSE = 1e-3


def advise(
    model: nn.Module,
    images: Pictures,
    labels: Tensor | None = None,
    *,
    rules: str = "nat++",
    device: str = "auto",
    seed: int = 0,
) -> Advice:
    """What every single move of a timm model with weights saves, exactly in parameters and MACs and as measured in
    milliseconds, and what it changes in the output of the model; operations that may be fitted in the place of a block
    are fitted first. Nothing is trained, the model stays as it is.

    ``images``: as for ``nat_timm.fit``, 64 or more of what the model was trained on; no labels are needed. ``labels``:
    class numbers (N,), for accuracies. NATError for pictures that are too few or of another size, for other labels than
    one for each picture, and for a model that cannot be read.
    """
    compute = find_compute(device, "float32")
    own: nn.Module = copy.deepcopy(model).eval().to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    pictures = checked(images, own)
    shape = _shape(pictures)
    network = to_network(model, shape, fits=True)
    check_usable(model)
    session = _Session(own, network, pictures, _checked_labels(labels, pictures), Stopwatch(compute), seed)
    return session.advice(Moves(network, find_rule(rules)))


def _shape(pictures: Sequence[Tensor]) -> Shape:
    shapes = {tuple(x.shape[1:]) for x in pictures}
    if len(shapes) > 1:
        raise NATError(f"images: pictures of {len(shapes)} sizes; all have to be of one")
    channels, height, width = shapes.pop()
    return channels, height, width


def _checked_labels(labels: Tensor | None, pictures: Sequence[Tensor]) -> Tensor | None:
    count = sum(len(x) for x in pictures)
    if labels is None:
        return None
    if not isinstance(labels, Tensor) or labels.shape != (count,) or labels.is_floating_point():
        raise NATError(f"labels: a tensor of one whole number for each of the {count} pictures is expected")
    return labels.to(pictures[0].device)


@dataclass(frozen=True, eq=False)
class _Change:
    """One op in one slot: the unit, the moved model when it is asked for, and how well its operation is fitted."""

    slot: Slot
    op: Op
    unit: Unit
    made: Callable[[], nn.Module]
    residual: float | None


class _Session:
    def __init__(
        self,
        model: nn.Module,
        network: Network,
        pictures: Sequence[Tensor],
        labels: Tensor | None,
        watch: Stopwatch,
        seed: int,
    ) -> None:
        self.model, self.network, self.pictures, self.labels = model, network, pictures, labels
        self.watch, self.seed = watch, seed
        self.trace: Trace = trace(to_meta(model), network.input, str(type(model).__name__))
        self.units = {unit.path: unit for unit in units(self.trace)}
        self.steps = Steps(self.trace, model)
        self._check_steps()

    @torch.no_grad()
    def _check_steps(self) -> None:
        """NATError where the graph of the model computes something else than the model."""
        x, last = self.pictures[0][:2], list(self.units.values())[-1:]
        for cut in self.steps.cuts(x, last):
            found, wanted = self.steps.rest(cut, cut.values[cut.unit.output]), self.model(x)
            if not torch.allclose(found, wanted, rtol=_CLOSE, atol=_CLOSE * float(wanted.abs().max())):
                raise NATError("the graph that torch.fx traces of this model computes something else than the model")

    def advice(self, moves: Moves) -> Advice:
        changes = list(self._changes(moves))
        if not changes:
            raise NATError("no move of the model is legal under these rules")
        first = self._effects(changes, ROUGH)
        saved = self._saved(changes)
        found = [self._move(change, saved[change], first[change]) for change in changes]
        order = sorted(range(len(found)), key=lambda at: -found[at].worth)
        count = sum(len(x) for x in self.pictures)
        if count > ROUGH:
            best = [changes[at] for at in order[:BEST]]
            again = self._effects(best, FINE)
            found = [
                replace(move, effect=again.get(change, move.effect))
                for change, move in zip(changes, found, strict=True)
            ]
        found.sort(key=lambda move: -move.worth)
        return Advice(
            self._name,
            cost(self.network),
            self.whole,
            self.watch.setting,
            count,
            tuple(self._parts()),
            tuple(found),
            self._accuracy(),
        )

    @property
    def _name(self) -> str:
        return moved_document(self.network).architecture

    def _changes(self, moves: Moves) -> Iterator[_Change]:
        others = [(slot, op) for slot, ops in zip(moves.slots, moves.candidates, strict=True) for op in ops[1:]]
        documents = {each: moved_document(self._with(*each)) for each in others}
        present = set(moved_document(self.network).edits)
        fresh = {each: forms_in(set(found.edits) - present) for each, found in documents.items()}
        wanted: dict[str, list[Form]] = {}
        for pairs in fresh.values():
            for path, form in pairs:
                wanted.setdefault(path, []).append(form)
        solved = fits_alone(self.model, wanted, self.pictures, self.seed)
        known = {(path, form): fit for path in solved for form, fit in zip(wanted[path], solved[path], strict=True)}
        for (slot, op), document in documents.items():
            unit = self.units.get(slot.cell)
            if unit is None:
                continue
            fits = {path: known[path, form] for path, form in fresh[slot, op]}
            residual = next((fit.residual for fit in fits.values()), None)
            yield _Change(slot, op, unit, partial(self._made, document, fits), residual)

    def _with(self, slot: Slot, op: Op) -> Network:
        return self.network.with_ops(
            [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
        )

    @torch.no_grad()
    def _made(self, document: Any, fits: Mapping[str, Solution]) -> nn.Module:
        made = make_moves(shell(self.model), document, apply_edits)
        for path, solution in fits.items():
            module = made.get_submodule(path)
            assert isinstance(module, Fitted)
            install(module, solution)
        return made.eval()

    def _effects(self, changes: Sequence[_Change], count: int) -> dict[_Change, Effect]:
        by_unit: dict[Unit, dict[Any, Callable[[], nn.Module]]] = {}
        for change in changes:
            by_unit.setdefault(change.unit, {})[change] = change.made
        return effects(self.trace, self.model, by_unit, list(self._compared(count)))

    def _compared(self, count: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """About ``count`` pictures, spread over all, as one batch: norms use its statistics."""
        x = torch.cat(list(self.pictures))
        chosen = torch.linspace(0, len(x) - 1, min(count, len(x)), device=x.device).round().long()
        batch = x[chosen].contiguous(memory_format=torch.channels_last)
        yield batch, None if self.labels is None else self.labels[chosen]

    @torch.no_grad()
    def _saved(self, changes: Sequence[_Change]) -> dict[_Change, float]:
        """Milliseconds that each change saves; notes those of the whole model, and of every unit."""
        image = self.pictures[0][:1].contiguous(memory_format=torch.channels_last)
        self.whole = self.watch(partial(self.model, image))
        self.spent: dict[str, float] = {}
        saved: dict[_Change, float] = {}
        for cut in self.steps.cuts(image, list(self.units.values())):
            own = self.spent[cut.unit.path] = self.watch(partial(self._output, cut, self.model))
            for change in changes:
                if change.unit is cut.unit:
                    saved[change] = own - self.watch(partial(self._output, cut, change.made()))
        return saved

    def _output(self, cut: Cut, owner: nn.Module) -> Any:
        return output(self.steps, cut, owner)

    def _move(self, change: _Change, ms: float, effect: Effect) -> Move:
        before, after = cost(self.network), cost(self._with(change.slot, change.op))
        edge = self.network.edge(change.slot)
        return Move(
            edge.key,
            _word(edge.op),
            _word(change.op),
            before.params - after.params,
            before.macs - after.macs,
            ms,
            ms / self.whole,
            effect,
            change.residual,
        )

    def _parts(self) -> Iterator[Part]:
        """Shares of the whole, in order; the classifier, and what is in no unit."""
        whole = cost(self.network)
        left = [1.0, 1.0, 1.0]
        for path, shares in self._costs(whole):
            left = [each - share for each, share in zip(left, shares, strict=True)]
            yield Part(path, *shares)
        yield Part("all else", *(max(0.0, each) for each in left))

    def _costs(self, whole: Cost) -> Iterator[tuple[str, tuple[float, float, float]]]:
        for unit in self.units.values():
            params = sum(
                each.numel()
                for path in ([unit.path] if unit.is_block else [str(step.target) for step in unit.steps])
                for each in self.trace.modules[path].parameters()
            )
            macs = sum(step.meta["macs"] for step in unit.steps)
            yield unit.path, (params / whole.params, macs / whole.macs, self.spent.get(unit.path, 0.0) / self.whole)
        getter = getattr(self.model, "get_classifier", None)
        classifier = getter() if callable(getter) else None
        if isinstance(classifier, nn.Linear):
            features = torch.randn(1, classifier.in_features, device=classifier.weight.device)
            ms = self.watch(partial(classifier, features))
            params = sum(each.numel() for each in classifier.parameters())
            shares = params / whole.params, classifier.weight.numel() / whole.macs, ms / self.whole
            yield "classifier", shares

    @torch.no_grad()
    def _accuracy(self) -> float | None:
        if self.labels is None:
            return None
        found = torch.cat([self.model(x).argmax(1) for x in self.pictures])
        return float((found == self.labels).float().mean())


def _word(op: Op) -> str:
    return str(op.values.get("name", op))
