"""Scores of networks without training: statistics at initialisation, and the evaluator that is made of them."""

from nat_plugin.evaluators.proxies.features import PROXIES, proxy_features

__all__ = ["PROXIES", "proxy_features"]
