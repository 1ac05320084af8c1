"""NNI's database of NAS-Bench-201 (SQLite), read without NNI.

Documented in ``nni/nas/benchmark/nasbench201/schema.py`` of microsoft/nni: a configuration is a cell, a data set and a
number of epochs, each with one row of statistics for every seed. NNI 3.0 keeps the file in
``~/.cache/nni/nasbenchmark``.
"""

from __future__ import annotations

import math
import os
import sqlite3
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

from nat_nasbench.forms201 import ENDS
from nat_nasbench.nb201 import OPS, digits_of
from nat_nasbench.tables.base import OfficialTable
from nat_plugin import NATError
from nat_plugin.extending import TableSettings, Trained, strict_json
from nat_plugin.ir import Network

PARTS = {
    "cifar10": ("cifar10-valid", "cifar10"),
    "cifar100": ("cifar100", "cifar100"),
    "imagenet16-120": ("imagenet16-120", "imagenet16-120"),
}
"""By data set, the configurations whose ``valid_acc`` chooses and whose ``test_acc`` tests. (That of ``cifar10`` itself
has its test images under ``valid_acc`` too.)"""
MAX_ROWS, MAX_VALUE = 100_000, 100_000
"""Of one query, and of one text. There are 15,625 cells."""
STEPS, MAX_STEPS = 100_000, 100_000_000
"""Of SQLite's machine: between looks at them, and in all, of one query."""
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
"""What a view may do that is named like a table: call no function, recur into itself never."""
_OPS = {name.removeprefix("nor_"): str(number) for number, name in enumerate(OPS)}
_CONFIGURATIONS = "SELECT id, arch, dataset FROM nb201trialconfig WHERE num_epochs = ? AND dataset IN (?, ?)"
_STATISTICS = (
    "SELECT CAST(seed AS INTEGER), valid_acc, test_acc, latency FROM nb201trialstats WHERE config_id = ? ORDER BY seed"
)


class NNITable(OfficialTable):
    """A file ``nasbench201-….db``."""

    def __init__(self, settings: TableSettings) -> None:
        super().__init__(settings)
        path, dataset = self.path, self.dataset
        if not os.path.isfile(path):  # pathlib raises where a name is too long
            raise NATError(f"{path}: there is no such file")
        try:
            self._database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise NATError(f"{path}: {error}") from error
        self._database.text_factory = _text
        self._database.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
        )
        if sys.version_info >= (3, 11):
            self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        wanted = PARTS[dataset]
        self._configurations: dict[tuple[str, str], int] = {}
        for number, arch, name in self._all(_CONFIGURATIONS, self.epochs, *wanted):
            self._configurations[self._digits(arch), str(name)] = number
        if not self._configurations:
            known = self._all("SELECT DISTINCT dataset, num_epochs FROM nb201trialconfig ORDER BY 1, 2")
            there = ", ".join(f"{name} after {number}" for name, number in known) or "nothing"
            raise NATError(f"{path}: it has no {dataset} after {self.epochs} epochs; it has {there}")

    def trained(self, digits: str) -> Trained:
        choose, test = PARTS[self.dataset]
        validation = {row[0]: self._share(digits, row[1]) for row in self._statistics(digits, choose)}
        tested = [self._share(digits, row[2]) for row in self._statistics(digits, test)]
        return Trained(validation, sum(tested) / len(tested))

    def latency(self, network: Network) -> float:
        seconds = [row[3] for row in self._statistics(digits_of(network), PARTS[self.dataset][0])]
        known = [1000 * float(each) for each in seconds if isinstance(each, int | float) and each > 0]
        return sum(known) / len(known) if known else math.inf

    def _statistics(self, digits: str, dataset: str) -> list[tuple[Any, ...]]:
        number = self._configurations.get((digits, dataset))
        rows = [] if number is None else list(self._all(_STATISTICS, number))
        if not rows:
            raise NATError(f"{self.path}: network '{digits}' is not in this table for {dataset}")
        return rows

    def _digits(self, arch: object) -> str:
        """Of a cell as the database has it: ``{"0_1": "conv_3x3", …}``."""
        try:
            ops = strict_json(str(arch))
            return "".join(_OPS[ops[f"{source}_{target}"]] for source, target in ENDS)
        except (NATError, KeyError, TypeError):
            raise NATError(f"{self.path}: {str(arch)[:60]!r} is not a cell of NAS-Bench-201") from None

    def _share(self, digits: str, percent: object) -> float:
        if not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise NATError(f"{self.path}: network '{digits}' has {percent!r:.20} as an accuracy in percent")
        return percent / 100

    def _all(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        """Row by row, at most ``MAX_ROWS`` of them and after at most ``MAX_STEPS``: what is named like a table may be a
        view that never ends."""
        steps = count(STEPS, STEPS)
        self._database.set_progress_handler(lambda: next(steps) > MAX_STEPS, STEPS)
        try:
            for number, row in enumerate(self._database.execute(query, given)):
                if number == MAX_ROWS:
                    raise sqlite3.DataError(f"more than {MAX_ROWS:,} rows")
                yield row
        except (sqlite3.Error, ValueError) as error:
            raise NATError(f"{self.path}: this is not NNI's database of NAS-Bench-201 ({error})") from error


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
