"""``nat run``: carry a recipe through."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: nat-runs/RECIPE]")
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@click.option("--extended", is_flag=True, help="Allow null where the format cannot represent it; writes network JSON.")
@json_option
def run(
    recipe: str, overrides: tuple[str, ...], out: Path | None, device: str | None, extended: bool, as_json: bool
) -> None:
    """Run RECIPE: a file, or one of `nat recipes`."""
    from nat_plugin.api.recipes import run_job

    job = run_job(recipe, overrides, out, device, extended)

    from nat_plugin.cli import stoppable
    from nat_plugin.cli.results import going_on, print_result

    with stoppable(lambda: going_on(job.folder)):
        result = job.carry_through(progress=True)
    print_json(result.figures) if as_json else print_result(result.figures, result.folder)
