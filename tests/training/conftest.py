"""Real digits and a small real network."""

from __future__ import annotations

from tests.training.fixtures import compute, digits, small  # noqa: F401 - fixtures of this folder
