"""The adapter of NNI samples: text to networks and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from nat_nni.framework import INSTALL, missing
from nat_nni.samples.described import Described
from nat_nni.samples.document import SampleText, guess_space, looks_like_one, read_document
from nat_nni.samples.values import Sample, read_sample
from nat_nni.spaces.hub import BUILT, CELL_SPACES, NAMES, SUFFIX, find_space
from nat_plugin import Adapter, NATError
from nat_plugin.extending import AdapterSettings, Published
from nat_plugin.ir import Network, NetworkSize, Origin, canonical, is_connected, same

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT, VERSION = "nni", "1"
_BARE = ("DARTS", "DARTSWithNone", "NasBench201")
"""Spaces whose samples say by themselves of which they are."""


class NNISettings(AdapterSettings):
    """Of which space bare samples are."""

    space: str | None = Field(
        default=None, description="a space of NNI's hub; left out: determined by the labels of the sample"
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of its constructor, as in NNI: {width: 16, num_cells: 8}",
    )


class NNIAdapter(Adapter):
    """Samples of NNI model spaces, as JSON."""

    name = "nni"
    version = VERSION
    Settings = NNISettings

    def __init__(self, space: str | None = None, arguments: Mapping[str, Any] | None = None) -> None:
        self._space, self._arguments = space, dict(arguments or {})

    @property
    def summary(self) -> str:  # type: ignore[override]  # a class attribute where it never changes
        """What is missing is found without importing anything."""
        absent = missing()
        hint = f" (MobileNetV3Space and others need {' and '.join(absent)}: {INSTALL})" if absent else ""
        return "NNI 3 samples: JSON of labels and values, alone or with the hub space that they are of" + hint

    def configured(self, settings: Any) -> NNIAdapter:
        if settings.space is None and settings.arguments:
            raise NATError("adapter: arguments are those of a space; say which: {name: nni, space: DARTS, ...}")
        if settings.space is not None:
            find_space(settings.space, settings.arguments if settings.space in CELL_SPACES else {}, {}, 10)
        return NNIAdapter(settings.space, settings.arguments)

    def recognises(self, text: str) -> bool:
        return looks_like_one(text)

    def read(self, text: str, size: NetworkSize) -> Network:
        """The network of the sample's space. Raises NATError that names the label."""
        document = read_document(text)
        described, sample = self._of(document, size.classes)
        return described.read(sample, replace(size, classes=_classes(described, size)), Origin(FORMAT, VERSION, text))

    def choices(self, text: str) -> Mapping[str, str]:
        return {label: json.dumps(value) for label, value in read_document(text).sample.items()}

    def write(self, network: Network) -> str:
        """In the form of the text that the network was read from; a sample of a space with ``none`` in which there is
        none any more as one of the stock space. NATError for what the space cannot say."""
        if network.origin is None or network.origin.format != FORMAT:
            return self._fresh(network)
        document = read_document(network.origin.payload)
        described, sample = self._of(document, network.head.classes)
        found = described.write(network, sample)
        if found == sample:
            return network.origin.payload
        stock = described.title.removesuffix(SUFFIX)
        if document.space is not None and stock in CELL_SPACES and "none" not in found.values():
            return replace(document, sample=found, space=stock).render()
        return replace(document, sample=found).render()

    def module(self, network: Network) -> nn.Module | None:
        """NNI's own model of a network of opaque ops, with the weights that NNI gives it."""
        if network.origin is None or network.origin.format != FORMAT:
            return None
        document = read_document(self.write(network))
        name, arguments = self._space_of(document)
        if name not in BUILT:
            return None
        from nat_nni.export.building import build_for

        return build_for(name, arguments, document.sample, network.input, network.head.classes)

    def export(self, text: str, size: NetworkSize, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """The frozen model of NNI, with ``weights`` by its names or with new ones, without NNI."""
        from nat_nni.export.text import export_sample

        document = read_document(text)
        space, arguments = document.space or self._space, {**self._arguments, **document.arguments}
        export_sample(replace(document, space=space, arguments=arguments), size, folder, weights)

    def published(self) -> Mapping[str, Published]:
        return _published()

    def _of(self, document: SampleText, classes: int) -> tuple[Described, Sample]:
        """The space of a document, and its sample as that space has it."""
        name, arguments = self._space_of(document)
        described = find_space(name, arguments, document.sample, classes)
        return described, read_sample(described.title, described.domains(), document.sample)

    def _space_of(self, document: SampleText) -> tuple[str, dict[str, Any]]:
        if document.space is None:
            return self._space or guess_space(document.sample), self._arguments
        if self._space is not None and document.space.removesuffix(SUFFIX) != self._space.removesuffix(SUFFIX):
            raise NATError(f"the document is of space '{document.space[:60]}', the recipe says '{self._space}'")
        return document.space, {**self._arguments, **document.arguments}

    def _fresh(self, network: Network) -> str:
        """A network from another format: a sample of the space that was asked for, or of the first that can say it."""
        sizes = {"width": network.placements[0].channels, "num_cells": len(network.placements)}
        refusals = []
        for name in [self._space] if self._space else [*CELL_SPACES, "NasBench201"]:
            own = sizes if name in CELL_SPACES else {}
            try:
                described = find_space(name, {**own, **self._arguments}, {}, network.head.classes)
                sample = described.write(network, None)
                read = described.read(sample, NetworkSize(None, None, network.input, network.head.classes), _NOWHERE)
            except NATError as error:
                refusals.append(str(error))
                continue
            at_home = CELL_SPACES[name].dataset == "cifar" if name in CELL_SPACES else True
            if self._space or not at_home or same(read, canonical(network) if is_connected(network) else network):
                return SampleText(sample, None if self._space or name in _BARE else name).render()
            refusals.append(f"{name} would compute something else")
        raise NATError(f"no NNI space can say this network: {refusals[0] if refusals else ''}")


_NOWHERE = Origin(FORMAT, VERSION, "{}")


def _classes(described: Described, size: NetworkSize) -> int:
    """A space that NNI builds has the classes that it was built with."""
    return size.classes if described.title in CELL_SPACES else described.classes


@lru_cache(maxsize=1)
def _published() -> Mapping[str, Published]:
    table = json.loads(files("nat_nni").joinpath("zoo.json").read_text(encoding="utf-8"))
    return {name: Published(json.dumps(entry["document"]), entry["origin"]) for name, entry in table.items()}


__all__ = ["NAMES", "NNIAdapter", "NNISettings"]
