"""Every executor on this machine, as a recipe names it, and a run that is small enough for all of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

WITHOUT_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'nat-plugin[ray]'")
ENGINES = [
    pytest.param({"name": "local", "workers": 2}, id="local"),
    pytest.param({"name": "submitit", "cluster": "local", "workers": 2}, id="submitit"),
    pytest.param({"name": "ray", "workers": 2}, id="ray", marks=WITHOUT_RAY),
]
SCHEDULE = {"epochs": 1, "batch": 64, "cutout": 0, "auxiliary": 0}
RUN: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 2, "cells": 2},
    "strategy": {"name": "random"},
    "evaluator": {"name": "training", "schedule": SCHEDULE, "data": {"name": "digits", "limit": 100}},
    "search": {"rounds": 1, "proposals": 1},
    "final": {"candidates": 1, "schedule": SCHEDULE},
    "deterministic": True,
    "threads": 1,
    "device": "cpu",
}
