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
    """Train a policy by RECIPE: a file, or one of `nat recipes`. `nat resume` goes on with it."""
    from nat_plugin.plugins import plugins
    from nat_plugin.policy.training.recipe import load_training

    if device is not None:
        overrides = (*overrides, f"device={device}")
    plan = load_training(recipe, overrides, plugins())  # before torch is imported, which takes seconds

    from nat_plugin.cli import stoppable
    from nat_plugin.cli.closing import going_on, print_training
    from nat_plugin.policy.training.train import start
    from nat_plugin.runs.progress import reporter
    from nat_plugin.runs.run import default_folder

    folder = out or default_folder(recipe, Path("nat-trainings"))
    with stoppable(lambda: going_on(folder)), reporter() as progress:
        found = start(plan, folder, plugins(), progress)
    print_json(found) if as_json else print_training(found, folder)
