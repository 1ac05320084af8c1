"""``nat advise``: which operations of a model are dead weight."""

from __future__ import annotations

from pathlib import Path

import click

from nat_plugin.cli.options import adapter_option, json_option, pairs, print_json, size_options


@click.command()
@click.argument("source")
@adapter_option
@click.option("--weights", required=True, help="Weights of the model: a .safetensors file, or a folder with one.")
@click.option(
    "--images", required=True, type=click.Path(path_type=Path), help="Folder of images like those of its training."
)
@click.option(
    "--labels", "labelled", is_flag=True, help="Each folder in it is a class, by number or in alphabetical order."
)
@click.option(
    "--count", type=click.IntRange(4, 100_000), default=64, show_default=True, help="Number of images to use."
)
@click.option("--rules", default="nat++", show_default=True, help="Allowed replacements: nat, nat++, ...")
@click.option(
    "--budget", multiple=True, metavar="METRIC=LIMIT", help="Limits of combinations: macs=0.8x, latency=0.7x, ..."
)
@click.option("--mean", type=click.FloatRange(0, 1), help="Mean of pixels, from 0 to 1.  [default: that of the model]")
@click.option(
    "--std",
    type=click.FloatRange(0, 1, min_open=True),
    help="Standard deviation of pixels.  [default: that of the model]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Seed of the random sample of images.",
)
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the advice as a picture, into this SVG file.")
@json_option
@size_options
def advise(
    source: str,
    adapter: str | None,
    weights: str,
    images: Path,
    labelled: bool,
    count: int,
    rules: str,
    budget: tuple[str, ...],
    svg: Path | None,
    mean: float | None,
    std: float | None,
    device: str,
    seed: int,
    as_json: bool,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
) -> None:
    """List every single move of SOURCE with what it saves, in parameters, MACs and measured time, and how much it
    changes the output of the model, and the moves that go well together. Nothing is trained. Operations that could
    replace a block are fitted first."""
    from nat_plugin.advising.picture import check_picture, draw
    from nat_plugin.advising.settings import AdviceSettings
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import find_source, size_of

    found = find_source(source, adapter, plugins())
    network_size = size_of(found, channels, cells, size, classes)
    limits = pairs(budget, "--budget", "METRIC=LIMIT, as in macs=0.8x")
    if svg is not None:
        check_picture(svg)
    wanted = AdviceSettings(weights, images, labelled, count, rules, limits, mean, std, device, seed)
    advice = found.adapter.advise(found.text, network_size, wanted)
    if svg is not None:
        draw(advice, svg)
    if as_json:
        print_json(advice.to_json())
    else:
        click.echo(str(advice))
