"""Scores of networks without training: statistics at initialisation, and the evaluator that is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nat_plugin.evaluators.proxies.names import PROXIES

__all__ = ["PROXIES", "proxy_features"]

if TYPE_CHECKING:
    from nat_plugin.evaluators.proxies.features import proxy_features
else:
    from nat_plugin.lazy import lazy_names

    _PLACES = {"proxy_features": "nat_plugin.evaluators.proxies.features"}
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)
