"""``nat resume``: go on with a run or a training."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json
from nat_plugin.errors import NATError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--moved", multiple=True, metavar="OLD=NEW", help="Where a file or folder is now that was read.")
@json_option
def resume(folder: Path, moved: tuple[str, ...], as_json: bool) -> None:
    """Go on with the run or training in FOLDER, after it was interrupted or killed."""
    from nat_plugin.cli import stoppable
    from nat_plugin.cli.closing import going_on, print_result, print_training
    from nat_plugin.plugins import plugins
    from nat_plugin.policy.training import train
    from nat_plugin.runs import run
    from nat_plugin.runs.progress import reporter
    from nat_plugin.runs.record import Record

    for each in moved:
        if "=" not in each:
            raise NATError(f"--moved '{each[:80]}': write OLD=NEW")
    training = train.is_training(folder)
    kind = train.TrainingRecord if training else Record
    go_on, show = (train.resume, print_training) if training else (run.resume, print_result)
    with stoppable(lambda: going_on(folder)), reporter() as progress:
        record = kind.read(folder) if moved else None
        places = dict(record.pair(each) for each in moved) if record else {}
        result = go_on(folder, plugins(), progress, places)
    print_json(result) if as_json else show(result, folder)
