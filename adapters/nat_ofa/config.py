"""``net.config`` of Once-for-All and ProxylessNAS: JSON that lists every layer of a network.

Sources: ``config`` and ``build_from_config`` of ``ofa/imagenet_classification/networks/mobilenet_v3.py`` and
``proxyless_nets.py`` and of ``ofa/utils/layers.py`` of mit-han-lab/once-for-all; the same of mit-han-lab/ProxylessNAS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nat_ofa.ops import ACTIVATIONS
from nat_ofa.plan import EXPANSIONS, Block, ModelPlan, conv_layers
from nat_plugin import NATError
from nat_plugin.extending import Patches
from nat_plugin.ir import SKIP, Conv, Edge, Layer

FIELDS = ("first_conv", "blocks", "classifier")
MAX_BLOCKS = 200
_CONVS = ("mobile_inverted_conv", "conv")
"""What blocks call their inside: older and newer files."""
_INVERTED = ("MBInvertedConvLayer", "MBConvLayer")
_LARGEST = 100_000


def is_config(value: object) -> bool:
    return isinstance(value, dict) and all(field in value for field in FIELDS)


def read_config(value: Mapping[str, Any]) -> ModelPlan:
    """Raises NATError that names the field."""
    stem = _conv(value["first_conv"], "first_conv")
    blocks = value["blocks"]
    if not isinstance(blocks, list | tuple) or not 1 <= len(blocks) <= MAX_BLOCKS:
        raise NATError(f"blocks: expected a list of 1 to {MAX_BLOCKS} blocks")
    found = [_block(block, f"blocks/{number}", number) for number, block in enumerate(blocks)]
    wide: tuple[Layer, ...] = ()
    narrow: tuple[Layer, ...] = ()
    last, mix = value.get("final_expand_layer"), value.get("feature_mix_layer")
    if last is not None:  # MobileNetV3 pools between these two
        wide = _conv(last, "final_expand_layer")
        narrow = _conv(mix, "feature_mix_layer") if mix is not None else ()
    elif mix is not None:
        wide = _conv(mix, "feature_mix_layer")
    _plain(_object(value["classifier"], "classifier"), "classifier", {"bias": (True,), "use_bn": (False,)})
    _check_chain(value, found)
    return ModelPlan(stem, tuple(found), wide, narrow)


def classes_of(value: Mapping[str, Any]) -> int:
    return _number(value["classifier"], "classifier", "out_features")


def size_of(value: Mapping[str, Any]) -> int | None:
    """The side of an image, where a file says it."""
    size = next((value[name] for name in ("resolution", "image_size") if name in value), None)
    return size if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= _LARGEST else None


def put_blocks(patches: Patches, value: Mapping[str, Any], blocks: Sequence[Block], edges: Mapping[str, Edge]) -> None:
    """Write what became of the blocks: other kernels and expansions in their place, those left out removed."""
    kept = []
    for number, block in enumerate(blocks):
        op = edges[block.key].op
        if op == SKIP and block.op != SKIP:
            continue
        kept.append(number)
        if op == block.op:
            continue
        inside = next(name for name in _CONVS if name in value["blocks"][number])
        at = ("blocks", number, inside)
        layer, hidden = value["blocks"][number][inside], int(op.values["m"])
        if op.values["k"] != block.kernel:
            patches.put((*at, "kernel_size"), str(op.values["k"]))
        if hidden != block.hidden:
            ratio = next(ratio for ratio, channels in block.ratios if channels == hidden)
            patches.put((*at, "expand_ratio"), str(ratio))
            if layer.get("mid_channels") is not None:
                patches.put((*at, "mid_channels"), str(hidden))
    if len(kept) < len(blocks):
        patches.keep(("blocks",), kept)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NATError(f"{where}: expected an object, not {value!r:.60}")
    return value


def _number(value: object, where: str, name: str, default: int | None = None) -> int:
    found = _object(value, where).get(name, default)
    if isinstance(found, list | tuple) and len(found) in (1, 2) and len(set(map(repr, found))) == 1:
        found = found[0]  # older files write [16], and [3, 3] for a kernel
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= _LARGEST:
        raise NATError(f"{where}/{name}: expected a whole number from 1 to {_LARGEST:,}, not {found!r:.40}")
    return found


def _act(layer: Mapping[str, Any], where: str, default: str | None) -> str | None:
    act = layer.get("act_func", default)
    if act is not None and (not isinstance(act, str) or act not in ACTIVATIONS):
        raise NATError(f"{where}/act_func: {act!r:.40} is not known; allowed: null, {', '.join(ACTIVATIONS)}")
    return act


def _flag(layer: Mapping[str, Any], where: str, name: str, default: bool) -> bool:
    found = layer.get(name, default)
    if not isinstance(found, bool):
        raise NATError(f"{where}/{name}: expected true or false, not {found!r:.40}")
    return found


def _plain(layer: Mapping[str, Any], where: str, plain: Mapping[str, tuple[object, ...]]) -> None:
    """NATError for a value with which a layer would be another one than what is read."""
    for name, allowed in plain.items():
        if name in layer and layer[name] not in allowed:
            raise NATError(f"{where}/{name}: {layer[name]!r:.40} is not supported, only {allowed[0]!r}")


def _conv(value: object, where: str) -> tuple[Layer, ...]:
    layer = _object(value, where)
    plain = {
        "name": ("ConvLayer",), "dilation": (1,), "groups": (1,), "has_shuffle": (False,), "use_se": (False,),
        "ops_order": ("weight_bn_act",),
    }  # fmt: skip
    _plain(layer, where, plain)
    c_in, c_out = _number(layer, where, "in_channels"), _number(layer, where, "out_channels")
    kernel, stride = _kernel(layer, where), _stride(layer, where)
    norm, bias = _flag(layer, where, "use_bn", True), _flag(layer, where, "bias", False)
    act = _act(layer, where, "relu")
    return conv_layers(Conv(c_in, c_out, (kernel, kernel), (stride, stride), bias=bias), act, norm)


def _kernel(layer: Mapping[str, Any], where: str) -> int:
    kernel = _number(layer, where, "kernel_size")
    if kernel % 2 == 0 or kernel > 63:
        raise NATError(f"{where}/kernel_size: {kernel} is not supported, only odd ones up to 63")
    return kernel


def _stride(layer: Mapping[str, Any], where: str) -> int:
    stride = _number(layer, where, "stride", 1)
    if stride > 2:
        raise NATError(f"{where}/stride: {stride} is not supported, only 1 and 2")
    return stride


def _block(value: object, where: str, number: int) -> Block:
    block = _object(value, where)
    inside = next((name for name in _CONVS if name in block), None)
    if inside is None:
        raise NATError(
            f"{where}: {str(block.get('name'))[:60]!r} is not supported; blocks of MobileNetV3 and ProxylessNAS have "
            f"'{_CONVS[0]}' or '{_CONVS[1]}'"
        )
    shortcut = block.get("shortcut")
    if shortcut is not None and _object(shortcut, f"{where}/shortcut").get("name") not in (
        "IdentityLayer",
        "ZeroLayer",
    ):
        raise NATError(f"{where}/shortcut: only IdentityLayer and null are supported")
    adds = shortcut is not None and shortcut.get("name") == "IdentityLayer"
    inner = block[inside]
    if inner is None or _object(inner, f"{where}/{inside}").get("name") == "ZeroLayer":
        return Block(where, 0, 0, 1)
    return _inverted(inner, f"{where}/{inside}", where, adds, number)


def _inverted(layer: Mapping[str, Any], where: str, key: str, adds: bool, number: int) -> Block:
    _plain(layer, where, {"name": _INVERTED, "groups": (None,)})
    c_in, c_out = _number(layer, where, "in_channels"), _number(layer, where, "out_channels")
    if "expand_ratio" not in layer:
        raise NATError(f"{where}: expand_ratio is missing")
    stride, ratio, mid = _stride(layer, where), layer["expand_ratio"], layer.get("mid_channels")
    if mid is None and (not isinstance(ratio, int | float) or isinstance(ratio, bool) or not 0 < ratio <= 64):
        raise NATError(f"{where}/expand_ratio: expected a number up to 64, not {ratio!r:.40}")
    hidden = round(c_in * ratio) if mid is None else _number(layer, where, "mid_channels")
    if (ratio == 1) != (hidden == c_in):
        raise NATError(f"{where}: {hidden} hidden channels of {c_in} and expand_ratio {ratio!r:.20} do not go together")
    keeps = c_in == c_out and stride == 1
    if adds and not keeps:
        raise NATError(f"{key}/shortcut: the block changes the shape, so its input cannot be added")
    activation = _act(layer, where, "relu6")
    if activation is None:
        raise NATError(f"{where}/act_func: a block without activations is not supported")
    wider = isinstance(ratio, int | float) and ratio != 1
    return Block(
        key,
        c_in,
        c_out,
        stride,
        _kernel(layer, where),
        hidden,
        squeeze=_flag(layer, where, "use_se", False),
        activation=activation,
        shortcut=adds,
        removable=keeps and number > 0,
        ratios=tuple((each, round(c_in * each)) for each in EXPANSIONS) if wider else (),
    )


def _check_chain(value: Mapping[str, Any], blocks: list[Block]) -> None:
    """Give blocks without layers the channels that reach them. NATError where a layer gets other channels than it
    takes."""
    channels = _number(value["first_conv"], "first_conv", "out_channels")
    for number, block in enumerate(blocks):
        if block.kernel is None:
            blocks[number] = Block(block.key, channels, channels, 1)
        elif block.c_in != channels:
            raise NATError(f"{block.key}: it takes {block.c_in} channels and gets {channels}")
        channels = blocks[number].c_out
    for name in ("final_expand_layer", "feature_mix_layer"):
        if value.get(name) is not None:
            if _number(value[name], name, "in_channels") != channels:
                raise NATError(f"{name}: it takes {value[name]['in_channels']!r:.20} channels and gets {channels}")
            channels = _number(value[name], name, "out_channels")
    if _number(value["classifier"], "classifier", "in_features") != channels:
        raise NATError(f"classifier: it takes {value['classifier']['in_features']!r:.20} features and gets {channels}")
