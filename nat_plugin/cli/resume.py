"""``nat resume``: go on with a run."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import json_option, print_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def resume(folder: Path, as_json: bool) -> None:
    """Go on with the run in FOLDER, after it was interrupted or killed."""
    from nat_plugin.cli.closing import print_result
    from nat_plugin.plugins import plugins
    from nat_plugin.runs.progress import reporter
    from nat_plugin.runs.run import resume as go_on

    with reporter() as progress:
        result = go_on(folder, plugins(), progress)
    print_json(result) if as_json else print_result(result, folder)
