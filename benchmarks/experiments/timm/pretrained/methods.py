"""What is compared: strategies of ours on one set of weights, and what people would use instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

from nat_timm.compacting.result import ranked
from nat_timm.training.tuning import Tuning
from torch import nn

from benchmarks.experiments.timm.pretrained.bench import Bench, Limit
from benchmarks.experiments.timm.pretrained.peers import fastnas, torch_pruning
from nat_plugin.errors import NATError
from nat_plugin.ir import Network
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import SearchSettings

PROPOSALS = 4
SPARE = 4
TUNINGS: Mapping[str, Tuning] = {
    "none": Tuning(epochs=0),
    "distil": Tuning(epochs=2, distil=1.0, lr=0.001),  # labels have no part in it
}


def searched(name: str, bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    """What a strategy that is told the advice finds with equal measurements of combinations fitted in closed form; then
    fitted on all pictures, and tuned."""
    session, lengths = bench.session(limit), bench.lengths
    kind = plugins().find("strategies", name)
    task = session.task(limit.budget, lengths.evaluations, True)
    strategy = kind(task, kind.Settings())
    rounds = -(-lengths.evaluations // PROPOSALS)
    settings = SearchSettings(warmup=0, rounds=rounds, proposals=PROPOSALS, steps=0)
    session.advised(strategy, bench.advice, settings)
    found = list(strategy.finalists(session.network, SPARE * lengths.candidates))
    return _best(found, limit, bench, tuning)


def magnitude(bench: Bench, limit: Limit, tuning: Tuning) -> nn.Module:
    session = bench.session(limit)
    session.ranking = None  # what a search has measured is not its own
    return _best([session.magnitude(limit.budget)], limit, bench, tuning)


def _best(found: list[Network], limit: Limit, bench: Bench, tuning: Tuning) -> nn.Module:
    """Of the first that keep the limit the most accurate on the pictures to choose on, fitted, and tuned if that is
    better."""
    kept = islice(bench.session(limit).within(found), bench.lengths.candidates)
    tuned = [bench.best(network, limit, tuning) for network in kept]
    if not tuned:
        raise NATError("nothing that keeps the limit was found")
    return ranked(tuned)[0].model


Chooses: TypeAlias = Callable[[Bench, Limit, Tuning], nn.Module]


@dataclass(frozen=True)
class Method:
    """``by_timm``: whether timm loads what it gives."""

    choose: Chooses
    by_timm: bool = True


METHODS: Mapping[str, Method] = {
    **{name: Method(partial(searched, name)) for name in ("nat", "knapsack", "greedy", "random")},
    "magnitude": Method(magnitude),
    "Torch-Pruning L1": Method(partial(torch_pruning, "l1"), by_timm=False),
    "Torch-Pruning Taylor": Method(partial(torch_pruning, "taylor"), by_timm=False),
    "FastNAS": Method(fastnas, by_timm=False),
}
