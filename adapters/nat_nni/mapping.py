"""Samples of NNI model spaces as networks, and networks as samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from nat_nni.framework import load
from nat_nni.samples.described import Described
from nat_nni.samples.values import Sample, read_sample, restored, write_sample
from nat_nni.spaces.nasbench101 import NB101Space
from nat_nni.spaces.nasbench201 import NB201Space
from nat_nni.spaces.nds import NDSSpace
from nat_plugin import NATError
from nat_plugin.extending import read_shape
from nat_plugin.ir import Network, NetworkSize, Origin, Shape

FORMAT, VERSION = "nni", "1"
_GENERIC: WeakKeyDictionary[Any, Described] = WeakKeyDictionary()
"""What was measured of spaces that live."""


def to_network(space: Any, sample: Mapping[str, Any], input: Shape | None = None) -> Network:
    """The network of a sample of a space (an instance of ``ModelSpace``).

    ``input``: channels, height and width of an image; left out: those that the hub space was made for. Every edge that
    can be edited has its label as ``key`` and its candidates as ``choices``. Raises NATError for a sample that is not
    of the space, and for what cannot be described, saying why.
    """
    described = describe(space)
    shape = described.input if input is None else read_shape(input)
    if shape is None:
        raise NATError(f"{described.title}: say of which size its images are: input=(channels, height, width)")
    if described.input is not None and shape[0] != described.input[0]:
        raise NATError(f"{described.title} takes images of {described.input[0]} channels, not {shape[0]}")
    domains = described.domains()
    found = read_sample(described.title, domains, sample)
    size = NetworkSize(input=shape, classes=described.classes)
    return described.read(found, size, Origin(FORMAT, VERSION, json.dumps(write_sample(domains, found))))


def to_sample(space: Any, network: Network) -> Sample:
    """The sample of a network, with the values that the space has: the one that it was read from where nothing moved.

    A network that came from another format is written if the space can say it. Raises NATError otherwise.
    """
    described, sample = describe(space), origin_sample(network)
    return described.write(network, None if sample is None else restored(described.domains(), sample))


def origin_sample(network: Network) -> Sample | None:
    """The sample that a network was read from, as JSON; None for networks from other formats."""
    if network.origin is None or network.origin.format != FORMAT:
        return None
    found: Sample = json.loads(network.origin.payload)
    return found


def describe(space: Any) -> Described:
    """What this adapter knows of a space. NATError for anything but an instance of ``ModelSpace``."""
    if not isinstance(space, load("nni.nas.nn.pytorch").ModelSpace):
        raise NATError(f"a model space is an instance of nni.nas.nn.pytorch.ModelSpace, not {type(space).__name__}")
    hub = load("nni.nas.hub.pytorch")
    if isinstance(space, load("nni.nas.hub.pytorch.nasnet").NDS):
        return NDSSpace.of(space)
    if isinstance(space, hub.NasBench201):
        return NB201Space.of(space)
    if isinstance(space, hub.NasBench101):
        return NB101Space(space)
    if space not in _GENERIC:
        _GENERIC[space] = load("nat_nni.generic.space").GenericSpace(space, weak=True)
    return _GENERIC[space]
