"""Scores of networks without training: statistics at initialisation, and the evaluator that is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nat_plugin.evaluators.proxies.names import PROXIES

if TYPE_CHECKING:
    from nat_plugin.evaluators.proxies.features import proxy_features

__all__ = ["PROXIES", "proxy_features"]


def __getattr__(name: str) -> Any:
    if name != "proxy_features":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from nat_plugin.evaluators.proxies.features import proxy_features

    return proxy_features


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
