"""``nat resume``: go on with a run or a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nat_plugin.cli.options import json_option, print_json
from nat_plugin.errors import NATError

if TYPE_CHECKING:
    from nat_plugin.plugins import Plugins


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--moved", multiple=True, metavar="OLD=NEW", help="Where a file or folder is now that was read.")
@json_option
def resume(folder: Path, moved: tuple[str, ...], as_json: bool) -> None:
    """Go on with the run or training in FOLDER, after it was interrupted or killed."""
    from nat_plugin.plugins import plugins
    from nat_plugin.policy.training.record import is_training

    training = is_training(folder)
    places = _places(folder, training, moved, plugins())  # before torch is imported, which takes seconds

    from nat_plugin.cli import stoppable
    from nat_plugin.cli.closing import going_on, print_result, print_training
    from nat_plugin.runs.progress import reporter

    if training:
        from nat_plugin.policy.training.train import resume as go_on
    else:
        from nat_plugin.runs.run import resume as go_on
    with stoppable(lambda: going_on(folder)), reporter() as progress:
        result = go_on(folder, plugins(), progress, places)
    print_json(result) if as_json else print_training(result, folder) if training else print_result(result, folder)


def _places(folder: Path, training: bool, moved: tuple[str, ...], plugins: Plugins) -> dict[str, str]:
    """Old and new places of what was moved. NATError for a folder that cannot be gone on with, by its record."""
    from nat_plugin.policy.training.recipe import plan_training
    from nat_plugin.policy.training.record import TrainingRecord
    from nat_plugin.runs.record import Record

    for each in moved:
        if "=" not in each:
            raise NATError(f"--moved '{each[:80]}': write OLD=NEW")
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    record = (TrainingRecord if training else Record).read(folder)
    places = dict(record.pair(each) for each in moved)
    if training:
        plan_training(record.moved(places).recipe, plugins)
    return places
