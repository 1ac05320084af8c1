"""How the networks of the final stage learn: every epoch as a line of the journal and as a point in TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from nat_plugin.files import file_errors
from nat_plugin.runs.folder import Journal

FOLDER = "events/final"


class Curves:
    """Each training is a run of its own in TensorBoard, so that those of one figure lie over each other.

    Epochs that a killed run had written after its last checkpoint are written again: the journal is cut back to it, and
    TensorBoard passes over what the first event of the new file supersedes.
    """

    def __init__(self, folder: Path, journal: Journal | None) -> None:
        self._folder, self._journal = folder / FOLDER, journal
        self._name = ""
        self._events: SummaryWriter | None = None

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def add(self, network: str, seed: int, figures: Mapping[str, float]) -> None:
        """What a training of the network with that key reports of an epoch (``Trainer.epoch``)."""
        epoch = int(figures["epoch"])
        if self._journal is not None:
            known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
            self._journal.add({"stage": "final", "network": network, "seed": seed, **known, "epoch": epoch})
        with file_errors(self._folder):
            events = self._writer(f"{network}-seed{seed}", epoch)
            for name, value in figures.items():
                if name != "epoch":
                    events.add_scalar(name, value, epoch)

    def _writer(self, name: str, epoch: int) -> SummaryWriter:
        if self._events is None or name != self._name:
            self._close()
            self._name, self._events = name, SummaryWriter(self._folder / name, purge_step=epoch)
        return self._events

    def _close(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            with file_errors(self._folder):
                events.close()
