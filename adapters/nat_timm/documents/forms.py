"""Forms: what an operation is that is put in the place of a block, as data.

The layers of a form are its only description: costs, modules and names follow from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nat_plugin import NATError
from nat_plugin.ir import Conv, Shape

CONV, SEPARABLE, LOW_RANK = "conv", "separable", "low_rank"
KINDS = (CONV, SEPARABLE, LOW_RANK)
"""One convolution; a depthwise and a 1x1; a k x k to ``rank`` channels and a 1x1."""
MAX_KERNEL, MAX_STRIDE, MAX_CHANNELS, MAX_WEIGHTS = 31, 32, 100_000, 1_000_000_000
_NAME = re.compile(r"fit_(conv|separable|low_rank)_(\d+)x\2(?:_g(\d+))?(?:_r(\d+))?(_b)?")


@dataclass(frozen=True)
class Form:
    """An operation from ``channels[0]`` to ``channels[1]`` channels, fitted to what a block computes.

    ``same``: padded as TensorFlow does it where the stride is more than 1, else alike on both sides. ``shortcut``: its
    input is added. ``activation``: what stands behind it, the path of a module in the block or the name of a function.
    ``border``: instead of a bias it reads one channel more, of ones: what a pixel at the border gets of that depends on
    how much of its window lies within the map, as it does where a convolution with a bias stood before one with zeros
    around.
    """

    channels: tuple[int, int]
    kind: str = CONV
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    rank: int = 0
    same: bool = False
    shortcut: bool = False
    activation: str | None = None
    border: bool = False

    @property
    def layers(self) -> tuple[Conv, ...]:
        c_in, c_out = self.channels
        kernel, stride = (self.kernel, self.kernel), (self.stride, self.stride)
        if self.kind == SEPARABLE:
            return Conv(c_in, c_in, kernel, stride, groups=c_in), Conv(c_in, c_out, bias=True)
        if self.kind == LOW_RANK:
            return Conv(c_in, self.rank, kernel, stride), Conv(self.rank, c_out, bias=True)
        return (Conv(c_in + self.border, c_out, kernel, stride, self.groups, bias=not self.border),)

    def cost(self, shape: Shape) -> tuple[int, int]:
        """Parameters, and MACs for one input of ``shape``."""
        params, macs, shape = 0, 0, (shape[0] + self.border, *shape[1:])
        for layer in self.layers:
            shape, used = layer.run(shape)
            params, macs = params + layer.params, macs + used
        return params, macs

    @property
    def name(self) -> str:
        words = [f"fit_{self.kind}_{self.kernel}x{self.kernel}"]
        words += [f"g{self.groups}"] * (self.groups > 1) + [f"r{self.rank}"] * (self.kind == LOW_RANK)
        words += ["b"] * self.border
        return "_".join(words)

    def __str__(self) -> str:
        return self.name

    def to_json(self) -> dict[str, Any]:
        """All that is not as it would be if it was left out."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name == "channels" or value != getattr(Form, name)
        }


def is_form(name: str) -> bool:
    """Whether a name is that of a form."""
    return _NAME.fullmatch(name) is not None


def form_named(name: str, channels: tuple[int, int], stride: int) -> Form | None:
    """The form that a name says, without shortcut and activation, which cost nothing; None for other names."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    kernel, groups, rank = int(found[2]), int(found[3] or 1), int(found[4] or 0)
    return Form(channels, found[1], kernel, stride, groups, rank, border=bool(found[5]))


def form_from_json(values: Any, where: str) -> Form:
    """NATError that says what is no form."""
    if not isinstance(values, dict):
        raise NATError(f"{where}: op 'fitted' takes an object with channels, kernel and others, not {values!r:.60}")
    unknown = sorted(str(key) for key in values.keys() - Form.__dataclass_fields__.keys())
    if unknown:
        allowed = ", ".join(Form.__dataclass_fields__)
        raise NATError(f"{where}: unknown key '{unknown[0][:40]}' of op 'fitted'; allowed: {allowed}")
    channels = values.get("channels")
    if not isinstance(channels, list) or len(channels) != 2 or not all(_is_count(each) for each in channels):
        raise NATError(f"{where}: channels are two whole numbers, of the input and the output, not {channels!r:.40}")
    for name, kind in (("same", bool), ("shortcut", bool), ("border", bool), ("activation", str)):
        if type(values.get(name, kind())) is not kind:
            raise NATError(f"{where}: {name} is of type {kind.__name__}, not {values[name]!r:.40}")
    for name, most in (("kernel", MAX_KERNEL), ("stride", MAX_STRIDE), ("groups", MAX_CHANNELS)):
        if not _is_count(values.get(name, 1), most):
            raise NATError(f"{where}: {name} is a whole number from 1 to {most:,}, not {values[name]!r:.40}")
    made = Form(**{**values, "channels": (channels[0], channels[1])})
    _check(made, where)
    return made


def _check(form: Form, where: str) -> None:
    c_in, c_out = form.channels
    if form.kind not in KINDS:
        raise NATError(f"{where}: kind is one of {', '.join(KINDS)}, not {form.kind!r:.40}")
    if not form.kernel % 2:
        raise NATError(f"{where}: kernel is an odd number, not {form.kernel}")
    if c_in % form.groups or c_out % form.groups or (form.groups > 1 and form.kind != CONV):
        raise NATError(f"{where}: {form.groups} groups do not divide the channels {c_in} and {c_out} of a {form.kind}")
    if type(form.rank) is not int or (form.kind == LOW_RANK) != (0 < form.rank <= MAX_CHANNELS):
        raise NATError(f"{where}: rank is a whole number, of the kind {LOW_RANK} only, not {form.rank!r:.40}")
    if form.border and (form.kind != CONV or form.groups > 1):
        raise NATError(f"{where}: border is of a {CONV} without groups only")
    if form.shortcut and (c_in != c_out or form.stride > 1):
        raise NATError(f"{where}: a shortcut needs equal channels and stride 1")
    if sum(layer.params for layer in form.layers) > MAX_WEIGHTS:
        raise NATError(f"{where}: an operation of more than {MAX_WEIGHTS:,} weights is not built")


def _is_count(value: object, most: int = MAX_CHANNELS) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most
