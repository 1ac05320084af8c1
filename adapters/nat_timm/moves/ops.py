"""The one kind of op that timm models need: a part of a block with what was counted of it."""

from __future__ import annotations

import re
from dataclasses import replace

from nat_plugin.ir import Attributes, Conv, Layer, Op, Opaque, OpKind, Site, SqueezeExcite
from nat_timm.documents.forms import form_named, is_form
from nat_timm.moves.naming import MERGED, is_dropped, is_grown

_KERNELS = re.compile(r"_k([0-9.]+)(?=_|$)")
_GATE = re.compile(r"_se(?=_|$)")


def timm_op(name: str, params: int, macs: int) -> Op:
    return Op("timm", (("name", name), ("params", params), ("macs", macs)))


def _layers(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """What the name says, for those who look at an op by its layers (depthwise convolutions, a gate), and a last layer
    that closes the account: together they cost what was counted, wherever they stand."""
    name, c = str(attributes["name"]), site.c_in
    form = form_named(name, (c, site.c_out), site.stride)
    if form is not None:
        form = replace(form, border=False)  # whose channel of ones is no channel of the network
        params, macs = form.cost(site.input)
        rest = int(attributes["params"]) - params, int(attributes["macs"]) - macs
        return (*form.layers, *([Opaque(name, rest, site.c_out)] if any(rest) else []))
    found = _KERNELS.search(name)
    kernels = [int(each) for each in found[1].split(".") if each != "0"] if found else []
    layers: list[Layer] = [Conv(c, c, (kernel, kernel), groups=c) for kernel in kernels if kernel > 1]
    if _GATE.search(name):
        layers.append(SqueezeExcite(c, max(1, c // 4)))
    params = sum(layer.params for layer in layers)
    macs = sum(layer.run(site.input)[1] for layer in layers)
    rest = (int(attributes["params"]) - params, int(attributes["macs"]) - macs)
    return (*layers, Opaque(name, rest, site.c_out, site.stride))


def _drops(before: Attributes, after: Attributes) -> bool:
    return is_dropped(str(before["name"]), str(after["name"]))


def _grows(before: Attributes, after: Attributes) -> bool:
    return is_grown(str(before["name"]), str(after["name"]))


def _is_fitted(attributes: Attributes) -> bool:
    name = str(attributes["name"])
    return is_form(name) or name.startswith(MERGED)


TIMM = OpKind(
    "timm", "timm:{name:word}:{params}:{macs}", _layers, order=0, drops=_drops, grows=_grows, stands_in=_is_fitted
)
