"""The adapter of Once-for-All and ProxylessNAS: their JSON to networks and back."""

from __future__ import annotations

import re
from typing import Any

from nat_ofa.config import classes_of, is_config, put_blocks, read_config
from nat_ofa.config import size_of as config_size
from nat_ofa.plan import CELL, ModelPlan
from nat_ofa.subnet import CLASSES, is_subnet, put_subnet, read_subnet
from nat_ofa.subnet import size_of as subnet_size
from nat_plugin import Adapter, NATError
from nat_plugin.extending import MAX_CHARS, Patches, parse_value, refusal
from nat_plugin.ir import Conv, Network, NetworkSize, Origin

SIZE = 224
_MARKS = re.compile(r"(['\"])(?:first_conv|mobile_inverted_conv|input_stem|ks)\1\s*:")


class OFAAdapter(Adapter):
    """Networks of Once-for-All and ProxylessNAS."""

    name = "ofa"
    summary = "Once-for-All and ProxylessNAS: net.config, or the ks, e and d of a subnet of OFA-MobileNetV3"
    version = "1"

    def recognises(self, text: str) -> bool:
        if text.lstrip()[:1] != "{" or len(text) > MAX_CHARS or _MARKS.search(text) is None:
            return False
        try:
            value = _value(text)
        except NATError:
            return False
        return is_config(value) or is_subnet(value)

    def near(self, text: str) -> str | None:
        marked = len(text) <= MAX_CHARS and _MARKS.search(text) is not None
        return refusal(lambda text: self.read(text, self.natural_size(text)), text) if marked else None

    def natural_size(self, text: str) -> NetworkSize:
        """The classes of the classifier, and images of 224 pixels unless the text says otherwise."""
        value = _value(text)
        if is_config(value):
            size, classes = config_size(value), classes_of(value)
        elif is_subnet(value):
            size, classes = subnet_size(value), CLASSES
        else:
            return NetworkSize()
        return NetworkSize(input=(3, size or SIZE, size or SIZE), classes=classes)

    def read(self, text: str, size: NetworkSize) -> Network:
        """The whole network. Raises NATError that names the field."""
        plan = _plan(_value(text), size)
        return plan.network(size, Origin(self.name, self.version, text))

    def write(self, network: Network) -> str:
        """In the text that the network was read from, where only what moved is changed. NATError for a network from
        another format."""
        cell = network.by_name.get(CELL)
        if cell is None or network.origin is None or network.origin.format != self.name:
            raise NATError("the JSON of Once-for-All can only be written for a network that was read from it")
        text, edges = network.origin.payload, {edge.key: edge for edge in cell.edges}
        value = _value(text)
        plan = _plan(
            value, NetworkSize(network.placements[0].channels, input=network.input, classes=network.head.classes)
        )
        for block in plan.blocks:
            if block.key not in edges or edges[block.key].op not in (block.op, *block.choices):
                raise NATError(f"the JSON of Once-for-All cannot represent what this network has at '{block.key}'")
        patches = Patches(text, len(text) - len(text.lstrip()), len(text.rstrip()))
        if is_config(value):
            put_blocks(patches, value, plan.blocks, edges)
        else:
            put_subnet(patches, value, plan, edges)
        return patches.render()


def _value(text: str) -> Any:
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    return parse_value(text)


def _plan(value: Any, size: NetworkSize) -> ModelPlan:
    if size.cells not in (None, 1):
        raise NATError("cells: the text says how deep the network is; leave 'cells' out")
    if is_subnet(value):
        plan = read_subnet(value, size.channels)
    elif is_config(value):
        plan = read_config(value)
        if size.channels not in (None, plan.blocks[0].c_in):
            raise NATError("channels: a net.config says its own; leave 'channels' out")
    else:
        raise NATError("expected a net.config with first_conv, blocks and classifier, or an object with ks, e and d")
    first = plan.stem[0]
    if isinstance(first, Conv) and first.c_in != size.input[0]:
        raise NATError(f"first_conv: it takes images of {first.c_in} channels, these have {size.input[0]}")
    return plan
