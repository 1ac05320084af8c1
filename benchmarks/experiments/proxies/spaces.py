"""Measured spaces in which networks can become others: their networks, in groups of inputs."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nat_plugin.adapter import Adapter
from nat_plugin.evaluators.proxies.evaluator import ProxiesSettings
from nat_plugin.ir import Network, NetworkSize
from nat_plugin.plugins import plugins

SIZE = NetworkSize(ProxiesSettings().channels, ProxiesSettings().cells)
NB201_DIGITS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@dataclass(frozen=True)
class Group:
    """Inputs (by how the table writes them), and what is known of each network: to choose by and to report."""

    inputs: tuple[str, ...]
    chosen: Mapping[str, float]
    reported: Mapping[str, float]


@dataclass(frozen=True)
class Space:
    """A table. ``read`` makes a network of what it writes, ``write`` the reverse; ``groups`` by name."""

    read: Callable[[str], Network]
    write: Callable[[Network], str]
    rule: str
    groups: Mapping[str, Group]


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def adapter(name: str) -> Adapter:
    adapter: Adapter = plugins().find("adapters", name)
    return adapter


def nb201_cell(digits: str) -> Network:
    """Of the six digits of a cell."""
    names = [NB201_DIGITS[int(digit)] for digit in digits]
    text = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)
    return adapter("nasbench201").read(text, SIZE)


def nb201_digits(network: Network) -> str:
    ops = {"null": 0, "skip": 1, "conv_1x1": 2, "conv_3x3": 3, "avg_pool_3x3": 4}
    return "".join(str(ops[str(op)]) for op in network.ops)


def nb201(data: Path) -> Space:
    table = rows(data / "nasbench201.csv.gz")
    test = {row["ops"]: float(row["c10_test200"]) for row in table}
    seeds = {
        row["ops"]: [float(row[f"c10_val200_s{n}"]) for n in (1, 2, 3) if row[f"c10_val200_s{n}"]] for row in table
    }
    chosen = {ops: sum(accuracies) / len(accuracies) for ops, accuracies in seeds.items()}
    limits = {"below 90": (0, 90), "90 to 93": (90, 93), "93 and more": (93, 101)}
    return Space(
        nb201_cell,
        nb201_digits,
        "nat",
        {
            name: Group(tuple(ops for ops in test if low <= test[ops] < high), chosen, test)
            for name, (low, high) in limits.items()
        },
    )


def transnas(data: Path) -> Space:
    """Inputs are good by the mean rank of the other tasks. The cells are scored in the network of NAS-Bench-201."""
    table = rows(data / "transnas_micro.csv.gz")
    tasks = {
        task: {row["ops"]: float(row[task]) for row in table} for task in ("class_object", "jigsaw", "autoencoder")
    }
    ranks = {
        task: dict(zip(sorted(accuracies, key=accuracies.__getitem__), range(len(accuracies)), strict=True))
        for task, accuracies in tasks.items()
    }
    groups = {}
    for task, accuracies in tasks.items():
        others = [ranks[other] for other in tasks if other != task]
        mean = {ops: sum(each[ops] for each in others) for ops in accuracies}
        middle = float(np.median(list(mean.values())))
        groups[f"{task}, all"] = Group(tuple(accuracies), accuracies, accuracies)
        groups[f"{task}, good"] = Group(tuple(ops for ops in accuracies if mean[ops] >= middle), accuracies, accuracies)
    return Space(nb201_cell, nb201_digits, "nat", groups)


def macro(data: Path) -> Space:
    table = rows(data / "nasbench_macro.csv.gz")
    first = {row["arch"]: float(row["acc_s1"]) for row in table}
    others = {row["arch"]: (float(row["acc_s2"]) + float(row["acc_s3"])) / 2 for row in table}
    own = adapter("nasbench-macro")

    def read(digits: str) -> Network:
        return own.read(digits, NetworkSize(SIZE.channels))

    def write(network: Network) -> str:
        kinds = {"nbmacro_identity": "0", "nbmacro_mb_k3_e3": "1", "nbmacro_mb_k5_e6": "2"}
        return "".join(kinds[str(op)] for op in network.ops)

    return Space(read, write, "nat++", {"all": Group(tuple(first), first, others)})


SPACES: Mapping[str, Callable[[Path], Space]] = {"nb201": nb201, "transnas": transnas, "macro": macro}
