"""A recipe of a training without one of its tasks: which sources that is, and the policy that the others give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import MeasuredTable, TableSettings, read_table
from nat_plugin.plugins import plugins
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.training.recipe import TrainingPlan, load_training, plan_training
from nat_plugin.policy.training.record import FILE, TrainingRecord
from nat_plugin.policy.training.train import POLICY, resume, start
from nat_plugin.runs.progress import reporter


class Sources:
    """The tables of a recipe, by the names of their tasks, read once."""

    def __init__(self, recipe: str, overrides: Iterable[str], data: Path | None) -> None:
        """``data``: the folder of tables that are not where the recipe says."""
        self._plan = _found(load_training(recipe, overrides, plugins()), data)
        self._tables: dict[str, MeasuredTable] = {}

    def settings(self, name: str) -> TableSettings:
        if name not in self.names:
            raise NATError(f"'{name[:80]}' is no table of this recipe; it has {', '.join(self.names)}")
        found = self._plan.parts[name].evaluator
        assert isinstance(found, TableSettings)
        return found

    @property
    def names(self) -> list[str]:
        return [name for name, source in self._plan.recipe.sources.items() if source.table is not None]

    def weight(self, name: str) -> float:
        return self._plan.recipe.sources[name].weight

    def table(self, name: str) -> MeasuredTable:
        if name not in self._tables:
            self._tables[name] = read_table(self.settings(name))
        return self._tables[name]

    def left(self, task: str, space: bool) -> list[str]:
        """The sources that go with a task: those of the same task of the same benchmark (after other trainings, say);
        with ``space`` all that have networks of the same search space."""
        own = self.table(task)

        def same(other: MeasuredTable) -> bool:
            if (other.title, other.results.dataset) == (own.title, own.results.dataset):
                return True
            return space and bool(_spaces(other) & _spaces(own))

        return [name for name in self.names if name == task or same(self.table(name))]

    def others(self, left: Iterable[str]) -> list[MeasuredTable]:
        return [self.table(name) for name in self.names if name not in left]

    def train(self, left: Iterable[str], seed: int, folder: Path) -> Path:
        """The policy of a training on all the others, kept in a folder; it goes on where it was interrupted."""
        recipe = self._plan.recipe.model_dump(mode="json", exclude_unset=True) | {"seed": seed}
        recipe["sources"] = {name: each for name, each in recipe["sources"].items() if name not in set(left)}
        if not recipe["sources"]:
            raise NATError("nothing is left to train on; give a recipe with other sources")
        plan = plan_training(recipe, plugins())
        if (folder / FILE).exists():
            begun = plan_training(TrainingRecord.read(folder).recipe, plugins())  # keys that came since have defaults
            if _compared(begun.resolved()) != _compared(plan.resolved()):
                raise NATError(f"{folder}: this training is of another recipe; choose another --work")
            if not (folder / POLICY).exists():
                with reporter() as progress:
                    resume(folder, plugins(), progress)
        else:
            with reporter() as progress:
                start(plan, folder, plugins(), progress)
        return folder / POLICY


def _found(plan: TrainingPlan, data: Path | None) -> TrainingPlan:
    recipe = plan.recipe.model_dump(mode="json", exclude_unset=True)
    for source in recipe["sources"].values():
        table = source.get("table")
        if data is not None and table is not None and not Path(table["path"]).exists():
            table["path"] = str(data / Path(table["path"]).name)
    return plan_training(recipe, plugins())


def _compared(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a training settles for the machine at hand."""
    return {name: value for name, value in recipe.items() if name not in ("device", "threads")}


def _spaces(table: MeasuredTable) -> set[str]:
    return {space_name(network) for network in table.networks}
