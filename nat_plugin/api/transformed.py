"""What a policy made of an architecture, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field

from nat_plugin.api.architectures import Architecture
from nat_plugin.drawing import draw_change
from nat_plugin.ir import Network, key
from nat_plugin.settings import Settings

if TYPE_CHECKING:
    from nat_plugin.measuring.latency import MeasuredLatency


@dataclass(frozen=True, repr=False)
class Transformed(Architecture):
    """The result of a transformation; ``input``: the original.

    ``confidence``: the probability, by the policy's critic, that a measurement of the best proposal is better than one
    of the input; None: the policy has no critic, or the proposal was changed to keep a limit on latency as a whole.
    ``kept``: no proposal was worth its risk, so this is the input. ``timed``: its latency as a whole, if that is
    limited and measured here; ``note``: a remark on that; ``looked_up``: its costs by tables.

    >>> import nat_plugin as nat
    >>> lean = nat.transform("DARTS_V2", budget={"macs": "0.9x"})
    >>> lean.format, lean.changed, lean.kept, 0 < lean.confidence < 1
    ('darts', True, False, True)
    >>> lean.macs <= 0.9 * lean.input.macs, " -> skip](" in lean.diff
    (True, True)
    """

    input: Architecture
    confidence: float | None
    kept: bool
    timed: MeasuredLatency | None = None
    note: str = ""
    looked_up: Mapping[str, float] = field(default_factory=dict)

    @property
    def before(self) -> Network:
        return self.input.network

    @property
    def changed(self) -> bool:
        """Whether it computes something else than the input."""
        return key(self.before) != key(self.network)

    @property
    def diff(self) -> str:
        """Its cells as text, without dead operations; what was changed is marked ``[before -> after]``."""
        return draw_change(self.before, self.network)

    @property
    def remark(self) -> str | None:
        """What there is to say of how sure it is, and of what was timed."""
        return "; ".join(filter(None, [self._sure(), self.note])) or None

    def _sure(self) -> str:
        if self.confidence is None:
            return ""
        said = f"with probability {self.confidence:.2f} it is better than the input"
        if self.kept:
            return f"the input stays: no proposal is worth its risk (of the best, {said}, by the policy's critic)"
        return f"nothing was measured: {said}, by the policy's critic"

    def _repr_html_(self) -> str:
        from nat_plugin.picture.notebook import architecture_html

        return architecture_html(self, f"input: {self.input.summary}", *([self.remark] if self.remark else []))


class TransformSettings(Settings):
    """What there is to set beside the policy and the budget."""

    rules: str = "nat"
    samples: int = Field(default=0, ge=0, le=100_000)
    proxies: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)
    extended: bool = False
