"""What a search on training-free proxies proposes, trained for real, beside the input and random moves of its cost.

``nat run RECIPE`` (no data, nothing trained) proposes; random moves within the same rules are drawn until there are
``--random`` whose MACs differ from the proposal's by at most ``--within``. All are trained from scratch alike, on
``weights`` and ``reward`` together, with every seed, and tested once. An interrupted benchmark goes on where it was:
the search is a run folder, every training a file in ``--work``; results hold the seeds with which all are trained.

``python -m benchmarks proxies-trained --work FOLDER [--seeds 3] [--set KEY=VALUE] [--save]``
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.files import CIFAR10, find_file
from benchmarks.common.results import add_result
from benchmarks.experiments.search.cifar10 import read_network, search, train_once
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, cost, find_rule, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import RunPlan, load_recipe
from nat_plugin.sources import find_source
from nat_plugin.training.statistics import paired_difference

TRIES = 20_000
"""Random moves among which those of the wanted cost are looked for."""


def of_the_same_cost(source: Network, proposed: Network, rule: str, count: int, within: float) -> list[Network]:
    """Random moves, distinct, none of them the proposal. NATError where there are not so many."""
    moves, rng = Moves(source, find_rule(rule)), np.random.default_rng(0)
    wanted, known, found = cost(proposed).macs, {key(proposed), key(source)}, []
    for _ in range(TRIES):
        network = moves.apply(moves.sample(rng))
        if abs(cost(network).macs / wanted - 1) <= within and key(network) not in known:
            known.add(key(network))
            found.append(network)
            if len(found) == count:
                return found
    raise NATError(f"only {len(found)} of {TRIES:,} random moves have the MACs of the proposal; raise --within")


def texts_of(given: argparse.Namespace, plan: RunPlan) -> dict[str, str]:
    """The architectures to train, by name."""
    result = search(given.recipe, given.search, given.work / "search")
    adapter = find_source(result["input"]["architecture"], plan.recipe.adapter, plugins()).adapter
    source, proposed = (read_network(result[which]["architecture"], plan) for which in ("input", "result"))
    rule = load_recipe(given.recipe, [], plugins()).recipe.rules
    drawn = of_the_same_cost(source, proposed, rule, given.random, given.within)
    texts = {"input": result["input"]["architecture"], "proposed": result["result"]["architecture"]}
    return texts | {f"random {number}": adapter.write(network) for number, network in enumerate(drawn, start=1)}


def figures(given: argparse.Namespace) -> dict[str, Any]:
    plan = load_recipe(
        "darts-cifar10-small", [f"evaluator.data.path={find_file(given.data, CIFAR10)}", *given.set], plugins()
    )
    assert plan.recipe.final is not None
    given.work.mkdir(parents=True, exist_ok=True)
    texts = texts_of(given, plan)
    networks = {name: read_network(text, plan) for name, text in texts.items()}
    hits: dict[str, list[torch.Tensor]] = {name: [] for name in texts}
    for seed in range(given.seeds):
        for name, text in texts.items():
            place = given.work / f"{key(networks[name])}-{seed}.json"
            hits[name].append(torch.tensor(train_once(text, plan, seed, place).hits, dtype=torch.bool))
        add_result(given.results, given.recipe, summary(given, plan, texts, hits))
    return summary(given, plan, texts, hits)


def summary(
    given: argparse.Namespace, plan: RunPlan, texts: Mapping[str, str], hits: Mapping[str, list[torch.Tensor]]
) -> dict[str, Any]:
    assert plan.recipe.final is not None
    rows = {}
    for name, text in texts.items():
        found = cost(read_network(text, plan))
        rows[name] = {
            "architecture": text,
            "params": found.params,
            "macs": found.macs,
            "test": [float(each.float().mean()) for each in hits[name]],
        }
        if name != "proposed":
            difference = paired_difference(hits["proposed"], hits[name])
            rows[name]["proposed_against_it"] = [difference.value, difference.low, difference.high]
    return {
        "seeds": len(hits["input"]),
        "schedule": plan.recipe.final.schedule.model_dump(mode="json"),
        "network": plan.recipe.network.model_dump(mode="json"),
        "set": list(given.set),
        "rows": rows,
    }


TABLE = "proxies-trained"
"""Its place on a page."""


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    lines = [
        "| network | MACs | parameters | test accuracy by seed | mean | proposed against it, 95 % |",
        "|---" * 6 + "|",
    ]
    for found in results.values():
        first = found["rows"]["input"]
        for name, row in found["rows"].items():
            by_seed = ", ".join(f"{100 * each:.1f}" for each in row["test"])
            span = row.get("proposed_against_it")
            against = "" if span is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * each for each in span))
            cells = (name, *(f"{row[what] / first[what]:.2f}x" for what in ("macs", "params")))
            lines.append(f"| {' | '.join(cells)} | {by_seed} | {100 * float(np.mean(row['test'])):.1f} | {against} |")
    return {TABLE: "\n".join(lines)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default="proxies-darts")
    parser.add_argument("--work", type=Path, default=Path("proxies-trained-work"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--random", type=int, default=3, help="random moves")
    parser.add_argument("--within", type=float, default=0.02, help="by how much their MACs may differ, as a share")
    parser.add_argument("--search", nargs="*", default=[], metavar="KEY=VALUE", help="of the recipe that proposes")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of recipe darts-cifar10-small")


def run(given: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    print(tables_of({given.recipe: figures(given)})[TABLE])
