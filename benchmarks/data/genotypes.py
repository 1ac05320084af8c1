"""Cells of DARTS: published ones from the files that name them, and random ones with what they were trained to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nat_darts.cells import parse
from nat_darts.document import read_document
from nat_darts.entries import read_concat, read_entries

from benchmarks.data.conversions import table
from benchmarks.data.pickles import read_plain
from nat_plugin.errors import NATError
from nat_plugin.literals import assigned

CHOSEN = Path(__file__).with_name("chosen") / "named_genotypes.json"
"""Which cells of which files, and what was reported of them."""
CELLS = ("normal", "reduce")
EPOCHS = (50, 100, 200, 300, 450)


def named_json(download: Callable[[str, str, str], bytes]) -> bytes:
    """``download``: a file by its repository, commit and path."""
    chosen = json.loads(CHOSEN.read_text(encoding="utf-8"))
    places = dict.fromkeys((each["repo"], each["commit"], each["path"]) for each in chosen)
    files = {place: download(*place).decode(errors="replace") for place in places}
    return json.dumps([_named(each, files) for each in chosen], indent=0).encode()


def _named(chosen: dict[str, Any], files: dict[tuple[str, str, str], str]) -> dict[str, Any]:
    place = chosen["repo"], chosen["commit"], chosen["path"]
    try:
        genotype = parse(read_document(assigned(files[place], chosen["name"])))
    except NATError as error:
        raise NATError(f"{'/'.join(place)}: {error}") from error
    found = dict(zip(("name", "repo", "commit", "path"), (chosen["name"], *place), strict=True))
    for cell in CELLS:
        found[cell] = [[entry.op, entry.source, entry.target] for entry in genotype.entries[cell].entries]
        found[f"{cell}_concat"] = list(genotype.concat[cell])
    return found | {name: value for name, value in chosen.items() if name not in found}


def darts214_csv(genotypes: bytes, accuracies: bytes) -> bytes:
    """``214genotypes.pkl``, a list of genotypes, and ``214_random_architectures.npy``, the test accuracy of each after
    every epoch."""

    def rows() -> Iterator[Sequence[object]]:
        curves = np.load(io.BytesIO(accuracies), allow_pickle=False)
        for number, (cells, curve) in enumerate(zip(read_plain(genotypes, {"Genotype"}), curves, strict=True)):
            normal, normal_concat, reduce, reduce_concat = cells
            shown = curve.max(), curve[-1], *(curve[epoch - 1] for epoch in EPOCHS)
            nodes = _nodes(normal, normal_concat), _nodes(reduce, reduce_concat)
            yield number, *nodes, *(f"{accuracy:.2f}" for accuracy in shown)

    head = ("id", *CELLS, "acc_best", "acc_last", *(f"acc_e{epoch}" for epoch in EPOCHS))
    return table("random cells of NAS-Benchmark", head, rows())


def _nodes(cell: Any, concat: Any) -> str:
    entries = read_entries(cell, "a cell", read_concat(concat, "its output")).entries
    nodes = [
        [entry for entry in entries if entry.target == target] for target in sorted({each.target for each in entries})
    ]
    return "|".join(";".join(f"{entry.op}<{entry.source}" for entry in node) for node in nodes)
