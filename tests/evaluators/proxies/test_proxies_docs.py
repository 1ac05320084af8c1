"""docs/explanation/proxies.md: its code runs, it knows every proxy, and its figures are those that were kept."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.evaluators.proxies import PROXIES

ROOT = Path(__file__).parents[3]
PAGE, EVIDENCE = ROOT / "docs" / "explanation" / "proxies.md", ROOT / "docs" / "evidence" / "proxies.md"
RESULTS = ROOT / "benchmarks" / "results" / "proxies.json"

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


def test_the_tables_are_those_of_the_results() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "proxies.py"), "--results", str(RESULTS), "--table"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    tables = [each for each in printed.strip().split("\n\n") if each]
    assert len(tables) > 1
    assert [each for each in tables if each not in EVIDENCE.read_text()] == []
    assert json.loads(RESULTS.read_text())["nb201"]["commit"]
