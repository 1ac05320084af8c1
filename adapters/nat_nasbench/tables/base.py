"""What the official files of NAS-Bench-201 share: networks go by the digits of their cells."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path

from nat_nasbench.layouts import NB201
from nat_nasbench.nb201 import NB201Adapter, digits_of, from_digits
from nat_plugin import NATError
from nat_plugin.extending import LookupTable, Results, TableSettings, Trained
from nat_plugin.ir import Network

DATASETS = tuple(dict.fromkeys(each.dataset for each in NB201.results))
EPOCHS = (12, 200)


class OfficialTable(LookupTable):
    """All cells of NAS-Bench-201; ``dataset`` and ``epochs`` are those of the settings."""

    title, rewires, complete, has_latency = NB201.title, True, True, True

    def __init__(self, settings: TableSettings) -> None:
        self.path: Path = settings.path
        self.dataset = settings.dataset or DATASETS[0]
        self.epochs = settings.epochs or max(EPOCHS)
        known = next((each for each in NB201.results if each.dataset == self.dataset), None)
        if known is None:
            raise NATError(f"{self.path}: {self.title} has no {self.dataset}; it has {', '.join(DATASETS)}")
        if settings.adapter is not None or settings.metric is not None:
            raise NATError(f"{self.path}: adapter and metric are of csv files; of this format say dataset and epochs")
        # the seeds are those of the file; more than one, so never the mean alone
        self.results = Results(self.dataset, self.epochs, {1: ""}, (), known.images, known.network_size)
        self.network_size = known.network_size
        self._found: dict[str, Trained] = {}

    @abstractmethod
    def trained(self, digits: str) -> Trained:
        """NATError for a cell that the file lacks."""

    def find(self, network: Network) -> Trained:
        digits = digits_of(network)
        known = self._found.get(digits)
        if known is None:
            known = self._found[digits] = self.trained(digits)
        return known

    def check(self, network: Network) -> None:
        try:
            digits_of(network)
        except NATError as error:
            raise NATError(f"the table is of {self.title}: {error}") from None
        for what in ("input", "stem", "placements", "head"):
            if getattr(network, what) != getattr(self._example, what):
                raise NATError(
                    f"the networks of {self.title} were trained in one size only, and this one has another {what}: "
                    "leave 'network' (channels, cells) out"
                )

    @cached_property
    def _example(self) -> Network:
        return NB201Adapter().read(from_digits("111111"), self.network_size)
