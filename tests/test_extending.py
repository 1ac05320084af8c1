"""A plugin needs nothing but what ``nat_plugin``, ``nat_plugin.ir`` and ``nat_plugin.extending`` export."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nat_plugin.extending

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = {"nat_plugin", "nat_plugin.ir", "nat_plugin.extending"}
PLUGIN = '''
"""Words of two letters as architectures, a strategy and an evaluator: all of a plugin, in one file."""

from collections.abc import Callable, Sequence
from typing import Any

from nat_plugin import Adapter, Evaluator, NATError, Strategy, hookimpl
from nat_plugin.extending import Assessment, Measurement, Proposal, Published, Scale, Settings, Split, State
from nat_plugin.ir import (
    NULL, SKIP, Cell, Conv, Edge, Frame, Head, Network, Node, Norm, Op, OpKind, Origin, Placement, Site,
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

    def read(self, text: str, frame: Frame) -> Network:
        word = text.removeprefix("word:")
        if len(word) != 2 or not set(word) <= OPS.keys():
            raise NATError(f"{text!r:.40} is no word of two letters out of {', '.join(OPS)}")
        choices = tuple(OPS.values())
        edges = tuple(Edge(0, 1, OPS[each], str(number), choices) for number, each in enumerate(word))
        cell, channels = Cell(1, (Node(),), edges, (1,)), frame.filled(4, 1)[0]
        stem = cifar_stem(frame.input[0], channels)
        placements = (Placement("word", channels, (0,)),)
        return Network((("word", cell),), placements, stem, Head(frame.classes), frame.input, Origin("word", "1", text))

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
    assert {each for each in imported if each.startswith("nat_")} == PUBLIC


FORMATS = ("nat_darts", "nat_enas", "nat_nasbench", "nat_ofa")
"""Adapters that read and write, and do no more; ``nat_nni`` and ``nat_timm`` train, measure and run as well."""


@pytest.mark.parametrize("package", FORMATS)
def test_nor_do_the_adapters_of_this_project(package: str) -> None:
    imported = {
        each.module or ""
        for path in (ROOT / "adapters" / package).rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.ImportFrom)
    }
    assert {name for name in imported if name.startswith("nat_plugin")} <= {*PUBLIC, "nat_plugin.ir.vertices"}


def test_an_adapter_needs_no_torch() -> None:
    program = (
        "import sys; from nat_plugin import Adapter; from nat_plugin.extending import Published, Patches, Settings; "
    )
    done = subprocess.run(
        [sys.executable, "-c", program + "print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def test_every_name_is_there() -> None:
    assert all(getattr(nat_plugin.extending, name) is not None for name in nat_plugin.extending.__all__)
