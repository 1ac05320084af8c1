"""docs/explanation/proxies.md: its code runs, and it knows every proxy."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.evaluators.proxies import PROXIES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "explanation" / "proxies.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")


def test_the_code_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert list(names["found"]) == list(PROXIES)
    assert all(map(math.isfinite, names["found"].values()))
    assert set(names["some"]) == {"swap", "zico"}


def test_every_proxy_is_explained() -> None:
    assert [name for name in PROXIES if f"`{name}`" not in PAGE.read_text()] == []
