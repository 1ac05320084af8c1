"""Names of earlier versions go on working, and a warning says the new one."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator

import nat_nni  # noqa: F401 - its modules of earlier versions are known then
import nat_timm  # noqa: F401
import pytest

from nat_plugin.moved import MODULES

NAMES = {
    "nat_plugin.extending.Bench": "nat_plugin.extending.EvaluatorContext",
    "nat_plugin.evaluators.base.Bench": "nat_plugin.evaluators.base.EvaluatorContext",
    "nat_plugin.evaluators.table.Layout": "nat_plugin.evaluators.table.TableLayout",
    "nat_plugin.data.Source": "nat_plugin.data.ImageSource",
    "nat_plugin.data.source.Source": "nat_plugin.data.source.ImageSource",
    "nat_nni.export.export_module": "nat_nni.export_module",
    "nat_nni.export.save_module": "nat_nni.save_module",
}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Modules that were imported by an old name are found anew, and other tests do not see them."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in MODULES:
            del sys.modules[name]


@pytest.mark.parametrize(("old", "new"), NAMES.items())
def test_an_old_name_is_the_new_one(old: str, new: str) -> None:
    module, _, name = old.rpartition(".")
    place, _, renamed = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"^{re.escape(old)} is {re.escape(new)} now$"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(place), renamed)
    assert name not in dir(importlib.import_module(module))


@pytest.mark.parametrize(("old", "new"), [pair for pair in MODULES.items() if pair[1]])
def test_a_module_is_found_by_its_old_name(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"^module {re.escape(old)} is {re.escape(new)} now$"):
        found = importlib.import_module(old)
    assert found is importlib.import_module(new)
    assert found.__name__ == new


def test_the_warning_is_of_the_line_that_imports() -> None:
    program = (
        "from nat_plugin.strategies.base import Strategy\nfrom nat_plugin.extending import Bench\n"
        "import nat_plugin\nassert Strategy is nat_plugin.Strategy"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", program], capture_output=True, text=True, check=True
    )
    lines = dict.fromkeys(line for line in done.stderr.splitlines() if "<string>" in line)
    assert list(lines) == [
        "<string>:1: DeprecationWarning: module nat_plugin.strategies.base is nat_plugin.search.base now",
        "<string>:2: DeprecationWarning: nat_plugin.extending.Bench is nat_plugin.extending.EvaluatorContext now",
    ]
