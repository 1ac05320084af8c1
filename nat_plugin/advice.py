"""What ``nat advise`` asks of an adapter, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class AdviceSettings:
    """``weights``: a file or folder, as the adapter reads it. ``images``: a folder; ``labelled``: its folders are the
    classes. ``count``: so many images, drawn by ``seed``. ``mean``, ``std``: of pixels from 0 to 1, where they are not
    those that the model states."""

    weights: str
    images: Path
    labelled: bool = False
    count: int = 64
    rules: str = "nat++"
    mean: float | None = None
    std: float | None = None
    device: str = "auto"
    seed: int = 0


class Advice(Protocol):
    """A table as text, and all of it as JSON."""

    def __str__(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...
