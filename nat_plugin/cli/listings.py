"""``nat adapters``, ``strategies``, ``evaluators``, ``datasets``, ``recipes``: what there is to choose from."""

from __future__ import annotations

import inspect
from itertools import takewhile
from typing import Any

import click

from nat_plugin.cli.options import json_option, print_json


def _print(rows: list[dict[str, Any]], as_json: bool, what: str) -> None:
    if as_json:
        print_json({what: rows})
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['summary']}")


def _first_sentence(text: str) -> str:
    """Of the first paragraph, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".").replace("``", "")


def _summary(thing: object) -> str:
    return _first_sentence(inspect.getdoc(thing) or "")


@click.command()
@json_option
def adapters(as_json: bool) -> None:
    """The formats, and the architectures that ship with each."""
    from nat_plugin.plugins import plugins

    rows = [
        {"name": each.name, "summary": each.summary, "published": published}
        for each, published in plugins().ask(lambda each: sorted(each.published()))
    ]
    _print(rows, as_json, "adapters")
    if not as_json:
        for row in rows:
            if row["published"]:
                click.echo(f"\npublished, {row['name']}: {', '.join(row['published'])}")


@click.command()
@json_option
def strategies(as_json: bool) -> None:
    """The strategies."""
    from nat_plugin.plugins import plugins

    found = plugins().strategies.items()
    _print([{"name": name, "summary": _summary(each)} for name, each in found], as_json, "strategies")


@click.command()
@json_option
def evaluators(as_json: bool) -> None:
    """The evaluators."""
    from nat_plugin.plugins import plugins

    found = plugins().evaluators.items()
    _print([{"name": name, "summary": _summary(each)} for name, each in found], as_json, "evaluators")


@click.command()
@json_option
def executors(as_json: bool) -> None:
    """The executors."""
    from nat_plugin.plugins import plugins

    found = plugins().executors.items()
    _print([{"name": name, "summary": _summary(each)} for name, each in found], as_json, "executors")


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """The data sets."""
    from nat_plugin.plugins import plugins

    found = plugins().datasets.items()
    _print([{"name": name, "summary": _summary(each)} for name, each in found], as_json, "datasets")


@click.command()
@json_option
def recipes(as_json: bool) -> None:
    """The recipes that ship, each with the comment at its top."""
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import read_text

    rows = []
    for name, path in sorted(plugins().recipes.items()):
        head = takewhile(lambda line: line.startswith("#"), read_text(path).splitlines())
        summary = _first_sentence("\n".join(line.lstrip("# ") for line in head))
        rows.append({"name": name, "summary": summary, "path": str(path)})
    _print(rows, as_json, "recipes")
