"""NAS-Bench-201 under budgets: limits on MACs, and on the latency that was measured on each device of a table.

On the cells that are held out of the training of the policies: policies with no query; the best reachable
within the budget by validation; and, on some of these cells, strategies of the library with 10 and 30 queries. Gains
are differences in CIFAR-10 test accuracy to the input, which is itself over the budget; choices are by CIFAR-10
validation. Every network that is proposed is held against its limit, by ``Moves.verify`` and once more by the tables.

``python -m benchmarks policy-budgets [--policy FILE_OR_NAME ...] [--rules RULE ...] [--searched N] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.common.files import NB201, NB201_LATENCY, find_file
from benchmarks.common.intervals import interval, signed
from benchmarks.common.results import add_result
from benchmarks.methods.no_query import Trained, load_trained
from benchmarks.methods.searches import SEARCHES, search
from benchmarks.spaces.held_out import SPLIT, held_out_by, some_of
from benchmarks.spaces.nb201 import GROUPS, Reach, Space, load_space
from benchmarks.spaces.nb201_limits import Cost, by_cost, by_latency, devices, number_of
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Task

QUERIES = (10, 30)
MACS = ("0.8x", "0.6x")
LATENCY = "0.8x"
Means: TypeAlias = dict[str, float]


def costs(space: Space, table: Path, latency: Path) -> list[Cost]:
    """Two limits on MACs, and one on latency for every device."""
    found = [by_cost(space, "macs", share) for share in MACS]
    return [*found, *(by_latency(space, table, latency, device, LATENCY) for device in devices(latency))]


class Case:
    """One rule and one budget: the held-out inputs that can be brought within it, and what they may become."""

    def __init__(self, space: Space, reach: Reach, limited: Cost, held: np.ndarray) -> None:
        """``held``: whether each cell is an input (CELLS,)."""
        self.space, self.reach, self.cost = space, reach, limited
        self.moves: dict[int, Moves] = {}
        self.unknown = self.unfit = self.violations = 0
        """Inputs whose own cost is not known, inputs that nothing reachable fits, results over the budget."""
        for cell in np.flatnonzero(held & space.connected).tolist():
            if not np.isfinite(limited.values[cell]):
                self.unknown += 1
                continue
            network = space.networks[cell]
            try:
                self.moves[cell] = Moves(network, reach.rule, limited.budget.resolve(network))
            except NATError:
                assert not len(limited.within(reach, cell))
                self.unfit += 1
        self.cells = np.array(list(self.moves))

    def best(self) -> np.ndarray:
        return self.cost.best(self.reach, self.cells, self.space.validation["CIFAR-10"])

    def of_policy(self, trained: Trained) -> np.ndarray:
        return np.array(list(map(number_of, trained.proposals(list(self.moves.values())))))

    def of_search(self, name: str, cells: np.ndarray) -> dict[int, np.ndarray]:
        """By number of queries; where nothing within the budget was found, the cell itself (counts as a violation)."""
        score, found = self.space.validation["CIFAR-10"], []

        def value(network: Network) -> float:
            return float(score[self.space.written[number_of(network)]])

        for cell in cells.tolist():
            moves = self.moves[cell]
            task = Task((moves.network,), self.reach.rule, self.cost.budget, cell)
            found.append(list(map(number_of, search(SEARCHES[name], moves, task, value, QUERIES))))
        return dict(zip(QUERIES, np.array(found).T, strict=True))

    def gains(self, cells: np.ndarray, found: np.ndarray) -> Means:
        """Mean gains in test accuracy, by group; counts what is over the budget."""
        self.violations += int((~(self.cost.values[found] <= self.cost.most(cells))).sum())
        test = self.space.test["CIFAR-10"]
        gain = test[self.space.written[found]] - test[cells]
        return {name: float(gain[self.space.group(name)[cells]].mean()) for name in GROUPS}

    def some(self, count: int) -> np.ndarray:
        """Places among ``cells``: so many of each group, drawn with the seed of the split."""
        rng, found = np.random.default_rng(SPLIT), np.zeros(len(self.cells), bool)
        for name in GROUPS:
            found[rng.permutation(np.flatnonzero(self.space.group(name)[self.cells]))[:count]] = True
        return np.flatnonzero(found)


def over_seeds(runs: Sequence[Means]) -> dict[str, Any]:
    return {name: interval([run[name] for run in runs]) for name in GROUPS}


def measure(case: Case, policies: Sequence[Trained], searched: int) -> dict[str, dict[str, Any]]:
    """Gains by method and group: on all inputs (``all inputs``), and on those where strategies search too."""
    best, decoded = case.best(), [case.of_policy(policy) for policy in policies]
    every, at = case.cells, case.some(searched)
    rows: dict[str, dict[str, Any]] = {
        "best by validation": case.gains(every, best),
        "policy, no query": over_seeds([case.gains(every, found) for found in decoded]),
    }
    if not searched:
        return {"all inputs": rows}
    few: dict[str, Any] = {
        "best by validation": case.gains(every[at], best[at]),
        "policy, no query": over_seeds([case.gains(every[at], found[at]) for found in decoded]),
    }
    for name in SEARCHES:
        for queries, found in case.of_search(name, every[at]).items():
            few[f"{name} {queries}"] = case.gains(every[at], found)
    return {"all inputs": rows, "some inputs": few}


def table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], which: str) -> str:
    """``rows``: by budget, set of inputs, method and group. Each entry has the three groups."""
    lines = ["| | " + " | ".join(rows) + " |", "|---" * (1 + len(rows)) + "|"]
    for method in next(iter(rows.values()))[which]:
        cells = [_groups(sets[which][method]) for sets in rows.values()]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """One for each rule: a line for each limit, in its cells the groups."""
    return {f"budgets-{rule}": _by_limit(rule, found) for rule, found in results.items()}


def _by_limit(rule: str, found: Mapping[str, Any]) -> str:
    lines = [f"| rules `{rule}` | inputs (nothing fits) | best within by validation | policy, no query | over |"]
    lines.append("|---" * 5 + "|")
    for limit, sets in found["limits"].items():
        counts, rows = found["counts"][limit], sets["all inputs"]
        inputs = f"{counts['inputs']:,} ({counts['nothing fits']:,})"
        values = (_groups(rows[name]) for name in ("best by validation", "policy, no query"))
        lines.append(f"| {limit} | {inputs} | {' | '.join(values)} | {counts['over the budget']} |")
    return "\n".join(lines)


def _groups(row: Mapping[str, Any]) -> str:
    return " / ".join(map(signed, row.values()))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", nargs="+", default=["general"], help="Files or names, each a training.")
    parser.add_argument("--rules", nargs="+", default=["nat", "nat++"])
    parser.add_argument("--inputs", type=int, help="So many of the held-out networks; left out: all.")
    parser.add_argument("--searched", type=int, default=100, help="Inputs of each group where strategies search.")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    begun, cpu = time.perf_counter(), time.process_time()
    space = load_space(find_file(args.data, NB201))
    limits = costs(space, find_file(args.data, NB201), find_file(args.data, NB201_LATENCY))
    policies = [load_trained(name) for name in args.policy]
    held = some_of(held_out_by(space.networks, policies[0].split), args.inputs)
    for rule in args.rules:
        reach = Reach(space, find_rule(rule))
        rows: dict[str, Any] = {}
        counts: dict[str, Any] = {}
        for limited in limits:
            case = Case(space, reach, limited, held)
            rows[limited.name] = measure(case, policies, args.searched)
            counts[limited.name] = {
                "inputs": len(case.cells),
                "nothing fits": case.unfit,
                "not measured": case.unknown,
                "over the budget": case.violations,
            }
            known = {"policies": args.policy, "counts": counts, "limits": rows}
            add_result(args.results, rule, known)  # after every budget: a run takes long
            said = ", ".join(f"{count:,} {what}" for what, count in counts[limited.name].items())
            print(f"{rule}, {limited.name}: {said}", flush=True)
        for which in next(iter(rows.values())):
            print(f"\nrules {rule}, {which}: {' / '.join(GROUPS)}\n\n{table(rows, which)}\n", flush=True)
    print(f"whole run: {time.perf_counter() - begun:.0f} s, {time.process_time() - cpu:.0f} s CPU")
