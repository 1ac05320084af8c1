"""``nat report``: make ``report.html`` of folders again, or one of several runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: FOLDER/report.html]")
def report(folders: tuple[Path, ...], output: Path | None) -> None:
    """Make report.html of FOLDER, a run, comparison, training or compaction, from the files in it. Of several runs: one
    file with them side by side."""
    from nat_plugin.plugins import plugins
    from nat_plugin.reporting.folder import write_report

    plugins()  # whose operations the files may name
    click.echo(write_report(folders[0], lambda line: click.echo(line, err=True), output))
