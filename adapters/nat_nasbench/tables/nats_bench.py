"""The official files of NATS-Bench (topology space), read through their own package.

Those files are bz2-compressed pickles. This module opens none of them: ``nats_bench`` does, and only where a recipe
says ``format: nats_bench``; so give it files that you trust. Documented in ``nats_bench/api_topology.py`` and
``api_utils.py`` of D-X-Y/NATS-Bench.
"""

from __future__ import annotations

import math
import os
from typing import Any

from nat_nasbench.nb201 import digits_of, from_digits
from nat_nasbench.tables.base import EPOCHS, OfficialTable
from nat_plugin import NATError
from nat_plugin.extending import TableSettings, Trained
from nat_plugin.ir import Network

PARTS = {
    "cifar10": (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "cifar100": (("cifar100", "x-valid"), ("cifar100", "x-test")),
    "imagenet16-120": (("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}
"""By data set, what chooses and what tests: trained on what, assessed on what. On CIFAR-10 these are two trainings,
without and with the validation images."""


class NATSBenchTable(OfficialTable):
    """A file ``NATS-tss-….pickle.pbz2``, or a folder ``NATS-tss-…-simple`` from which single networks are loaded."""

    numbered = True

    def __init__(self, settings: TableSettings) -> None:
        super().__init__(settings)
        path = self.path
        if self.epochs not in EPOCHS:
            raise NATError(f"{path}: NATS-Bench has no {self.dataset} after {self.epochs} epochs; it has 12 and 200")
        if not os.path.exists(path):  # pathlib raises where a name is too long
            raise NATError(f"{path}: there is no such file or folder")
        try:
            from nats_bench import create
        except ImportError:
            raise NATError("format nats_bench needs the package of NATS-Bench: pip install nats-bench") from None
        try:
            self._api: Any = create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)
        except Exception as error:  # the package lets through whatever is wrong with a file
            raise NATError(f"{path}: nats_bench cannot read it: {_said(error)}") from error

    def trained(self, digits: str) -> Trained:
        choose, test = PARTS[self.dataset]
        validation, tested = self._accuracies(digits, *choose), self._accuracies(digits, *test)
        return Trained(validation, sum(tested.values()) / len(tested))

    def number(self, network: Network) -> int:
        return self._number(digits_of(network))

    def _number(self, digits: str) -> int:
        number = int(self._api.query_index_by_arch(from_digits(digits)))
        if number < 0:
            raise NATError(f"{self.path}: network '{digits}' is not in this table")
        return number

    def latency(self, network: Network) -> float:
        """As the authors measured it, for a batch of 256."""
        digits, ((trained_on, _), _) = digits_of(network), PARTS[self.dataset]
        seconds = self._asked(digits, "get_latency", self._number(digits), trained_on, hp=str(self.epochs))
        return 1000 * seconds if seconds is not None and seconds > 0 else math.inf

    def _accuracies(self, digits: str, trained_on: str, assessed_on: str) -> dict[int, float]:
        """By seed, after the last epoch."""
        runs = self._asked(digits, "query_by_index", self._number(digits), trained_on, hp=str(self.epochs))
        found = {}
        for seed, run in sorted(runs.items()):
            try:
                value = float(run.get_eval(assessed_on)["accuracy"])
            except (KeyError, TypeError, ValueError):
                raise NATError(f"{self.path}: network '{digits}' has no '{assessed_on}' of {trained_on}") from None
            if not 0 <= value <= 100:
                raise NATError(f"{self.path}: network '{digits}' has {value} as an accuracy in percent")
            found[int(seed)] = value / 100
        if not found:
            raise NATError(f"{self.path}: network '{digits}' was not trained on {trained_on}")
        return found

    def _asked(self, digits: str, method: str, *given: object, **named: object) -> Any:
        try:
            return getattr(self._api, method)(*given, **named)
        except Exception as error:  # the package lets through whatever is wrong with a file
            raise NATError(f"{self.path}: nats_bench cannot give network '{digits}': {_said(error)}") from error


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
