"""The whole method on real images: search with `nat` and with `random` (same moves, budget, evaluations and supernet
schedule), then train the input and the results from scratch, several seeds each.

    python -m benchmarks search-cifar10 --save

Prints a table and writes JSON. The search ends with the choice on shared weights; the accuracies in the table are those
of networks trained from scratch on `weights` and `reward` together, on the test split; the accuracy on the selection
split, which nothing trains on, is kept after every epoch. What computes the same is trained once. An interrupted
benchmark goes on where it was: every search is a run folder, every training a file. `--recipe quickstart` does the same
on handwritten digits, in minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.files import CIFAR10, find_file
from benchmarks.common.processes import workers
from benchmarks.common.results import add_result
from nat_plugin.data import load
from nat_plugin.device import find_compute
from nat_plugin.ir import Network, NetworkSize, cost, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Lines
from nat_plugin.runs.recipe import RunPlan, load_recipe
from nat_plugin.runs.record import RUN_FILE
from nat_plugin.runs.run import resume, start
from nat_plugin.sources import find_source
from nat_plugin.training.statistics import paired_difference
from nat_plugin.training.trainer import NetworkTrainer, train

STRATEGIES = ("nat", "random")
CIFAR10_RECIPE = "darts-cifar10-small"


def search(name: str, overrides: list[str], folder: Path) -> dict[str, Any]:
    """The result of a run of the recipe with one strategy."""
    if (folder / RUN_FILE).exists():
        return resume(folder, plugins(), Lines())
    return start(load_recipe(name, overrides, plugins()), folder, plugins(), Lines())


def read_network(text: str, plan: RunPlan) -> Network:
    assert plan.data is not None
    data = load(plan.data, torch.device("cpu"), plugins().datasets)
    size = NetworkSize(plan.recipe.network.channels, plan.recipe.network.cells, data.shape, data.classes)
    return find_source(text, plan.recipe.adapter, plugins()).adapter.read(text, size)


@dataclass(frozen=True)
class Training:
    """Which test images are right in the end (1 or 0 each), and the accuracy on the selection split by epoch."""

    hits: list[int]
    curve: list[float]


def train_once(text: str, plan: RunPlan, seed: int, path: Path) -> Training:
    """Of an architecture with a seed; kept in ``path``."""
    if path.exists():
        return Training(**json.loads(path.read_text()))
    assert plan.recipe.final is not None
    assert plan.data is not None
    if plan.recipe.threads is not None:
        torch.set_num_threads(plan.recipe.threads)
    compute = find_compute(plan.recipe.device, plan.recipe.precision)
    data = load(plan.data, compute.device, plugins().datasets)
    images = replace(data, weights=data.weights.joined(data.reward))
    trainer = NetworkTrainer(read_network(text, plan), images, plan.recipe.final.schedule, compute, seed)
    curve = []

    def after(report: dict[str, float]) -> None:
        curve.append(trainer.accuracy(data.selection).value)
        print(f"{path.stem}: epoch {report['epoch']:.0f} loss {report['loss']:.3f}", flush=True)

    train(trainer, after)
    found = Training(trainer.accuracy(data.test).hits.int().tolist(), curve)
    path.write_text(json.dumps(asdict(found)))
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    overrides = [f"seed={options.seed}", *options.set]
    if options.recipe == CIFAR10_RECIPE:
        overrides.append(f"evaluator.data.path={find_file(options.data, CIFAR10)}")
    plan = load_recipe(options.recipe, overrides, plugins())
    assert plan.recipe.final is not None, "the recipe's final stage says how to train"
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with workers(options.jobs) as pool:
        searches = {}
        for budget in options.budgets:
            for strategy in STRATEGIES:
                own = [] if strategy == plan.recipe.strategy_name else [f"strategy={{name: {strategy}}}"]
                changes = [*overrides, "final=null", f"budget={{params: {budget}x, macs: {budget}x}}", *own]
                folder = work / f"search-{strategy}-{budget}"
                searches[strategy, budget] = pool.submit(search, options.recipe, changes, folder)
        results = {which: job.result() for which, job in searches.items()}
        texts = {"input": next(iter(results.values()))["input"]["architecture"]}
        texts |= {f"{s}, {budget}x": result["result"]["architecture"] for (s, budget), result in results.items()}
        keys = {name: key(read_network(text, plan)) for name, text in texts.items()}
        trained = {
            (keys[name], seed): pool.submit(train_once, texts[name], plan, seed, work / f"{keys[name]}-{seed}.json")
            for seed in range(options.seeds)
            for name in {keys[name]: name for name in reversed(texts)}.values()
        }
        found = {name: [trained[keys[name], seed].result() for seed in range(options.seeds)] for name in texts}
    hits = {name: [torch.tensor(each.hits, dtype=torch.bool) for each in some] for name, some in found.items()}
    evaluated = {f"{s}, {budget}x": result["evaluated"] for (s, budget), result in results.items()}
    rows: dict[str, Any] = {}
    for name, text in texts.items():
        total = cost(read_network(text, plan))
        accuracies = [float(each.float().mean()) for each in hits[name]]
        rows[name] = {"architecture": text, "params": total.params, "macs": total.macs, "test": accuracies}
        rows[name]["curves"] = [each.curve for each in found[name]]
        if name != "input":
            rows[name]["evaluated"] = evaluated[name]
        if keys[name] != keys["input"]:
            difference = paired_difference(hits[name], hits["input"])
            rows[name]["difference"] = [difference.value, difference.low, difference.high]
    return {
        "recipe": options.recipe,
        "seeds": options.seeds,
        "seed": options.seed,
        "epochs": plan.recipe.final.schedule.epochs,
        "minutes": (time.monotonic() - began) / 60,
        "jobs": options.jobs,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    lines = [
        "| network | parameters | MACs | test accuracy, mean of seeds | against the input, 95 % |",
        "|---|---|---|---|---|",
    ]
    first = result["rows"]["input"]
    for name, row in result["rows"].items():
        mean = 100 * sum(row["test"]) / len(row["test"])
        each = ", ".join(f"{100 * value:.2f}" for value in row["test"])
        span = row.get("difference")
        same = "" if name == "input" else "the input itself"
        against = f"{100 * span[0]:+.2f} [{100 * span[1]:+.2f}, {100 * span[2]:+.2f}]" if span else same
        cells = (name, *(f"{row[what]:,} ({row[what] / first[what]:.2f})" for what in ("params", "macs")))
        lines.append(f"| {' | '.join(cells)} | {mean:.2f} ({each}) | {against} |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    return {f"trained-{recipe}": table(result) for recipe, result in results.items()}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default=CIFAR10_RECIPE, help="one with a final stage")
    parser.add_argument(
        "--budgets", nargs="+", default=["1.0", "0.8"], help="of parameters and MACs, times the input's"
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--seed", type=int, default=0, help="of the searches")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--work", type=Path, default=Path("cells_cifar10-work"), help="keeps searches and trainings")
    parser.add_argument("--jobs", type=int, default=2, help="processes")


def run(args: argparse.Namespace) -> None:
    result = measure(args)
    add_result(args.results, args.recipe, result)
    print(table(result))
    print(f"{result['minutes']:.0f} minutes in {result['jobs']} processes, {result['epochs']} epochs each")
