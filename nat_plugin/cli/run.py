"""``nat run``: carry a recipe through."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: nat-runs/RECIPE]")
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@click.option("--extended", is_flag=True, help="Allow null where the format cannot say it; writes network JSON.")
@json_option
def run(
    recipe: str, overrides: tuple[str, ...], out: Path | None, device: str | None, extended: bool, as_json: bool
) -> None:
    """Run RECIPE: a file, or one of `nat recipes`."""
    from nat_plugin.plugins import plugins
    from nat_plugin.runs.reading import read_values

    if device is not None:
        overrides = (*overrides, f"device={device}")
    if extended:
        overrides = (*overrides, "extended=true")
    values = read_values(recipe, overrides, plugins())  # before torch is imported, which takes seconds

    from nat_plugin.cli import stoppable
    from nat_plugin.cli.closing import going_on, print_result
    from nat_plugin.runs.progress import reporter
    from nat_plugin.runs.recipe import plan_of_file
    from nat_plugin.runs.run import default_folder, start

    plan = plan_of_file(recipe, values, plugins())
    folder = out or default_folder(recipe)
    with stoppable(lambda: going_on(folder)), reporter() as progress:
        result = start(plan, folder, plugins(), progress)
    print_json(result) if as_json else print_result(result, folder)
