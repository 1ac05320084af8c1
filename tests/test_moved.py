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
from nat_darts import DartsAdapter

import nat_plugin
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.ir import NetworkSize
from nat_plugin.moved import MODULES
from nat_plugin.settings import AnySettings
from nat_plugin.sources import Source, size_of

NAMES = {
    "nat_plugin.extending.Bench": "nat_plugin.extending.EvaluatorContext",
    "nat_plugin.evaluators.base.Bench": "nat_plugin.evaluators.base.EvaluatorContext",
    "nat_plugin.ir.Frame": "nat_plugin.ir.NetworkSize",
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


def test_an_adapter_may_say_its_size_by_the_old_name() -> None:
    class Old(DartsAdapter):
        def natural_frame(self, text: str) -> NetworkSize:
            return NetworkSize(classes=len(text))

    source = Source("DARTS_V2", Old(), "a cell")
    with pytest.warns(DeprecationWarning, match=r"^Adapter\.natural_frame is Adapter\.natural_size now$"):
        assert size_of(source).classes == len("DARTS_V2")


def test_an_evaluator_may_say_its_size_by_the_old_name() -> None:
    class Old(Evaluator):
        @classmethod
        def frame(cls, settings: AnySettings) -> NetworkSize:
            return NetworkSize(classes=int(settings is not None))

    with pytest.warns(DeprecationWarning, match=r"^Evaluator\.frame is Evaluator\.network_size now$"):
        assert Old.network_size(AnySettings()).classes == 1


def test_an_architecture_has_its_size_by_the_old_name() -> None:
    read = nat_plugin.read("DARTS_V2", classes=7)
    with pytest.warns(DeprecationWarning, match=r"^Architecture\.frame is Architecture\.size now$"):
        assert read.frame is read.size


def test_nothing_of_ours_is_asked_for_by_its_old_name() -> None:
    program = (
        "import importlib, pkgutil, nat_plugin\n"
        "packages = [each.name for each in pkgutil.walk_packages(nat_plugin.__path__, 'nat_plugin.') if each.ispkg]\n"
        "for name in ['nat_plugin', *packages]:\n"
        "    package = importlib.import_module(name)\n"
        "    for each in getattr(package, '__all__', ()):\n"
        "        getattr(package, each)\n"
        "print(len(packages))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "DeprecationWarning: module nat_" not in done.stderr
    assert int(done.stdout) > 20
