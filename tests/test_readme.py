"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from nat_plugin.drawing import draw_change
from nat_plugin.ir import Frame, cost
from nat_plugin.plugins import plugins

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks() -> list[str]:
    """The indented blocks."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)
    return ["\n".join(line.removeprefix("    ") for line in block.splitlines()).strip() for block in found]


def test_the_first_command_runs_the_quickstart_and_the_second_the_tests() -> None:
    first, second = blocks()[:2]
    assert first == "pip install . && nat run quickstart"
    ci = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "")
    assert f"\n{second} ||" in ci
    assert second.endswith("pytest")


def test_the_result_of_the_quickstart_is_drawn_and_counted_as_shown() -> None:
    darts = plugins().adapters["darts"]
    frame = Frame(16, 3, (1, 8, 8), 10)
    before = darts.read(darts.published()["DARTS_V2"].text, frame)
    drawing, genotype = next((a, b) for a, b in zip(blocks(), blocks()[1:], strict=False) if b.startswith("Genotype("))
    after = darts.read(genotype, frame)
    assert darts.write(after) == genotype
    moved = before.with_ops(after.ops)
    assert draw_change(before, moved) == drawing
    for name, column in (("parameters", "params"), ("MACs", "macs")):
        old, new = getattr(cost(before), column), getattr(cost(after), column)
        assert f"| {name} | {old:,} | {new:,} | {new / old - 1:+.1%} |" in README


def test_every_format_and_page_is_there() -> None:
    table = README.partition("## Formats")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", table, re.MULTILINE)) == set(plugins().adapters)
    prose = "\n".join(line for line in README.splitlines() if not line.startswith("    "))
    for path in re.findall(r"\]\(([^)#]+)", prose):
        assert (ROOT / path).is_file(), path


def test_every_command_shown_is_known() -> None:
    from nat_plugin.cli import SUBCOMMANDS

    used = {line.split()[1] for block in blocks() for line in block.splitlines() if line.startswith("nat ")}
    assert used
    assert used <= set(SUBCOMMANDS)
