"""An architecture in Python: read from any format, shown, counted, written in another."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nat_plugin.adapter import Adapter
from nat_plugin.arguments import read_count, read_shape
from nat_plugin.errors import NATError
from nat_plugin.ir import Cost, Network, NetworkSize, is_connected, to_json
from nat_plugin.ir import cost as cost_of
from nat_plugin.network_json import NetworkJSON
from nat_plugin.plugins import plugins
from nat_plugin.sources import Source, Wanted, find_source, size_of

if TYPE_CHECKING:
    from nat_plugin.ir.layers import Shape

Readable: TypeAlias = "str | os.PathLike[str] | Architecture | Network | Sequence[Any] | Mapping[str, Any]"
"""What ``read`` takes: what the command line takes, and the same as values of Python."""


@dataclass(frozen=True, repr=False)
class Architecture:
    """An architecture: its ``text`` in the format of its ``adapter``, and the ``network`` around it at a ``size``.
    ``label``: how to name it to a person.

    >>> import nat_plugin as nat
    >>> arch = nat.read("(4, 0, 3, 1, 4, 2)")
    >>> arch.format, arch.params, arch.macs, len(arch.network.cells)
    ('nasbench201', 344346, 47104640, 2)
    >>> arch.convert("network").format
    'network'
    >>> arch.svg().startswith("<svg")
    True
    """

    text: str
    network: Network
    adapter: Adapter
    size: NetworkSize
    label: str

    @property
    def frame(self) -> NetworkSize:
        """Old name of ``size``; it warns."""
        warnings.warn("Architecture.frame is Architecture.size now", DeprecationWarning, stacklevel=2)
        return self.size

    @staticmethod
    def of(source: Source, size: NetworkSize | None = None) -> Architecture:
        """What a source stands for, at a size; left out: the one that its format has by itself. NATError says what is
        wrong with it."""
        size = size_of(source) if size is None else size
        return Architecture(source.text, source.adapter.read(source.text, size), source.adapter, size, source.label)

    @property
    def format(self) -> str:
        """The name of its adapter."""
        return self.adapter.name

    @property
    def cost(self) -> Cost:
        """Parameters and MACs, exactly, without what is dead."""
        return cost_of(self.network)

    @property
    def params(self) -> int:
        return self.cost.params

    @property
    def macs(self) -> int:
        return self.cost.macs

    @property
    def before(self) -> Network | None:
        """What it was made from by moves, where that is known: pictures mark the changes."""
        return self.adapter.unmoved(self.network)

    @property
    def summary(self) -> str:
        """One line: size, depth, parameters, MACs."""
        from nat_plugin.describing import summary

        return summary(self.network) if is_connected(self.network) else "its output does not depend on its input"

    def describe(self) -> dict[str, Any]:
        """Costs, shapes, and every cell with its edges, as plain values: ``nat show --json``."""
        from nat_plugin.describing import describe

        return {"source": self.label, "format": self.format, **describe(self.network)}

    def convert(self, to: str | Mapping[str, Any]) -> Architecture:
        """The same in another format. NATError where that cannot represent it.

        >>> import nat_plugin as nat
        >>> nat.read("DARTS_V2").convert("network").format
        'network'
        """
        from nat_plugin.sources import find_adapter
        from nat_plugin.writing import translate

        adapter = find_adapter(to, plugins())
        text = translate(self.network, adapter, self.size)
        return Architecture(text, self.network, adapter, self.size, self.label)

    def svg(self, alone: bool = False) -> str:
        """Its cells as an ``<svg>`` element; ``alone``: for a file of its own."""
        from nat_plugin.picture.svg import network_svg

        return network_svg(self.network, self.before, alone)

    def dot(self) -> str:
        """Its cells as a ``digraph`` of Graphviz."""
        from nat_plugin.picture.dot import network_dot

        return network_dot(self.network, self.before)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label!r} ({self.format}): {self.summary}>"

    def _repr_html_(self) -> str:
        from nat_plugin.picture.notebook import architecture_html

        return architecture_html(self)


def read(
    source: Readable,
    *,
    adapter: Wanted | None = None,
    channels: int | None = None,
    cells: int | None = None,
    input: int | Shape | None = None,
    classes: int | None = None,
) -> Architecture:
    """Read an architecture from any format.

    ``source``: what the command line takes (a published name, a literal, a file, ``file.py:NAME``, a folder of a model
    or a run), or a Python object: a genotype, a list of numbers, a sample, a ``Network``. ``adapter``: the format, if
    several match; a name, or a mapping of a name and settings. ``channels``, ``cells``, ``input`` (the side of an
    image, or channels, height and width) and ``classes``: the size of the network; left out: the default of the format.
    NATError of one line for a mistake.

    >>> import nat_plugin as nat
    >>> arch = nat.read("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    >>> arch.format, arch.params, arch.macs
    ('nasbench201', 316346, 43172480)
    >>> nat.read([[1, 1], [0, 1]])
    Traceback (most recent call last):
    nat_plugin.errors.NATError: ...
    """
    sizes = {"channels": channels, "cells": cells, "classes": classes}
    channels, cells, classes = (None if each is None else read_count(name, each, 1) for name, each in sizes.items())
    if input is not None:
        input = read_count("input", input, 1) if _is_number(input) else read_shape(input)
    own = source.format if isinstance(source, Architecture) else NetworkJSON.name
    if isinstance(source, Architecture | Network) and adapter not in (None, own):
        raise NATError(f"adapter: what was read is of format '{own}'; its convert() writes another")
    if isinstance(source, Architecture):
        found = Source(source.text, source.adapter, source.label)
        if channels is cells is input is classes is None:
            return Architecture.of(found, source.size)
    else:
        found = find_source(_text(source), own if isinstance(source, Network) else adapter, plugins())
    return Architecture.of(found, size_of(found, channels, cells, input, classes))


def cost(source: Readable) -> Cost:
    """Parameters and MACs of an architecture, exactly: of whatever ``read`` takes, and of a ``Network``.

    >>> import nat_plugin as nat
    >>> nat.cost("DARTS_V2")
    Cost(params=3349342, macs=528359040)
    """
    return cost_of(source) if isinstance(source, Network) else read(source).cost


def _is_number(value: object) -> bool:
    return not isinstance(value, str | Sequence)


def _text(source: Readable) -> str:
    """As the command line would take it: the values of a literal as that literal."""
    if isinstance(source, str):
        return source
    if isinstance(source, Network):
        return to_json(source)
    if isinstance(source, os.PathLike):
        return os.fspath(source)
    if isinstance(source, list | tuple | dict):
        return repr(source)
    raise NATError(
        f"a {type(source).__name__} is not an architecture; give a text, a path, a genotype, a list, a dict or a "
        "Network"
    )
