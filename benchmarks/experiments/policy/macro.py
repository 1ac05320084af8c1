"""NAS-Bench-Macro: networks of MobileNetV2 blocks, lean to begin with, under limits on MACs of 1.0x, 0.9x and 0.8x.

On the held-out fifth of the networks: policies (``macro_training``, one for each seed, kept in ``--work``) decoded
greedily with no query; the best reachable within the limit by the first training; and, on ``--searched`` inputs of each
group, strategies of the library with 10 and 30 queries. Everything learns and chooses by the first of three trainings;
changes in accuracy are reported on the mean of the other two, in points. The best by validation is therefore itself
chosen by a noisy number: what it gains on the first training is given too, and what the best by the other two
trainings, which nobody can know, would gain.

With ``--policy`` files are measured in place of those, on what their split holds out: what their critics let through.

``python -m benchmarks policy-macro [--policy FILE …] [--work DIR] [--seeds N] [--searched N] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.common.files import MACRO, find_file
from benchmarks.common.intervals import interval, signed
from benchmarks.common.results import add_result
from benchmarks.methods.macro_training import CPU, RULES, Plan, train
from benchmarks.methods.no_query import Trained, load_trained
from benchmarks.methods.searches import SEARCHES, search
from benchmarks.spaces.held_out import held_out_by, some_of
from benchmarks.spaces.macro import BUDGETS, SPLIT, MacroSpace, Reach, load_space, number_of
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import load_policy, save_policy
from nat_plugin.search.base import Task

QUERIES = (10, 30)
GROUPS = {"all": -np.inf, "≥ 90": 90.0, "≥ 92": 92.0}
"""Least accuracy of the inputs, by the mean of the second and third training."""
Means: TypeAlias = dict[str, float]


class Case:
    """One rule and one limit: the held-out inputs that something reachable fits."""

    def __init__(self, space: MacroSpace, rule: str, limit: str, held: np.ndarray) -> None:
        """``held``: whether each network is an input (NETWORKS,)."""
        self.space, self.reach = space, Reach(space, find_rule(rule))
        self.budget = Budget.parse({"macs": limit})
        self.moves: dict[int, Moves] = {}
        self.unfit = 0
        for number in np.flatnonzero(held).tolist():
            network = space.networks[number]
            try:
                self.moves[number] = Moves(network, self.reach.rule, self.budget.resolve(network))
            except NATError:
                assert not len(self.reach.within(number, self.budget))
                self.unfit += 1
        self.numbers = np.array(list(self.moves))
        self.reach.check(self.numbers[::100].tolist(), self.budget)
        self._most = np.array([float(moves.limits.values[0][1]) for moves in self.moves.values()])
        self.violations = 0
        """Of all results that were asked for."""

    def best(self, score: np.ndarray) -> np.ndarray:
        """For every input the best within the limit; itself where it fits and nothing is better."""
        found = []
        for number in self.numbers.tolist():
            within = self.reach.within(number, self.budget)
            best = int(within[score[within].argmax()])
            found.append(number if number in within and score[number] >= score[best] else best)
        return np.array(found)

    def of_policy(self, trained: Trained) -> np.ndarray:
        return np.array(list(map(number_of, trained.proposals(list(self.moves.values())))))

    def some(self, count: int) -> np.ndarray:
        """Places among ``numbers``: so many of each group, drawn with the seed of the split."""
        rng, found = np.random.default_rng(SPLIT), np.zeros(len(self.numbers), bool)
        own = self.space.test[self.numbers]
        for least in GROUPS.values():
            found[rng.permutation(np.flatnonzero(own >= least))[:count]] = True
        return np.flatnonzero(found)

    def of_search(self, name: str, numbers: np.ndarray) -> dict[int, np.ndarray]:
        """By number of queries."""
        found = []

        def score(network: Network) -> float:
            return float(self.space.validation[number_of(network)])

        for number in numbers.tolist():
            moves = self.moves[number]
            task = Task((moves.network,), self.reach.rule, self.budget, number)
            found.append(list(map(number_of, search(SEARCHES[name], moves, task, score, QUERIES))))
        return dict(zip(QUERIES, np.array(found).T, strict=True))

    def changes(self, at: np.ndarray, found: np.ndarray, accuracy: np.ndarray) -> Means:
        """Mean change of the inputs at these places by group; counts what is over the limit."""
        self.violations += int((self.space.macs[found] > self._most[at]).sum())
        change = accuracy[found] - accuracy[self.numbers[at]]
        own = self.space.test[self.numbers[at]]
        return {name: float(change[own >= least].mean()) for name, least in GROUPS.items()}


def policies(space: MacroSpace, work: Path, seeds: int) -> list[tuple[Trained, float]]:
    """Trained or taken from the folder, one for each seed, with the seconds of CPU that it took."""
    found = []
    for seed in range(seeds):
        path = work / f"macro-{seed}.safetensors"
        if not path.exists():
            begun = time.process_time()
            policy = train(space, Plan(seed))
            save_policy(policy, path, {"seed": seed, "cpu_s": time.process_time() - begun})
        policy, facts = load_policy(path, CPU)
        found.append((Trained(policy), float(str(facts["cpu_s"]))))
    return found


def measure(case: Case, trained: Sequence[Trained], searched: int) -> dict[str, dict[str, Any]]:
    """Changes by method and group, of policies (mean, half the 95 % interval over seeds): on all inputs, and on those
    where strategies search too."""
    space, every = case.space, np.arange(len(case.numbers))
    known = {"best by validation": case.best(space.validation), "best by the trainings reported": case.best(space.test)}
    decoded = [case.of_policy(policy) for policy in trained]
    sets: dict[str, dict[str, Any]] = {}
    for which, at in {"all inputs": every, "some inputs": case.some(searched)}.items():
        rows: dict[str, Any] = {name: case.changes(at, found[at], space.test) for name, found in known.items()}
        chosen = known["best by validation"][at]
        rows["best by validation, on the first training"] = case.changes(at, chosen, space.validation)
        runs = [case.changes(at, found[at], space.test) for found in decoded]
        rows["policy, no query"] = {name: interval([run[name] for run in runs]) for name in GROUPS}
        sets[which] = rows
    at = case.some(searched)
    for name in SEARCHES:
        for queries, found in case.of_search(name, case.numbers[at]).items():
            sets["some inputs"][f"{name} {queries}"] = case.changes(at, found, space.test)
    return sets


def table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], which: str) -> str:
    """``rows``: by limit, set of inputs, method and group."""
    columns = [(limit, group) for limit in rows for group in GROUPS]
    lines = ["| | " + " | ".join(f"{limit}, {group}" for limit, group in columns) + " |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for name in next(iter(rows.values()))[which]:
        values = [rows[limit][which][name][group] for limit, group in columns]
        lines.append(f"| {name} | " + " | ".join(map(signed, values)) + " |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Two for each rule: of all inputs, and of those where strategies search too."""
    sets = {"": "all inputs", "-searched": "some inputs"}
    found = [rows for entry in results.values() for rows in entry["rules"].items()]
    return {f"lean-{rule}{end}": table(rows, which) for rule, rows in found for end, which in sets.items()}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=Path("macro-work"), help="Where policies are kept.")
    parser.add_argument("--policy", nargs="+", default=[], help="Files or names, each a training, in place of those.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--inputs", type=int, help="So many of the held-out networks; left out: all.")
    parser.add_argument("--searched", type=int, default=100, help="Inputs of each group where strategies search.")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    args.work.mkdir(parents=True, exist_ok=True)
    begun, cpu = time.perf_counter(), time.process_time()
    space = load_space(find_file(args.data, MACRO))
    trained, held = [(load_trained(name), 0.0) for name in args.policy], space.held
    if trained:
        held = held_out_by(space.networks, trained[0][0].split)
    else:
        trained = policies(space, args.work, args.seeds)
    held = some_of(held, args.inputs)
    found: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for rule in RULES:
        cases = {limit: Case(space, rule, limit, held) for limit in BUDGETS}
        found[rule] = rows = {
            limit: measure(case, [each for each, _ in trained], args.searched) for limit, case in cases.items()
        }
        known[rule] = {
            limit: {"inputs": len(case.numbers), "nothing fits": case.unfit, "over the limit": case.violations}
            for limit, case in cases.items()
        }
        counts = ", ".join(f"{limit} {case}" for limit, case in known[rule].items())
        print(f"\nrules {rule}; {counts}")
        for which in ("all inputs", "some inputs"):
            print(f"\n{which}\n\n{table(rows, which)}", flush=True)
    spent = [seconds for _, seconds in trained]
    print(f"\ntraining: {np.mean(spent):.0f} s CPU each; whole run: {time.perf_counter() - begun:.0f} s, "
          f"{time.process_time() - cpu:.0f} s CPU")  # fmt: skip
    figures = {"policies": args.policy, "counts": known, "rules": found, "training_cpu_s": spent}
    add_result(args.results, "changes", figures)
