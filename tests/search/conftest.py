"""Tests of strategies use one thread: their tensors are small, and threads only wait for each other on shared cores."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from nat_plugin.adapter import Adapter
from nat_plugin.ir import Network, NetworkSize, Op, is_connected
from nat_plugin.plugins import plugins

_NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_OPS = tuple(map(Op.parse, ("null", "skip", "conv_1x1", "conv_3x3", "avg_pool_3x3")))


class NB201:
    """Cells of NAS-Bench-201 as networks, and their measured accuracies on CIFAR-10 after 200 epochs."""

    def __init__(self, path: Path) -> None:
        self._adapter: Adapter = plugins().find("adapters", "nasbench201")
        self._validation: dict[str, float] = {}
        self._test: dict[str, float] = {}
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                seeds = [float(row[f"c10_val200_s{seed}"]) for seed in (1, 2, 3) if row[f"c10_val200_s{seed}"]]
                self._validation[row["ops"]] = float(np.mean(seeds))
                self._test[row["ops"]] = float(row["c10_test200"])

    def network(self, digits: str) -> Network:
        a, b, c, d, e, f = (_NAMES[int(digit)] for digit in digits)
        return self._adapter.read(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|", NetworkSize())

    def sample(self, count: int, seed: int, least: float = 0.0) -> list[Network]:
        """Random connected cells with at least so much test accuracy."""
        rng, digits = np.random.default_rng(seed), sorted(self._test)
        drawn = (
            self.network(digits[number])
            for number in rng.permutation(len(digits))
            if self._test[digits[number]] >= least
        )
        return [network for network, _ in zip(filter(is_connected, drawn), range(count), strict=False)]

    def validation(self, network: Network) -> float:
        return self._validation[self._of(network)]

    def test(self, network: Network) -> float:
        return self._test[self._of(network)]

    def _of(self, network: Network) -> str:
        return "".join(str(_OPS.index(op)) for op in network.ops)


@pytest.fixture(scope="session")
def nb201(shared_data: Path) -> NB201:
    return NB201(shared_data / "nasbench201.csv.gz")
