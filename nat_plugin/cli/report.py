"""``nat report``: make ``report.html`` of a folder again, or one of several runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

SEVERAL = Path("report.html")


@click.command()
@click.argument("folders", metavar="FOLDER…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=f"File to write.  [default: FOLDER/report.html; for several: {SEVERAL}]",
)
def report(folders: tuple[Path, ...], output: Path | None) -> None:
    """Make report.html again: of FOLDER, which is of a run, comparison, training or compaction. With several runs, one
    file shows them side by side."""
    from nat_plugin.plugins import plugins
    from nat_plugin.reporting.report_file import write_report, write_side_by_side

    def say(line: str) -> None:
        click.echo(line, err=True)

    plugins()  # whose operations the files may name
    if len(folders) == 1:
        click.echo(write_report(folders[0], say, output))
    else:
        click.echo(write_side_by_side(folders, say, output or SEVERAL))
