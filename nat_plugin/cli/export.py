"""``nat export``: an architecture as a torch module that needs no framework."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import adapter_option, frame_options, make_frame


@click.command()
@click.argument("source")
@adapter_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@frame_options
def export(
    source: str,
    adapter: str | None,
    output: Path,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
) -> None:
    """Write SOURCE as a module that only torch is needed for: model.py, to be read and changed, and weights.pt."""
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import find_source

    found = find_source(source, adapter, plugins())
    found.adapter.export(found.text, make_frame(found, channels, cells, size, classes), output)
    click.echo(f"{output}: model.py and weights.pt")
