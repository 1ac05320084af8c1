"""Whole tables in the compact layouts; accuracies and latencies are made up, and follow what the cells hold."""

from __future__ import annotations

import gzip
import itertools
import zlib
from pathlib import Path

from nat_nasbench.nb201 import ENDS

CELLS = tuple(map("".join, itertools.product("01234", repeat=6)))
"""Every cell of NAS-Bench-201, a digit for each op."""
WORTH = (0.0, 3.0, 4.0, 5.0, 1.0)
MILLISECONDS = (0.0, 1.0, 5.0, 10.0, 3.0)


def alive(cell: str) -> list[int]:
    """The digits on a path from the input of a cell to its output."""
    edges = [(*ends, int(digit)) for ends, digit in zip(ENDS, cell, strict=True) if digit != "0"]
    fed, wanted = {0}, {3}
    for source, target, _ in sorted(edges, key=lambda edge: edge[1]):
        fed |= {target} if source in fed else set()
    for source, target, _ in sorted(edges, key=lambda edge: -edge[0]):
        wanted |= {source} if target in wanted else set()
    return [digit for source, target, digit in edges if source in fed and target in wanted and 3 in fed]


def percent(cell: str, of: str) -> float:
    """The accuracy of a cell; ``of`` says which, and adds up to a point of noise."""
    noise = zlib.crc32(f"{cell} {of}".encode()) / 2**32
    kept = alive(cell)
    return round(60 + sum(WORTH[digit] for digit in kept) + noise if kept else 10 + noise, 3)


def milliseconds(cell: str) -> float:
    """The latency of a cell; one that computes nothing has none."""
    return sum(MILLISECONDS[digit] for digit in alive(cell))


def nb201_table(path: Path) -> Path:
    """All cells, packed; a seventh of them were trained with two seeds of three."""
    singles = ("c10_val200_s1", "c10_val200_s2", "c10_val200_s3")
    parts = (*singles, "c10_test200", "c100_val200", "c100_test200", "c10_val12", "c100_val12")
    with gzip.open(path, "wt", compresslevel=1) as file:
        print("idx", "ops", *parts, sep=",", file=file)
        for number, cell in enumerate(CELLS):
            row = ["" if part == singles[2] and number % 7 == 0 else percent(cell, part) for part in parts]
            print(number, cell, *row, sep=",", file=file)
    return path


def latency_table(path: Path) -> Path:
    """All cells on two devices, of which one is twice as fast."""
    with path.open("w") as file:
        print("idx,raspi4,1080ti_1", file=file)
        for number, cell in enumerate(CELLS):
            print(number, milliseconds(cell), milliseconds(cell) / 2, sep=",", file=file)
    return path


def macro_table(path: Path) -> Path:
    """All networks of NAS-Bench-Macro."""
    with path.open("w") as file:
        print("arch,acc_s1,acc_s2,acc_s3", file=file)
        for digits in map("".join, itertools.product("012", repeat=8)):
            print(digits, *(70 + sum(map(int, digits)) + seed for seed in (0.1, 0.2, 0.3)), sep=",", file=file)
    return path
