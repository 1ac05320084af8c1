"""What recipes end with, in Python: a folder, its figures, its report, and of a run the architectures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nat_plugin.sources import read_text

if TYPE_CHECKING:
    from nat_plugin.api.architectures import Architecture
    from nat_plugin.api.transformed import Transformed
    from nat_plugin.runs.finished import Finished


@dataclass(frozen=True)
class Report:
    """A report in Markdown: a path for whoever opens it, its text for ``print`` and for notebooks."""

    path: Path

    @property
    def text(self) -> str:
        return read_text(self.path)

    def __str__(self) -> str:
        return self.text

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_markdown_(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class _Result:
    """``figures``: what the JSON file of results holds."""

    folder: Path
    figures: dict[str, Any]

    _report: ClassVar[str] = "report.md"

    @property
    def report(self) -> Report:
        return Report(self.folder / self._report)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {str(self.folder)!r}>"

    def _repr_markdown_(self) -> str:
        return self.report.text


class RunResult(_Result):
    """What a run ended with.

    >>> import nat_plugin as nat
    >>> recipe = {
    ...     "source": "DARTS_V2",
    ...     "network": {"channels": 4, "cells": 3},
    ...     "budget": {"macs": "0.9x"},
    ...     "strategy": {"name": "random"},
    ...     "evaluator": {"name": "proxies", "proxies": ["params"], "references": 2},
    ...     "search": {"rounds": 1, "proposals": 2},
    ... }
    >>> result = nat.run(recipe, out="lean")
    >>> result.verdict, result.figures["evaluated"], result.winner.format
    ('none', 3, 'darts')
    >>> print(result.report.text.splitlines()[0])
    # DARTS_V2: random under rules nat
    """

    @cached_property
    def _finished(self) -> Finished:
        from nat_plugin.plugins import plugins
        from nat_plugin.runs.finished import read_finished

        return read_finished(self.folder, plugins())

    @cached_property
    def input(self) -> Architecture:
        """The architecture that it was given, at the size of the final stage."""
        from nat_plugin.api.architectures import Architecture
        from nat_plugin.ir import NetworkSize
        from nat_plugin.runs.record import RunRecord
        from nat_plugin.sources import Source

        given = self.figures.get("size") or self.figures["frame"]  # as earlier versions call it
        size = NetworkSize(given["channels"], given["cells"], tuple(given["input"]), given["classes"])
        text, label = self.figures["input"]["architecture"], RunRecord.read(self.folder).origin.label
        return Architecture.of(Source(text, self._finished.adapter, label), size)

    @cached_property
    def winner(self) -> Transformed:
        """The best that was found: the input itself where nothing was better."""
        from nat_plugin.api.transformed import Transformed
        from nat_plugin.writing import result_adapter

        text, found = self.figures["result"]["architecture"], self._finished
        return Transformed(
            text=text,
            network=found.network,
            adapter=result_adapter(found.adapter, self.figures["format"] != found.adapter.name),
            size=self.input.size,
            label=self.input.label,
            input=self.input,
            confidence=None,
            kept=not self.figures["changed"],
        )

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``within noise`` or ``none``; why, the report says."""
        return str(self.figures["verdict"])

    @property
    def weights(self) -> Path | None:
        """Weights of the winner; None: nothing was trained by itself."""
        return self.folder / self.figures["weights"] if self.figures["weights"] else None

    @property
    def policy(self) -> Path | None:
        """The policy that was trained, for ``transform``; None: the strategy has none."""
        path = self.folder / "policy.safetensors"
        return path if path.is_file() else None


class ComparisonResult(_Result):
    """What a comparison of strategies ended with."""

    _report = "comparison.md"


class TrainingResult(_Result):
    """What the training of a policy ended with."""

    @property
    def policy(self) -> Path:
        """The policy, for ``transform``."""
        return self.folder / "policy.safetensors"
