"""The spaces of NNI's hub as networks, and those with ``none``, which NNI has to be there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nat_plugin.extending import lazy_names

if TYPE_CHECKING:
    from nat_nni.spaces.with_none import AmoebaNetWithNone as AmoebaNetWithNone
    from nat_nni.spaces.with_none import DARTSWithNone as DARTSWithNone
    from nat_nni.spaces.with_none import ENASWithNone as ENASWithNone
    from nat_nni.spaces.with_none import NASNetWithNone as NASNetWithNone
    from nat_nni.spaces.with_none import PNASWithNone as PNASWithNone

__all__ = ["AmoebaNetWithNone", "DARTSWithNone", "ENASWithNone", "NASNetWithNone", "PNASWithNone"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "nat_nni.spaces.with_none"))
