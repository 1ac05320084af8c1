"""A task that the training never saw: a policy and its critic trained on all other sources of a recipe, tested on it.

Each ``--leave TASK`` is a table of the recipe. Training goes without it, and without what else is measured of the same
task. Inputs are its networks whose output depends on their input: all of them, and those that are good by *other* tasks
or trainings of the same networks. Without a query ``suggest`` proposes, and the critic says how likely each proposal is
to be better than its input; with queries the strategies of the library search through ask and tell, ``nat`` with the
trained file and everything else from scratch. A query is a network that computes something new. Choices are by the
score to choose by, gains by the one to report (the same number where a table has only one); the best reachable is
looked up among all networks of the table. Intervals are 95 %, by resampling inputs and trainings.

What is found is kept in ``--work``, so that parts can run one after another (other rules, strategies, seeds, tasks) and
an interrupted run goes on; ``--save`` keeps all that is there.

``python -m benchmarks policy-leave-one-out --recipe RECIPE --leave TASK [TASK …] [--space] [--policy FILE]
[--seeds 0 1 …] [--inputs N] [--searched N] [--queries 0 1 …] [--processes N] [--save]``
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common.processes import workers
from benchmarks.common.results import add_result, provenance
from benchmarks.experiments.policy.leave_one_out_tables import (
    RANKED,
    SCRATCH,
    SUGGEST,
    TRAINED,
    entry_of,
    tables_of,
)
from benchmarks.methods.left_out import Sources
from benchmarks.methods.no_query import Trained, load_trained
from benchmarks.methods.searches import Found, gains_after
from benchmarks.spaces.measured import MeasuredTask, Setting, good_half
from nat_plugin.evaluators.table import TableSettings
from nat_plugin.ir import Choice, Moves, Network
from nat_plugin.plugins import plugins
from nat_plugin.policy.finding import policy_path
from nat_plugin.search.base import Strategy, Task

QUERIES = (0, 1, 3, 10, 30)
COMPARED = 20
"""Networks with which each input is compared, to see how far the critic is to be believed."""
Unit = dict[str, Any]


class Case:
    """A task that is left out, and the inputs of its groups under a setting."""

    def __init__(self, task: MeasuredTask, good: np.ndarray | None) -> None:
        self.task, self.good = task, good

    def inputs(self, setting: Setting, count: int) -> list[int]:
        """Rows: so many that can become something else, and more until so many good ones are among them."""
        order = np.random.default_rng(0).permutation(np.flatnonzero(self.task.kinds >= 0))
        found: list[int] = []
        left, good = count, 0 if self.good is None else count
        for row in order.tolist():
            is_good = self.good is not None and bool(self.good[row])
            if (left > 0 or (is_good and good > 0)) and self.task.can_change(row, setting):
                found.append(row)
                left, good = left - 1, good - is_good
            if left <= 0 and good <= 0:
                break
        return found

    def groups(self, rows: Sequence[int], count: int) -> dict[str, list[int]]:
        """The first of all rows, and the first of the good ones."""
        found = {"all": list(rows[:count])}
        if self.good is not None:
            found["good"] = [row for row in rows if self.good[row]][:count]
        return found


def suggested(task: MeasuredTask, setting: Setting, rows: Sequence[int], trained: Trained) -> Unit:
    """What comes of inputs without a query, and how likely the critic finds that, and any other network, better."""
    moves = [task.moves(row, setting) for row in rows]
    found = trained.suggestions(moves)
    gains = [task.gain(row, task.kind_of(row, each.network)) for row, each in zip(rows, found, strict=True)]
    return {
        "gains": [[gain] for gain in gains],
        "kept": [each.kept for each in found],
        "probability": [None if np.isnan(each.probability) else each.probability for each in found],
        "reached": [_reached(task, row, each, trained) for row, each in zip(rows, moves, strict=True)],
    }


def _reached(task: MeasuredTask, row: int, moves: Moves, trained: Trained) -> list[tuple[float, bool]]:
    """Of random networks that an input can become: how likely each was said to be better, and whether it is."""
    if trained.critic is None:
        return []
    rng = np.random.default_rng(row)
    drawn: dict[int, Choice] = {}
    for _ in range(COMPARED):
        choice = moves.sample(rng)
        drawn.setdefault(task.kind_of(row, moves.apply(choice)), choice)
    drawn.pop(int(task.kinds[row]), None)
    said = trained.likely_better(moves, list(drawn.values()))
    return [(float(each), task.gain(row, kind) > 0) for each, kind in zip(said, drawn, strict=True)]


def ranked(task: MeasuredTask, count: int, trained: Trained) -> Unit:
    """How the critic ranks networks of a table as they are written: the correlation with what is reported, and of pairs
    how likely the second was said to be better, and whether it is."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.flatnonzero(task.kinds >= 0))[:count]
    first, second = rng.integers(0, len(rows), (2, COMPARED * len(rows)))
    apart = task.kinds[rows[first]] != task.kinds[rows[second]]
    first, second = first[apart], second[apart]
    expected, said = trained.compare([task.table.networks[row] for row in rows], first, second)
    values = task.table.test[rows]
    true = values[second] > values[first]
    return {
        "networks": len(rows),
        "spearman": float(spearmanr(expected, values)[0]),
        "pairs": list(zip(said.tolist(), true.tolist(), strict=True)),
    }


@dataclass(frozen=True)
class Search:
    """``table``: its settings as JSON; ``policy``: a file, or none."""

    table: str
    setting: Setting
    strategy: str
    policy: str
    queries: tuple[int, ...]


@lru_cache(maxsize=1)
def task_of(table: str) -> MeasuredTask:
    """Once for each process."""
    torch.set_num_threads(1)
    plugins()
    return MeasuredTask(TableSettings.model_validate_json(table))


def searched(search: Search, row: int) -> list[float]:
    """The gains of one input after each number of queries; its seed is its row."""
    task = task_of(search.table)
    moves, network = task.moves(row, search.setting), task.table.networks[row]
    kind: type[Strategy] = plugins().find("strategies", search.strategy)
    settings = {"policy": search.policy or "none"} if search.strategy == "nat" else {}
    problem = Task((network,), search.setting.rule, task.budget(search.setting.limit), row, max(search.queries))
    own_kind = int(task.kinds[row])

    def look_up(after: Network) -> Found:
        moves.verify(after)
        reached = task.kind_of(row, after)
        return reached, task.chosen_by(row, reached), task.gain(row, reached)

    itself = own_kind, task.chosen_by(row, own_kind), 0.0
    return gains_after(
        kind(problem, kind.Settings(**settings)), itself, look_up, moves.admits(moves.identity), search.queries
    )


def known_unit(path: Path, wanted: Unit) -> Unit | None:
    """What was found before, if it was for the same inputs, queries and policy."""
    if not path.exists():
        return None
    found: Unit = json.loads(path.read_text())
    return found if all(found.get(name) == value for name, value in wanted.items()) else None


def keep(path: Path, unit: Unit) -> Unit:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(unit | {"from": provenance()}) + "\n")
    path.with_suffix(".new").replace(path)
    return unit


class Experiment:
    """One task left out, in a folder of its own."""

    def __init__(self, args: argparse.Namespace, sources: Sources, name: str) -> None:
        self.args, self.sources, self.name = args, sources, name
        self.left = sources.left(name, args.space)
        self.title = name + (", its whole space" if args.space else "")
        self.folder: Path = args.work / self.title.replace(", ", "-").replace(" ", "-")
        self.table = sources.settings(name).model_dump_json()
        self.task = task_of(self.table)
        good, self.good_by = good_half(self.task, sources.others(self.left))
        self.case = Case(self.task, good)
        self.settings = [
            Setting(rules, "" if limit == "none" else limit) for rules in args.rules for limit in args.limits
        ]

    def run(self) -> None:
        asked = tuple(query for query in self.args.queries if query)
        needed = 0 in self.args.queries or TRAINED in self.args.strategies
        policies = {seed: self._policy(seed) for seed in self.args.seeds} if needed else {}
        for seed, path in policies.items() if 0 in self.args.queries else ():
            self._rank(seed, path)
            for setting in self.settings:
                self._suggest(setting, self.case.inputs(setting, self.args.inputs), seed, path)
        trainings: list[tuple[int | None, Path | None]] = [*policies.items()]
        untrained: list[tuple[int | None, Path | None]] = [(None, None)]
        with workers(self.args.processes) as pool:
            for setting in self.settings if asked else ():
                rows = self.case.inputs(setting, self.args.searched)
                for name in self.args.strategies if rows else ():
                    for training in trainings if name == TRAINED else untrained:
                        self._search(setting, rows, name, *training, asked, pool)

    def _policy(self, seed: int) -> Path:
        if self.args.policy is not None:
            return policy_path(self.args.policy)
        return self.sources.train(self.left, seed, self.folder / f"seed{seed}" / "training")

    def _rank(self, seed: int, path: Path) -> None:
        unit, place = {"count": self.args.inputs, "policy": _digest(path)}, self._place(RANKED, seed)
        trained = load_trained(path)
        if trained.critic is not None and known_unit(place, unit) is None:
            found = keep(place, unit | ranked(self.task, self.args.inputs, trained))
            print(f"{self.title}: seed{seed}/{RANKED}: rank correlation {found['spearman']:.2f}", flush=True)

    def _suggest(self, setting: Setting, rows: Sequence[int], seed: int, path: Path) -> None:
        if not rows:
            print(f"{self.title}: no network of the table can become another one of it under {setting}", flush=True)
            return
        unit, place = self._unit(setting, rows, path, (0,)), self._place(f"{setting} {SUGGEST}", seed)
        if known_unit(place, unit) is None:
            unit |= self._best(setting, rows)
            self._say(place, keep(place, unit | suggested(self.task, setting, rows, load_trained(path))))

    def _search(
        self,
        setting: Setting,
        rows: Sequence[int],
        name: str,
        seed: int | None,
        path: Path | None,
        queries: tuple[int, ...],
        pool: Executor,
    ) -> None:
        unit, place = self._unit(setting, rows, path, queries), self._place(f"{setting} {name}", seed)
        if known_unit(place, unit) is None:
            strategy = "nat" if name == TRAINED else name
            wanted = Search(self.table, setting, strategy, str(path or ""), queries)
            found = keep(
                place, unit | self._best(setting, rows) | {"gains": list(pool.map(partial(searched, wanted), rows))}
            )
            self._say(place, found)

    def _unit(self, setting: Setting, rows: Sequence[int], path: Path | None, queries: Sequence[int]) -> Unit:
        count = self.args.searched if any(queries) else self.args.inputs
        return {
            "setting": str(setting),
            "inputs": list(rows),
            "of each group": count,
            "queries": list(queries),
            "policy": None if path is None else _digest(path),
        }

    def _best(self, setting: Setting, rows: Sequence[int]) -> Unit:
        return {"best": [self.task.best(row, self.task.moves(row, setting)) for row in rows]}

    def _place(self, name: str, seed: int | None) -> Path:
        return self.folder / ("scratch" if seed is None else f"seed{seed}") / f"{name}.json"

    def _say(self, place: Path, found: Unit) -> None:
        gains, best = np.array(found["gains"]), sum(found["best"])
        shares = ", ".join(f"{100 * each / best:.0f} %" if best > 0 else f"{each:.2f}" for each in gains.sum(axis=0))
        print(f"{self.title}: {place.parent.name}/{place.stem}: {shares}", flush=True)

    def entry(self) -> dict[str, Any]:
        """All that is known of the task, whatever run found it."""
        units: dict[tuple[str, str], list[Unit]] = {}
        groups: dict[tuple[str, str], dict[str, list[int]]] = {}
        rankings = [json.loads(place.read_text()) for place in sorted(self.folder.glob(f"*/{RANKED}.json"))]
        for place in sorted(self.folder.glob("*/* *.json")):
            unit = json.loads(place.read_text())
            at = unit["setting"], place.stem.removeprefix(unit["setting"]).strip()
            units.setdefault(at, []).append(unit)
            groups[at] = self.case.groups(unit["inputs"], unit["of each group"])
        facts = {
            "task": self.task.table.name,
            "points": self.task.points == 100.0,
            "networks": len(self.task.table),
            "good_by": self.good_by,
            "trained_without": self.left,
        }
        return facts | entry_of(units, groups, rankings)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", required=True, help="Of `nat train`: a file, or one that ships.")
    parser.add_argument(
        "--leave", nargs="+", required=True, metavar="TASK", help="Tables of the recipe, one at a time."
    )
    parser.add_argument("--space", action="store_true", help="Leave out every task of the same search space, too.")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="Change keys of the recipe.")
    parser.add_argument("--policy", help="A file that was trained without the task, in place of a training.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="Of the trainings.")
    parser.add_argument("--rules", nargs="+", default=["nat", "nat++"])
    parser.add_argument("--limits", nargs="+", default=["none", "macs=0.8x"])
    parser.add_argument("--queries", nargs="+", type=int, default=list(QUERIES))
    parser.add_argument("--strategies", nargs="+", choices=(TRAINED, *SCRATCH), default=[TRAINED, *SCRATCH])
    parser.add_argument("--inputs", type=int, default=200, help="Of each group, without a query.")
    parser.add_argument("--searched", type=int, default=40, help="Of each group, with queries.")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("leave-one-out-work"))


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    sources = Sources(args.recipe, args.set, args.data)
    found = json.loads(args.results.read_text()) if args.results and args.results.exists() else {}
    for name in args.leave:
        experiment = Experiment(args, sources, name)
        experiment.run()
        found[experiment.title] = experiment.entry()
        add_result(args.results, experiment.title, found[experiment.title])
    print("\n\n".join(tables_of(found).values()))
