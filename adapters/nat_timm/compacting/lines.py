"""The journal of a search, kept until it is saved beside the model that came of it."""

from __future__ import annotations

from typing import Any

from nat_plugin.runs import Journal


class SearchLines:
    """``journal``: a file that has the lines at once, where the search can be gone on with."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self.records: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        if self._journal is not None:
            self._journal.add(record)
