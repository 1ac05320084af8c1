"""What ``nat advise`` asks of an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class AdviceSettings:
    """``weights``: a file or folder, as the adapter reads it. ``images``: a folder; ``labelled``: its folders are the
    classes. ``count``: so many images, drawn by ``seed``. ``budget``: limits that combinations keep. ``mean``, ``std``:
    of pixels from 0 to 1, where they are not those that the model states."""

    weights: str
    images: Path
    labelled: bool = False
    count: int = 64
    rules: str = "nat++"
    budget: dict[str, str] = field(default_factory=dict)
    mean: float | None = None
    std: float | None = None
    device: str = "auto"
    seed: int = 0
