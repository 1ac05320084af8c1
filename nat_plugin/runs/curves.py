"""How the networks of the final stage learn: every epoch as a line of the journal, and for the tracker of the run."""

from __future__ import annotations

from collections.abc import Mapping

from nat_plugin.runs.folder import Journal, finite
from nat_plugin.tracking.base import Track, Tracker


class Curves:
    """Each training is a part of the run for its tracker.

    Epochs that a killed run had written after its last checkpoint are written again: the journal is cut back to it, and
    a tracker counts each once.
    """

    def __init__(self, tracker: Tracker, journal: Journal) -> None:
        self._tracker, self._journal = tracker, journal
        self._name = ""
        self._track: Track | None = None

    def add(self, network: str, seed: int, figures: Mapping[str, float]) -> None:
        """What a training of the network with that key reports of an epoch (``Trainer.epoch``)."""
        epoch = int(figures["epoch"])
        self._journal.add({"stage": "final", "network": network, "seed": seed, **finite(figures), "epoch": epoch})
        track = self._track_of(f"final/{network}-seed{seed}", epoch)
        for name, value in figures.items():
            if name != "epoch":
                track.add(name, value, epoch)

    def lost(self, network: str, seed: int, why: str) -> None:
        """Of a training that no worker could carry out."""
        self._journal.add({"stage": "lost", "network": network, "seed": seed, "why": why})

    def _track_of(self, name: str, epoch: int) -> Track:
        if self._track is None or name != self._name:
            self.close()
            self._name, self._track = name, self._tracker.part(name, epoch)
        return self._track

    def close(self) -> None:
        track, self._track = self._track, None
        if track is not None:
            track.close()
