"""How the networks of the final stage learn: every epoch as a line of the journal and as a point in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nat_plugin.runs.events import Events
from nat_plugin.runs.folder import Journal, finite

FOLDER = "events/final"


class Curves:
    """Each training is a run of its own in TensorBoard, so that those of one figure lie over each other.

    Epochs that a killed run had written after its last checkpoint are written again: the journal is cut back to it, and
    TensorBoard passes over what a new file takes the place of (``Events``).
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder, self._journal = folder / FOLDER, journal
        self._name = ""
        self._events: Events | None = None

    def add(self, network: str, seed: int, figures: Mapping[str, float]) -> None:
        """What a training of the network with that key reports of an epoch (``Trainer.epoch``)."""
        epoch = int(figures["epoch"])
        self._journal.add({"stage": "final", "network": network, "seed": seed, **finite(figures), "epoch": epoch})
        events = self._events_of(f"{network}-seed{seed}", epoch)
        for name, value in figures.items():
            if name != "epoch":
                events.add(name, value, epoch)

    def _events_of(self, name: str, epoch: int) -> Events:
        if self._events is None or name != self._name:
            self.close()
            self._name, self._events = name, Events(self._folder / name, epoch)
        return self._events

    def close(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.close()
