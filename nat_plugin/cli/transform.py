"""``nat transform``: apply a trained policy to an architecture, without evaluating anything."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from nat_plugin.cli.options import adapter_option, frame_options, json_option, make_frame, print_json

if TYPE_CHECKING:
    from nat_plugin.sources import Source

CHUNK = 512
RARE = 500_000
"""New objects until garbage is looked for."""


@click.command()
@click.argument("source")
@adapter_option
@click.option("--policy", required=True, metavar="FILE_OR_NAME", help="A policy file, or one that ships.")
@click.option("--rules", default="nat", show_default=True, help="Rules of transition.")
@click.option("--budget", multiple=True, metavar="METRIC=LIMIT", help="macs=0.9x, params=2.5M, ...  [default: none]")
@click.option(
    "--samples", type=click.IntRange(0, 100_000), default=0, help="Take the likeliest of so many samples too."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--extended", is_flag=True, help="Allow null where the format cannot say it; writes network JSON.")
@frame_options
@json_option
def transform(
    source: str,
    adapter: str | None,
    policy: str,
    rules: str,
    budget: tuple[str, ...],
    samples: int,
    seed: int,
    device: str,
    extended: bool,
    channels: int | None,
    cells: int | None,
    size: int | None,
    classes: int | None,
    as_json: bool,
) -> None:
    """Transform SOURCE by a trained policy; prints the architecture in its own format, one per line for SOURCE -."""
    import torch

    from nat_plugin.cli.lines import each_source, naming
    from nat_plugin.cli.side_by_side import side_by_side
    from nat_plugin.device import find_compute
    from nat_plugin.ir import Budget, Moves, find_rule
    from nat_plugin.plugins import plugins
    from nat_plugin.policy.apply import apply_policy
    from nat_plugin.policy.finding import find_policy
    from nat_plugin.writing import extended as with_null
    from nat_plugin.writing import result_adapter, write_back

    rule, limits = find_rule(rules), Budget.parse(_pairs(budget))
    torch.set_num_threads(1)  # a policy is small, and threads would wait for each other
    loaded = find_policy(policy, find_compute(device).device)
    sources = each_source(source, adapter, plugins())

    def work(chunk: list[Source]) -> list[tuple[str, dict[str, Any] | None]]:
        """The result of each as text, and its row for JSON."""
        moves, frames = [], []
        for found in chunk:
            with naming(found):
                frames.append(make_frame(found, channels, cells, size, classes))
                network = found.adapter.read(found.text, frames[-1])
                network = with_null(network) if extended else network
                moves.append(Moves(network, rule, limits.resolve(network)))
        results = apply_policy(moves, loaded, samples, seed)
        done: list[tuple[str, dict[str, Any] | None]] = []
        for found, frame, before, after in zip(chunk, frames, moves, results, strict=True):
            writer = result_adapter(found.adapter, extended)
            with naming(found):
                text = write_back(writer, before, after, frame)
            done.append((text, _row(found.label, writer.name, before.network, after, text) if as_json else None))
        return done

    rows: list[dict[str, Any] | None] = []
    chunks = iter(lambda: list(islice(sources, CHUNK)), [])
    with _rare_collection():
        for done in side_by_side(work, chunks, None if loaded.device.type == "cpu" else 1):
            for text, row in done:
                if as_json:
                    rows.append(row)
                else:
                    click.echo(text)
    if as_json:
        print_json({"results": rows} if source == "-" else rows[0])


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Garbage is looked for rarely, and not among what was imported: a tenth of the time for many architectures."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(RARE, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _pairs(budget: tuple[str, ...]) -> dict[str, str]:
    from nat_plugin.errors import NATError

    pairs = {}
    for text in budget:
        metric, equals, limit = text.partition("=")
        if not equals:
            raise NATError(f"--budget {text[:60]!r}: write METRIC=LIMIT, as in macs=0.9x")
        pairs[metric.strip()] = limit.strip()
    return pairs


def _row(label: str, adapter: str, before: Any, after: Any, text: str) -> dict[str, Any]:
    from nat_plugin.ir import cost, is_connected, key

    new = cost(after)
    old = cost(before) if is_connected(before) else None
    return {
        "source": label,
        "format": adapter,
        "architecture": text,
        "changed": key(before) != key(after),
        "params": new.params,
        "macs": new.macs,
        "source_params": old and old.params,
        "source_macs": old and old.macs,
    }
