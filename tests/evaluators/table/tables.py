"""Tables of a user's own: what one DARTS genotype may become under the rules ``nat``, with results that follow from the
ops."""

from __future__ import annotations

import csv
import gzip
import itertools
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

OPS = ("sep_conv_3x3", "skip_connect", "none")
WORTH = {"sep_conv_3x3": 3.0, "skip_connect": 2.0, "none": 0.0}
INPUT = ("sep_conv_3x3",) * 4
RESULTS = ("accuracy", "loss", "share")


def genotype(ops: Sequence[str], swapped: bool = False) -> str:
    """A cell of two nodes, normal and reduction alike but for the ops of the reduction cell, which are fixed."""
    order = (1, 0, 3, 2) if swapped else (0, 1, 2, 3)
    pairs = [(ops[at], at % 2) for at in order]
    rest = [("max_pool_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 0), ("skip_connect", 1)]
    return f"Genotype(normal={pairs}, normal_concat=[2, 3], reduce={rest}, reduce_concat=[2, 3])"


def percent(ops: Sequence[str]) -> float:
    return 70 + sum(WORTH[op] * (1 + at / 4) for at, op in enumerate(ops))


def combinations(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    """So many variants of the input, itself the first of them; every cell keeps an output."""
    every = [ops for ops in itertools.product(OPS, repeat=4) if set(ops[:2]) != {"none"} and set(ops[2:]) != {"none"}]
    every.remove(INPUT)
    return [INPUT, *random.Random(seed).sample(every, count - 1)]


def own_table(path: Path, cells: Sequence[Sequence[str]], column: str = "architecture") -> Path:
    opened: Any = path.open if path.suffix == ".csv" else partial(gzip.open, path)
    with opened("wt") as file:
        writer = csv.writer(file)
        writer.writerow(["name", column, *RESULTS, "accuracy_test"])
        for number, ops in enumerate(cells):
            value = percent(ops)
            writer.writerow([f"run {number}", genotype(ops), value, (100 - value) / 10, value / 100, value - 1])
    return path
