"""What the ops of a component are called: ``mbconv_k5_e6_se``, ``conv2_k3``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is slow to import, and the kind of op needs only the names
    from nat_timm.moves.variants import Component, Knob
    from nat_timm.reading.units import ModelUnit

MERGED = "merged-"
"""What the names of operations in the place of a part of a block begin with."""


def base_name(unit: ModelUnit, component: Component, alone: bool) -> str:
    """What all settings of a component have in common: the kind of block, or a path in it."""
    if alone and unit.is_block:
        return unit.label
    path = component.knobs[0].paths[0]
    inside = path.removeprefix(unit.path + ".") if unit.is_block else unit.label
    inside = "".join(letter if letter.isalnum() or letter == "." else "_" for letter in inside)
    return inside if inside[0].isalpha() else f"{unit.label}.{inside}"


def setting_name(base: str, unit: ModelUnit, knobs: tuple[Knob, ...], settings: tuple[int, ...]) -> str:
    """The base, then kernels, hidden channels and gates in order of execution; 0 says that a layer is left out."""
    by_kind: dict[str, list[str]] = {}
    for knob, value in zip(knobs, settings, strict=True):
        by_kind.setdefault(knob.kind, []).append(_word(unit, knob, value))
    words = [base]
    if "kernel" in by_kind:
        words.append("k" + ".".join(by_kind["kernel"]))
    for kind in ("hidden", "gate"):
        words += by_kind.get(kind, [])
    return "_".join(words)


def _word(unit: ModelUnit, knob: Knob, value: int) -> str:
    if knob.kind == "kernel":
        return str(value)
    if knob.kind == "gate":
        return "se" if value else "se0"
    shape = unit.reads[0].meta["shape"] if unit.reads else None
    channels = shape[1] if shape else 0
    return f"e{value / channels:.6g}" if channels else f"w{value}"


def is_dropped(before: str, after: str) -> bool:
    """Whether one name says the same as another, but for layers that are left out: a move of NAT's on a part."""
    old, new = before.split("_"), after.split("_")
    if len(old) != len(new) or old == new:
        return False
    return all(
        old_word == new_word or _is_zeroed(old_word, new_word) for old_word, new_word in zip(old, new, strict=True)
    )


def is_grown(before: str, after: str) -> bool:
    """Whether a part is larger in another setting of the same component, or back where it was left out."""
    old, new = before.split("_"), after.split("_")
    return len(old) == len(new) and any(
        new_size > old_size for a, b in zip(old, new, strict=True) for old_size, new_size in _sizes(a, b)
    )


def _sizes(before: str, after: str) -> list[tuple[float, float]]:
    """Kernels, hidden channels or gates of two words that stand in the same place."""
    if (before, after) in (("se0", "se"), ("se", "se0")):
        return [(float(before == "se"), float(after == "se"))]
    if before == after or before[:1] != after[:1] or before[:1] not in ("k", "e", "w"):
        return []
    old, new = ([before[1:]], [after[1:]]) if before[:1] != "k" else (before[1:].split("."), after[1:].split("."))
    return [(float(old_size), float(new_size)) for old_size, new_size in zip(old, new, strict=True)]


def _is_zeroed(before: str, after: str) -> bool:
    if before[:1] == "k" == after[:1]:
        old, new = before[1:].split("."), after[1:].split(".")
        return len(old) == len(new) and all(
            new_size in (old_size, "0") for old_size, new_size in zip(old, new, strict=True)
        )
    return (before, after) == ("se", "se0")
