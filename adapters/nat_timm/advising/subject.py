"""A timm model with weights and pictures, whose changes can be timed and computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.advising import Change, Outputs, PartShares, Stopwatch, Subject
from nat_plugin.device import memory_kept
from nat_plugin.fitting import Solution
from nat_plugin.ir import Cost, Network, Op, cost
from nat_timm.advising.combining import combined
from nat_timm.advising.effects import by_block, logits, only, output
from nat_timm.advising.refitting import Cutting, Refitting, Weights
from nat_timm.advising.refitting import install as install_readers
from nat_timm.building.entrypoint import attach
from nat_timm.building.features import find_classifier
from nat_timm.documents.document import Document
from nat_timm.documents.edits import Fitted, forms_in
from nat_timm.fitting.fit import install
from nat_timm.fitting.single_blocks import by_place, fits_alone
from nat_timm.models import make_moves, shell
from nat_timm.networks import moved_document
from nat_timm.reading.running import Cut, Steps
from nat_timm.reading.trace import Trace, to_meta, trace
from nat_timm.reading.units import ModelUnit, units
from nat_timm.surgery.apply import apply_edits
from nat_timm.surgery.fitted import FittedOp

_CLOSE = 1e-3


class TimmSubject(Subject):
    """``model`` is in evaluation mode, on the device of the pictures; it stays as it is."""

    def __init__(
        self,
        model: nn.Module,
        network: Network,
        batches: Sequence[Tensor],
        labels: Tensor | None,
        watch: Stopwatch,
        seed: int,
    ) -> None:
        self.model, self.network, self.labels = model, network, labels
        self._document = moved_document(network)
        self.name = self._document.architecture
        self.setting, self.pictures = watch.setting, sum(len(x) for x in batches)
        self._batches, self._watch, self._seed = batches, watch, seed
        self._trace: Trace = trace(to_meta(model), network.input, str(type(model).__name__))
        self._units = {unit.path: unit for unit in units(self._trace)}
        self._steps = Steps(self._trace, model)
        self._made: dict[Change, Callable[[], nn.Module]] = {}
        self._blocks: dict[Change, nn.Module] = {}
        self._fresh: dict[Change, list[Fitted]] = {}
        self._fits: dict[Fitted, Solution] = {}
        self._refits: dict[Change, Weights] = {}
        self._check_steps()

    @torch.no_grad()
    def _check_steps(self) -> None:
        """NATError where the graph of the model computes something else than the model."""
        x, last = self._batches[0][:2], list(self._units.values())[-1:]
        for cut in self._steps.cuts(x, last):
            found, wanted = self._steps.rest(cut, cut.values[cut.unit.output]), self.model(x)
            if not torch.allclose(found, wanted, rtol=_CLOSE, atol=_CLOSE * float(wanted.abs().max())):
                raise NATError("the graph that torch.fx traces of this model computes something else than the model")

    def able(self, changes: Sequence[Change]) -> Sequence[Change]:
        """What each makes is made without fits, which latency does not ask for."""
        documents = {each: moved_document(self.changed([each])) for each in changes if each.slot.cell in self._units}
        present = set(self._document.edits)
        self._edits = {change: frozenset(each.edits) - present for change, each in documents.items()}
        self._fresh = {change: forms_in(edits) for change, edits in self._edits.items()}
        self._made = {change: partial(self._part, change, each) for change, each in documents.items()}
        return list(documents)

    @memory_kept()
    def prepare(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Fits all operations that may stand in the place of a block, or of a part of one, in one pass, and then what
        reads a cut."""
        wanted = by_place(each for change in changes for each in self._fresh[change])
        self._fits = fits_alone(self.model, wanted, self._batches, self._seed)
        cut = [change for change in changes if not self._fresh[change]]
        edits = {edit for change in cut for edit in self._edits[change]}
        refitting = Refitting(self.model, self._steps, self._batches, self._seed, edits)
        self._blocks.clear()
        units = self._units
        self._refits = refitting.weights(
            [Cutting(each, units[each.slot.cell], self._edits[each], self._made[each]) for each in cut]
        )
        self._blocks.clear()
        return changes

    def _part(self, change: Change, document: Document) -> nn.Module:
        """What the model is with a change; where its unit is called by itself that alone, which is kept."""
        if change in self._blocks:
            return self._blocks[change]
        fits = {at[0]: self._fits[at, form] for at, form in self._fresh[change] if (at, form) in self._fits}
        block = self._alone(self._units[change.slot.cell])
        moved = self._moved(document, fits, self.model if block is None else block)
        install_readers(moved, self._refits.get(change, {}))
        if block is not None:
            self._blocks[change] = moved
        return moved

    def _alone(self, unit: ModelUnit) -> nn.Module | None:
        """A model of nothing but a unit, if it is called by itself."""
        if not unit.is_block or unit.input not in unit.reads:
            return None
        block = self.model.get_submodule(unit.path)
        return only(unit.path, block) if by_block(unit, block) else None

    @torch.no_grad()
    def _moved(self, document: Document, fits: Mapping[str, Solution], model: nn.Module) -> nn.Module:
        """``model``: the one that is advised on, or a part of it with all that changes."""
        made = make_moves(shell(model), document, apply_edits, self._document)
        for path, solution in fits.items():
            module = made.get_submodule(path)
            assert isinstance(module, FittedOp)
            install(module, solution)
        return made.eval()

    @torch.no_grad()
    def saved(self, changes: Sequence[Change]) -> Mapping[Change, float]:
        image = self._batches[0][:1].contiguous(memory_format=torch.channels_last)
        self.whole = self._watch(partial(self.model, image))
        self._spent: dict[str, float] = {}
        saved: dict[Change, float] = {}
        for cut in self._steps.cuts(image, list(self._units.values())):
            own = self._spent[cut.unit.path] = self._watch(partial(self._output, cut, self.model))
            for change in changes:
                if change.slot.cell == cut.unit.path:
                    saved[change] = own - self._watch(partial(self._output, cut, self._made[change]()))
        return saved

    def _output(self, cut: Cut, owner: nn.Module) -> Any:
        return output(self._steps, cut, owner)

    @memory_kept()
    def alone(self, changes: Sequence[Change], chosen: Tensor) -> Mapping[Change, Outputs]:
        by_unit: dict[ModelUnit, dict[Any, Callable[[], nn.Module]]] = {}
        for change in changes:
            by_unit.setdefault(self._units[change.slot.cell], {})[change] = self._made[change]
        own, found = logits(self._trace, self.model, by_unit, self._batch(chosen))
        labels = self._labels(chosen)
        return {change: Outputs(each, own, labels) for change, each in found.items()}

    @memory_kept()
    def combined(self, choices: Sequence[Sequence[Change]], chosen: Tensor) -> list[Outputs]:
        made = []
        for each in choices:
            document = moved_document(self.changed(each))
            made.append(self._moved(document, {}, self.model))
            attach(made[-1], document)
        ridges = {(at[0], form): fit.ridge for (at, form), fit in self._fits.items()}
        x = self._batch(self.to_fit_on(chosen))
        own, found = combined(self.model, made, x, ridges, self._seed)
        labels, count = self._labels(chosen), len(chosen)
        return [Outputs(each[:count], own[:count], labels) for each in found]

    def _batch(self, chosen: Tensor) -> Tensor:
        """Norms use the statistics of these pictures, so they are one batch."""
        x = torch.cat(list(self._batches))
        return x[chosen.to(x.device)].contiguous(memory_format=torch.channels_last)

    def _labels(self, chosen: Tensor) -> Tensor | None:
        return None if self.labels is None else self.labels[chosen.to(self.labels.device)]

    def residual(self, change: Change) -> float | None:
        fits = [self._fits[place] for place in self._fresh[change]]
        return fits[0].residual if fits else None

    def word(self, op: Op) -> str:
        return str(op.values.get("name", op))

    def parts(self) -> Iterator[PartShares]:
        """Every unit, the classifier, and what is in no unit."""
        left = [1.0, 1.0, 1.0]
        for path, shares in self._costs(cost(self.network)):
            left = [each - share for each, share in zip(left, shares, strict=True)]
            yield PartShares(path, *shares)
        yield PartShares("all else", *(max(0.0, each) for each in left))

    def _costs(self, whole: Cost) -> Iterator[tuple[str, tuple[float, float, float]]]:
        for unit in self._units.values():
            params = sum(
                each.numel()
                for path in ([unit.path] if unit.is_block else [str(step.target) for step in unit.steps])
                for each in self._trace.modules[path].parameters()
            )
            macs = sum(step.meta["macs"] for step in unit.steps)
            yield unit.path, (params / whole.params, macs / whole.macs, self._spent.get(unit.path, 0.0) / self.whole)
        classifier = find_classifier(self.model)
        if isinstance(classifier, nn.Linear):
            features = torch.randn(1, classifier.in_features, device=classifier.weight.device)
            ms = self._watch(partial(classifier, features))
            params = sum(each.numel() for each in classifier.parameters())
            yield "classifier", (params / whole.params, classifier.weight.numel() / whole.macs, ms / self.whole)

    @torch.no_grad()
    def accuracy(self) -> float | None:
        if self.labels is None:
            return None
        found = torch.cat([self.model(x).argmax(1) for x in self._batches])
        return float((found == self.labels).float().mean())
