"""``train.json``: what a training is resumed with, read without torch, which takes seconds to import."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from nat_plugin.runs.record import RunRecord

FILE = "train.json"


class TrainingRecord(RunRecord):
    """``train.json``."""

    file: ClassVar[str] = FILE
    what: ClassVar[str] = "training"


def is_training(folder: Path) -> bool:
    """Whether a folder is of a training."""
    return (folder / FILE).is_file()
