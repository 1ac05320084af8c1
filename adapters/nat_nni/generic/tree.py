"""Where the choices of a model space stand: its modules, beside the paths that they have in a frozen model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nni.mutable import Constraint, Mutable
from nni.nas.nn.pytorch import Cell, InputChoice, LayerChoice, MutableModule, Repeat
from torch import nn

from nat_nni.samples.values import Sample


@dataclass(eq=False)
class Spot:
    """A module of a space that a sample uses.

    ``path``: of what it becomes in the frozen model; ``labels``: of its own choices, not of those inside; ``owner``:
    the spot that builds it anew when it is frozen (itself, unless a cell or a module of the user does that);
    ``constraints``: the labels that a constraint of NNI's ties together here, by its name.
    """

    module: nn.Module
    path: str
    parent: Spot | None = None
    owner: Spot | None = None
    labels: tuple[str, ...] = ()
    constraints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    children: list[Spot] = field(default_factory=list)

    def all(self) -> Iterator[Spot]:
        """This spot and those inside."""
        yield self
        for child in self.children:
            yield from child.all()

    def within(self, other: Spot) -> bool:
        spot: Spot | None = self
        while spot is not None and spot is not other:
            spot = spot.parent
        return spot is other

    @property
    def maker(self) -> Spot:
        """The spot that is frozen to get this one. An input choice is known without the cell around it."""
        return self if self.owner is None or isinstance(self.module, InputChoice) else self.owner

    def freeze(self, sample: Sample) -> nn.Module:
        """What NNI makes of this spot's module."""
        owner = self.maker
        frozen: Any = _frozen(owner.module, sample)
        below = self.path[len(owner.path) :].lstrip(".")
        found: nn.Module = frozen.get_submodule(below) if below else frozen
        return found


def labels_inside(spot: Spot, sample: Sample) -> list[str]:
    """The labels that are used inside a spot by another sample, in the order of the modules."""
    return [label for each in tree(spot.module, sample).all() for label in each.labels]


def tree(space: nn.Module, sample: Sample) -> Spot:
    """The spots of a space, from its root."""
    root = Spot(space, "")
    _fill(root, sample)
    return root


def _fill(spot: Spot, sample: Sample) -> None:
    module = spot.module
    if isinstance(module, MutableModule):
        ties = [each for each in module.mutables if isinstance(each, Constraint)]
        spot.constraints = {tie.label: tuple(label for label in tie.simplify() if label != tie.label) for tie in ties}
        spot.labels = tuple(dict.fromkeys(label for each in module.mutables for label in each.simplify()))
    inside = spot.owner or (spot if _builds_anew(module) else None)
    for child, path in _children(module, spot.path, sample):
        below = Spot(child, path, spot, inside)
        spot.children.append(below)
        _fill(below, sample)


def _children(module: nn.Module, path: str, sample: Sample) -> Iterator[tuple[nn.Module, str]]:
    if isinstance(module, LayerChoice):
        yield module[module.choice.freeze(sample)], path  # the chosen one takes its place
    elif isinstance(module, Repeat):
        depth = module.depth_choice
        count = depth.freeze(sample) if isinstance(depth, Mutable) else depth
        for number in range(count):
            yield module.blocks[number], _join(path, str(number))
    else:
        for name, child in module.named_children():
            yield child, _join(path, name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _builds_anew(module: nn.Module) -> bool:
    """Whether freezing builds the modules inside again, so that they cannot be frozen one by one."""
    if isinstance(module, Cell):
        return module.op_candidates_factory is not None
    return isinstance(module, MutableModule) and not type(module).freeze.__module__.startswith("nni.nas.nn.")


def _frozen(module: nn.Module, sample: Sample) -> nn.Module:
    """As ``recursive_freeze`` of NNI, which copies deeply: here what does not change is shared."""
    if isinstance(module, LayerChoice):
        return _frozen(module[module.choice.freeze(sample)], sample)
    if isinstance(module, Repeat):
        return nn.Sequential(*(_frozen(child, sample) for child, _ in _children(module, "", sample)))
    if isinstance(module, MutableModule) and type(module).freeze is not MutableModule.freeze:
        made: nn.Module = module.freeze(sample)
        return made
    children = {name: _frozen(child, sample) for name, child in module.named_children()}
    if all(each is module._modules[name] for name, each in children.items()):
        return module
    made = copy.copy(module)
    made._modules = {**module._modules, **children}
    return made
