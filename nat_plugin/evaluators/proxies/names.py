"""The names of the proxies: what a recipe is checked by, before torch is imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nat_plugin.errors import NATError

PROXIES: Mapping[str, str] = {
    "params": "logarithm of the number of parameters",
    "macs": "logarithm of the MACs",
    "naswot": "NASWOT: how differently images switch the activations",
    "swap": "SWAP: how many patterns of images the activations have",
    "expressivity": "AZ-NAS: in how many directions the features of the blocks spread, added up",
    "progressivity": "AZ-NAS: the least growth of that from block to block",
    "trainability": "AZ-NAS: how evenly gradients pass from block to block",
    "gradient_norm": "norms of the gradients of the loss, added up",
    "snip": "SNIP: gradients of the loss times weights",
    "zico": "ZiCo: size of the gradients over their spread between batches, layer by layer",
    "jacobian": "Jacobian covariance: how differently images pull at the loss",
    "synflow": "SynFlow: what passes through positive weights, without images",
}
"""Every proxy by name, and what it is. All are logarithms or sums of such: their differences can be compared."""


def check_names(names: Collection[str]) -> None:
    """NATError for a name that is no proxy, and for none at all."""
    for name in names:
        if name not in PROXIES:
            raise NATError(f"unknown proxy '{str(name)[:60]}'; allowed: {', '.join(PROXIES)}")
    if not names:
        raise NATError(f"no proxy is given; choose among {', '.join(PROXIES)}")
