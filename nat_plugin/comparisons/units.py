"""The units of a comparison: all strategies on one input with one seed. Each search depends on its strategy, input and
seed alone, so what is done need not be done again, in whatever order and process it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from nat_plugin.comparisons.recipe import OPTIMUM, ComparisonPlan, plan_comparison, shares_weights
from nat_plugin.comparisons.search import HeldOutInput, Improvement, SearchTrace, search
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Split
from nat_plugin.files import file_errors, write_text
from nat_plugin.ir import Network, key
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import Plugins
from nat_plugin.runs.recipe import RunPlan, SearchSettings
from nat_plugin.runs.recipe import plan as plan_run
from nat_plugin.runs.record import RunSource
from nat_plugin.runs.search import Search
from nat_plugin.runs.setup import Setup, read_data, set_up
from nat_plugin.search.base import Proposal
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.settings import State
from nat_plugin.sources import read_text
from nat_plugin.training.seeds import derive_seed

Note: TypeAlias = Callable[[str], None]
FOLDER = "searches"
MOST = 20_000
"""Combinations of moves up to which the reachable optimum is looked for."""
_RUN_KEYS = ("adapter", "extended", "network", "rules", "budget", "evaluator", "threads", "device", "precision")


@dataclass(frozen=True)
class Work:
    """A comparison: plain values. ``recipe`` is the resolved one."""

    recipe: dict[str, Any]
    origins: tuple[RunSource, ...]
    folder: Path
    comparison: str
    """Which one it is, as its ``Record`` says."""


@dataclass(frozen=True)
class SearchUnit:
    """An input and a seed, by their numbers."""

    source: int
    seed: int


@dataclass(frozen=True)
class SearchTask:
    """Searches on one input with one seed, as a worker gets them: plain values, and no more than it needs."""

    recipe: dict[str, Any]
    origin: RunSource
    unit: SearchUnit
    labels: tuple[str, ...]


same_data = lru_cache(maxsize=1)(read_data)
"""All searches of a comparison have the same images: a process reads them once."""


def units(work: Work) -> Iterator[SearchUnit]:
    for source in range(len(work.origins)):
        for seed in range(work.recipe["seeds"]):
            yield SearchUnit(source, seed)


def path_of(work: Work, label: str, unit: SearchUnit) -> Path:
    """Where what came of a search lies. Labels are what a user wrote, so they go by their number among all labels in
    the order of the alphabet: that of the recipe may be another when the comparison is resumed."""
    name = OPTIMUM if label == OPTIMUM else f"strategy{sorted(work.recipe['strategies']).index(label)}"
    return work.folder / FOLDER / f"{name}-input{unit.source}-seed{unit.seed}.json"


def run_plan(plan: ComparisonPlan, origin: RunSource, label: str, seed: int, plugins: Plugins) -> RunPlan:
    """The search of one strategy as the plan of a run."""
    values = plan.resolved()
    chosen = {name: values[name] for name in _RUN_KEYS}
    rounds = {"rounds": plan.recipe.queries, "proposals": 1}
    chosen |= {"source": origin.text, "strategy": values["strategies"][label], "search": rounds, "seed": seed}
    return plan_run(chosen, plugins)


def seed_of(plan: ComparisonPlan, unit: SearchUnit) -> int:
    """The same for all strategies, so that they search the same landscape."""
    return derive_seed(plan.recipe.seed, "comparison", unit.source, unit.seed) % 2**31


def missing(work: Work, unit: SearchUnit, wanted: list[str]) -> list[str]:
    """The labels whose search is still to be done."""
    return [label for label in wanted if not path_of(work, label, unit).exists()]


def tasks_of(work: Work, unit: SearchUnit, labels: Sequence[str]) -> list[SearchTask]:
    """So many searches of a unit as pieces that do not depend on each other: where they share warm weights, one."""
    parts = [tuple(labels)] if work.recipe["warmup"] else [(label,) for label in labels]
    recipe = {name: value for name, value in work.recipe.items() if name != "executor"}  # which workers need not have
    return [SearchTask(recipe, work.origins[unit.source], unit, part) for part in parts]


def carry_out(task: SearchTask, plugins: Plugins, note: Note = lambda _: None) -> Iterator[tuple[str, SearchTrace]]:
    """The searches of a task one after the other, each with its label. ``note`` hears of every epoch that is trained on
    the way, and of every query."""
    plan = plan_comparison(task.recipe, plugins)
    origin, unit, seed = task.origin, task.unit, seed_of(plan, task.unit)
    warm: dict[str, State] = {}
    for label in task.labels:
        name = next(iter(plan.names)) if label == OPTIMUM else label
        setup = set_up(run_plan(plan, origin, name, seed, plugins), origin, plugins, same_data)
        where = f"{label}, input {unit.source + 1}, seed {unit.seed + 1}"
        setup.evaluator.report = partial(_prefixed, note, where)
        if plan.recipe.warmup:
            warm_up(setup, plan.recipe.warmup, label, warm)
        held_out = HeldOut(setup)
        if label == OPTIMUM:
            trace = _optimum(setup, held_out)
        else:
            trace = search(setup, plan.recipe.queries, plan.recipe.batch, held_out, setup.evaluator.report)
        notes = () if label == OPTIMUM else setup.strategy.notes
        yield label, replace(trace, held_out_input=held_out.input, notes=notes)


def _prefixed(note: Note, where: str, said: str) -> None:
    note(f"{where}: {said}")


def write_trace(work: Work, label: str, unit: SearchUnit, trace: SearchTrace) -> None:
    """Keep what came of a search, whole."""
    path = path_of(work, label, unit)
    with file_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_text(path, seal({"comparison": work.comparison, "search": path.stem, **trace.to_json()}))


def read_trace(work: Work, label: str, unit: SearchUnit) -> SearchTrace:
    path = path_of(work, label, unit)
    try:
        values = unseal(read_text(path))
        if values["comparison"] != work.comparison:
            raise ValueError("it is of another comparison")
        if values["search"] != path.stem:
            raise ValueError(f"it is that of {values['search']}")
        return SearchTrace.from_json(values)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise NATError(
            f"{path}: damaged or changed ({error}); remove this file, and the same command does this search again"
        ) from error


def split_of(plugins: Plugins, evaluator: str) -> Split:
    """The images that tell how good a choice was: those of the test, unless weights are shared. What those say of the
    test is an estimate too, so the test stays untouched."""
    return "selection" if shares_weights(plugins.find("evaluators", evaluator)) else "test"


class HeldOut:
    """How much more accurate than the input a network is on images that it was not chosen by."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._split: Split = "selection" if shares_weights(type(setup.evaluator)) else "test"
        self.input: HeldOutInput | None = None
        """Known once it was asked for a network."""

    def __call__(self, network: Network) -> float:
        evaluator = self._setup.evaluator
        if self.input is None:
            found = evaluator.assess(self._setup.search.network, self._split)
            self.input = HeldOutInput(found.value, found.images, self._setup.chance(self._split))
        return evaluator.assess(network, self._split).value - self.input.accuracy


def warm_up(setup: Setup, steps: int, label: str, warm: dict[str, State]) -> None:
    """Train shared weights as ``nat run`` does: once for all strategies that search from the inputs alone, on their
    moves, and once for each that draws other wirings, whose paths the others do not have."""
    strategy, owner = setup.strategy, label
    if not strategy.rewires:
        strategy, owner = RandomStrategy(strategy.task, RandomStrategy.Settings()), ""
    if owner not in warm:
        search = Search(strategy, setup.evaluator, SearchSettings(warmup=steps, rounds=0), setup.plan.recipe.seed)
        while search.warming:
            search.advance()
        warm[owner] = setup.evaluator.state()
    else:
        setup.evaluator.restore(warm[owner])


def _optimum(setup: Setup, held_out: HeldOut) -> SearchTrace:
    """The best of all that the input may become, the input among it where it is within the budget; no step where that
    are too many."""
    moves = setup.search.moves
    if moves.count > MOST:
        return SearchTrace((), 0, True)
    networks = {key(network): network for network in map(moves.apply, moves.all())}
    names = list(networks)
    found = setup.evaluator.measure([Proposal(i, moves.network, networks[name]) for i, name in enumerate(names)])
    gains = {name: each.gain for name, each in zip(names, found, strict=True) if each is not None}
    own = key(moves.network)
    if own in gains:
        gains[own] = 0.0
    best = max(gains, key=lambda name: gains[name])
    value = 0.0 if best == own else held_out(networks[best])
    return SearchTrace((Improvement(0, best, gains[best], value),), len(networks), False)
