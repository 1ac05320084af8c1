"""Layers that read what was cut before them: they can be fitted to what they gave before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_timm.documents.edits import Edit
from nat_timm.fitting.layers import DENSE, as_map, is_plain
from nat_timm.fitting.probing import RecordedCall
from nat_timm.reading.parts import GATES

RECORDED = (*DENSE, _BatchNorm)
"""Modules whose calls say what reads a cut."""
_CUTS = ("hidden", "kernel", "skip", "drop")
_GONE = ("skip", "drop")


def readers_of(model: nn.Module, edits: Iterable[Edit], order: Sequence[RecordedCall], norms: bool) -> set[str]:
    """The paths of the first dense layer at or behind each cut in the same block that gives as many channels as it did;
    ``model``: with the edits or without, of which ``order`` is. ``norms``: a layer without a bias may be one whose
    norm, which comes next, takes what a bias would."""
    edits, found = list(edits), set()
    passed_over = {path for path, module in model.named_modules() if type(module).__name__ in GATES}
    passed_over |= {path for edit in edits if edit.op in _GONE for path in edit.at}
    times = Counter(call.path for call in order)
    fewer = {path for edit in edits if edit.op == "hidden" for path in edit.at[:-1]}  # what they gave has more channels
    for start in starts_of(edits):
        block = start.rpartition(".")[0]
        first = next((at for at, call in enumerate(order) if call.path == start), len(order))
        for at in range(first, len(order)):
            call = order[at]
            if not block or not call.path.startswith(block + "."):
                break
            if not isinstance(call.module, DENSE) or getattr(call.module, "groups", 1) > 1 or call.path in fewer:
                continue
            if _is_in(call.path, passed_over) or _pixels(call) == 1 < _pixels(order[first]):  # it reads the mean
                continue
            is_normed = norms and at + 1 < len(order) and isinstance(order[at + 1].module, _BatchNorm)
            if is_plain(call.module) and times[call.path] == 1 and (is_normed or call.module.bias is not None):
                found.add(call.path)
            break
    return found


def _is_in(path: str, places: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{place}.") for place in places)


def _pixels(call: RecordedCall) -> int:
    """Of what goes in."""
    return as_map(call.module, call.given)[0, 0].numel()


def starts_of(edits: Iterable[Edit]) -> list[str]:
    """The path of the module of each cut from which on what reads it may stand."""
    return [edit.at[-1] if edit.op == "hidden" else edit.at[0] for edit in edits if edit.op in _CUTS]
