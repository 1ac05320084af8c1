"""``nat train``: a policy and its critic from tables, runs and evaluators."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder of the training.  [default: nat-trainings/RECIPE]"
)
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@json_option
def train(recipe: str, overrides: tuple[str, ...], out: Path | None, device: str | None, as_json: bool) -> None:
    """Train a policy by RECIPE: a file, or one of `nat recipes`. `nat resume` resumes it."""
    from nat_plugin.api.recipes import train_job

    job = train_job(recipe, overrides, out, device)

    from nat_plugin.cli import stoppable
    from nat_plugin.cli.results import going_on, print_training

    with stoppable(lambda: going_on(job.folder)):
        result = job.carry_through(progress=True)
    print_json(result.figures) if as_json else print_training(result.figures, result.folder)
