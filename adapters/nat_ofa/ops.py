"""The blocks of Once-for-All and ProxylessNAS as operations.

Source: ``ofa/utils/layers.py`` (``MBConvLayer``) and ``ofa/utils/pytorch_modules.py`` (``SEModule``) of
mit-han-lab/once-for-all. Inverted residuals in which a squeeze-excite narrows the hidden channels to a quarter of
themselves; a pointwise convolution widens the input unless there are as many hidden channels as input channels.
"""

from __future__ import annotations

from nat_plugin.ir import Act, Attributes, Conv, Layer, Norm, Op, OpKind, Site, SqueezeExcite

ACTIVATIONS = {"relu": "relu", "relu6": "relu6", "h_swish": "hardswish", "swish": "silu"}
"""Of the projects, and what the IR calls them."""
_DIVISOR = 8


def divisible(value: float, divisor: int = _DIVISOR) -> int:
    """The nearest multiple of the divisor that is not less than nine tenths of the value."""
    found = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return found + divisor * (found < 0.9 * value)


def block_op(kernel: int, hidden: int, squeeze: bool, activation: str, residual: bool) -> Op:
    """``activation`` as the IR calls it; ``residual``: the input is added where the shape is kept."""
    values = (("k", kernel), ("m", hidden), ("se", int(squeeze)), ("act", activation))
    return Op("ofa_mb" if residual else "ofa_mb_plain", values)


def _layers(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    kernel, hidden = int(attributes["k"]), int(attributes["m"])
    act = Act(str(attributes["act"]))
    layers: tuple[Layer, ...] = ()
    if hidden != site.c_in:
        layers += (Conv(site.c_in, hidden), Norm(hidden), act)
    layers += (Conv(hidden, hidden, (kernel, kernel), (site.stride, site.stride), groups=hidden), Norm(hidden), act)
    if attributes["se"]:
        layers += (SqueezeExcite(hidden, divisible(hidden // 4)),)
    return (*layers, Conv(hidden, site.c_out), Norm(site.c_out))


def _valid(attributes: Attributes) -> bool:
    kernel, hidden, squeeze = attributes["k"], attributes["m"], attributes["se"]
    whole = isinstance(hidden, int) and 1 <= hidden <= 10**6
    return kernel in range(1, 64, 2) and whole and squeeze in (0, 1) and attributes["act"] in ACTIVATIONS.values()


def _grows(before: Attributes, after: Attributes) -> bool:
    return any(float(after[name]) > float(before[name]) for name in ("k", "m", "se"))


def _kind(name: str, residual: bool) -> OpKind:
    template = f"{name}_k{{k}}_m{{m}}_se{{se}}_{{act:word}}"
    return OpKind(name, template, _layers, order=0, residual=residual, valid=_valid, grows=_grows)


KINDS = (_kind("ofa_mb", residual=True), _kind("ofa_mb_plain", residual=False))
