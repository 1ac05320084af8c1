"""A timm model with weights as a supernet of its own moves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin import NATError
from nat_plugin.fitting import Solution
from nat_plugin.ir import Network, Op, Rule, Slot
from nat_plugin.nets import SharedWeights, move_paths
from nat_timm.documents.edits import forms_in
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import checked, install
from nat_timm.fitting.single_blocks import by_place, fits_alone
from nat_timm.models import inherit, make_moves, shell
from nat_timm.networks import moved_document
from nat_timm.surgery.apply import apply_edits
from nat_timm.surgery.fitted import FittedOp

Pictures: TypeAlias = Callable[[], Iterable[Tensor]]
MAX_KEPT = 256
"""How many networks keep their modules; they hold no weights of their own."""


class TimmSupernet(SharedWeights):
    """What the rule may make of ``network``, as ``model`` (of which it was read) has it.

    Of every slot each op but the model's own has weights of its own, at first those that it inherits; all else is
    shared with the model itself. So the model keeps its weights, and what a move leaves alone learns in every network.
    ``pictures``: batches to fit operations on that stand in the place of blocks; without them they copy their input.
    """

    def __init__(self, model: nn.Module, network: Network, rule: Rule, pictures: Pictures | None = None) -> None:
        super().__init__()
        self.base, self.network, self._pictures = model, network, pictures
        self._own: dict[tuple[Slot, Op], dict[str, nn.Parameter]] = {}
        self._modules_of: OrderedDict[Network, nn.Module] = OrderedDict()
        others = _other_ops(network, rule)
        fits = self._fits(others)
        shared = self._shared()
        for slot, op in others:
            self._own[slot, op] = self._inherited(slot, op, fits, shared)
        self.variants = nn.ParameterList(each for own in self._own.values() for each in own.values())

    def forward(self, x: Tensor, network: Network) -> Tensor:
        module = self._module(network)
        module.train(self.training)
        if not self.training:
            for norm in module.modules():
                if isinstance(norm, _BatchNorm):
                    norm.training = True
        logits: Tensor = module(x)
        return logits

    def active_parameters(self, network: Network) -> Iterable[nn.Parameter]:
        return self._module(network).parameters()

    def inherited(self, network: Network) -> nn.Module:
        """A copy of a network with its weights as they are now. Its running statistics are those of the model, which
        do not fit it: see ``recalibrate``."""
        made = inherit(self.base, network)
        with torch.no_grad():
            values = dict(self._module(network).named_parameters())
            for name, parameter in made.named_parameters():
                parameter.copy_(values[name])
        return made

    def refresh(self) -> None:
        """Let every op inherit anew from the model, whose weights have changed."""
        fits = self._fits(list(self._own))
        shared = self._shared()
        with torch.no_grad():
            for (slot, op), own in self._own.items():
                for name, values in self._inherited(slot, op, fits, shared).items():
                    own[name].copy_(values)

    def _fits(self, ops: Sequence[tuple[Slot, Op]]) -> dict[tuple[str, Form], Solution]:
        """Weights of all operations that may stand in the place of a block."""
        if self._pictures is None:
            return {}
        moved = (moved_document(self.network.with_ops(_with(self.network, slot, op))) for slot, op in ops)
        wanted = by_place(each for document in moved for each in forms_in(document.edits))
        if not wanted:
            return {}
        mode = self.base.training
        dtype = next(self.base.parameters()).dtype
        pictures = checked((x.to(dtype) for x in self._pictures()), self.base)
        found = fits_alone(self.base.eval(), wanted, pictures)
        self.base.train(mode)
        return {(at[0], form): fit for (at, form), fit in found.items()}

    def _shared(self) -> frozenset[int]:
        """Which parameters are those of the model, by their identity."""
        return frozenset(id(each) for each in self.base.parameters())

    @torch.no_grad()
    def _inherited(
        self, slot: Slot, op: Op, fits: Mapping[tuple[str, Form], Solution], shared: frozenset[int]
    ) -> dict[str, nn.Parameter]:
        """The parameters that are others than the model's where only this op stands in its slot, by name."""
        made = self._moved(self.network.with_ops(_with(self.network, slot, op)))
        for path, module in made.named_modules() if fits else ():
            if isinstance(module, FittedOp) and (path, module.form) in fits:
                install(module, fits[path, module.form])
        return {name: each for name, each in made.named_parameters() if id(each) not in shared}

    def _moved(self, network: Network) -> nn.Module:
        """A module of a network that holds the parameters of the model itself where no edit cuts them."""
        return make_moves(shell(self.base), moved_document(network), apply_edits)

    def _module(self, network: Network) -> nn.Module:
        found = self._modules_of.get(network)
        if found is None:
            found = self._modules_of[network] = self._made(network)
            if len(self._modules_of) > MAX_KEPT:
                self._modules_of.popitem(last=False)
        else:
            self._modules_of.move_to_end(network)
        return found

    def _made(self, network: Network) -> nn.Module:
        made = self._moved(network)
        left = dict(made.named_parameters())
        for slot, mine in zip(self.network.slots, self.network.ops, strict=True):
            op = network.edge(slot).op
            if op == mine or op.is_null:
                continue
            if (slot, op) not in self._own:
                raise NATError(f"'{op}' at {slot.cell}, edge {slot.index}: no move of the rules leads there")
            for name, parameter in self._own[slot, op].items():
                if name in left:  # else the whole block is left out
                    owner, _, last = name.rpartition(".")
                    setattr(made.get_submodule(owner), last, parameter)
        return made

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TimmSupernet:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._modules_of.clear()
        return self


def _other_ops(network: Network, rule: Rule) -> list[tuple[Slot, Op]]:
    """What any sequence of moves can put in each slot in place of what stands there, in an order that is always the
    same."""
    paths = move_paths((network,), rule)
    found = []
    for slot in network.slots:
        edge = network.edge(slot)
        ops = {path.op for path in paths[slot.cell] if (path.source, path.target) == (edge.source, edge.target)}
        found += [(slot, op) for op in edge.choices if op in ops and op != edge.op and not op.is_null]
    return found


def _with(network: Network, slot: Slot, op: Op) -> tuple[Op, ...]:
    return tuple(op if each == slot else mine for each, mine in zip(network.slots, network.ops, strict=True))
