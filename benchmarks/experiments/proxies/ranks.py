"""Training-free proxies against tables of trained networks: how they rank what an input may become, and what is gained
by choosing by them.

Of each group of inputs some are drawn, of each of these some of the networks that it may become. All are scored as the
evaluator ``proxies`` does it with its defaults, on synthetic images. Reported are the mean rank correlation (Spearman)
with validation accuracy, and the mean change of what is reported (test accuracy, or the other trainings, or the same
value where there is one alone) if the best by a score replaces the input, where it has a better score than the input.
Defaults were chosen on inputs that were drawn with another seed (``--seed 7``).

``python -m benchmarks proxies-ranks [--spaces nb201 "svhn darts"] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common.results import add_result
from benchmarks.experiments.proxies.spaces import SPACES, Group, Space
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.proxies import PROXIES
from nat_plugin.evaluators.proxies.cache import KeptProxies, ScoredLike
from nat_plugin.evaluators.proxies.combining import Features, combination_of
from nat_plugin.evaluators.proxies.evaluator import DEFAULT, ProxiesEvaluator, ProxiesSettings
from nat_plugin.evaluators.table import TableSettings, read_table
from nat_plugin.ir import Moves, Network, NetworkSize, canonical, find_rule, is_connected, key
from nat_plugin.plugins import plugins
from nat_plugin.sources import find_source

COMBINED: Mapping[str, tuple[str, ...]] = {
    "default": DEFAULT,
    "all": tuple(PROXIES),
    "AZ-NAS": ("expressivity", "progressivity", "trainability", "macs"),
    "without macs": tuple(name for name in DEFAULT if name != "macs"),
}
FEWEST = 5
"""Networks that an input must be able to become."""
RANDOM: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "nb101": ("nasbench101_500.csv.gz", {}),
    "nb301": ("nasbench301_surrogate_725.csv.gz", {}),
    "darts214": ("darts214.csv.gz", {}),
    "svhn nb201": ("suite_zero_svhn.csv.gz", {"space": "nasbench201"}),
    "svhn darts": ("suite_zero_svhn.csv.gz", {"space": "nasbench301"}),
    "svhn transnas": ("suite_zero_svhn.csv.gz", {"space": "transbench101_micro"}),
}
"""Tables of random networks, and which of their rows."""
PUBLISHED = {
    "params": "params",
    "macs": "flops",
    "naswot": "nwot",
    "jacobian": "jacov",
    "gradient_norm": "grad_norm",
    "snip": "snip",
    "synflow": "synflow",
}
"""Proxies here, and the columns of NAS-Bench-Suite-Zero that are made after the same papers."""
SOURCES = {
    "proxies-ranks": ("nb201", "transnas", "macro"),
    "proxies-random": tuple(RANDOM),
    "proxies-times": ("times",),
}
"""By table the results that it is made of."""
FORMATS = (
    *(("DARTS_V2", "darts"), ("ENAS_micro", "enas-micro"), ("darts-v2", "nni"), ("NB201_AllConv3x3", "nasbench201")),
    *(("NBMacro_MB3_K3", "nasbench-macro"), ("mobilenetv2_100", "timm"), ("resnet18", "timm"), ("cream-014", "nni")),
)
"""Architectures that are timed, and their adapters."""


class Scorer:
    """Proxies of networks, each computed once, and the processor time of it."""

    def __init__(self, seed: int) -> None:
        self._seed, self.seconds = seed, 0.0
        self.known: dict[str, Features] = {}

    def __call__(self, networks: Sequence[Network]) -> list[Features]:
        for network in networks:
            name = key(network)
            if name not in self.known:
                begun = time.process_time()
                self.known[name] = features(network, self._seed)
                self.seconds += time.process_time() - begun
        return [self.known[key(each)] for each in networks]

    @property
    def each(self) -> float:
        return self.seconds / max(1, len(self.known))


def features(network: Network, seed: int, module: Callable[[Network], Any] = lambda _: None) -> Features:
    """All proxies of a network as it is."""
    settings = ProxiesSettings(proxies=dict.fromkeys(PROXIES, 1.0), channels=None, cells=None)
    context = EvaluatorContext((network,), find_rule("nat"), None, find_compute("cpu"), seed, module=module)
    (found,) = ProxiesEvaluator(context, settings).features([network])
    return found


def reachable(space: Space, source: Network, count: int, rng: np.random.Generator) -> list[Network]:
    """Some of the distinct connected networks that an input may become, without dead operations."""
    moves = Moves(source, find_rule(space.rule))
    others = {key(network): canonical(network) for network in map(moves.apply, moves.all())}
    others.pop(key(source), None)
    names = sorted(others)
    return [others[names[number]] for number in rng.permutation(len(names))[:count]]


def measured(space: Space, group: Group, scorer: Scorer, inputs: int, count: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    by_label: dict[str, list[tuple[float, float]]] = {}
    best, used = [], 0
    for number in rng.permutation(len(group.inputs)):
        if used == inputs:
            break
        name = group.inputs[number]
        source = space.read(name)
        others = reachable(space, source, count, rng) if is_connected(source) else []
        if len(others) < FEWEST:
            continue
        used += 1
        own, *rest = scorer([source, *others])
        texts = [space.write(network) for network in others]
        truth = [group.chosen[text] for text in texts]
        gains = [group.reported[text] - group.reported[name] for text in texts]
        best.append(gains[int(np.argmax(truth))] if max(truth) > group.chosen[name] else 0.0)
        for label, scores in scored(own, rest).items():
            top = int(np.argmax(scores))
            by_label.setdefault(label, []).append((rank(scores, truth), gains[top] if scores[top] > 0 else 0.0))
    means = {
        label: {"rank": mean(r for r, _ in each), "gain": mean(g for _, g in each)} for label, each in by_label.items()
    }
    return {"inputs": used, "best": mean(best), "scores": means}


def scored(own: Features, rest: Sequence[Features]) -> dict[str, list[float]]:
    """By every proxy alone and by combinations, relative to the input."""
    scores = {}
    for label, names in {**{name: (name,) for name in PROXIES}, **COMBINED}.items():
        how = combination_of(own, rest[:16], dict.fromkeys(names, 1.0))
        scores[label] = [how.score(features_of) for features_of in rest]
    return scores


def rank(scores: Sequence[float] | np.ndarray, truth: Sequence[float] | np.ndarray) -> float:
    """Of what is the same for all, 0."""
    return 0.0 if np.ptp(scores) == 0 else float(spearmanr(scores, truth)[0])


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def over_random(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Ranks over random networks of a table in which hardly any can become another, and those of the published proxies
    in it."""
    file, where = RANDOM[name]
    table = read_table(TableSettings(path=given.data / file, where=dict(where)))
    there = [row for row, network in enumerate(table.networks) if is_connected(network)]
    order = np.random.default_rng(given.seed).permutation(len(there))[: 2 * given.networks]
    picked = [there[number] for number in order]
    kept = KeptProxies(tuple(PROXIES), given.kept)
    rows = kept.of([ScoredLike(table.texts[row], table.adapter)(table.networks[row]) for row in picked])
    sound = np.isfinite(rows).all(axis=1)
    picked = [row for row, there in zip(picked, sound.tolist(), strict=True) if there]
    proxies = [dict(zip(PROXIES, each, strict=True)) for each in rows[sound].tolist()]
    truth = table.test[picked]
    centre = {name: float(np.median([each[name] for each in proxies])) for name in PROXIES}
    published = {
        ours: rank(table.metrics[theirs][picked], truth)
        for ours, theirs in PUBLISHED.items()
        if theirs in table.metrics and np.isfinite(table.metrics[theirs][picked]).all()
    }
    return {
        "networks": len(picked),
        "broken": int((~sound).sum()),
        "scores": {label: {"rank": rank(each, truth)} for label, each in scored(centre, proxies).items()},
        "published": published,
    }


def times(repeats: int) -> dict[str, float]:
    """Processor seconds of a network by format, of the default proxies."""
    medians = {}
    for name, own in FORMATS:
        source = find_source(name, own, plugins())

        def resized(channels: int | None, cells: int | None, source: Any = source) -> Network:
            network: Network = source.adapter.read(source.text, NetworkSize(channels=channels, cells=cells))
            return network

        network = resized(None, None)
        context = EvaluatorContext(
            (network,), find_rule("nat"), None, find_compute("cpu"), module=source.adapter.module, resized=resized
        )
        evaluator = ProxiesEvaluator(context, ProxiesSettings())
        spans = []
        for _ in range(repeats + 1):
            begun = time.process_time()
            evaluator.features([network])
            spans.append(time.process_time() - begun)
        medians[f"{name} ({own})"] = float(np.median(spans[1:]))
    return medians


def tables_of(known: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation, of what is there."""
    parts = {"proxies-ranks": _ranks, "proxies-random": _random, "proxies-times": _times}
    tables = {name: part(known) for name, part in parts.items()}
    return {name: "\n".join(lines) for name, lines in tables.items() if lines}


def _ranks(known: Mapping[str, Any]) -> list[str]:
    spaces = {name: known[name] for name in SPACES if name in known}
    columns = [(space, group) for space, figures_of in spaces.items() for group in figures_of["groups"]]
    lines = _head(f"{space} {group}" for space, group in columns)
    for label in (*PROXIES, *COMBINED):
        cells = [spaces[space]["groups"][group]["scores"][label] for space, group in columns]
        lines.append(f"| {label} | " + " | ".join(_cell(each) for each in cells) + " |")
    best = [spaces[space]["groups"][group].get("best") for space, group in columns]
    lines.append("| best by validation | " + " | ".join("" if each is None else f"{each:+.2f}" for each in best) + " |")
    return lines if columns else []


def _random(known: Mapping[str, Any]) -> list[str]:
    tables = {name: known[name] for name in RANDOM if name in known}
    rows = {label: [_beside(each, label) for each in tables.values()] for label in (*PROXIES, *COMBINED)}
    lines = [f"| {label} | {' | '.join(cells)} |" for label, cells in rows.items()]
    return [*_head(tables), *lines] if tables else []


def _times(known: Mapping[str, Any]) -> list[str]:
    seconds = known["times"]["seconds"] if "times" in known else {}
    lines = [f"| {name} | {each:.2f} |" for name, each in seconds.items()]
    return ["| network | processor seconds |", "|---|---|", *lines] if lines else []


def _head(names: Iterable[str]) -> list[str]:
    columns = ["", *names]
    return ["| " + " | ".join(columns).lstrip() + " |", "|" + "---|" * len(columns)]


def _beside(table: Mapping[str, Any], label: str) -> str:
    """A rank, and in brackets that of the published proxy."""
    published = table["published"].get(label)
    return f"{table['scores'][label]['rank']:.2f}" + ("" if published is None else f" ({published:.2f})")


def _cell(cell: Mapping[str, float]) -> str:
    return f"{cell['rank']:.2f}" + (f" / {cell['gain']:+.2f}" if "gain" in cell else "")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spaces", nargs="+", default=[*SPACES, *RANDOM, "times"])
    parser.add_argument("--kept", type=Path, help="File of proxies of random networks that are known already.")
    parser.add_argument("--inputs", type=int, default=6, help="of each group")
    parser.add_argument("--networks", type=int, default=24, help="of each input")
    parser.add_argument("--seed", type=int, default=11)


def run(given: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    if given.networks < FEWEST:
        raise NATError(f"--networks {given.networks}: at least {FEWEST}, fewer cannot be ranked")
    results = {}
    for name in given.spaces:
        results[name] = figures(name, given)
        add_result(given.results, name, results[name])
    print("\n\n".join(tables_of(results).values()))


def figures(name: str, given: argparse.Namespace) -> dict[str, Any]:
    if name == "times":
        return {"seconds": times(3)}
    if name in RANDOM:
        return over_random(given, name)
    if name not in SPACES:
        raise NATError(f"unknown space '{name}'; allowed: {', '.join([*SPACES, *RANDOM, 'times'])}")
    space, scorer = SPACES[name](given.data), Scorer(given.seed)
    run = partial(measured, space, scorer=scorer, inputs=given.inputs, count=given.networks, seed=given.seed)
    groups = {label: run(group) for label, group in space.groups.items()}
    return {"groups": groups, "networks": len(scorer.known), "seconds": scorer.each}
