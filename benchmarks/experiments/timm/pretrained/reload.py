"""Saved models loaded in a process that has seen nothing else: what each gets right, what it costs, how long it takes
in turns with the model that it was made of. Called by ``experiment.py``; prints a line of JSON for each folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import nat_timm
import torch
from torch import Tensor, nn

from benchmarks.experiments.timm.pretrained.subjects import SUBJECTS, Files, Pictures
from nat_plugin.device import memory_kept
from nat_plugin.nets.counting import count
from nat_plugin.timing import Clock, compare_times, quickest, repeated_ratio

PICKLED = "model.pt"
"""Of a peer that saves whole modules; read by the process that had it written."""
PASSES = {1: 4}
"""In a block of timing, by batch; else one."""
WITHIN, ROUGHLY = 0.02, 0.05
"""How wide the interval of a ratio may be, of one picture and of more."""
Network: TypeAlias = Callable[[Tensor], Tensor]
"""From pictures to logits, both where it computes."""
STOCK = "stock "
"""Begins the names of models of timm without weights."""


def saved(model: nn.Module, folder: Path, *, by_timm: bool) -> None:
    """Write a model so that it can be loaded by another process."""
    folder.mkdir(parents=True, exist_ok=True)
    if by_timm:
        nat_timm.save(model, folder)
    else:
        torch.save(model, folder / PICKLED)


def loaded(folder: Path) -> nn.Module:
    pickled = folder / PICKLED
    model: nn.Module = torch.load(pickled, weights_only=False) if pickled.exists() else nat_timm.load(folder)
    made: nn.Module = model.eval().to(memory_format=torch.channels_last)
    return made


@memory_kept()
@torch.no_grad()
def right(model: nn.Module, pictures: Pictures) -> str:
    """A digit for each picture: whether it is right."""
    hits = torch.cat([model(x).argmax(1) == y for x, y in pictures])
    return "".join("01"[int(hit)] for hit in hits)


@torch.no_grad()
def ratio(model: nn.Module, other: nn.Module, x: Tensor) -> dict[str, float]:
    """The time of a pass as a share of that of another model, in turns, with the 95 % interval of the median."""
    clock, passes = Clock.of(x.device), PASSES.get(len(x), 1)
    for each in (model, other):
        each(x)

    def round() -> float:
        theirs = quickest(lambda: other(x), clock, passes)
        return quickest(lambda: model(x), clock, passes) / theirs

    found = repeated_ratio(round, WITHIN if len(x) == 1 else ROUGHLY)
    return {"ratio": found.ratio, "low": found.low, "high": found.high}


def in_turns(first: Network, second: Network, x: Tensor, clock: Clock) -> dict[str, float]:
    """Milliseconds of the first, and the time of the second as a share of it, with the 95 % interval of the median."""
    for each in (first, second):
        each(x)
    found = compare_times(lambda: first(x), lambda: second(x), clock, WITHIN)
    return {"ms": 1e3 * quickest(lambda: first(x), clock), "ratio": found.ratio, "low": found.low, "high": found.high}


def figures(folder: Path, original: nn.Module, pictures: Pictures, batches: Sequence[int]) -> dict[str, Any]:
    model, shape = loaded(folder), pictures.shape
    found = count(model, shape)
    known: dict[str, Any] = {"params": found.params, "macs": found.macs}
    if not folder.name.startswith(STOCK):  # those have no weights
        known["right"] = right(model, pictures)
    for batch in batches:
        x = torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last)
        known[f"latency {batch}"] = ratio(model, original, x)
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--model", choices=SUBJECTS, required=True)
    parser.add_argument("--split", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = Files(given.data, Path())
    test, original = SUBJECTS[given.model].split(files, given.split).test, loaded(given.original)
    for folder in given.folders:
        print(json.dumps(figures(folder, original, test, given.batches)), flush=True)


if __name__ == "__main__":
    main()
