"""The pages of docs/reference that are made of the code say what the code says."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import nat_plugin
from nat_plugin.cli import SUBCOMMANDS, nat
from nat_plugin.plugins import Plugins, installed
from nat_plugin.reference import PAGES
from nat_plugin.reference.commands import commands_page
from nat_plugin.reference.python import python_page
from nat_plugin.reference.recipes import recipes_page

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """All that ships, and nothing else."""
    monkeypatch.setenv("NAT_PLUGINS", "")
    return Plugins(installed())


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_the_one_that_is_made(name: str, own: Plugins) -> None:
    if not FOLDER.exists():
        pytest.skip("docs/ is not beside the tests")
    assert (FOLDER / name).read_text() == PAGES[name](own), "run: python -m nat_plugin.reference docs/reference"


def test_every_setting_has_a_meaning(own: Plugins) -> None:
    rows = [line for line in recipes_page(own).splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_option_of_every_command_is_there(own: Plugins) -> None:
    page = commands_page(own)
    for name in SUBCOMMANDS:
        context = click.Context(nat)
        command = nat.get_command(context, name)
        assert command is not None
        section = page.partition(f"## nat {name}\n")[2].partition("\n## ")[0]
        for each in command.params:
            shown = isinstance(each, click.Option) and not each.hidden
            assert all(f"`{option}`" in section for option in each.opts if shown), (name, each.opts)


def test_every_promised_name_of_python_is_there_with_what_it_is(own: Plugins) -> None:
    page = python_page(own)
    for name in set(nat_plugin.__all__) - {"__version__", "nni", "timm"}:
        section = page.partition(f"### nat.{name}\n")[2].partition("\n###")[0]
        assert section.strip(), name
