"""``nat convert``: an architecture from one format into another."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.lines import keep_going_option
from nat_plugin.cli.options import size_options


@click.command()
@click.argument("source")
@click.option("--from", "source_adapter", required=True, metavar="ADAPTER", help="The format of SOURCE.")
@click.option("--to", "target_adapter", required=True, metavar="ADAPTER", help="The format to write.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: standard output]")
@keep_going_option
@size_options
def convert(
    source: str,
    source_adapter: str,
    target_adapter: str,
    output: Path | None,
    keep_going: bool,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
) -> None:
    """Write SOURCE, which is in one format, in another; the IR's own is `network`."""
    from nat_plugin.api.architectures import Architecture
    from nat_plugin.cli.lines import Problems, each_source
    from nat_plugin.files import write_text
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import size_of

    plugins().find("adapters", target_adapter)
    problems, texts = Problems(keep_going), []
    for found in each_source(source, source_adapter, plugins(), problems):
        with problems.of(found.line):
            read = Architecture.of(found, size_of(found, channels, cells, size, classes))
            text = read.convert(target_adapter).text
            if output is None:
                click.echo(text)
            else:
                texts.append(text)
    if output is not None:
        write_text(output, "\n".join(texts) + "\n")
    problems.end()
