"""Plugins with a Python API of their own, found through their entry points: ``nat.timm``, ``nat.nni``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from nat_plugin.plugins import GROUP


def __getattr__(name: str) -> Any:
    for point in entry_points(group=GROUP, name=name):
        return point.load()
    raise AttributeError(f"no plugin '{name}' is installed")
