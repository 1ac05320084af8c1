"""``nat show``: an architecture with its costs."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from nat_plugin.cli.lines import keep_going_option
from nat_plugin.cli.options import adapter_option, frame_options, json_option, make_frame, print_json
from nat_plugin.describing import describe, drawings, summary
from nat_plugin.ir import Network
from nat_plugin.sources import Source


@click.command()
@click.argument("source")
@adapter_option
@keep_going_option
@frame_options
@json_option
def show(
    source: str,
    adapter: str | None,
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

    problems = Problems(keep_going)
    for found in each_source(source, adapter, plugins(), problems):
        with problems.of(found.line):
            network = found.adapter.read(found.text, make_frame(found, channels, cells, size, classes))
            described = describe(network)
            if as_json:
                print_json({"source": found.label, "format": found.adapter.name, **described})
            else:
                _print(found, network)
    problems.end()


def _print(found: Source, network: Network) -> None:
    click.echo(f"{found.label} ({found.adapter.name}): {summary(network)}")
    before = found.adapter.unmoved(network)
    if before is not None:
        click.echo(f"made from: {summary(before)}; changed below: [before -> after]")
    for heading, lines in drawings(network, before):
        click.echo("\n".join(["", heading, *("  " + line for line in lines)]))
    click.echo()
    _print_edges(network)


def _print_edges(network: Network) -> None:
    table = Table("cell", "edge", "op", "parameters", "MACs", "key", box=None, header_style="bold")
    for name, cell in describe(network)["cells"].items():
        for edge in cell["edges"]:
            dead = "" if edge["live"] or edge["op"] == "null" else " (dead)"
            where = f"{edge['source']} -> {edge['target']}"
            table.add_row(name, where, edge["op"] + dead, f"{edge['params']:,}", f"{edge['macs']:,}", edge["key"])
    Console(width=None if Console().is_terminal else 110).print(table)
