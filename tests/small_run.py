"""A run as small as one can be that trains something for real and ends with another network than its input."""

from __future__ import annotations

from typing import Any

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "rules": "nat++",
    "budget": {"macs": "0.9x"},  # so that the result is not the input
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 400}},
    "search": {"warmup": 0, "rounds": 1, "proposals": 3, "steps": 1},
    "final": {
        "candidates": 1,
        "seeds": 2,
        "network": {"channels": 6, "cells": 3},
        "schedule": {"epochs": 1, "cutout": 0, "auxiliary": 0},
    },
    "device": "cpu",
    "threads": 1,
}
