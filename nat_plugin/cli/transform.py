"""``nat transform``: apply a trained policy to an architecture, without evaluating anything."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import TYPE_CHECKING

import click

from nat_plugin.cli.lines import InputLines, Problems, keep_going_option, read_line
from nat_plugin.cli.options import (
    adapter_option,
    chosen_by,
    executor_option,
    json_option,
    pairs,
    print_json,
    size_options,
)
from nat_plugin.errors import NATError

if TYPE_CHECKING:
    from nat_plugin.cli.transforming import Done, Wrong
    from nat_plugin.sources import Source

FIRST, CHUNK = 32, 512
"""Lines worked on together: so many at first, for a result soon, and then twice as many each time, up to so many."""
FAR = 4096
"""As many at the most for workers elsewhere, each time for one of them."""
RARE = 500_000
"""New objects until garbage is looked for."""


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Garbage is looked for rarely: a tenth of the time for many architectures, and of that of imports."""
    usual = gc.get_threshold()
    gc.set_threshold(RARE, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


@click.command()
@click.argument("source")
@adapter_option
@click.option(
    "--policy", default="general", show_default=True, metavar="FILE_OR_NAME", help="A policy file, or one that ships."
)
@click.option("--rules", default="nat", show_default=True, help="Allowed replacements: nat, nat++, ...")
@click.option("--budget", multiple=True, metavar="METRIC=LIMIT", help="macs=0.9x, params=2.5M, ...  [default: none]")
@click.option(
    "--cost", "costs", multiple=True, metavar="METRIC=FILE", help="A table of `nat measure`, or your own, for --budget."
)
@click.option(
    "--samples",
    type=click.IntRange(0, 100_000),
    default=0,
    help="Also sample this many candidates, and keep the likeliest.",
)
@click.option(
    "--proxies", is_flag=True, help="Score finalists by training-free proxies, for a critic trained with them."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--extended", is_flag=True, help="Allow null where the format cannot represent it; writes network JSON.")
@keep_going_option
@executor_option
@size_options
@json_option
@_rare_collection()
def transform(
    source: str,
    adapter: str | None,
    policy: str,
    rules: str,
    budget: tuple[str, ...],
    costs: tuple[str, ...],
    samples: int,
    proxies: bool,
    seed: int,
    device: str,
    extended: bool,
    keep_going: bool,
    executor: tuple[str, ...],
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
    as_json: bool,
) -> None:
    """Transform SOURCE by a trained policy, and print the architecture in its own format, one per line for SOURCE -.

    With --json, SOURCE - gives one document with one result per line, printed as soon as it is known.

    The lines of SOURCE - are worked on in parallel: by processes of this machine, one per core and at most four, or by
    the --executor.
    """
    from nat_plugin.api.transforming import prepare

    tables = pairs(costs, "--cost", "METRIC=FILE, as in energy=energy.json")
    limits = pairs(budget, "--budget", "METRIC=LIMIT, as in macs=0.9x")
    settings = {"rules": rules, "samples": samples, "proxies": proxies, "seed": seed, "extended": extended}
    chosen = chosen_by(executor)
    if chosen is not None and source != "-":
        raise NATError("--executor works only with SOURCE -")
    transformation = prepare(policy, limits, tables, settings, device)
    if chosen is not None and transformation.times:
        raise NATError("--executor: a budget of latency is measured in this process alone; leave it out")

    import torch

    from nat_plugin.cli.policy_notices import Remarks
    from nat_plugin.cli.side_by_side import side_by_side
    from nat_plugin.cli.transforming import Printing, StreamRequest, Wrong, by_executor
    from nat_plugin.plugins import plugins
    from nat_plugin.sources import find_source

    torch.set_num_threads(1)  # a policy is small, and threads would wait for each other
    where = transformation.policy.policy.device
    sizes = (channels, cells, size, classes)
    lines = InputLines()
    remarks = Remarks(transformation.policy.name, *sizes)

    def read(number: int, line: bytes) -> Source | Wrong:
        try:
            return remarks.of(read_line(number, line, adapter, plugins()))
        except NATError as error:
            return Wrong.of(error, number)

    def parts() -> Iterator[list[Source | Wrong]]:
        if source != "-":
            yield [remarks.of(find_source(source, adapter, plugins()))]
            return
        most = FIRST
        while taken := lines.take(most):
            yield [read(*each) for each in taken]
            most = min(CHUNK if chosen is None else FAR, 2 * most)

    problems = Problems(keep_going)
    gc.freeze()  # what was imported is no garbage
    with _printing(as_json, source == "-") as show:
        if chosen is None:
            count = None if where.type == "cpu" and not transformation.times else 1
            found = side_by_side(Printing(transformation, sizes, as_json).of, parts(), count, lines.ready)
        else:
            limited, costing, setting = tuple(limits.items()), tuple(tables.items()), tuple(settings.items())
            asked = StreamRequest(transformation.policy.name, limited, costing, setting, device, sizes, as_json)
            found = by_executor(*chosen, asked, parts(), lines.ready)
        for done in found:
            for each in done:
                if isinstance(each, Wrong):
                    problems.meet(each.problem, each.line)
                else:
                    show(each)
                    if each.remark and source != "-":
                        click.echo(each.remark, err=True)
    problems.end()


@contextmanager
def _printing(as_json: bool, is_stream: bool) -> Iterator[Callable[[Done], None]]:
    """Prints each result as soon as it is there. The JSON of a stream is one document with each row on a line of its
    own, behind a comma but for the first; it is whole also where something ends the work."""
    if not as_json:
        yield lambda done: click.echo(done.text)
        return
    if not is_stream:
        yield lambda done: print_json(done.row)
        return
    separators = chain([""], repeat(","))
    click.echo('{"results": [')
    try:
        yield lambda done: click.echo(next(separators) + json.dumps(done.row))
    finally:
        click.echo("]}")
