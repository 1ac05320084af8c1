"""A plugin needs nothing but what is promised: the names in ``__all__`` of ``nat_plugin`` and of some modules in it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from nat_plugin.reference.python import PROMISED

ROOT = Path(__file__).resolve().parents[1]
FEW = {"nat_plugin", "nat_plugin.ir", "nat_plugin.extending"}
"""All that a small plugin needs."""
LAZY = sorted(
    path.parent.name
    for path in (ROOT / "nat_plugin").glob("*/__init__.py")
    if "if TYPE_CHECKING:" in path.read_text(encoding="utf-8")
)
"""Packages that import their names when they are first asked for."""
ADAPTERS = sorted(path.name for path in (ROOT / "adapters").glob("nat_*"))
PLUGIN = '''
"""Words of two letters as architectures, a strategy and an evaluator: all of a plugin, in one file."""

from collections.abc import Callable, Sequence
from typing import Any

from nat_plugin import Adapter, Evaluator, NATError, Strategy, hookimpl
from nat_plugin.extending import Assessment, Measurement, Proposal, Published, Scale, Settings, Split, State
from nat_plugin.ir import (
    NULL, SKIP, Cell, Conv, Edge, NetworkSize, Head, Network, Node, Norm, Op, OpKind, Origin, Placement, Site,
    cifar_stem, cost,
)


def thin(attributes: Any, site: Site) -> tuple[Any, ...]:
    return Conv(site.c_in, site.c_out, (1, 1), (site.stride, site.stride)), Norm(site.c_out)


THIN = OpKind("thin", "thin_{k}", thin)
OPS = {"a": Op.parse("conv_3x3"), "b": Op.parse("conv_1x1"), "-": SKIP, "0": NULL}
NAMES = {op: name for name, op in OPS.items()}


class WordAdapter(Adapter):
    """Words: ``word:ab``."""

    name = "word"
    summary = "two letters out of a, b, - and 0"

    def recognises(self, text: str) -> bool:
        return text.startswith("word:")

    def read(self, text: str, size: NetworkSize) -> Network:
        word = text.removeprefix("word:")
        if len(word) != 2 or not set(word) <= OPS.keys():
            raise NATError(f"{text!r:.40} is no word of two letters out of {', '.join(OPS)}")
        choices = tuple(OPS.values())
        edges = tuple(Edge(0, 1, OPS[each], str(number), choices) for number, each in enumerate(word))
        cell, channels = Cell(1, (Node(),), edges, (1,)), size.filled(4, 1)[0]
        stem = cifar_stem(size.input[0], channels)
        placements = (Placement("word", channels, (0,)),)
        return Network((("word", cell),), placements, stem, Head(size.classes), size.input, Origin("word", "1", text))

    def write(self, network: Network) -> str:
        return "word:" + "".join(NAMES[edge.op] for edge in network.by_name["word"].edges)

    def published(self) -> dict[str, Published]:
        return {"WORD": Published("word:aa", "nowhere")}


class FirstSettings(Settings):
    """Of ``first``."""

    most: int = 3
    """proposals at most"""


class FirstStrategy(Strategy):
    """The first moves in order."""

    Settings = FirstSettings

    def __init__(self, task: Any, settings: Any) -> None:
        super().__init__(task, settings)
        self.gains: list[tuple[list[str], float]] = []
        self.asked = 0

    def ask(self, count: int) -> list[Proposal]:
        (source,) = self.task.inputs
        moves = self.moves_of(source)
        every = [moves.apply(choice) for choice in moves.all() if choice != moves.identity][: self.settings.most]
        chosen = every[self.asked : self.asked + count]
        found = [Proposal(self.asked + number, source, network) for number, network in enumerate(chosen)]
        self.asked += len(found)
        return found

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        if measurement is not None:
            self.gains.append(([str(op) for op in proposal.network.ops], measurement.gain))

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        best = sorted(self.gains, key=lambda each: -each[1])[:count]
        return [source.with_ops([Op.parse(text) for text in ops]) for ops, _ in best]

    def state(self) -> State:
        return {"asked": self.asked, "gains": self.gains}

    def restore(self, state: State) -> None:
        self.asked, self.gains = state["asked"], [(list(ops), gain) for ops, gain in state["gains"]]


class SmallEvaluator(Evaluator):
    """The fewer parameters, the better."""

    on_images = False
    untrained = True
    how = "counted"

    @classmethod
    def scale(cls, settings: Any) -> Scale:
        return Scale("score", percent=False)

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        return [Measurement(-cost(each.network).params, -cost(each.source).params) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        return Assessment(-cost(network).params, 0)

    def summary(self) -> dict[str, Any]:
        return {"name": "nothing", "shape": [3, 32, 32], "classes": 10, "splits": {}}


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(WordAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    register(THIN)


@hookimpl
def register_strategies(register: Callable[[str, type[Strategy]], None]) -> None:
    register("first", FirstStrategy)


@hookimpl
def register_evaluators(register: Callable[[str, type[Evaluator]], None]) -> None:
    register("small", SmallEvaluator)
'''
RECIPE = {
    "source": "WORD",
    "strategy": {"name": "first", "most": 2},
    "evaluator": {"name": "small"},
    "search": {"rounds": 2, "proposals": 1},
}
PROGRAM = """
import json, sys
import nat_plugin as nat
print(json.dumps([nat.read("word:-b").format, "torch" in sys.modules]))
result = nat.run({recipe}, out="run")
print(json.dumps([result.input.text, result.winner.text, result.winner.params < result.input.params]))
"""


def test_a_plugin_of_one_file_is_found_and_carries_a_run_through(tmp_path: Path) -> None:
    """Installed as pip would: a module, and beside it the entry point."""
    (tmp_path / "nat_words.py").write_text(PLUGIN)
    info = tmp_path / "nat_words-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nat-words\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nat_plugin]\nwords = nat_words\n")
    program = PROGRAM.replace("{recipe}", repr(RECIPE))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NAT_PLUGINS": "words"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    read, run = map(json.loads, done.stdout.splitlines())
    assert read == ["word", False]
    assert run == ["word:aa", "word:a-", True]


def test_it_imports_nothing_else() -> None:
    imported = [each.module or "" for each in ast.walk(ast.parse(PLUGIN)) if isinstance(each, ast.ImportFrom)]
    assert {each for each in imported if each.startswith("nat_")} == FEW


def unpromised(source: str) -> Iterator[str]:
    """What a module imports of the core beyond what is promised."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("nat_plugin."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nat_plugin":
            module = node.module or ""
            names = import_module(module).__all__ if module in {"nat_plugin", *PROMISED} else ()
            yield from (f"{module}.{each.name}" for each in node.names if each.name not in names)


@pytest.mark.parametrize("package", ADAPTERS)
def test_nor_do_the_adapters_of_this_project(package: str) -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "adapters" / package).rglob("*.py")}
    assert len(sources) > 3
    assert {path.name: found for path, each in sources.items() if (found := list(unpromised(each)))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from nat_plugin.fitting import Moments, solve", []),
        ("def late():\n    from nat_plugin.fitting import solve, chunk", ["nat_plugin.fitting.chunk"]),
        ("from nat_plugin.fitting.solving import solve", ["nat_plugin.fitting.solving.solve"]),
        ("from nat_plugin import fitting", ["nat_plugin.fitting"]),
        ("import nat_plugin.fitting", ["nat_plugin.fitting"]),
    ],
)
def test_what_is_not_promised_is_seen_wherever_it_is_imported(source: str, found: list[str]) -> None:
    assert list(unpromised(source)) == found


@pytest.mark.parametrize("module", PROMISED)
def test_every_name_that_is_promised_is_there_and_the_page_on_python_has_its_module(module: str) -> None:
    promised = import_module(module)
    assert all(getattr(promised, name) is not None for name in promised.__all__)
    assert f"`{module}`" in (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_the_names_of_a_package_that_imports_them_late(package: str) -> None:
    """They are listed twice: as imports for type checkers, and by module."""
    seen = [
        each.asname or each.name
        for node in ast.walk(ast.parse((ROOT / "nat_plugin" / package / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"nat_plugin.{package}.")
        for each in node.names
    ]
    assert sorted(seen) == sorted(import_module(f"nat_plugin.{package}").__all__)


def test_importing_a_promised_package_imports_no_torch() -> None:
    assert len(LAZY) >= 10
    program = "".join(f"import nat_plugin.{each}; " for each in LAZY) + "import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_an_adapter_needs_no_torch() -> None:
    program = (
        "import sys; from nat_plugin import Adapter; from nat_plugin.extending import Published, Patches, Settings; "
    )
    done = subprocess.run(
        [sys.executable, "-c", program + "print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
