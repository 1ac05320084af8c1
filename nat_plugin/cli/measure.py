"""``nat measure``: what every op costs in every slot, into a file."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import adapter_option, size_options


@click.command()
@click.argument("source")
@adapter_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="JSON file to write.")
@click.option("--batch", type=click.IntRange(1, 65_536), default=1, show_default=True, help="Images per forward pass.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.  [default: torch's]")
@click.option("--layout", help="channels_last or contiguous.  [default: channels_last]")
@click.option("--precision", default="auto", show_default=True, help="float32, bfloat16, float16 or auto.")
@click.option("--runtime", default="eager", show_default=True, help="eager, compile or onnxruntime.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--blank",
    metavar="METRIC:UNIT",
    help="Measure nothing: write an empty table of your own metric to fill in, as in energy:mJ.",
)
@size_options
def measure(
    source: str,
    adapter: str | None,
    output: Path,
    batch: int,
    threads: int | None,
    layout: str | None,
    precision: str,
    runtime: str,
    device: str,
    blank: str | None,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
) -> None:
    """Time every operation allowed in SOURCE, and write a table that budgets can use, here or elsewhere."""
    from nat_plugin.arguments import read_path
    from nat_plugin.errors import NATErrors
    from nat_plugin.measuring.tables import TableSubject, blank_table, fingerprint
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import find_source, size_of

    read_path("--output", output)
    found = find_source(source, adapter, plugins())
    network = found.adapter.read(found.text, size_of(found, channels, cells, size, classes))
    identity = found.adapter.identity(network)
    of = TableSubject(
        fingerprint(network, identity), found.label, found.adapter.name, network.input, network.head.classes
    )
    if blank is not None:
        metric, unit = _metric(blank)
        table = blank_table(network, metric, unit, of)
        table.write(output)
        count = sum(map(len, table.costs.values()))
        click.echo(f"{output}: {count} costs and `fixed` are to be filled in, in {unit}")
        return

    from nat_plugin.measuring.measure import measure_table, ops_to_measure
    from nat_plugin.measuring.settings import LatencySettings
    from nat_plugin.runs.checking import validate
    from nat_plugin.runs.progress import reporter

    given = {"batch": batch, "threads": threads, "layout": layout, "precision": precision, "runtime": runtime}
    mistakes: list[str] = []
    settings = validate(LatencySettings, {**given, "device": device}, "measure", mistakes)
    if settings is None:
        raise NATErrors(mistakes)
    with reporter() as progress:
        progress.phase("latency of the whole network", 1)
        latency = found.adapter.latency(network, settings)
        progress.step(1, f"{latency.whole:.3g} ms")
        progress.phase("latency of every op", len(ops_to_measure(latency.network)))
        table = measure_table(latency, of, progress.step)
    table.write(output)
    click.echo(f"{output}: {latency.whole:.3g} ms as a whole, {latency.setting}")


def _metric(given: str) -> tuple[str, str]:
    """The name and the unit. NATError for anything else."""
    import re

    from nat_plugin.errors import NATError
    from nat_plugin.ir.budget import METRICS

    name, _, unit = given.partition(":")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,59}", name) or not unit or name in METRICS:
        raise NATError(f"--blank {given[:60]!r}: write METRIC:UNIT, as in energy:mJ; {', '.join(METRICS)} are counted")
    return name, unit
