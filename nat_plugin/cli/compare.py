"""``nat compare``: several strategies with equal queries."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: nat-comparisons/RECIPE]"
)
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    help="Searches run in parallel: executor.workers of the recipe.",
)
@json_option
def compare(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    device: str | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Compare the strategies in RECIPE, a file or one of `nat recipes`, with equal queries.

    The same command resumes a comparison that was interrupted or killed.
    """
    from nat_plugin.api.recipes import compare_job

    job = compare_job(recipe, overrides, out, device, processes)

    from rich.console import Console

    from nat_plugin.cli import stoppable
    from nat_plugin.comparisons.plots import MISSING, available
    from nat_plugin.comparisons.report import table

    with stoppable(lambda: "stopped; the same command resumes it"):
        result = job.carry_through(progress=True)
    found, folder = result.figures, result.folder
    if not available():
        click.echo(MISSING, err=True)
    if as_json:
        print_json(found)
        return
    Console(width=None if Console().is_terminal else 150).print(table(found))
    names = sorted(
        path.name for path in folder.iterdir() if path.suffix in (".html", ".md", ".json", ".csv", ".png", ".svg")
    )
    click.echo(f"\n{folder}: {', '.join(names)}")
