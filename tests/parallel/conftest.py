"""Every test of this folder computes on one thread."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def calm(one_thread: None) -> None: ...
