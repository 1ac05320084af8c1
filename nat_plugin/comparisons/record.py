"""``compare.json``: what a comparison is resumed with, held to what it was when it began."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside, fingerprints
from nat_plugin.json_checksums import digest
from nat_plugin.runs.record import RunSource, check_same, of_results, read_record, renamed, write_record

FILE = "compare.json"


@dataclass(frozen=True)
class ComparisonRecord:
    """``recipe`` is the resolved one; ``left_out`` says how many inputs were. ``files``: a fingerprint of what was read
    from outside, by its path."""

    recipe: dict[str, Any]
    origins: tuple[RunSource, ...]
    left_out: int
    files: dict[str, str]
    comparison: str = ""
    """Which comparison this is; its searches say it too."""

    @staticmethod
    def of(
        recipe: dict[str, Any], origins: Sequence[RunSource], left_out: int, read: Sequence[Outside]
    ) -> ComparisonRecord:
        made = ComparisonRecord(recipe, tuple(origins), left_out, fingerprints(read))
        return replace(made, comparison=digest({**asdict(made), "recipe": of_results(recipe)}))

    def write(self, folder: Path) -> None:
        write_record(folder / FILE, self)

    @staticmethod
    def read(folder: Path) -> ComparisonRecord:
        """NATError if the file was changed, or is of a version that cannot be resumed."""

        def record(origins: list[dict[str, str]], **others: Any) -> ComparisonRecord:
            if not origins:
                raise ValueError("it has no input")
            return ComparisonRecord(origins=tuple(RunSource(**each) for each in origins), **others)

        return read_record(folder / FILE, record, "choose another --out")

    def is_of(self, recipe: dict[str, Any]) -> bool:
        """Whether this was begun with just that recipe."""
        return of_results(self.recipe) == of_results(recipe)

    def check(self, recipe: dict[str, Any], read: Sequence[Outside], folder: Path) -> None:
        """NATError unless a recipe, with what was read for it now, has the same results. What was read may have moved:
        then the recipe says where."""
        found = fingerprints(read)
        for name in sorted(self.files.keys() & found.keys()):
            if not os.path.isabs(name):  # of what the recipes name alike
                check_same(name, self.files[name], found[name])
        before, now = (renamed(of_results(each), files) for each, files in ((self.recipe, self.files), (recipe, found)))
        if before == now:
            return
        for path in sorted(self.files.keys() & found.keys()):
            check_same(path, self.files[path], found[path])
        raise NATError(f"{folder}: the comparison in this folder has another recipe; choose another --out")
