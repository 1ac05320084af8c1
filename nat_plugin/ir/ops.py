"""Operations: a kind and its attributes, with a canonical text form (``sep_conv_3x3``, ``mbconv_k5_e6_se0.25``).

A kind says, as data, which layers it consists of at a given site; costs, descriptions and modules follow from those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import (
    Act,
    Conv,
    FactorizedReduce,
    Layer,
    Norm,
    Opaque,
    Pool,
    Shape,
    SqueezeExcite,
    run_layers,
)
from nat_plugin.ir.values import CachedHash

Value: TypeAlias = int | float | str
Attributes: TypeAlias = Mapping[str, Value]


class Role(Enum):
    """What a transition rule may take an op for."""

    OPERATION = "operation"
    SKIP = "skip"
    NULL = "null"


@dataclass(frozen=True)
class Site:
    """Where an op stands: channels in and out, stride, size of its input, and the number of its placement, from 0."""

    c_in: int
    c_out: int
    stride: int
    height: int
    width: int
    ordinal: int = 0

    @property
    def keeps_shape(self) -> bool:
        return self.c_in == self.c_out and self.stride == 1

    @property
    def input(self) -> Shape:
        return self.c_in, self.height, self.width


def _anywhere(_attributes: Attributes, _site: Site) -> bool:
    return True


def _always(_attributes: Attributes) -> bool:
    return True


def _never(_before: Attributes, _after: Attributes) -> bool:
    return False


def _of_no_other(_attributes: Attributes) -> bool:
    return False


@dataclass(frozen=True)
class OpKind:
    """A family of ops.

    ``template`` is the text form with the attributes in braces: ``{k}`` is a number, ``{name:word}`` a word,
    ``{macs:each}`` a number for all placements of a cell or several with commas, one for each. ``layers`` gives the
    layers at a site; ``order`` is the place in NAT++'s order from expensive to cheap (None: the kind takes part in no
    NAT++ move between operations); ``legal`` says at which sites the op can stand, ``valid`` which attributes it can
    have; ``residual`` adds the input to the output where the shape is kept; ``drops`` says of a composite op whether
    other attributes mean the same op with a part of it left out, which is a move of NAT on that part; ``grows``,
    whether they make a part larger or bring it back, which no rule allows, however cheap the whole is; ``stands_in``
    says whether an op does the work of whatever stood in its place, with weights that are fitted to that.
    """

    name: str
    template: str
    layers: Callable[[Attributes, Site], tuple[Layer, ...]]
    role: Role = Role.OPERATION
    order: int | None = None
    legal: Callable[[Attributes, Site], bool] = _anywhere
    residual: bool = False
    valid: Callable[[Attributes], bool] = _always
    drops: Callable[[Attributes, Attributes], bool] = _never
    grows: Callable[[Attributes, Attributes], bool] = _never
    stands_in: Callable[[Attributes], bool] = _of_no_other
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _pattern(self.template))


MAX_OP_TEXT = 500
"""Longer texts are no ops."""
_INTEGER = "(?:0|[1-9][0-9]{0,14})"
_VALUES = {
    "": rf"(?:(?:0|[1-9][0-9]{{0,5}})\.[0-9]{{1,4}}|{_INTEGER})",
    "word": r"[A-Za-z_][A-Za-z0-9_.\-/]*",
    "each": rf"{_INTEGER}(?:,{_INTEGER})*",
}
_PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")


def _pattern(template: str) -> re.Pattern[str]:
    """``sep_conv_{k}x{k}`` becomes ``sep_conv_(?P<k>NUMBER)x(?P=k)``."""
    out, seen, end = "", set[str](), 0
    for match in _PLACEHOLDER.finditer(template):
        name, value = match[1], _VALUES[match[2] or ""]
        out += re.escape(template[end : match.start()]) + (f"(?P={name})" if name in seen else f"(?P<{name}>{value})")
        seen.add(name)
        end = match.end()
    return re.compile(out + re.escape(template[end:]))


def _number(text: str) -> Value:
    """Integers exactly, and decimals that are whole as integers too, so that every value has one form."""
    if text.isdigit():
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class Op(CachedHash):
    """One operation. ``Op.parse`` reads the text form, ``str`` writes it; attributes stand in the order of the text."""

    kind: str
    attributes: tuple[tuple[str, Value], ...] = ()
    __hash__ = CachedHash.__hash__

    @staticmethod
    def parse(text: str) -> Op:
        """Raises NATError for a text that no registered kind has."""
        return _parse(text)

    def __str__(self) -> str:
        values = dict(self.attributes)
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), op_kind(self.kind).template)

    @property
    def values(self) -> Attributes:
        return MappingProxyType(dict(self.attributes))

    @property
    def role(self) -> Role:
        return op_kind(self.kind).role

    @property
    def is_null(self) -> bool:
        return self.role is Role.NULL

    def legal(self, site: Site) -> bool:
        return op_kind(self.kind).legal(self.values, site)

    def layers(self, site: Site) -> tuple[Layer, ...]:
        """Raises NATError where the op is not legal (a plain skip between unequal shapes)."""
        if not self.legal(site):
            raise NATError(
                f"op '{self}' cannot stand between {site.c_in} and {site.c_out} channels at stride {site.stride}"
            )
        return op_kind(self.kind).layers(self.values, site)


_KINDS: dict[str, OpKind] = {}


def register_op(kind: OpKind) -> None:
    """Add a kind; adding the same kind twice is harmless. A NATError where another kind has its name, or where a text
    could mean either."""
    known = _KINDS.get(kind.name)
    if known is kind:
        return
    if known is not None:
        raise NATError(f"op kind '{kind.name}' is registered twice, by different plugins")
    for other in _KINDS.values():
        if kind.pattern.fullmatch(_example(other)) or other.pattern.fullmatch(_example(kind)):
            raise NATError(f"op kind '{kind.name}': its text '{kind.template}' could also be a '{other.template}'")
    _KINDS[kind.name] = kind
    _parse.cache_clear()


def _example(kind: OpKind) -> str:
    return _PLACEHOLDER.sub(lambda match: "word" if match[2] == "word" else "3", kind.template)


def op_kind(name: str) -> OpKind:
    try:
        return _KINDS[name]
    except KeyError:
        raise NATError(f"unknown op kind '{name}'; known: {', '.join(sorted(_KINDS))}") from None


@lru_cache(maxsize=65536)
def _parse(text: str) -> Op:
    for kind in _KINDS.values():
        match = kind.pattern.fullmatch(text) if len(text) <= MAX_OP_TEXT else None
        if match:
            op = Op(kind.name, tuple((name, _number(value)) for name, value in match.groupdict().items()))
            if kind.valid(op.values):
                return op
            raise NATError(f"op '{text[:80]}' has attributes that '{kind.template}' cannot have")
    raise NATError(f"unknown op '{text[:80]}'; known: {', '.join(map(_short, _KINDS.values()))}")


def _short(kind: OpKind) -> str:
    """Without what follows the name of an op that carries its own costs."""
    name, colon, _ = kind.template.partition(":")
    return name + colon


@lru_cache(maxsize=262144)
def op_cost(op: Op, site: Site) -> tuple[int, int]:
    """Parameters and MACs of an op at a site."""
    _, params, macs = run_layers(op.layers(site), site.input)
    return params, macs


def _int(attributes: Attributes, name: str) -> int:
    return int(attributes[name])


def relu_conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1) -> tuple[Layer, ...]:
    """ReLU, convolution, batch norm: the convolution of the DARTS family."""
    return (Act(), Conv(c_in, c_out, (kernel, kernel), (stride, stride)), Norm(c_out))


def _conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return relu_conv_norm(site.c_in, site.c_out, _int(attributes, "k"), site.stride)


def _separable(c_in: int, c_out: int, kernel: int, stride: int, dilation: int = 1) -> tuple[Layer, ...]:
    depthwise = Conv(c_in, c_in, (kernel, kernel), (stride, stride), groups=c_in, dilation=dilation)
    return (Act(), depthwise, Conv(c_in, c_out), Norm(c_out))


def _sep_conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    k = _int(attributes, "k")
    return _separable(site.c_in, site.c_in, k, site.stride) + _separable(site.c_in, site.c_out, k, 1)


def _dil_conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return _separable(site.c_in, site.c_out, _int(attributes, "k"), site.stride, dilation=2)


def _two_way_conv(kernel: int) -> Callable[[Attributes, Site], tuple[Layer, ...]]:
    def layers(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
        across = Conv(site.c_in, site.c_out, (1, kernel), (1, site.stride))
        return (Act(), across, Conv(site.c_out, site.c_out, (kernel, 1), (site.stride, 1)), Norm(site.c_out))

    return layers


def _pool(function: str) -> Callable[[Attributes, Site], tuple[Layer, ...]]:
    return lambda attributes, site: (Pool(function, _int(attributes, "k"), site.stride),)


def _skip(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    if site.stride == 1:
        return ()
    return (Act(), FactorizedReduce(site.c_in, site.c_out), Norm(site.c_out))


def _nb201_shortcut(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """Average pooling and a bare pointwise convolution: the shortcut of the residual blocks of NAS-Bench-201."""
    return (Pool("avg", 2, 2), Conv(site.c_in, site.c_out))


def _mbconv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """Inverted residual (MobileNetV2, section 3.3); ``k`` 0 leaves the depthwise convolution out."""
    k, expansion, squeeze = _int(attributes, "k"), float(attributes["e"]), float(attributes["se"])
    hidden, once, stride = round(site.c_in * expansion), (1, 1), (site.stride, site.stride)
    expand, project = hidden != site.c_in, once
    layers: tuple[Layer, ...] = ()
    if expand:
        layers += (Conv(site.c_in, hidden, stride=once if k else stride), Norm(hidden), Act("relu6"))
    if k:
        layers += (Conv(hidden, hidden, (k, k), stride, groups=hidden), Norm(hidden), Act("relu6"))
    elif not expand:
        project = stride
    if squeeze:
        layers += (SqueezeExcite(hidden, max(1, round(site.c_in * squeeze))),)
    return (*layers, Conv(hidden, site.c_out, stride=project), Norm(site.c_out))


def each_placement(value: Value) -> tuple[int, ...]:
    """The numbers of an ``each`` attribute."""
    return tuple(map(int, value.split(","))) if isinstance(value, str) else (int(value),)


def _opaque(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """Somebody's own module: what was measured of it, once if that holds for all placements of its cell."""
    cost = []
    for name in ("params", "macs"):
        each = each_placement(attributes[name])
        if len(each) > 1 and site.ordinal >= len(each):
            raise NATError(
                f"op 'opaque:{attributes['name']}' states {name} for {len(each)} placements, its cell has more"
            )
        cost.append(each[site.ordinal] if len(each) > 1 else each[0])
    return (Opaque(str(attributes["name"]), (cost[0], cost[1]), site.c_out, site.stride),)


def _odd_kernel(attributes: Attributes) -> bool:
    return attributes["k"] in range(1, 64, 2)


def _any_kernel(attributes: Attributes) -> bool:
    return attributes["k"] in range(1, 64)


def _mbconv_valid(attributes: Attributes) -> bool:
    expansion, squeeze = float(attributes["e"]), float(attributes["se"])
    return (attributes["k"] == 0 or _odd_kernel(attributes)) and 0 < expansion <= 64 and squeeze <= 64


def _equal_channels(_attributes: Attributes, site: Site) -> bool:
    return site.c_in == site.c_out


def _halving(_attributes: Attributes, site: Site) -> bool:
    return site.stride == 2


def _skip_legal(_attributes: Attributes, site: Site) -> bool:
    return site.keeps_shape or (site.stride == 2 and site.c_out > 1)


BUILT_IN: tuple[OpKind, ...] = (
    OpKind("conv", "conv_{k}x{k}", _conv, order=0, valid=_odd_kernel),
    OpKind("conv_7x1_1x7", "conv_7x1_1x7", _two_way_conv(7), order=0),
    OpKind("conv_1x7_7x1", "conv_1x7_7x1", _two_way_conv(7), order=0),
    OpKind("conv_1x3_3x1", "conv_1x3_3x1", _two_way_conv(3), order=0),
    OpKind("sep_conv", "sep_conv_{k}x{k}", _sep_conv, order=1, valid=_odd_kernel),
    OpKind("dil_conv", "dil_conv_{k}x{k}", _dil_conv, order=2, valid=_odd_kernel),
    OpKind("max_pool", "max_pool_{k}x{k}", _pool("max"), order=3, legal=_equal_channels, valid=_any_kernel),
    OpKind("avg_pool", "avg_pool_{k}x{k}", _pool("avg"), order=3, legal=_equal_channels, valid=_any_kernel),
    OpKind("nb201_shortcut", "nb201_shortcut", _nb201_shortcut, legal=_halving),
    OpKind("mbconv", "mbconv_k{k}_e{e}_se{se}", _mbconv, order=0, residual=True, valid=_mbconv_valid),
    OpKind("opaque", "opaque:{name:word}:{params:each}:{macs:each}", _opaque, order=0),
    OpKind("skip", "skip", _skip, role=Role.SKIP, legal=_skip_legal),
    OpKind("null", "null", lambda _attributes, _site: (), role=Role.NULL),
)
for _kind in BUILT_IN:
    register_op(_kind)

SKIP, NULL = Op("skip"), Op("null")
