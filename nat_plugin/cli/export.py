"""``nat export``: an architecture as a torch module that needs no framework."""

from __future__ import annotations

import os
from pathlib import Path

import click

from nat_plugin.cli.options import adapter_option, size_options


@click.command()
@click.argument("source")
@adapter_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Safetensors file with trained weights, by the names of the module.  [default for a run: those of its "
    "final stage]",
)
@size_options
def export(
    source: str,
    adapter: str | None,
    output: Path,
    weights: Path | None,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
) -> None:
    """Write SOURCE as a module that needs nothing but torch: model.py, which you can read and change, and weights.pt if
    there are weights. SOURCE may be the folder of a run: its result is written."""
    from nat_plugin.errors import NATError
    from nat_plugin.exporting import WEIGHTS
    from nat_plugin.plugins import plugins
    from nat_plugin.runs.record import RUN_FILE
    from nat_plugin.runs.weights import load_weights

    trained = load_weights(weights) if weights else None
    if os.path.isfile(os.path.join(source, RUN_FILE)):  # pathlib raises where a literal is too long for a name
        from nat_plugin.exporting import save_network
        from nat_plugin.runs.finished import read_finished

        if adapter or channels or cells or size or classes:
            raise NATError(f"{source}: format and size are those of the run; leave --adapter and the sizes out")
        run = read_finished(Path(source), plugins())
        if trained is None and run.weights is not None:
            trained = load_weights(run.weights)
        save_network(run.network, output, trained, run.adapter.module(run.network))
    else:
        from nat_plugin.sources import find_source, size_of

        found = find_source(source, adapter, plugins())
        found.adapter.export(found.text, size_of(found, channels, cells, size, classes), output, trained)
    written = "model.py and weights.pt" if (output / WEIGHTS).exists() else "model.py, without trained weights"
    fresh = ": FRESH weights, nothing was trained" if trained is None and (output / WEIGHTS).exists() else ""
    click.echo(f"{output}: {written}{fresh}")
