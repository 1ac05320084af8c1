"""What a critic gains by training-free proxies of networks: on tasks, and in search spaces, that it has not learned.

For each ``--leave TASK`` (a table of the recipe; ``TASK/space``: with every other task of its search space) critics
learn all other tables: one without proxies, one with. Both judge the same networks: what inputs may become under
``nat``, as far as proxies of it are known, in units among some of it, as in use. Reported are the mean rank correlation
(Spearman) with the score to choose by, and the mean gain of the choice: of what is expected to gain most, or of the
input where nothing is; beside the critics MACs alone, and the score of the evaluator ``proxies``. In tables in which
hardly anything can become another network, ranks are over all networks. Of the critic with proxies it is told, too,
what it says without them.

Proxies are kept in ``--kept``, so that a second run takes them from there: of ``--networks`` different ones of each
table.

``python -m benchmarks policy-critic-proxies --kept FILE --leave class_object macro/space [--save]``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common.results import add_result
from benchmarks.methods.left_out import Sources
from benchmarks.spaces.measured import MeasuredTask, Setting, good_half
from nat_plugin.evaluators.proxies import PROXIES
from nat_plugin.evaluators.proxies.cache import KeptProxies, ScoredLike
from nat_plugin.evaluators.proxies.combining import combination_of
from nat_plugin.evaluators.proxies.evaluator import DEFAULT
from nat_plugin.policy.critic import Critic, CriticConfig, new_critic
from nat_plugin.policy.graphs import Graph, build_graph
from nat_plugin.policy.proxy_inputs import in_units
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.training import learn_critic
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining

REFERENCES = 16
"""Networks among which proxies are put into units."""
FEWEST = 8
"""Networks that an input must be able to become."""
NAT = Setting("nat")
TABLE = "critic_proxies"
"""Its place on a page."""
Critics = Mapping[str, tuple[Critic, Sequence[str]]]
"""By label, with the proxies that each is told."""


class Known:
    """A table: by kind of network its graph, its score, and of some kinds their proxies, (kinds, all names)."""

    def __init__(self, sources: Sources, name: str, kept: KeptProxies, most: int) -> None:
        self.name, self.task = name, MeasuredTask(sources.settings(name))
        table, kinds = self.task.table, self.task.kinds
        self.kinds, first = np.unique(kinds[kinds >= 0], return_index=True)
        rows = np.flatnonzero(kinds >= 0)[first]
        scored = [ScoredLike(table.texts[row], table.adapter)(table.networks[row]) for row in rows]
        order = sorted(range(len(rows)), key=lambda at: scored[at].name)[:most]
        self.proxies = np.full((len(rows), len(PROXIES)), np.nan)
        self.proxies[order] = kept.of([scored[at] for at in order])
        self.proxies[~np.isfinite(self.proxies).all(axis=1)] = np.nan
        networks = [self.task.network_of(int(kind)) for kind in self.kinds]
        self.space = space_name(networks[0])
        self.graphs = [build_graph(network) for network in networks]
        self.scores = np.array(
            [self.task.chosen_by(int(row), int(kind)) for row, kind in zip(rows, self.kinds, strict=True)]
        )

    @property
    def with_proxies(self) -> np.ndarray:
        """By number."""
        return np.flatnonzero(np.isfinite(self.proxies).all(axis=1))

    def measured(self, names: Sequence[str], weight: float) -> learn_critic.MeasuredTask:
        rows = self.proxies[:, columns(names)] if names else None
        units = None if rows is None else in_units(rows, rows)
        return learn_critic.MeasuredTask(self.name, self.graphs, self.scores, weight, self.space, units)


def columns(names: Iterable[str]) -> list[int]:
    every = list(PROXIES)
    return [every.index(name) for name in names]


def fitted(
    known: Sequence[Known], weights: Mapping[str, float], names: Sequence[str], given: argparse.Namespace, seed: int
) -> Critic:
    critic = new_critic(CriticConfig(members=given.members, proxies=tuple(names)), seed, torch.device("cpu"))
    tasks = [each.measured(names, weights[each.name]) for each in known]
    CriticTraining(critic, tasks, CriticLearning(steps=given.steps), seed).run()
    return critic


def judged(known: Known, at: np.ndarray, references: np.ndarray, critics: Critics) -> dict[str, np.ndarray]:
    """What each critic expects of the networks of some numbers, and what proxies alone say, (n,) each."""
    graphs: list[Graph] = [known.graphs[number] for number in at.tolist()]
    found = {}
    for label, (critic, names) in critics.items():
        units = None
        if names:
            units = in_units(known.proxies[at][:, columns(names)], known.proxies[references][:, columns(names)])
        found[label] = critic.expect(graphs, units).mean
    rows = [dict(zip(PROXIES, known.proxies[number].tolist(), strict=True)) for number in at.tolist()]
    others = [dict(zip(PROXIES, known.proxies[number].tolist(), strict=True)) for number in references.tolist()]
    how = combination_of(rows[0], others, dict.fromkeys(DEFAULT, 1.0))
    found["evaluator proxies"] = np.array([how.score(each) for each in rows])
    found["MACs"] = known.proxies[at, columns(["macs"])[0]]
    return found


def in_neighbourhoods(known: Known, rows: Sequence[int], critics: Critics, most: int) -> dict[str, Any]:
    """Of inputs, by their rows in the table."""
    place = {int(kind): number for number, kind in enumerate(known.kinds)}
    there = set(known.with_proxies.tolist())
    ranks: dict[str, list[float]] = {}
    gains: dict[str, list[float]] = {}
    best: list[float] = []
    for row in rows:
        if len(best) == most:
            break
        own = place.get(int(known.task.kinds[row]))
        if own is None or own not in there:
            continue
        moves = known.task.moves(row, NAT)
        others = np.array(
            [
                place[kind]
                for kind in known.task.reachable(row, moves).tolist()
                if place[kind] in there and place[kind] != own
            ]
        )
        if len(others) < FEWEST:
            continue
        references = np.random.default_rng(row).permutation(others)[:REFERENCES]
        at = np.concatenate([[own], others])
        truth = known.scores[others]
        change = np.array([known.task.gain(row, int(known.kinds[number])) for number in others])
        best.append(float(change[int(np.argmax(truth))]) if truth.max() > known.scores[own] else 0.0)
        for label, expected in judged(known, at, references, critics).items():
            gain = expected[1:] - expected[0]
            flat = np.ptp(gain) == 0 or np.ptp(truth) == 0
            ranks.setdefault(label, []).append(0.0 if flat else float(spearmanr(gain, truth)[0]))
            top = int(np.argmax(gain))
            gains.setdefault(label, []).append(float(change[top]) if gain[top] > 0 else 0.0)
    scores = {
        label: {
            "rank": float(np.mean(ranks[label])),
            "gain": float(np.mean(gains[label])),
        }
        for label in ranks
    }
    return {"inputs": len(best), "best": float(np.mean(best)) if best else None, "scores": scores}


def over_all(known: Known, critics: Critics) -> dict[str, Any]:
    at = known.with_proxies
    references = np.random.default_rng(0).permutation(at)[:REFERENCES]
    found = judged(known, at, at if len(at) < REFERENCES else references, critics)
    return {
        "networks": len(at),
        "scores": {label: {"rank": float(spearmanr(each, known.scores[at])[0])} for label, each in found.items()},
    }


def figures(given: argparse.Namespace, sources: Sources, tables: dict[str, Known], leave: str) -> dict[str, Any]:
    name, _, space = leave.partition("/")
    left = sources.left(name, bool(space))
    others = [known for each, known in tables.items() if each not in left]
    weights = {each: sources.weight(each) for each in tables}
    target = tables[name]
    seeds: list[dict[str, Any]] = []
    for seed in given.seeds:
        plain = fitted(others, weights, (), given, seed)
        told = fitted(others, weights, given.proxies, given, seed)
        critics = {
            "critic": (plain, ()),
            "critic with proxies": (told, tuple(given.proxies)),
            "the same, not told": (told, ()),
        }
        seeds.append(groups_of(target, critics, given.inputs))
        print(leave, seed, json.dumps(seeds[-1]), flush=True)
    groups = {group: merged([each[group] for each in seeds]) for group in seeds[0]}
    return {
        "learned": [each.name for each in others],
        "proxies": list(given.proxies),
        "steps": given.steps,
        "seeds": given.seeds,
        "groups": groups,
    }


def groups_of(target: Known, critics: Critics, most: int) -> dict[str, Any]:
    """Figures of all inputs, and of those that are good by other tasks or trainings."""
    rows = np.random.default_rng(0).permutation(np.flatnonzero(target.task.kinds >= 0))
    if not target.task.table.complete:
        return {"all networks": over_all(target, critics)}
    found = {"all": in_neighbourhoods(target, rows.tolist(), critics, most)}
    good, _ = good_half(target.task, [])
    if good is not None:
        found["good"] = in_neighbourhoods(target, [row for row in rows.tolist() if good[row]], critics, most)
    return found


def merged(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over seeds."""
    scores = {
        label: {
            what: float(np.mean([each["scores"][label][what] for each in found]))
            for what in ("rank", "gain")
            if what in found[0]["scores"][label]
        }
        for label in found[0]["scores"]
    }
    return {**{name: value for name, value in found[0].items() if name != "scores"}, "scores": scores}


def tables_of(known: Mapping[str, Any]) -> dict[str, str]:
    """Of all that a file of results has, by the name of its place on a page."""
    labels = ("MACs", "evaluator proxies", "critic", "critic with proxies", "the same, not told")
    lines = ["| left out | group | " + " | ".join(labels) + " | best |", "|---" * (len(labels) + 3) + "|"]
    for leave, entry in known.items():
        for group, found in entry["groups"].items():
            cells = [_cell(found["scores"][label]) for label in labels]
            best = found.get("best")
            lines.append(f"| {leave} | {group} | {' | '.join(cells)} | {'' if best is None else f'{best:+.2f}'} |")
    return {TABLE: "\n".join(lines)}


def _cell(found: Mapping[str, float]) -> str:
    return f"{found['rank']:.2f}" + (f" / {found['gain']:+.2f}" if "gain" in found else "")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default="train-general")
    parser.add_argument("--kept", type=Path, default=Path("proxies.jsonl"))
    parser.add_argument("--sources", nargs="+", help="Tables of the recipe; left out: all.")
    parser.add_argument("--leave", nargs="+", default=[])
    parser.add_argument("--proxies", nargs="+", default=list(PROXIES))
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--inputs", type=int, default=60, help="Of each group.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])


def run(given: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    sources = Sources(given.recipe, [], given.data)
    kept = KeptProxies(tuple(PROXIES), given.kept)
    tables = {name: Known(sources, name, kept, given.networks) for name in given.sources or sources.names}
    found = {leave: figures(given, sources, tables, leave) for leave in given.leave}
    for leave, each in found.items():
        add_result(given.results, leave, each)
    print(tables_of(found)[TABLE])
