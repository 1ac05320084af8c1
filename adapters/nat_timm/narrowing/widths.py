"""Narrower models: fewer channels of groups that go together, with the weights that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from nat_plugin import NATError
from nat_plugin.ir import Shape
from nat_timm.building.build import input_size
from nat_timm.documents.document import Document
from nat_timm.documents.edits import Edit
from nat_timm.models import adapt, document_of, rebuilt, unmoved_document
from nat_timm.reading.coupling import ChannelGroup, Coupling, coupling
from nat_timm.reading.trace import Trace, trace


@dataclass(frozen=True)
class Width:
    """A group of channels of a model: ``name`` is the path of the first layer that makes them; ``now`` of ``built`` are
    left, of which only multiples of ``unit`` can stay."""

    name: str
    built: int
    now: int
    unit: int
    group: ChannelGroup

    def edit(self, keep: int) -> Edit:
        return Edit("width", tuple(map(str, self.group.uses)), keep)


def widths(model: nn.Module, input: Shape | None = None) -> dict[str, Width]:
    """The groups of a timm model whose number of channels can change, by name, in order of execution."""
    found = document_of(model)
    return widths_of(coupling_of(model, found, input)[1], found)


def widths_of(coupled: Coupling, found: Document) -> dict[str, Width]:
    """The groups of what a document says, as it was built, with the widths that it says."""
    given = {edit.at: edit.value for edit in found.edits if edit.op == "width" and isinstance(edit.value, int)}
    made = [Width(each.name, each.size, each.size, each.unit, each) for each in coupled.free]
    return {each.name: replace(each, now=given.get(each.edit(each.built).at, each.built)) for each in made}


def narrowed(model: nn.Module, wanted: Mapping[str, int], input: Shape | None = None) -> nn.Module:
    """A copy of a timm model with fewer channels of some groups (``widths`` has their names): the important ones stay,
    with their weights. NATError for a name or a number that cannot be, and for a model that was moved already."""
    found = unmoved_document(model)
    return narrowed_by(model, found, widths_of(coupling_of(model, found, input)[1], found), wanted)


def narrowed_by(model: nn.Module, before: Document, known: Mapping[str, Width], wanted: Mapping[str, int]) -> nn.Module:
    """``narrowed`` of a model whose document and groups are known."""
    edits = {edit.at: edit for edit in before.edits}
    new = []
    for name, keep in wanted.items():
        edit = _edit(known, name, keep, before.architecture)
        if keep != known[name].now:
            edits[edit.at] = edit
            new.append(edit)
    return adapt(model, before, new, tuple(edits.values()))


def coupling_of(model: nn.Module, found: Document, input: Shape | None = None) -> tuple[Trace, Coupling]:
    """What of the channels of a model goes together, as it was built, and its graph."""
    built = found.with_edits(tuple(edit for edit in found.edits if edit.op == "stride"))
    bare = rebuilt(model, built, device="meta")
    traced = trace(bare, input or input_size(model), found.architecture)
    return traced, coupling(traced)


def _edit(known: Mapping[str, Width], name: str, keep: int, model: str) -> Edit:
    found = known.get(name)
    if found is None:
        raise NATError(f"{model}: no group of channels is called '{name[:60]}'; nat_timm.widths(model) lists them")
    if type(keep) is not int or not 0 < keep <= found.now or keep % found.unit:
        what = f"a multiple of {found.unit}" if found.unit > 1 else "a number"
        raise NATError(f"{model}: '{name}' has {found.now} channels; {what} up to that can stay, not {keep!r:.40}")
    return found.edit(keep)
