"""From what a public source holds to a data file: columns, order and rounding of each."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nat_plugin.errors import NATError

NB101_COLUMNS = (
    *("val_accuracy", "flops", "params", "synflow", "nwot", "jacov", "snip", "grasp", "fisher"),
    *("grad_norm", "l2_norm", "plain", "epe_nas"),
)
NB301_COLUMNS = (*NB101_COLUMNS[1:4], "zen", *NB101_COLUMNS[4:])
DEVICES = ("1080ti_1", "pixel3", "raspi4", "gold_6226", "titan_rtx_32")
MATRIX = 49
"""Entries of an adjacency matrix of NAS-Bench-101, by rows."""


def macro_csv(published: bytes) -> bytes:
    """The rows of ``nas-bench-macro_cifar10.json``: three accuracies, parameters and FLOPs of every network."""

    def rows() -> Iterator[Sequence[object]]:
        for arch, found in sorted(_json(published).items()):
            accuracies = [f"{each:.2f}" for each in found["test_acc"]]
            yield arch, *accuracies, found["params"], found["flops"]

    return table("NAS-Bench-Macro", ("arch", "acc_s1", "acc_s2", "acc_s3", "params", "flops"), rows())


def nb101_csv(published: bytes) -> bytes:
    """The rows of NASLib's ``zc_nasbench101.json``: a cell is named by its matrix and its seven operations."""

    def rows() -> Iterator[Sequence[object]]:
        for name, found in _json(published)["nasbench101"]["cifar10"].items():
            digits = re.findall(r"\d", name)
            yield (
                "".join(digits[:MATRIX]),
                "".join(digits[MATRIX:]),
                *(_six(found.get(column)) for column in NB101_COLUMNS),
            )

    return table("zero-cost file of NAS-Bench-101", ("matrix", "ops", *NB101_COLUMNS), rows())


def nb301_csv(published: bytes) -> bytes:
    """The rows of NASLib's ``zc_nasbench301.json``, whose proxies come with the seconds that they took."""

    def rows() -> Iterator[Sequence[object]]:
        for name, found in _json(published)["cifar10"].items():
            proxies = (_six(found[column]["score"] if column in found else None) for column in NB301_COLUMNS)
            yield name, round(found["val_accuracy"], 6), *proxies

    return table("zero-cost file of NAS-Bench-301", ("arch", "val_accuracy_surrogate", *NB301_COLUMNS), rows())


def latency_csv(published: Mapping[str, bytes]) -> bytes:
    """The latency of every cell of NAS-Bench-201 in milliseconds, of one file of HELP for each device: a list, in the
    order of the benchmark. What is no plain data in it is refused, not executed."""

    def rows() -> Iterator[Sequence[object]]:
        columns = [[float(value) for value in load_saved(published[device])] for device in DEVICES]
        for number, values in enumerate(zip(*columns, strict=True)):
            yield number, *(f"{round(value, 3):g}" for value in values)

    return table("latency of HELP", ("idx", *DEVICES), rows())


def load_saved(file: bytes) -> Any:
    """What torch saved, of which nothing is executed; ValueError for anything else."""
    import torch  # what only lists files does without

    try:
        return torch.load(io.BytesIO(file), weights_only=True)
    except Exception as error:  # torch names no type for what is damaged or refused
        raise ValueError("".join(str(error).splitlines()[:1])[:100] or type(error).__name__) from error


def _json(published: bytes) -> Any:
    return json.loads(published)


def _six(value: float | None) -> str:
    """With six digits that count; empty where it is not there."""
    return "" if value is None else f"{value:.6g}"


def table(what: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """NATError where the rows are not made of what they say."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    try:
        writer.writerows(rows)
    except (ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise NATError(f"what was downloaded is no {what}: {type(error).__name__}: {error}") from error
    return text.getvalue().encode()
