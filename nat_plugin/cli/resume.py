"""``nat resume``: go on with a run or a training."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json
from nat_plugin.errors import NATError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--moved", multiple=True, metavar="OLD=NEW", help="New path of a file or folder that the run reads.")
@click.option("--devices", type=click.IntRange(1, 100_000), help="Use another number of devices.")
@click.option("--nodes", type=click.IntRange(1, 100_000), help="Use another number of machines.")
@json_option
def resume(folder: Path, moved: tuple[str, ...], devices: int | None, nodes: int | None, as_json: bool) -> None:
    """Resume the run or training in FOLDER, after it was interrupted or killed."""
    from nat_plugin.api.recipes import resume_job

    fabric = {name: value for name, value in (("devices", devices), ("nodes", nodes)) if value is not None}
    job = resume_job(folder, _places(folder, moved), fabric)

    from nat_plugin.api.results import TrainingResult
    from nat_plugin.cli import stoppable
    from nat_plugin.cli.results import going_on, print_result, print_training

    with stoppable(lambda: going_on(folder)):
        result = job.carry_through(progress=True)
    if as_json:
        print_json(result.figures)
    elif isinstance(result, TrainingResult):
        print_training(result.figures, folder)
    else:
        print_result(result.figures, folder)


def _places(folder: Path, moved: tuple[str, ...]) -> dict[str, str]:
    """Old and new places of what was moved."""
    from nat_plugin.policy.training.record import TrainingRecord, is_training
    from nat_plugin.runs.record import RunRecord

    for each in moved:
        if "=" not in each:
            raise NATError(f"--moved '{each[:80]}': write OLD=NEW")
    if not moved:
        return {}
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    record = (TrainingRecord if is_training(folder) else RunRecord).read(folder)
    return dict(record.pair(each) for each in moved)
