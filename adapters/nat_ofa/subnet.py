"""``{"ks": […], "e": […], "d": […]}``: a network within OFA-MobileNetV3, as its searches and ``sample_active_subnet``
print it.

Source: ``ofa/imagenet_classification/elastic_nn/networks/ofa_mbv3.py`` of mit-han-lab/once-for-all. Five stages of up
to four blocks; a stage of depth d has the first d of its four kernels and expansions, what is behind them says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nat_ofa.ops import divisible
from nat_ofa.plan import EXPANSIONS, KERNELS, Block, ModelPlan, conv_layers
from nat_plugin import NATError
from nat_plugin.extending import Patches
from nat_plugin.ir import SKIP, Conv, Edge

FIELDS = ("ks", "e", "d")
STAGES, DEPTH, LEAST = 5, 4, 2
WIDTHS = {16: 1.0, 24: 1.2}
"""Channels of the first convolution, and the width multiplier that makes them."""
CLASSES = 1000
_CHANNELS = (16, 16, 24, 40, 80, 112, 160)
_LAST = (960, 1280)
_STRIDES = (2, 2, 2, 1, 2)
_ACTS = ("relu", "relu", "h_swish", "h_swish", "h_swish")
_SQUEEZES = (False, True, False, True, True)


def is_subnet(value: object) -> bool:
    return isinstance(value, dict) and all(field in value for field in FIELDS)


def read_subnet(value: Mapping[str, Any], channels: int | None) -> ModelPlan:
    """``channels`` of the first convolution: 16 (width 1.0, the default) or 24 (width 1.2). Raises NATError that names
    the entry."""
    kernels = _list(value, "ks", STAGES * DEPTH, KERNELS)
    expansions = _list(value, "e", STAGES * DEPTH, EXPANSIONS)
    depths = _list(value, "d", STAGES, range(LEAST, DEPTH + 1))
    if value.get("wid") is not None:
        raise NATError(
            f"wid: {value['wid']!r:.40} is not read, only null; --channels says the width: 16 (1.0), 24 (1.2)"
        )
    width = WIDTHS.get(channels or 16)
    if width is None:
        raise NATError(f"channels: OFA-MobileNetV3 has 16 (width 1.0) or 24 (width 1.2), not {channels}")
    widths = [divisible(each * width) for each in _CHANNELS]
    expand, mix = (divisible(each * width) for each in _LAST)
    first = Block("first", widths[0], widths[1], 1, 3, widths[0], activation="relu", shortcut=widths[0] == widths[1])
    blocks, c_in = [first], widths[1]
    for stage, depth in enumerate(depths):
        c_out = widths[stage + 2]
        for number in range(depth):
            at = stage * DEPTH + number
            hidden = {ratio: divisible(round(c_in * ratio)) for ratio in EXPANSIONS}
            block = Block(f"{at}", c_in, c_out, 1 if number else _STRIDES[stage], kernels[at], hidden[expansions[at]])
            block = replace(block, squeeze=_SQUEEZES[stage], activation=_ACTS[stage], shortcut=number > 0)
            blocks.append(replace(block, removable=number >= LEAST, ratios=tuple(hidden.items())))
            c_in = c_out
    stem = conv_layers(Conv(3, widths[0], (3, 3), (2, 2)), "h_swish")
    wide = conv_layers(Conv(c_in, expand), "h_swish")
    return ModelPlan(stem, tuple(blocks), wide, conv_layers(Conv(expand, mix), "h_swish", norm=False))


def size_of(value: Mapping[str, Any]) -> int | None:
    """The side of an image: ``r``, a number or a list of one."""
    size = value.get("r")
    if isinstance(size, list | tuple) and len(size) == 1:
        size = size[0]
    return size if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 100_000 else None


def put_subnet(patches: Patches, value: Mapping[str, Any], plan: ModelPlan, edges: Mapping[str, Edge]) -> None:
    """Write what became of the blocks. Those of a stage that are left follow one another from its first place on."""
    by_key = {block.key: block for block in plan.blocks}
    for stage in range(STAGES):
        kept = [
            at for at in range(stage * DEPTH, (stage + 1) * DEPTH) if f"{at}" in edges and edges[f"{at}"].op != SKIP
        ]
        for place, at in enumerate(kept, start=stage * DEPTH):
            op, ratios = edges[f"{at}"].op, by_key[f"{at}"].ratios
            ratio = value["e"][at]
            if op.values["m"] != by_key[f"{at}"].hidden:
                ratio = next(each for each, hidden in ratios if hidden == op.values["m"])
            for field, new in (("ks", op.values["k"]), ("e", ratio)):
                if value[field][place] != new:
                    patches.put((field, place), str(new))
        if len(kept) != value["d"][stage]:
            patches.put(("d", stage), str(len(kept)))


def _list(value: Mapping[str, Any], field: str, count: int, allowed: tuple[int, ...] | range) -> list[int]:
    found = value[field]
    if not isinstance(found, list | tuple) or len(found) != count:
        have = f"{len(found)} entries" if isinstance(found, list | tuple) else f"{found!r:.40}"
        raise NATError(
            f"{field}: OFA-MobileNetV3 has {count} entries, not {have}; of other supernets give the net.config, which "
            "lists every layer"
        )
    for number, each in enumerate(found):
        if isinstance(each, bool) or not isinstance(each, int) or each not in allowed:
            listed = ", ".join(map(str, sorted(allowed)))
            raise NATError(f"{field}, entry {number}: {each!r:.40} is not known; allowed: {listed}")
    return list(found)
