"""Pages of docs/: every link leads somewhere, every page is in the site, every command that is shown is known."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from nat_plugin.cli import SUBCOMMANDS, nat

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OPEN = ("budget.", "costs.", "sources.", "strategy.", "evaluator.", "executor.", "network.")
"""Groups of a recipe whose keys a user or a plugin names."""


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """What the site and GitHub both make of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        where = Path(os.path.normpath(page.parent / path)) if path else page
        assert where.is_file(), target
        assert where.is_relative_to(DOCS), f"{target} is not part of the site"
        assert not anchor or anchor in anchors(where), target


def test_every_page_is_in_the_site_and_has_a_title() -> None:
    listed: list[str] = []

    def walk(entry: Any) -> None:
        for each in entry if isinstance(entry, list) else entry.values():
            listed.append(each) if isinstance(each, str) else walk(each)

    walk(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]
    for page in PAGES:
        assert page.read_text().startswith("# "), page


def shown(page: Path) -> list[list[str]]:
    """The words of every ``nat`` command on a page, without ``nat``."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^(?:    |\$ |)(nat [^\n]*)", text, re.MULTILINE)
    return [line.split("  #")[0].split(" # ")[0].split()[1:] for line in lines]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_are_shown_have_their_options_and_keys(page: Path) -> None:
    keys = set(re.findall(r"^\| `([\w.*]+)` \|", (DOCS / "reference" / "recipes.md").read_text(), re.MULTILINE))
    for name, *words in shown(page):
        assert name in SUBCOMMANDS, name
        command = nat.get_command(click.Context(nat), name)
        assert command is not None
        options = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
        for word, following in pairwise([*words, ""]):
            if word.startswith("--"):
                assert word in options, (name, word)
            if word == "--set":
                key, _, value = following.partition("=")
                key = key if not key.startswith("data.") else f"evaluator.{key}"
                assert value, following
                assert key in keys or key.startswith(OPEN), (name, key)


def test_a_page_that_the_code_names_is_there() -> None:
    sources = [path for room in ("nat_plugin", "adapters", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"docs/[\w/-]+\.\w+", path.read_text())}
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
