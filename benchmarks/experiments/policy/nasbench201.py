"""What a policy trained on NAS-Bench-201 gains on cells that it has not seen, with no query at all.

Policies are trained by the recipe ``train-nasbench201`` with several seeds, budgets of evaluations and encoders (or
taken from ``--work``, where they are kept), and decoded greedily on the cells that it holds out. Gains are differences
in test accuracy, in points; every choice is by validation. A transformed cell is looked up as it is written: in the row
without its dead operations. Intervals are 95 % by Student's t over training seeds.

Baselines on the same inputs, moves and rows: the best reachable by validation; a fixed rule; random search (uniform
over what is reachable) and hill climbing (first improvement, from the input and then from random cells). For them what
computes the same costs nothing twice, and the input itself is known.

With ``--policy`` files are measured in place of that, each a training of the same recipe, on the fifth of the cells
that their split holds out: what their critics let through without a query, also under limits on MACs; how long it takes
to make something of every cell; and how large a file is.

``python -m benchmarks policy-nasbench201 [--work DIR] [--seeds N] [--fewer N]``
``python -m benchmarks policy-nasbench201 --policy FILE [FILE …] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from nat_nasbench.nb201 import OPS

from benchmarks.common.files import NB201, find_file
from benchmarks.common.intervals import interval, signed
from benchmarks.common.results import add_result
from benchmarks.experiments.policy.budgets import Case
from benchmarks.methods.nb201_training import RULES, Wanted, train
from benchmarks.methods.no_query import Trained, load_trained
from benchmarks.spaces.held_out import held_out_by, some_of
from benchmarks.spaces.nb201 import (
    CELLS,
    DATA,
    GROUPS,
    PLACES,
    Reach,
    Space,
    digits_of,
    fixed_rule,
    load_space,
    numbers,
)
from benchmarks.spaces.nb201_limits import by_cost
from nat_plugin.ir import Moves, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.network import Policy

MACS = ("0.8x", "0.6x")
NEAR = 0.1
"""Points that a gain under a limit may be behind the best."""
NAME = "nasbench201"
ANEW, AGAIN = ", trained anew", ", recipe that ships"
"""End the names of trainings on this benchmark alone, and of further ones of the recipe ``train-general``."""
CURVE = (50, 150, 500, 1500, 3000)
ENCODERS = ("graph", "blind", "paper")
SEARCHES = {"random search 10": 10, "random search 30": 30, "hill climbing 10": 10, "hill climbing 30": 30}
Gains: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""Mean gain by rule, data set and group."""


class Yardstick:
    """The held-out inputs, and how to look up what becomes of them."""

    def __init__(self, space: Space, held: np.ndarray) -> None:
        """``held``: whether each cell is an input (CELLS,)."""
        self.space, self.cells = space, np.flatnonzero(held)
        self.reach = {name: Reach(space, find_rule(name)) for name in RULES}
        self.moves = {
            name: [Moves(space.networks[cell], reach.rule) for cell in self.cells] for name, reach in self.reach.items()
        }
        for reach in self.reach.values():
            reach.check(self.cells[::200].tolist())
        self._digits = {op: digit for digit, op in enumerate(OPS.values())}

    def gains(self, found: Callable[[str, str], np.ndarray]) -> Gains:
        """Mean gains of cells (CELLS,) that depend on rule and data set."""
        gains: Gains = {}
        for rule, reach in self.reach.items():
            for data in DATA:
                gain = reach.gains(found(rule, data), self.space.test[data])[self.cells]
                groups = {name: self.space.group(name)[self.cells] for name in GROUPS}
                gains.setdefault(rule, {})[data] = {name: float(gain[of].mean()) for name, of in groups.items()}
        return gains

    def of_policy(self, trained: Trained) -> Gains:
        found = {}
        for rule, moves in self.moves.items():
            cells = np.arange(CELLS)
            for cell, network in zip(self.cells, trained.proposals(moves), strict=True):
                cells[cell] = numbers(np.array([self._digits[op] for op in network.ops]))
            found[rule] = cells
        return self.gains(lambda rule, _data: found[rule])

    def of_search(self, search: Callable[..., int], queries: int, seed: int) -> Gains:
        def found(rule: str, data: str) -> np.ndarray:
            rng, cells = np.random.default_rng(seed), np.arange(CELLS)
            for cell in self.cells:
                cells[cell] = search(self.reach[rule], self.space.validation[data], int(cell), queries, rng)
            return cells

        return self.gains(found)


class Scores(Protocol):
    """By cell: a table, or what measures when it is asked."""

    def __getitem__(self, cells: Any, /) -> Any: ...


def random_search(reach: Reach, score: Scores, cell: int, queries: int, rng: np.random.Generator) -> int:
    """The best of so many different cells, or the input."""
    space, order = reach.space, rng.permutation(reach.all_of(cell))
    _, first = np.unique(space.kinds[order], return_index=True)
    tried = order[np.sort(first)]
    tried = tried[space.kinds[tried] != space.kinds[cell]][:queries]
    if not len(tried):
        return cell
    values = score[space.written[tried]]
    return int(tried[values.argmax()]) if values.max() > score[cell] else cell


def hill_climbing(reach: Reach, score: Scores, cell: int, queries: int, rng: np.random.Generator) -> int:
    """First improvement by single changes, from the input, then anew from random cells."""
    space, every = reach.space, reach.all_of(cell)
    known = {int(space.kinds[cell]): float(score[cell])}
    options = [reach.options[digit] for digit in digits_of(np.array(cell))]
    steps = [(edge, digit) for edge, digits in enumerate(options) for digit in digits]
    best, best_value = cell, float(score[cell])

    def value(other: int) -> float:
        return known.setdefault(int(space.kinds[other]), float(score[space.written[other]]))

    at = cell
    for _ in range(4 * queries):
        height, moved = value(at), True
        while moved and len(known) <= queries:
            moved = False
            for number in rng.permutation(len(steps)):
                edge, digit = steps[number]
                place = int(PLACES[edge])
                other = at + (digit - at // place % len(OPS)) * place
                if other == at or not space.connected[other]:
                    continue
                if value(other) > height:
                    at, height, moved = other, value(other), True
                    break
                if len(known) > queries:
                    break
        if height > best_value:
            best, best_value = at, height
        if len(known) > queries:
            break
        at = int(every[rng.integers(len(every))])
    return best


def policies(wanted: Wanted, seeds: int) -> Iterator[tuple[Policy, Any]]:
    """Trained or taken from the folder, one for each seed, with what is known of their trainings."""
    for seed in range(seeds):
        folder = wanted.folder(seed)
        found = train(wanted, seed)
        policy, facts = load_policy(folder / "policy.safetensors")
        yield policy, {**facts, "seconds": found["seconds"]}


def over_seeds(runs: list[Gains]) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    return {
        rule: {
            data: {group: interval([run[rule][data][group] for run in runs]) for group in groups}
            for data, groups in of_data.items()
        }
        for rule, of_data in runs[0].items()
    }


def table(rows: dict[str, Any], best: Gains, rule: str) -> str:
    """One line for each method: gains by data set and group, those of policies with interval and share of the best."""
    columns = [(data, group) for data in DATA for group in GROUPS]
    lines = ["| | " + " | ".join(f"{data}, {group}" for data, group in columns) + " |", "|---" * 7 + "|"]
    for name, gains in rows.items():
        cells = []
        for data, group in columns:
            value = gains[rule][data][group]
            if isinstance(value, tuple | list):
                most = best[rule][data][group]
                cells.append(signed(value) + (f" ({value[0] / most:.1%})" if most else ""))
            else:
                cells.append(f"{value:.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def under_limit(case: Case, files: Sequence[Trained]) -> dict[str, Any]:
    """By group: the gain of the best within a limit on MACs, and that of the files; how many results are over it."""
    best = case.gains(case.cells, case.best())
    runs = [case.gains(case.cells, case.of_policy(each)) for each in files]
    groups = {name: {"best": best[name], "gain": interval([run[name] for run in runs])} for name in GROUPS}
    return {"groups": groups, "violations": case.violations}


def of_files(args: argparse.Namespace) -> None:
    """What policy files are worth at home."""
    space, files = load_space(find_file(args.data, NB201)), [load_trained(name) for name in args.policy]
    held = some_of(held_out_by(space.networks, files[0].split), args.inputs)
    yardstick = Yardstick(space, held)
    best = yardstick.gains(lambda rule, data: yardstick.reach[rule].best(space.validation[data]))
    gains = over_seeds([yardstick.of_policy(each) for each in files])
    costs = {share: by_cost(space, "macs", share) for share in MACS}
    limits = {
        rule: {share: under_limit(Case(space, reach, limited, held), files) for share, limited in costs.items()}
        for rule, reach in yardstick.reach.items()
    }
    begun = time.process_time()
    timed = space.networks if args.inputs is None else [space.networks[cell] for cell in yardstick.cells]
    files[0].proposals([Moves(network, yardstick.reach[RULES[0]].rule) for network in timed])
    figures = {
        "inputs": {name: int(space.group(name)[held].sum()) for name in GROUPS},
        "trainings": len(files),
        "best": best,
        "gains": gains,
        "limits": limits,
        "cells_timed": len(timed),
        "cpu_seconds_all_cells": time.process_time() - begun,
        "megabytes": max(each.path.stat().st_size for each in files) / 1e6,
    }
    print("\n\n".join(tables_of({NAME: figures}).values()))
    add_result(args.results, args.name, figures)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation, of what ``of_files`` found of the policy that ships."""
    if NAME not in results:
        return _of_trainings(results)
    figures = results[NAME]
    rows = {"best by validation": figures["best"], "no query": figures["gains"]}
    if again := results.get(NAME + AGAIN):
        rows[f"{again['trainings']} trainings, no query"] = again["gains"]
    rules = [f"rules `{rule}`\n\n{table(rows, figures['best'], rule)}" for rule in RULES]
    lines = ["| | " + " | ".join(f"MACs ≤ {share}, {name}" for share in MACS for name in GROUPS) + " |"]
    lines.append("|---" * (1 + len(MACS) * len(GROUPS)) + "|")
    near, over = 0, 0
    for rule in RULES:
        cells = []
        for share in MACS:
            found = figures["limits"][rule][share]
            over += found["violations"]
            for each in found["groups"].values():
                value, half = each["gain"]
                near += each["best"] - value <= NEAR
                cells.append(f"{signed((value, half))} of {each['best']:+.2f}")
        lines.append(f"| `{rule}` | " + " | ".join(cells) + " |")
    places = len(RULES) * len(MACS) * len(GROUPS)
    summary = [
        f"Within {NEAR} points of the best within the limit in {near} of {places} places; {over} over the limit.",
        f"All {figures.get('cells_timed', CELLS):,} cells in {figures['cpu_seconds_all_cells']:.1f} s of CPU; "
        f"{figures['megabytes']:.2f} MB.",
    ]
    lines += ["", " ".join(summary)]
    return {"home-gains": "\n\n".join(rules), "home-limits": "\n".join(lines), **_of_trainings(results)}


def _of_trainings(results: Mapping[str, Any]) -> dict[str, str]:
    """Of policies that the experiment trained itself."""
    found: dict[str, str] = {}
    for entry in (each for name, each in results.items() if name.endswith(ANEW)):
        best = entry["gains"]["best by validation"]
        found |= {f"policies-{rule}": table(entry["gains"], best, rule) for rule in RULES}
        found |= {"policies-cells": table(entry["curve"], best, "nat")}
        found |= {"policies-encoders": table(entry["ablation"], best, "nat")}
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=Path("nasbench201-work"), help="Where policies are kept.")
    parser.add_argument("--seeds", type=int, default=10, help="Of the policy with most evaluations.")
    parser.add_argument("--fewer", type=int, default=3, help="Seeds of the learning curve and the ablation.")
    parser.add_argument("--policy", nargs="+", help="Files or names, each a training: only these are measured.")
    parser.add_argument("--inputs", type=int, help="So many of the held-out networks; left out: all.")
    parser.add_argument("--curve", type=int, nargs="+", default=list(CURVE), help="Evaluations in training.")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="Change keys of the recipe.")
    parser.add_argument("--name", default=NAME)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    if args.policy:
        of_files(args)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    space = load_space(find_file(args.data, NB201))
    yardstick = Yardstick(space, some_of(space.held_out, args.inputs))
    best = yardstick.gains(lambda rule, data: yardstick.reach[rule].best(space.validation[data]))
    fixed = fixed_rule(space)
    known = {rule: reach.best(space.validation["CIFAR-10"]) for rule, reach in yardstick.reach.items()}
    rows: dict[str, Any] = {
        "best by validation": best,
        "best by CIFAR-10 validation": yardstick.gains(lambda rule, _data: known[rule]),
        "fixed rule": yardstick.gains(lambda _rule, _data: fixed),
    }
    for name, queries in SEARCHES.items():
        rows[name] = yardstick.of_search(random_search if "random" in name else hill_climbing, queries, 0)
    facts: dict[str, list[Any]] = {}

    def trained(encoder: str, evaluations: int, seeds: int) -> Any:
        runs = []
        wanted = Wanted(find_file(args.data, NB201), args.work, encoder, evaluations, tuple(args.set))
        for policy, known in policies(wanted, seeds):
            facts.setdefault(f"{encoder}-{evaluations}", []).append(known)
            runs.append(yardstick.of_policy(Trained(policy)))
        return over_seeds(runs)

    rows["policy, no query"] = trained("graph", args.curve[-1], args.seeds)
    curve = {f"{count:,}": trained("graph", count, args.fewer) for count in args.curve[:-1]}
    ablation = {
        name: trained(name, args.curve[-1], args.seeds if name == "graph" else args.fewer) for name in args.encoders
    }
    sizes = {name: int((space.group(name)[yardstick.cells]).sum()) for name in GROUPS}
    print(f"held-out inputs: {', '.join(f'{name} {count:,}' for name, count in sizes.items())}")
    for rule in RULES:
        print(f"\nrules {rule}, gain in test accuracy\n\n{table(rows, best, rule)}")
        print(f"\nrules {rule}, policy by most cells evaluated in training\n\n{table(curve, best, rule)}")
        print(f"\nrules {rule}, policy by encoder\n\n{table(ablation, best, rule)}")
    seconds = [known["seconds"] for known in facts[f"graph-{args.curve[-1]}"]]
    print(f"\ntraining: {np.mean(seconds):.0f} s; whole run: {time.perf_counter() - begun:.0f} s")
    found = {"gains": rows, "curve": curve, "ablation": ablation, "inputs": sizes, "trainings": facts}
    add_result(args.results, f"{args.name}{ANEW}", found)
