"""The search on a user's own architecture, with few measurements: what each strategy finds, and what that is worth when
it is trained.

Each recipe is searched as ``nat compare`` does it: one input, weights shared by all strategies of a seed and trained as
long as the recipe says, every network measured on all reward images. After 40 and after 120 measurements the best by
these, the input aside, is trained for real by the final stage of the recipe, and tested; so is the input. NNI's hub is
searched from its ``darts-v2``, under ``nat++``, with the settings of the recipe ``quickstart``.

Whatever is done is kept in ``--work``: the same command goes on where it was stopped, and does nothing twice.

``python -m benchmarks search-own-architecture [quickstart nni-digits] [--save]``
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.files import CIFAR10
from benchmarks.common.intervals import interval
from benchmarks.common.results import add_result
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import ComparisonPlan, plan_comparison
from nat_plugin.comparisons.record import ComparisonRecord
from nat_plugin.comparisons.search import Moved, SearchTrace
from nat_plugin.comparisons.units import SearchUnit, Work, read_trace, same_data, seed_of, warm_up
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.ir import Network, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.choice import FinalSelection
from nat_plugin.runs.progress import Reporter, reporter
from nat_plugin.runs.recipe import RunPlan, load_recipe
from nat_plugin.runs.setup import Setup, find_origin, set_up
from nat_plugin.runs.state import load_state, save_state

TRIALS = (40, 120)
NAT = "nat"
STRATEGIES: dict[str, dict[str, Any]] = {
    NAT: {},
    "nat without prior": {"name": "nat", "policy": "none"},
    "surrogate": {},
    "hill_climb": {},
    "evolution": {},
    "random": {},
}
RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "quickstart": ("quickstart", ()),
    "darts-cifar10-small": ("darts-cifar10-small", ()),
    "mobilenetv2-digits": ("mobilenetv2-digits", ()),
    "nni-digits": ("quickstart", ("source=darts-v2", "adapter=nni", "rules=nat++")),
}
"""By name: a recipe that ships, and what is changed of it."""
_SHARED = ("adapter", "extended", "network", "rules", "budget", "threads", "device", "precision")
_CHOICE = "choice.safetensors"


@dataclass(frozen=True)
class Wanted:
    """A recipe by its name in ``RECIPES``; ``changes`` of more of its keys, as KEY=VALUE."""

    name: str
    data: Path | None = None
    trials: tuple[int, ...] = TRIALS
    strategies: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: STRATEGIES)
    changes: tuple[str, ...] = ()


def run_plan(asked: Wanted, seed: int) -> RunPlan:
    """Of a run of a recipe, measured on all reward images, with one training of each candidate."""
    recipe, changes = RECIPES[asked.name]
    path = [f"evaluator.data.path={asked.data}"] if asked.data is not None and recipe == "darts-cifar10-small" else []
    fixed = ["evaluator.reward_images=null", "final.seeds=1", "strategy.name=random", "threads=1", f"seed={seed}"]
    return load_recipe(recipe, [*changes, *path, *asked.changes, *fixed], plugins())


def comparison(asked: Wanted, found: RunPlan, seed: int) -> ComparisonPlan:
    """The search of that run, of all strategies on the same weights, which see as many steps as in the run."""
    values, search = found.resolved(), found.recipe.search
    chosen = {name: values[name] for name in _SHARED} | {"evaluator": values["evaluator"], "seed": seed}
    warmup = search.warmup + search.rounds * search.steps
    chosen |= {"sources": [found.recipe.source], "strategies": dict(asked.strategies), "queries": max(asked.trials)}
    return plan_comparison({**chosen, "seeds": 1, "warmup": warmup}, plugins())


def searched(wanted: ComparisonPlan, folder: Path, shown: Reporter) -> dict[str, SearchTrace]:
    """What every strategy found with one seed."""
    compare(wanted, folder, plugins(), shown)
    record = ComparisonRecord.read(folder)
    work = Work(record.recipe, record.origins, folder, record.comparison)
    return {label: read_trace(work, label, SearchUnit(0, 0)) for label in wanted.names}


def trained(
    asked: Wanted, wanted: ComparisonPlan, traces: Mapping[str, SearchTrace], folder: Path, shown: Reporter
) -> dict[str, Any]:
    """The best of each strategy after so many measurements, and the input, trained as the recipe says: what they get
    right of the test images."""
    planned = run_plan(asked, seed_of(wanted, SearchUnit(0, 0)))
    setup = set_up(planned, find_origin(planned, plugins()), plugins(), same_data)
    if type(setup.evaluator).module is not Evaluator.module:  # what is trained goes on from the shared weights
        warm_up(setup, wanted.recipe.warmup, "", {})
    found = {label: best_of(trace, asked.trials) for label, trace in traces.items()}
    best = {label: [setup.search.moves.apply(each.choice) for each in moved] for label, moved in found.items()}
    choice = _choice(setup, folder, list({key(each): each for some in best.values() for each in some}.values()))
    shown.phase("trainings", choice.steps, choice.steps_done)
    while not choice.finished:
        before = len(choice.done)
        choice.advance()
        if len(choice.done) > before:
            save_state(folder / _CHOICE, choice.state())
        shown.step(choice.steps_done)
    numbers = {key(each): number for number, each in reversed(list(enumerate(choice.searched)))}
    tested = {each: choice.tested(number)[0].value for each, number in numbers.items()}
    return {
        "input": tested[key(setup.search.network)],
        "tested": {label: [tested[key(each)] for each in some] for label, some in best.items()},
        "measured": {label: [each.gain for each in moved] for label, moved in found.items()},
        "notes": list(traces[NAT].notes),
    }


def best_of(trace: SearchTrace, trials: Sequence[int] = TRIALS) -> list[Moved]:
    """What was best after each number of trials of what the input may become: a final stage trains the input anyway."""
    return [[each for each in trace.moved if each.query <= count][-1] for count in trials]


def _choice(setup: Setup, folder: Path, networks: list[Network]) -> FinalSelection:
    others = [each for each in networks if key(each) != key(setup.search.network)]
    path = folder / _CHOICE
    return (
        FinalSelection.restored(setup, folder, load_state(path))
        if path.exists()
        else FinalSelection(setup, folder, others)
    )


def pooled(found: Sequence[Mapping[str, Any]], trials: Sequence[int] = TRIALS) -> dict[str, Any]:
    """By strategy, a row for each seed."""
    tables = {what: {label: [each[what][label] for each in found] for label in found[0][what]}
              for what in ("measured", "tested")}  # fmt: skip
    return {"trials": list(trials), "seeds": len(found), "input": [each["input"] for each in found], **tables,
            "notes": [note for each in found for note in each["notes"]]}  # fmt: skip


def table(entry: Mapping[str, Any]) -> str:
    """Of one recipe: mean over seeds and 95 % intervals; the last columns are differences of the same seeds."""
    heads = [f"{what}, {count}" for what in ("measured gain", "test, points", "`nat` ahead, points")
             for count in entry["trials"]]  # fmt: skip
    lines = ["| strategy | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    before = np.array(entry["input"])[:, None]
    own = np.array(entry["tested"][NAT])
    for label in entry["tested"]:
        measured, tested = np.array(entry["measured"][label]), np.array(entry["tested"][label])
        cells = [_span(each, "+.4f") for each in measured.T] + [
            _span(100 * each, "+.2f") for each in (tested - before).T
        ]
        cells += ["" if label == NAT else _span(100 * each, "+.2f") for each in (own - tested).T]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _span(values: np.ndarray, form: str) -> str:
    mean, half = interval(values.tolist())
    return f"{mean:{form}} ± {half:{form.lstrip('+')}}" if len(values) > 1 else f"{mean:{form}}"


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    return {f"own-{name}": table(entry) for name, entry in results.items()}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipes", nargs="*", default=[], metavar="RECIPE", help=f"{', '.join(RECIPES)}; left out: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, nargs="+", default=list(TRIALS), help="measurements, rising")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES), help="nat among them")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="change keys of the recipes")
    parser.add_argument("--work", type=Path, default=Path("nat-comparisons/own-architecture"))


def run(args: argparse.Namespace) -> None:
    unknown = [name for name in args.recipes if name not in RECIPES]
    if unknown:
        raise NATError(f"'{unknown[0][:80]}' is no recipe of this experiment; it has {', '.join(RECIPES)}")
    strategies = {name: STRATEGIES[name] for name in STRATEGIES if name in {NAT, *args.strategies}}
    data = (args.data / CIFAR10).absolute()
    for name in args.recipes or RECIPES:
        asked, found = Wanted(name, data, tuple(args.trials), strategies, tuple(args.set)), []
        for seed in range(args.seeds):
            folder = args.work / name / f"seed{seed}"
            with reporter() as shown:
                wanted = comparison(asked, run_plan(asked, seed), seed)
                traces = searched(wanted, folder / "searches", shown)
                (folder / "trained").mkdir(exist_ok=True)
                found.append(trained(asked, wanted, traces, folder / "trained", shown))
            add_result(args.results, name, pooled(found, args.trials))
        print(f"{name}, {len(found)} seeds\n\n{table(pooled(found, args.trials))}\n", flush=True)
