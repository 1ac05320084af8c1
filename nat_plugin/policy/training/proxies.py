"""Proxies of the networks that a training learns from: computed some at a time, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nat_plugin.evaluators.proxies import PROXIES
from nat_plugin.evaluators.proxies.cache import AT_ONCE, KeptProxies, Scored
from nat_plugin.policy.proxy_inputs import in_units
from nat_plugin.policy.training.recipe import TrainingRecipe
from nat_plugin.policy.training.tasks import TrainingTask

FILE = "proxies.jsonl"
"""In the folder of a training whose recipe names no other place."""


class TaskProxies:
    """Of which networks they are wanted does not depend on the task or the seed: of each task those come first whose
    ``Scored.name`` does, so that what tasks have in common is computed once."""

    def __init__(self, recipe: TrainingRecipe, folder: Path, device: torch.device) -> None:
        named = [name for stage in recipe.stages for name in stage.critic.proxies or ()]
        self._most = recipe.proxies.networks
        self._kept = KeptProxies(named, recipe.proxies.file or folder / FILE, str(device)) if named else None
        self._scored: dict[tuple[str, int], Scored] = {}  # by task and kind

    def advance(self, tasks: Sequence[TrainingTask]) -> str:
        """Compute some more of the networks that were read; what was done, nothing where all are known."""
        if self._kept is None:
            return ""
        missing = self._kept.missing(each for task in tasks for each in self._wanted(task).values())
        self._kept.learn(missing[:AT_ONCE])
        return f"proxies: {len(missing):,} networks to go" if missing else ""

    def of(self, task: TrainingTask, names: Sequence[str]) -> np.ndarray:
        """Of the networks of ``task.measured`` in that order, (n, names) in units among those of the task; NaN where
        they are not known."""
        assert self._kept is not None
        wanted = self._wanted(task)
        columns = [self._kept.names.index(name) for name in PROXIES if name in names]
        rows = self._kept.of(list(wanted.values()))[:, columns]
        place = {kind: at for at, kind in enumerate(wanted)}
        found = np.concatenate([in_units(rows, rows), np.full((1, len(columns)), np.nan)])
        kinds, _ = task.measured
        units: np.ndarray = found[[place.get(kind, -1) for kind in kinds.tolist()]]
        return units

    def left_out(self, task: TrainingTask) -> list[str]:
        """A line on the networks of a task of which a critic is told nothing, though they were wanted."""
        if self._kept is None:
            return []
        wanted = list(self._wanted(task).values())
        broken = int((~np.isfinite(self._kept.of(wanted)).all(axis=1)).sum())
        why = f" ({self._kept.failed})" if self._kept.failed else ""
        return [f"{broken:,} of {len(wanted):,} networks have no proxies{why}"] if broken else []

    def _wanted(self, task: TrainingTask) -> dict[int, Scored]:
        """By kind."""
        if task.pool.scored is None:
            return {}
        known = [number for number, score in task.scores.items() if score is not None]
        first = {int(task.kinds[number]): number for number in reversed(known)}
        for kind, number in first.items():
            if (task.name, kind) not in self._scored:
                self._scored[task.name, kind] = task.pool.scored(number)
        found = {kind: self._scored[task.name, kind] for kind in first}
        chosen = sorted(found, key=lambda kind: found[kind].name)[: self._most]
        return {kind: found[kind] for kind in chosen}
