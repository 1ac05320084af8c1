"""Whatever a file holds, the command line says one line about it, soon and in little memory, and runs nothing of it."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Nat

GENOTYPE = (
    "Genotype(normal={}, normal_concat=[2], reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"
)
PAIRS = "[('{}', {}), ('skip_connect', 1)]"
NETWORK = (
    '{"format": "nat-network", "schema": 1, "input": [3, 8, 8], "stem": [[]], "head": {"classes": 2}, '
    '"placements": [{"cell": "a", "channels": 3, "sources": [0]}], '
    '"cells": {"a": {"inputs": 1, "nodes": [{}, {}], "edges": [%s], "output": [2]}}}'
)
"""The JSON of a network of one cell with one input and two inner nodes."""

SECONDS, MEMORY, TORCH = 20, 400 * 2**20, 4
"""Processor seconds and bytes of writable memory that a call may take, Python and numpy included, and how many times as
much memory with torch."""


class Trap:
    """Unpickling it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def edges(*ends: tuple[int, int], op: str = "skip") -> str:
    return NETWORK % ", ".join(f'{{"source": {a}, "target": {b}, "op": "{op}"}}' for a, b in ends)


HOSTILE: dict[str, tuple[str, str]] = {
    "nested deeply": ("[" * 200_000, "g.txt"),
    "nested deeply in JSON": ('{"normal": ' + "[" * 200_000, "g.json"),
    "nested deeply in Python": ("A = " + "(" * 200_000 + ")" * 200_000, "g.py:A"),
    "a million entries": (GENOTYPE.format("[" + "('skip_connect', 0)," * 1_000_000 + "]"), "g.txt"),
    "a million entries in JSON": ('{"normal": [' + '["skip_connect", 0],' * 600_000 + "[]]}", "g.json"),
    "a million edges": (edges(*[(0, 1)] * 200_000), "g.json"),
    "code": (GENOTYPE.format("__import__('pathlib').Path('ran').touch()"), "g.txt"),
    "code in Python": ("import pathlib\npathlib.Path('ran').touch()\nA = open('ran', 'w')\n", "g.py:A"),
    "code in a comprehension": (GENOTYPE.format("[open('ran', 'w') for _ in '1']"), "g.txt"),
    "a cycle": (edges((0, 1), (1, 2), (2, 1)), "g.json"),
    "a loop": (edges((0, 1), (1, 1), (1, 2)), "g.json"),
    "a node that comes later": (GENOTYPE.format(PAIRS.format("skip_connect", 2)), "g.txt"),
    "a node below zero": (GENOTYPE.format(PAIRS.format("skip_connect", -1)), "g.txt"),
    "a node that is not there": (edges((0, 1), (1, 77)), "g.json"),
    "an unknown op": (GENOTYPE.format(PAIRS.format("warp_drive", 0)), "g.txt"),
    "an unknown op in JSON": (edges((0, 1), (1, 2), op="warp"), "g.json"),
    "NaN": ('{"normal": [["skip_connect", NaN], ["skip_connect", 1]]}', "g.json"),
    "infinity in a network": (edges((0, 1), (1, 2)).replace('"classes": 2', '"classes": Infinity'), "g.json"),
    "a huge number": (edges((0, 1), (1, 2)).replace('"channels": 3', '"channels": ' + "9" * 100_000), "g.json"),
    "a newer schema": (edges((0, 1), (1, 2)).replace('"schema": 1', '"schema": 99'), "g.json"),
    "zero bytes": ("Genotype(\0)", "g.txt"),
    "a long number": ("9" * 1_000_000, "g.txt"),
}


def nat(folder: Path, *arguments: str, memory: int = MEMORY) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    command = [sys.executable, "-m", "nat_plugin", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, preexec_fn=limit, timeout=60)


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("nat: ")
    assert len(done.stderr) < 3000
    assert not (folder / "ran").exists()


def test_looking_at_an_architecture_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from nat_plugin.plugins import plugins; from nat_plugin.sources import find_source\n"
        "from nat_plugin.errors import NATError; import nat_plugin.cli.show\n"
        "try:\n    find_source('nothing that any adapter knows', None, plugins())\nexcept NATError:\n    pass\n"
        "print([name for name in ('torch', 'timm', 'nni', 'scipy', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_architecture(tmp_path: Path, what: str) -> None:
    text, source = HOSTILE[what]
    (tmp_path / source.partition(":")[0]).write_text(text)
    refused(nat(tmp_path, "show", source), tmp_path)


def test_a_file_that_is_too_large_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b" " * (17 * 2**20))
    refused(nat(tmp_path, "show", "large"), tmp_path)
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 100)
    refused(nat(tmp_path, "show", "binary"), tmp_path)
    refused(nat(tmp_path, "show", "."), tmp_path)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "text",
    [BOMB, "source: !!python/object/apply:os.mkdir ['ran']\n", "[" * 100_000, "source: DARTS_V2\nsource: DARTS_V1\n"],
    ids=["bomb", "object", "nested", "twice"],
)
def test_a_hostile_recipe(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    refused(nat(tmp_path, "run", "recipe.yaml", memory=TORCH * MEMORY), tmp_path)


def test_a_pickle_named_safetensors(tmp_path: Path) -> None:
    (tmp_path / "trap.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    done = nat(
        tmp_path, "transform", "DARTS_V2", "--policy", "trap.safetensors", "--device", "cpu", memory=TORCH * MEMORY
    )
    refused(done, tmp_path)
    assert "not a safetensors file" in done.stderr


@pytest.mark.parametrize(
    "override",
    [
        *("strategy={name: [nat]}", "evaluator={name: {a: 1}}", "adapter=[1]", "adapter={name: []}", "rules={}"),
        *("seed=1.0e+999", "seed=0x" + "f" * 5000, "budget={macs: [1]}", "source=2001-01-01", "a.b.c"),
        *("strategy=\udcff", 'source="\\ud800"'),
    ],
)
def test_a_hostile_override(nat: Nat, tmp_path: Path, override: str) -> None:
    for command in ("run", "compare"):
        recipe = {"run": "quickstart", "compare": "compare-digits"}[command]
        done = nat(command, recipe, "--set", override, "--out", str(tmp_path / "out"))
        assert (done.status, done.out) == (2, "")
        assert all(line.startswith("nat: ") and len(line) < 3000 for line in done.err.splitlines())
        assert not (tmp_path / "out").exists()


def test_nat_debug_shows_where_an_error_comes_from(nat: Nat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.json").write_text('{"format": "nat-network", }')
    command = ("show", str(tmp_path / "g.json"), "--adapter", "network")
    quiet = nat(*command)
    assert quiet.err.splitlines() == [quiet.err.strip()]
    monkeypatch.setenv("NAT_DEBUG", "0")
    assert nat(*command) == quiet
    monkeypatch.setenv("NAT_DEBUG", "1")
    loud = nat(*command)
    assert (loud.status, loud.out) == (2, "")
    assert loud.err.endswith(quiet.err)
    for part in ("Traceback", "json.decoder.JSONDecodeError", "serial.py", "network_json.py"):
        assert part in loud.err


@pytest.mark.parametrize(
    "command",
    [
        ("transform", "-", "--adapter", "network"),
        ("transform", "-", "--adapter", "network", "--keep-going"),
        ("show", "-", "--adapter", "network", "--keep-going"),
    ],
)
def test_nat_debug_shows_it_of_a_line_too(nat: Nat, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAT_DEBUG", "1")
    assert "json.decoder.JSONDecodeError" in nat(*command, stdin='{"format": "nat-network", }\n').err
