"""``nat show``: an architecture with its costs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from nat_plugin.api.architectures import Architecture
from nat_plugin.cli.lines import keep_going_option
from nat_plugin.cli.options import adapter_option, json_option, print_json, size_options
from nat_plugin.describing import drawings, summary
from nat_plugin.errors import NATError
from nat_plugin.files import write_text
from nat_plugin.sources import size_of


@click.command()
@click.argument("source")
@adapter_option
@click.option("--svg", type=click.Path(path_type=Path), help="Draw its cells as a picture, into this SVG file.")
@click.option("--dot", type=click.Path(path_type=Path), help="Write its cells into this file, for Graphviz.")
@keep_going_option
@size_options
@json_option
def show(
    source: str,
    adapter: str | None,
    svg: Path | None,
    dot: Path | None,
    keep_going: bool,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
    as_json: bool,
) -> None:
    """Show SOURCE: a literal, a file, file.py:NAME, a published name, a folder of a model or run, or - for stdin."""
    from nat_plugin.cli.lines import Problems, each_source
    from nat_plugin.plugins import plugins

    for option, file in (("--svg", svg), ("--dot", dot)):
        if file is not None and source == "-":
            raise NATError(f"{option}: a file holds the drawing of one architecture; give that instead of -")
    problems = Problems(keep_going)
    for found in each_source(source, adapter, plugins(), problems):
        with problems.of(found.line):
            read = Architecture.of(found, size_of(found, channels, cells, size, classes))
            if svg is not None:
                write_text(svg, read.svg(alone=True))
            if dot is not None:
                write_text(dot, read.dot())
            print_json(read.describe()) if as_json else _print(read)
    problems.end()


def _print(read: Architecture) -> None:
    click.echo(f"{read.label} ({read.format}): {read.summary}")
    before = read.before
    if before is not None:
        click.echo(f"made from: {summary(before)}; changed below: [before -> after]")
    for heading, lines in drawings(read.network, before):
        click.echo("\n".join(["", heading, *("  " + line for line in lines)]))
    click.echo()
    _print_edges(read)


def _print_edges(read: Architecture) -> None:
    table = Table("cell", "edge", "op", "parameters", "MACs", "key", box=None, header_style="bold")
    for name, cell in read.describe()["cells"].items():
        for edge in cell["edges"]:
            dead = "" if edge["live"] or edge["op"] == "null" else " (dead)"
            where = f"{edge['source']} -> {edge['target']}"
            table.add_row(name, where, edge["op"] + dead, f"{edge['params']:,}", f"{edge['macs']:,}", edge["key"])
    Console(width=None if Console().is_terminal else 110).print(table)
