"""What is known of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.common.results import RESULTS, ROOT

EVIDENCE = ROOT / "docs" / "evidence"


@dataclass(frozen=True)
class Experiment:
    """``module`` in ``benchmarks.experiments`` has ``add_options`` and ``run``, and ``tables_of`` where pages have
    tables of its results."""

    module: str
    question: str
    measures: tuple[str, ...]
    """Files and folders of the repository: a later commit to any of them makes older figures uncertain."""
    reads: tuple[str, ...] = ()
    """Data files."""
    results: str = ""
    """In ``benchmarks/results``, without its suffix; empty where none are kept yet."""
    quick: str = ""
    """Options that make it take seconds; ``SCRATCH`` is a folder of its own, ``DATA`` that of the data."""
    stand_ins: tuple[str, ...] | None = None
    """The data files that it reads then, where not all of them."""
    spaces: tuple[str, ...] = ()
    """Of ``benchmarks.spaces``: whose networks it looks at."""
    methods: tuple[str, ...] = ()
    """Of ``benchmarks.methods``: what it compares."""
    part_of: str = ""
    """The experiment that runs this one as a part of its own, and keeps its figures."""
    tables: str = ""
    """The module with ``tables_of``, where ``module`` needs a framework that tables can do without."""

    def load(self) -> ModuleType:
        return import_module(f"benchmarks.experiments.{self.module}")

    def load_tables(self) -> ModuleType:
        return import_module(f"benchmarks.experiments.{self.tables or self.module}")

    def page(self, name: str) -> Path:
        """Of the documentation, where its results are: by its name, or that of the experiment that it is a part of."""
        return EVIDENCE / f"{self.part_of or name}.md"

    def place(self, name: str) -> Path:
        """The file for its results, by the experiment's name where none are kept yet."""
        return RESULTS / f"{self.results or name.replace('-', '_')}.json"
