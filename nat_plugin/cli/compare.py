"""``nat compare``: several strategies with equal queries."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: nat-comparisons/RECIPE]"
)
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@click.option("--processes", type=click.IntRange(1, 1024), help="Searches that go on side by side.")
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

    The same command goes on with a comparison that was interrupted or killed.
    """
    from nat_plugin.plugins import plugins
    from nat_plugin.runs.reading import read_values

    if device is not None:
        overrides = (*overrides, f"device={device}")
    if processes is not None:
        overrides = (*overrides, f"processes={processes}")
    values = read_values(recipe, overrides, plugins())  # before torch is imported, which takes seconds

    from rich.console import Console

    from nat_plugin.cli import stoppable
    from nat_plugin.comparisons.compare import compare as carry_through
    from nat_plugin.comparisons.compare import default_folder
    from nat_plugin.comparisons.plots import MISSING, available
    from nat_plugin.comparisons.recipe import plan_of_file
    from nat_plugin.comparisons.report import table
    from nat_plugin.runs.progress import reporter

    plan = plan_of_file(recipe, values, plugins())
    folder = out or default_folder(recipe)
    with stoppable(lambda: "stopped; the same command goes on"), reporter() as progress:
        found = carry_through(plan, folder, plugins(), progress)
    if not available():
        click.echo(MISSING, err=True)
    if as_json:
        print_json(found)
        return
    Console(width=None if Console().is_terminal else 150).print(table(found))
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".md", ".json", ".csv", ".png", ".svg"))
    click.echo(f"\n{folder}: {', '.join(names)}")
