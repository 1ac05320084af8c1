"""What the README says is so."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nat_plugin import RunResult
from nat_plugin.drawing import draw_change
from nat_plugin.ir import NetworkSize, cost
from nat_plugin.plugins import plugins
from tests.command_line import Nat

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(page: str = README) -> list[str]:
    """The indented blocks."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", page, re.MULTILINE)
    return ["\n".join(line.removeprefix("    ") for line in block.splitlines()).strip() for block in found]


def test_the_first_command_runs_the_quickstart_and_the_second_the_tests() -> None:
    first, second = blocks()[:2]
    assert first == "pip install . && nat run quickstart"
    ci = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "")
    assert f"\n{second} ||" in ci
    assert second.endswith("pytest")


def test_the_quick_commands_answer_in_the_folder_of_a_clone(nat: Nat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (shell,) = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in shell.splitlines()]
    assert [words[1] for words in lines[:2]] == ["show", "transform"]
    assert len(lines) == 5
    for words in lines:
        assert words[0] == "nat"
        done = nat(*words[1:])
        assert done.status == 0, done.err
        assert done.out, words


def test_the_lines_of_python_run_and_name_what_a_result_has() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    *quick, run = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(quick), names)
    assert names["lean"].macs <= 0.9 * names["arch"].macs
    for text in quick:
        for name, attribute in re.findall(r"\b(arch|lean)\.(\w+)", text):
            assert getattr(names[name], attribute)
    assert run.startswith('result = nat.run("quickstart")')
    assert set(re.findall(r"result\.(\w+)", run)) <= set(dir(RunResult)) | {each.name for each in fields(RunResult)}


def test_the_result_of_the_quickstart_is_drawn_and_counted_as_its_tutorial_shows() -> None:
    page = (ROOT / "docs" / "tutorials" / "first-search.md").read_text().partition("## A whole run")[2]
    darts = plugins().adapters["darts"]
    size = NetworkSize(16, 3, (1, 8, 8), 10)
    before = darts.read(darts.published()["DARTS_V2"].text, size)
    found = blocks(page)
    drawing, genotype = next((a, b) for a, b in pairwise(found) if b.startswith("Genotype("))
    after = darts.read(genotype, size)
    assert darts.write(after) == genotype
    moved = before.with_ops(after.ops)
    assert draw_change(before, moved) == drawing
    for name, column in (("parameters", "params"), ("MACs", "macs")):
        old, new = getattr(cost(before), column), getattr(cost(after), column)
        assert f"| {name} | {old:,} | {new:,} | {new / old - 1:+.1%} |" in page


def test_every_format_and_page_is_there() -> None:
    table = README.partition("## Formats")[2].partition("\n## ")[0]
    cells = "".join(re.findall(r"^\| \[([^]]+)\]", table, re.MULTILINE))
    assert set(re.findall(r"`([a-z0-9-]+)`", cells)) == set(plugins().adapters)
    prose = "\n".join(line for line in README.splitlines() if not line.startswith("    "))
    for path in re.findall(r"\]\(([^)#]+)", prose):
        assert (ROOT / path).is_file(), path
    assert len(README.splitlines()) < 80, "one screen"
