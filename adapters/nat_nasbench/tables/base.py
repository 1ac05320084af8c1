"""What every table of trained networks is, whatever file it comes from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nat_nasbench.spaces import Space

MEAN = 0
"""The "seed" under which an accuracy stands that is the mean over trainings."""


@dataclass(frozen=True)
class Trained:
    """What is known of a network, accuracies as shares of 1: on the images to choose by, of each training by its seed
    (or ``MEAN`` alone); and on test, the mean over trainings."""

    validation: Mapping[int, float]
    test: float

    @property
    def mean(self) -> float:
        return sum(self.validation.values()) / len(self.validation)


@dataclass(frozen=True)
class Query:
    """What is asked of a table: ``dataset`` is a key of ``Space.datasets``, ``epochs`` those of the training."""

    dataset: str
    epochs: int


Stamp: TypeAlias = "tuple[int, int] | None"


def stamp(path: Path) -> Stamp:
    """What tells a file that was replaced from what is remembered of it: its time and size."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class Table(ABC):
    """The networks of a space by their digits, after one kind of training on one data set."""

    path: Path
    space: Space
    query: Query
    single: bool = True
    """Whether accuracies of single trainings are known."""
    has_latency: bool = False

    @abstractmethod
    def find(self, digits: str) -> Trained:
        """NATError for a network that is not in the table."""

    @abstractmethod
    def number(self, digits: str) -> int | None:
        """The official number of a network, by which other tables name it; None if this table has none."""

    def latency(self, digits: str) -> float:
        """Milliseconds; infinite where it is not known."""
        del digits
        return math.inf
