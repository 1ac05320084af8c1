"""The adapter of timm models: a name, or JSON with name, arguments and edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nat_plugin import Adapter
from nat_plugin.extending import refusal
from nat_plugin.ir import Network, NetworkSize
from nat_timm.documents.document import NAME, parse
from nat_timm.framework import checked_name, has_model, near_names
from nat_timm.networks import FORMAT, adaptations, check_costs, moved_document, network_of, reading_of

if TYPE_CHECKING:
    from torch import nn

    from nat_plugin.advising import Advice, AdviceSettings
    from nat_plugin.measuring import LatencySettings
    from nat_timm.measuring.latency import TimmLatency

_LIKELY = 6
"""Letters from which on a name that is in names of timm's is likely to be meant for one."""


class TimmAdapter(Adapter):
    """Convolutional models of timm by name."""

    name = FORMAT
    summary = (
        "models of timm: a name (mobilenetv2_100), a folder with config.json, JSON with architecture, model_args, "
        "edits, widths"
    )

    def recognises(self, text: str) -> bool:
        return text.lstrip()[:1] == "{" and '"architecture"' in text

    def has_model(self, name: str) -> bool:
        return bool(NAME.fullmatch(name)) and name.islower() and has_model(name)

    def near(self, text: str) -> str | None:
        """Of a name that timm does not have, but others like it."""
        name = text.strip()
        if not (NAME.fullmatch(name) and name.islower() and len(name) >= _LIKELY and near_names(name)):
            return None
        return refusal(checked_name, name)

    def natural_size(self, text: str) -> NetworkSize:
        """The images and classes that the model is made for."""
        from nat_timm.building.build import natural_size

        return natural_size(text)

    def read(self, text: str, size: NetworkSize) -> Network:
        """The model for images of ``size.input`` in ``size.classes`` classes, traced on the meta device. NATError
        for an unknown name, for edits that the model cannot have, and where nothing can be edited."""
        found = parse(text)
        if found.limits:
            from nat_timm.narrowing.thinning import thinned_document

            found = thinned_document(found, size.input, size.classes)
            text = found.render()
        return network_of(found, reading_of(found, size.input, size.classes), text)

    def write(self, network: Network) -> str:
        """The name, or JSON with the edits. Of a moved network the costs are counted on the model that timm builds;
        NATError if it states others."""
        found = moved_document(network)
        if found.edits:
            check_costs(network)
        return found.render()

    def module(self, network: Network) -> nn.Module:
        from nat_timm.building.build import build
        from nat_timm.building.entrypoint import attach

        found = moved_document(network)
        made = build(found, network.input, network.head.classes).train()
        attach(made, found)
        return made

    def advise(self, text: str, size: NetworkSize, settings: AdviceSettings) -> Advice:
        """See ``nat_timm.advise``."""
        from nat_timm.advising.from_folder import advise_from_folder

        return advise_from_folder(parse(text), text, size, settings)

    def identity(self, network: Network) -> str:
        """The model before any move: ops state costs, not activations."""
        return "" if network.origin is None else adaptations(parse(network.origin.payload)).render()

    def latency(self, network: Network, settings: LatencySettings) -> TimmLatency:
        from nat_timm.measuring.latency import TimmLatency

        return TimmLatency(network, settings)

    def unmoved(self, network: Network) -> Network | None:
        if network.origin is None or network.origin.format != self.name:
            return None
        found = parse(network.origin.payload)
        if adaptations(found) == found:
            return None
        return reading_of(found, network.input, network.head.classes).network
