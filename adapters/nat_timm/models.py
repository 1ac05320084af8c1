"""Models with weights: as networks, and moved with their weights inherited."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nat_plugin import NATError
from nat_plugin.extending import read_shape
from nat_plugin.ir import Network, Shape, Slot
from nat_timm.building.build import arguments, has_fixed_size, input_size
from nat_timm.building.comparing import ModuleDifference, module_that_differs
from nat_timm.building.entrypoint import attach, base_config, plain
from nat_timm.building.features import apply_with_features
from nat_timm.documents.document import EDITED, Document, document
from nat_timm.documents.edits import ADAPTATIONS, FITTED, Edit
from nat_timm.framework import create
from nat_timm.moves.products import padded_chains
from nat_timm.networks import moved_document, network_of, reading_for, reading_of
from nat_timm.reading.trace import to_meta, trace
from nat_timm.surgery.apply import UNDONE, apply_edits, undo

CURRENT = ("num_classes", "in_chans", "img_size", "global_pool")
"""Arguments that a model may have others of than it was made with; timm notes them when it saves."""
_OURS = ("base", "edits", "device")


def to_network(
    model: nn.Module, input: Shape | None = None, model_args: Mapping[str, Any] | None = None, *, fits: bool = False
) -> Network:
    """A timm model, pretrained or trained, as a network for images of ``input`` (default: what its pretrained_cfg
    says). A moved model offers only moves whose weights it still has.

    ``model_args``: the arguments of ``timm.create_model`` that made it, if timm did not record them. ``fits``: whether
    fitted operations can replace blocks (``nat_timm.fit``). NATError if the arguments do not give this model, or if
    nothing in it can be edited.
    """
    found = document_of(model, model_args)
    found = replace(found, fits=found.fits or fits)
    own = input_size(model)
    size = own if input is None else read_shape(input)
    classes = int(getattr(model, "num_classes", 0))
    own_channels = int(getattr(model, "in_chans", size[0]))
    if size[0] != own_channels:
        raise NATError(f"{found.architecture}: the model takes images of {own_channels} channels, not {size[0]}")
    if has_fixed_size(model) and size != own:
        raise NATError(
            f"{found.architecture}: the model takes images of {own[1]}x{own[2]} pixels, not {size[1]}x{size[2]}; "
            f"one made with img_size=({size[1]}, {size[2]}) takes those"
        )
    if classes < 1:
        raise NATError(
            f"{found.architecture}: the model has no classifier (num_classes=0); reset_classifier gives it one"
        )
    _check_same(model, found)
    if model_args is not None:
        attach(model, found)
    return _able(network_of(found, reading_of(found, size, classes), found.render()), found)


def _able(network: Network, found: Document) -> Network:
    """Without choices that need weights which a moved model has lost."""
    if set(found.edits) == adapted(found):
        return network
    meanings = reading_for(network)[1].meanings
    cells = []
    for name, cell in network.cells:
        edges = list(cell.edges)
        for number, edge in enumerate(edges):
            meant = meanings.get(Slot(name, number), {})
            stay = tuple(op for op in edge.choices if op not in meant or lost(meant[edge.op], meant[op]) is None)
            edges[number] = replace(edge, choices=stay)
        cells.append((name, replace(cell, edges=tuple(edges))))
    return replace(network, cells=tuple(cells))


def inherit(model: nn.Module, network: Network) -> nn.Module:
    """A copy of ``model`` moved to ``network``, which was read from it: the remaining layers have the weights of the
    model, cut to size, with its mode (training or not) and device. Without moves it is an exact copy."""
    after = moved_document(network)
    moved = make_moves(copy.deepcopy(model), after, apply_with_features)
    attach(moved, after)
    if after.edits:
        config = getattr(moved, "pretrained_cfg", None) or base_config(after.architecture) or {}
        moved.pretrained_cfg = {**config, "architecture": EDITED}  # type: ignore[assignment]
        moved.default_cfg = moved.pretrained_cfg  # timm's older name for it
    return moved


def adapt(model: nn.Module, before: Document, new: Sequence[Edit], edits: Sequence[Edit]) -> nn.Module:
    """A copy of a model, made from ``before``, with ``new`` edits that moves start from; ``edits``: all that it has
    then."""
    made = copy.deepcopy(model)
    apply_with_features(made, new, before.architecture)
    attach(made, before.with_edits(tuple(edits)))
    if edits:
        config = getattr(made, "pretrained_cfg", None) or base_config(before.architecture) or {}
        made.pretrained_cfg = {**config, "architecture": EDITED}  # type: ignore[assignment]
        made.default_cfg = made.pretrained_cfg  # timm's older name for it
    return made


def linearised(model: nn.Module, activations: Sequence[str], *, padding_first: bool = False) -> nn.Module:
    """A copy of a timm model without the activations at these paths, for tuning. Convolutions in a block without an
    activation in between are one convolution, which ``fits`` offer and ``nat_timm.fit`` merges exactly. Two spatial
    convolutions cannot be merged because of the zero padding of the second one: ``padding_first`` moves all padding to
    the first one, which changes values at the border. NATError for a path that is not an activation, and for a model
    that was moved already."""
    before = unmoved_document(model)
    edit = Edit("linear", tuple(activations))
    if isinstance(activations, str) or not edit.at or not all(isinstance(each, str) for each in edit.at):
        raise NATError(f"{before.architecture}: give a list of paths of activations, not {activations!r:.60}")
    made = adapt(model, before, [edit], [*before.edits, edit])
    if not padding_first:
        return made
    graph = trace(to_meta(made), input_size(made), before.architecture)
    chains = [Edit("padding", chain) for chain in padded_chains(graph, activations)]
    return adapt(made, document_of(made), chains, [*before.edits, edit, *chains]) if chains else made


def unmoved_document(model: nn.Module) -> Document:
    """What a model was made from. NATError if it was moved: what is adapted has to be there."""
    found = document_of(model)
    moved = next((edit for edit in found.edits if edit.op not in ADAPTATIONS), None)
    if moved is not None:
        raise NATError(
            f"{found.architecture}: widths and what else moves start from come before moves, and this model was moved "
            f"('{moved}')"
        )
    return found


def make_moves(
    model: nn.Module,
    after: Document,
    apply: Callable[[nn.Module, Sequence[Edit], str], object],
    before: Document | None = None,
) -> nn.Module:
    """Change a model in place to what a document says, by ``apply`` of the edits that it lacks; returns it. ``before``:
    what it was made from, for a part of a model, which cannot say so. NATError if the document is of another model."""
    before = before or document_of(model)
    if (before.architecture, adapted(before)) != (after.architecture, adapted(after)):
        raise NATError(f"the network was read from '{after.architecture}', the model is '{before.architecture}'")
    gone = lost(before.edits, after.edits)
    if gone is not None:
        raise NATError(
            f"{before.architecture}: after '{gone}' the model no longer has the weights that this move needs"
        )
    for edit in before.edits:
        if edit not in after.edits:
            undo(model, edit)
    apply(model, tuple(edit for edit in after.edits if edit not in before.edits), after.architecture)
    return model


def lost(before: Sequence[Edit], after: Sequence[Edit]) -> Edit | None:
    """A cut that a moved model has had and that ``after`` takes back: its weights are gone. None where there is none:
    what is cut further, or replaced, needs them no more."""
    cut = {(edit.op, edit.at) for edit in after}
    replaced = [path for edit in after if edit.op in ("null", FITTED) for path in edit.at]
    kept = (edit for edit in before if edit.op not in UNDONE and (edit.op, edit.at) not in cut)
    return next((edit for edit in kept if not all(_is_in(path, replaced) for path in edit.paths)), None)


def _is_in(path: str, places: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{place}.") for place in places)


def shell(module: nn.Module, known: dict[nn.Module, nn.Module] | None = None) -> nn.Module:
    """A copy with modules and buffers of its own that holds the very parameters of ``module``. It is many times faster
    than ``copy.deepcopy``, which also copies every empty dict of hooks."""
    known = {} if known is None else known
    if module not in known:
        made = known[module] = module.__new__(type(module))
        children = {name: child and shell(child, known) for name, child in module._modules.items()}
        buffers = {name: value if value is None else value.clone() for name, value in module._buffers.items()}
        parts = {"_parameters": dict(module._parameters), "_buffers": buffers, "_modules": children}
        vars(made).update({**vars(module), **parts})  # past the slow __setattr__ of modules
    return known[module]


def adapted(found: Document) -> frozenset[Edit]:
    return frozenset(edit for edit in found.edits if edit.op in ADAPTATIONS)


def document_of(model: nn.Module, model_args: Mapping[str, Any] | None = None) -> Document:
    """What a model was made from: noted by us, or by timm. NATError for a model that is not timm's."""
    noted = getattr(model, "nat_document", None) if model_args is None else None
    args = plain(getattr(model, "_model_args", {}) if model_args is None else model_args)
    kept = {key: value for key, value in args.items() if key not in (*CURRENT, *_OURS)}
    if isinstance(noted, Document):  # reset_classifier and the like change what timm noted
        return document(noted.architecture, {**noted.model_args, **kept}, noted.edits, noted.fits)
    config = getattr(model, "pretrained_cfg", None) or {}
    name = config.get("architecture")
    if not name:
        raise NATError("the model has no pretrained_cfg with its architecture: make it with timm.create_model")
    return document(name, kept)


def rebuilt(model: nn.Module, found: Document, device: str | None = None) -> nn.Module:
    """What timm builds from a document, with the classes, channels, size and pool that a model has now."""
    args = arguments(found, input_size(model), int(getattr(model, "num_classes", 0)))
    pool = global_pool(model)
    made: nn.Module = create(found.architecture, args if pool is None else {**args, "global_pool": pool}, device)
    return apply_edits(made, found.edits, found.architecture)


def global_pool(model: nn.Module) -> str | None:
    """The kind of pooling that a model has now, where it says so; of heads that pool it is theirs."""
    for holder in (getattr(model, "head", None), model):
        for name in ("global_pool", "pool_type"):
            found = getattr(holder, name, None)
            found = getattr(found, "pool_type", found)
            if isinstance(found, str):
                return found
    return None


def check_weights(model: nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """NATError of one line that says what of the weights does not fit a model, and how many."""
    own = model.state_dict()
    wrong = [key for key in own if key in state and state[key].shape != own[key].shape]
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    for what, keys in (("lacks", missing), ("has, but the model has not,", unknown), ("has in another shape", wrong)):
        if keys:
            raise NATError(
                f"{name}: these are weights of another model: the file {what} {keys[0]} ({len(keys)} in all)"
            )


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Load strictly; see ``check_weights``."""
    check_weights(model, state, name)
    model.load_state_dict(state)


def classifier_advice(model: nn.Module, differs: ModuleDifference) -> str | None:
    """What to do about a classifier that was put into a model by hand; None where something else differs."""
    heads = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
    if not isinstance(differs.mine, nn.Linear) or differs.path not in ((heads,) if isinstance(heads, str) else heads):
        return None
    classes = differs.mine.out_features
    if classes == getattr(model, "num_classes", None):
        return f"a model gets another classifier by reset_classifier({classes})"
    return f"a model with another classifier says so: model.num_classes = {classes}"


def _check_same(model: nn.Module, found: Document) -> None:
    differs = module_that_differs(model, rebuilt(model, found, device="meta"))
    if differs is None:
        return
    advice = classifier_advice(model, differs) or (
        "what timm did not build is not read"
        if hasattr(model, "_model_args")
        else "if it was made with other arguments, give them once: nat_timm.to_network(model, model_args={...})"
    )
    raise NATError(
        f"the model is not what timm builds as '{found.architecture}' with {found.args}: {differs}; {advice}"
    )
