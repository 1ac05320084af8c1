"""What strategies gain on single cells of NAS-Bench-201 with few queries: the real strategies, one cell at a time.

The inputs are held out of the training of the policy (``--policy``; by default the one that ships): so many drawn of
each group. A query is a distinct network (by ``nat_plugin.ir.key``), worth the mean validation accuracy of the cells
that compute the same, whichever of them is asked for; proposals that compute what is known cost nothing. The best by
validation counts, with its test accuracy less that of the input. Every input has a seed of its own, the same for all
strategies; intervals are 95 % over inputs, by Student's t, and differences from ``random`` are paired. Under
``--budget``, a limit below 1x on MACs, parameters or the latency of a device, the input is
no result itself: what is best within is compared with it all the same. AssertionError for a proposal that is over the
limit by the tables.

``python -m benchmarks search-few-queries [--inputs N] [--policy FILE] [--ablations] [--budget NAME=0.8x]
[--processes N] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.files import NB201, NB201_LATENCY, find_file
from benchmarks.common.intervals import interval
from benchmarks.common.processes import workers
from benchmarks.common.results import add_result, place_of
from benchmarks.methods.climb_from_policy import ClimbFromPolicy
from benchmarks.methods.no_query import load_trained
from benchmarks.methods.searches import Found, gains_after
from benchmarks.spaces.held_out import held_out_by
from benchmarks.spaces.nb201 import DATA, GROUPS, Reach, Space, fixed_rule, load_space
from benchmarks.spaces.nb201_limits import Cost, by_cost, by_latency, number_of
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, Rule, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Strategy, Task

QUERIES = (1, 3, 10, 30, 100)
OWN: dict[str, Any] = {"mix": {"input": 1, "neighbours": 0}}
"""All queries of ``nat`` go to the input itself."""
GIVEN = "given"
"""In the place of a policy: that of ``--policy``."""
STRATEGIES: dict[str, tuple[str | type[Strategy], dict[str, Any]]] = {
    "nat, with the policy": ("nat", {"policy": GIVEN, **OWN}),
    "nat, from scratch": ("nat", {"policy": "none", **OWN}),
    "surrogate": ("surrogate", {}),
    "hill_climb": ("hill_climb", {}),
    "evolution": ("evolution", {}),
    "greedy": ("greedy", {}),
    "random": ("random", {}),
}
ABLATIONS: dict[str, tuple[str | type[Strategy], dict[str, Any]]] = {
    "nat, with the policy": STRATEGIES["nat, with the policy"],
    "the policy no prior": ("nat", {"policy": GIVEN, "trust": 0, **OWN}),
    "climbing for the predictor": (ClimbFromPolicy, {"policy": GIVEN}),
    "REINFORCE for the predictor": ("nat", {"policy": GIVEN, "refine": 0, **OWN}),
    "random": STRATEGIES["random"],
}
"""Of ``nat`` with the policy: one part left out or replaced in each."""
BASELINE = "random"


@dataclass(frozen=True)
class Files:
    """The tables, the limit as ``NAME=LIMIT`` or empty, and the policy."""

    table: Path
    latency: Path
    limit: str
    policy: str


@dataclass(frozen=True)
class Search:
    """Of a cell by its number, on a data set."""

    strategy: str
    cell: int
    data: str
    rule: str
    seed: int


@lru_cache(maxsize=1)
def cost_of(files: Files) -> Cost | None:
    """What is limited; once for each process."""
    space, (name, _, share) = load_space(files.table), files.limit.partition("=")
    if not files.limit:
        return None
    if name in METRICS:
        return by_cost(space, name, share)
    return by_latency(space, files.table, files.latency, name, share)


def search(files: Files, wanted: Search) -> list[float]:
    """Test gain of the best by validation after each of ``QUERIES``."""
    space, limited = load_space(files.table), cost_of(files)
    torch.set_num_threads(1)
    named, settings = (STRATEGIES | ABLATIONS)[wanted.strategy]
    settings = {name: files.policy if value == GIVEN else value for name, value in settings.items()}
    validation, test = (known[wanted.data] for known in (space.validation, space.test))
    validations, tests = space.of_kinds(validation), space.of_kinds(test)
    source = space.networks[wanted.cell]
    itself: Found = int(space.kinds[wanted.cell]), float(validation[wanted.cell]), 0.0
    kind: type[Strategy] = plugins().find("strategies", named) if isinstance(named, str) else named
    budget = limited.budget if limited else Budget()
    task = Task((source,), find_rule(wanted.rule), budget, wanted.seed, max(QUERIES))
    strategy = kind(task, kind.Settings(**settings))

    def look_up(network: Network) -> Found:
        cell = int(space.written[number_of(network)])
        assert limited is None or limited.values[cell] <= limited.most(np.array(wanted.cell))
        if space.kinds[cell] == itself[0]:
            return itself
        return int(space.kinds[cell]), float(validations[cell]), float(tests[cell] - test[wanted.cell])

    return gains_after(strategy, itself, look_up, budget.resolve(source).fit(source), QUERIES)


def inputs(space: Space, held: np.ndarray, group: str, count: int, rule: Rule, limited: Cost | None) -> np.ndarray:
    """Held-out, connected cells of a group that something within the budget can be made of, drawn by a fixed seed."""
    known = space.connected & (np.isfinite(limited.values) if limited else True)
    cells, budget = np.flatnonzero(held & space.group(group) & known), limited.budget if limited else Budget()
    drawn = np.random.default_rng(0).permutation(cells)
    return np.array(list(islice((cell for cell in drawn if _fits(space.networks[cell], rule, budget)), count)))


def _fits(network: Network, rule: Rule, budget: Budget) -> bool:
    try:
        Moves(network, rule, budget.resolve(network))
    except NATError:
        return False
    return True


def rows_of(found: dict[str, np.ndarray]) -> list[str]:
    """Lines of a table: mean gain of each strategy, the interval of its difference from random in brackets."""
    lines = ["| | " + " | ".join(f"Q = {queries}" for queries in QUERIES) + " |", "|---" * (len(QUERIES) + 1) + "|"]
    for name, values in found.items():
        apart = values - found[BASELINE]
        cells = [
            f"{mean:.2f}" + ("" if name == BASELINE else f" ({more:+.2f} ± {half:.2f})")
            for mean, (more, half) in zip(values.mean(axis=0), map(interval, apart.T), strict=True)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Of every limit the tables of all data sets and groups, each below what the best reachable gains."""
    return {place_of("few-queries", name): "\n\n".join(_parts(found)) for name, found in results.items()}


def _parts(found: Mapping[str, Any]) -> Iterator[str]:
    for title, point in found["points"].items():
        known = f"best by validation {np.mean(point['best']):.2f}"
        if point["fixed rule"] is not None:
            known += f", fixed rule {np.mean(point['fixed rule']):.2f}"
        yield f"{title}: {len(point['cells'])} inputs, {known}"
        yield "\n".join(rows_of({name: np.array(values) for name, values in point["gains"].items()}))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", type=int, default=200, help="Of each group.")
    parser.add_argument("--rules", default="nat")
    parser.add_argument("--budget", default="", metavar="NAME=LIMIT", help="macs=0.8x, params=0.8x or DEVICE=0.8x")
    parser.add_argument("--policy", default="general", help="A file or a name.")
    parser.add_argument("--groups", nargs="*", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--datasets", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--strategies", nargs="*", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--ablations", action="store_true", help="nat without one of its parts, in place of those")
    parser.add_argument("--processes", type=int, default=2)


def run(args: argparse.Namespace) -> None:
    begun, files = (
        time.perf_counter(),
        Files(find_file(args.data, NB201), find_file(args.data, NB201_LATENCY), args.budget, args.policy),
    )
    space = load_space(files.table)
    reach, fixed, rule = Reach(space, find_rule(args.rules)), fixed_rule(space), find_rule(args.rules)
    limited, under = cost_of(files), args.budget or "no limit"
    held = held_out_by(space.networks, load_trained(args.policy).split)
    wanted = list(ABLATIONS) if args.ablations else [n for n in STRATEGIES if n in {*args.strategies, BASELINE}]
    points: dict[str, Any] = {}
    with workers(args.processes) as pool:
        for group in args.groups:
            cells = inputs(space, held, group, args.inputs, rule, limited)
            for data in args.datasets:
                validation, test = space.of_kinds(space.validation[data]), space.test[data]
                at = limited.best(reach, cells, validation) if limited else reach.best(validation)[cells]
                best = np.where(at == cells, 0.0, space.of_kinds(test)[at] - test[cells])
                ruled = reach.gains(fixed, test)[cells] if limited is None else None
                known = f"best by validation {best.mean():.2f}"
                if ruled is not None:
                    known += f", fixed rule {ruled.mean():.2f}"
                found = {}
                for name in wanted:
                    asked = [Search(name, int(cell), data, args.rules, seed) for seed, cell in enumerate(cells)]
                    found[name] = np.array(list(pool.map(partial(search, files), asked, chunksize=10)))
                print(f"\n{data}, {group}: {len(cells)} inputs; rules {args.rules}; {under}; {known}\n")
                print("\n".join(rows_of(found)), flush=True)
                points[f"{data}, {group}"] = {
                    "cells": cells.tolist(),
                    "best": best.tolist(),
                    "fixed rule": None if ruled is None else ruled.tolist(),
                    "gains": {name: values.tolist() for name, values in found.items()},
                }
    print(f"\n{time.perf_counter() - begun:.0f} s in {args.processes} processes")
    figures = {"rules": args.rules, "budget": args.budget, "queries": QUERIES, "points": points}
    add_result(args.results, f"{args.rules}, {under}{', parts' if args.ablations else ''}", figures)
