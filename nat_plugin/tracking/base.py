"""What a tracker is to a run, and which there are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from nat_plugin.errors import NATError

TrackerName: TypeAlias = Literal["none", "tensorboard", "mlflow"]
SEARCH = "search"
"""The part of a run that is not a training of its final stage."""


class Track(Protocol):
    """The figures of one part of a run by step."""

    def add(self, name: str, value: float, step: int, /) -> None:
        """The value of a figure at a step."""

    def close(self) -> None:
        """Nothing more comes."""


class Tracker(Protocol):
    """Keeps the figures of a run, in parts that can be laid over each other."""

    def part(self, name: str, step: int, /) -> Track:
        """A part (``search``, ``final/KEY-seedN``) from ``step`` on. Where an interrupted run had come further, each
        step still counts once."""


class Untracked:
    """No tracker, and the track that it gives."""

    def part(self, _name: str, _step: int, /) -> Untracked:
        return self

    def add(self, _name: str, _value: float, _step: int, /) -> None: ...

    def close(self) -> None: ...


def check_tracker(name: TrackerName) -> None:
    """NATError where a tracker is not installed: said before anything is built."""
    if name != "none" and find_spec(name) is None:
        raise NATError(f"tracker: '{name}' is not installed here: pip install 'nat-plugin[{name}]'")


def find_tracker(name: TrackerName, folder: Path, run: str) -> Tracker:
    """The tracker of a run with an id, in its folder. NATError where it is not installed or cannot be reached."""
    check_tracker(name)
    if name == "tensorboard":
        from nat_plugin.tracking.tensorboard import TensorBoard

        return TensorBoard(folder / "events")
    if name == "mlflow":
        from nat_plugin.tracking.mlflow import MLflow

        return MLflow(folder.resolve().name, run)
    return Untracked()
