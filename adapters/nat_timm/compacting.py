"""A model and its data in, a leaner one out, in Python: supernet of its own moves, search, fine-tuning, choice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel
from torch import nn

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Bench
from nat_plugin.evaluators.feed import Feed
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule
from nat_plugin.ir.budget import METRICS, Limits
from nat_plugin.ir.layers import Shape
from nat_plugin.plugins import plugins
from nat_plugin.runs.checking import check_part, validate
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.search import Search
from nat_plugin.strategies.base import Strategy, Task
from nat_plugin.training.seeds import derive, seeded
from nat_timm.adapter import moved_document
from nat_timm.evaluator import AdaptingSettings, TimmEvaluator, TimmSettings
from nat_timm.latency import LATENCY, Latency
from nat_timm.loaders import Loader, LoaderFeed
from nat_timm.magnitude import without_small_blocks
from nat_timm.models import inherit, to_network
from nat_timm.result import Result, Tuned
from nat_timm.statistics import recalibrate
from nat_timm.supernet import TimmSupernet
from nat_timm.tuning import Tuning, accuracy, fine_tune

M = TypeVar("M", bound=BaseModel)
Report: TypeAlias = Callable[[str], None]
SEARCH = {"warmup": 200, "rounds": 12, "proposals": 8, "steps": 8}
"""How long ``compact`` searches, where it is not told."""
SPARE = 4
"""So many finalists for each that is tuned, in case that some are over a latency when they are measured as a whole."""
MAGNITUDE = "magnitude"
"""The strategy that is none: it needs weights, and no measurement."""
OWN, ADAPTED = "own", "adapted"
STARTS = (OWN, ADAPTED)
"""The weights that fine-tuning may begin from: those of the model that was given, or those that the search left."""


class LoaderEvaluator(TimmEvaluator):
    """The evaluator ``timm`` for a model at hand and images of loaders."""

    def __init__(self, bench: Bench, settings: AdaptingSettings, model: nn.Module, feed: LoaderFeed) -> None:
        self._given, self.loaders = model, feed
        super().__init__(bench, TimmSettings(**settings.model_dump()))

    def images(self) -> Feed:
        return self.loaders

    def shared(self, template: Network) -> TimmSupernet:
        return TimmSupernet(copy.deepcopy(self._given), template, self.bench.rule)


class Workshop:
    """A model that is a supernet of its own moves, with images to adapt, measure and tune on; ``compact`` in parts, for
    whoever compares strategies on the same weights."""

    def __init__(
        self,
        model: nn.Module,
        train_loader: Loader,
        val_loader: Loader,
        *,
        rules: str = "nat++",
        evaluator: Mapping[str, Any] | None = None,
        input: Shape | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        """See ``compact``."""
        settings = _checked(AdaptingSettings, evaluator or {}, "evaluator")
        self.compute, self.seed, self.rule = find_compute(device, precision), seed, find_rule(rules)
        self.model = model
        self.network = to_network(model, input)
        try:
            self.steps = len(train_loader)  # type: ignore[arg-type]
        except TypeError:
            raise NATError("train_loader has no len(), the number of its batches, which a schedule needs") from None
        size = settings.reward_batch
        with self._seeded("images"):
            self.feed = LoaderFeed(
                train_loader,
                val_loader,
                self.network.input,
                self.network.head.classes,
                self.compute,
                seed,
                images=settings.reward_images,
                batch=size,
            )
        bench = Bench((self.network,), self.rule, None, self.compute, seed)
        self.evaluator = LoaderEvaluator(bench, settings, model, self.feed)
        self.teacher = self.evaluator.teacher  # the model as it came, whatever its weights are adapted to

    def task(self, budget: Mapping[str, object], planned: int | None = None) -> Task:
        limited = Budget.parse(budget, {**METRICS, LATENCY: lambda network: self.latency(network)})
        return Task((self.network,), self.rule, limited, self.seed, planned, self.compute.device)

    @cached_property
    def latency(self) -> Latency:
        """Of single images, on the device that all is computed on."""
        network = self.network
        return Latency(moved_document(network), network.input, network.head.classes, self.compute)

    def within(self, networks: Iterable[Network], limits: Limits) -> Iterator[Network]:
        """Those that keep a limit on latency, if there is one, when they are measured as a whole."""
        most = dict(limits.values).get(LATENCY)
        for network in networks:
            if most is None or self.latency.measured(self.evaluator.module(network)) <= most:
                yield network

    def search(self, strategy: Strategy, settings: SearchSettings, report: Report = lambda _: None) -> int:
        """Adapt the weights and let a strategy search; how many networks were measured."""
        search = Search(strategy, self.evaluator, settings, self.seed)
        with self._seeded("search"):
            while not search.finished:
                found = search.advance()
                where = f"warm-up {search.warmed}" if search.round == 0 else f"round {search.round}"
                report(f"{where}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
        return len(search.keys)

    def magnitude(self, budget: Mapping[str, object]) -> Network:
        """The baseline that asks nothing; see ``without_small_blocks``."""
        moves = Moves(self.network, self.rule, self.task(budget).budget.resolve(self.network))
        return without_small_blocks(self.model, moves)

    def original(self) -> Tuned:
        """The model as it came."""
        return self._tuned(self.network, self.teacher, "as it came")

    def tune(self, network: Network, tuning: Tuning, start: str = OWN) -> Tuned:
        """A network fine-tuned from ``start``, one of ``STARTS``: for all on the same batches in the same order."""
        with self._seeded("tuning"):
            model = self._own(network) if start == OWN else self.evaluator.module(network)
            fine_tune(model, self.feed.training, self.steps, tuning, self.compute, self.teacher)
        return self._tuned(network, model, f"fine-tuned from {start} weights")

    def best(self, network: Network, tuning: Tuning, starts: Sequence[str]) -> Tuned:
        """A network fine-tuned from each of ``starts``; the most accurate counts."""
        return min((self.tune(network, tuning, start) for start in starts), key=Tuned.rank)

    def _own(self, network: Network) -> nn.Module:
        """With the weights of the model that was given. Where something is moved, its running statistics are measured
        anew: they fit the model itself only."""
        made: nn.Module = inherit(self.model, network).to(  # type: ignore[call-overload]
            device=self.compute.device, memory_format=self.compute.memory_format
        )
        images = self.evaluator.settings.recalibration
        if network != self.network and images:
            recalibrate(made, (x for x, _ in self.feed.sample(images)))
        return made

    def _tuned(self, network: Network, model: nn.Module, how: str) -> Tuned:
        return Tuned(network, cost(network), model, accuracy(model, self.feed.validation(), self.compute), how)

    def _seeded(self, what: str) -> AbstractContextManager[None]:
        return seeded(self.compute.device, derive(self.seed, what))


def compact(
    model: nn.Module,
    train_loader: Loader,
    val_loader: Loader,
    *,
    budget: Mapping[str, object],
    rules: str = "nat++",
    strategy: str | Mapping[str, Any] = "nat",
    search: Mapping[str, Any] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    tuning: Mapping[str, Any] | None = None,
    candidates: int = 3,
    starts: Sequence[str] = STARTS,
    input: Shape | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    report: Report = lambda _: None,
) -> Result:
    """Make a timm model with weights leaner: one within ``budget`` that is as accurate as can be found.

    The model, which stays as it is, becomes a supernet of its own moves; that is adapted on ``train_loader`` with the
    model as a teacher, a strategy searches by the loss on images of ``val_loader``, the finalists and the model itself
    are fine-tuned alike, each from the weights of the model and from the adapted ones, and what is most accurate on
    ``val_loader`` within the budget is the best.

    ``train_loader`` and ``val_loader`` give batches (x, y): normalised images (N, C, H, W), class numbers (N,).
    ``budget``, ``strategy``, ``search`` and ``evaluator`` are as in a recipe (docs/recipes.md), of the evaluator
    ``timm`` without ``weights``, ``train`` and what is about latency, which is that of one image on ``device``, and is
    measured again as a whole for what is tuned; ``strategy`` may also be ``magnitude``: without the blocks whose
    weights are smallest. ``candidates``: finalists to tune, by ``tuning`` (the fields of ``nat_timm.tuning.Tuning``),
    from the weights named by ``starts``: one of them halves the time of fine-tuning.
    ``input``: (C, H, W); left out: as in ``to_network``. ``report`` gets a line for each step of the search.

    NATError of one line for whatever does not fit together, before anything is trained where it can be known then.
    """
    kind, chosen = _strategy(strategy)
    if candidates < 1:
        raise NATError(f"candidates is {candidates}: one or more are tuned")
    starts = tuple(dict.fromkeys(starts))
    if not starts or not set(starts) <= set(STARTS):
        raise NATError(f"starts is {starts}: fine-tuning begins from one or more of {', '.join(STARTS)}")
    tune = _checked(Tuning, tuning or {}, "tuning")
    lengths = _checked(SearchSettings, SEARCH | dict(search or {}), "search")
    shop = Workshop(
        model,
        train_loader,
        val_loader,
        rules=rules,
        evaluator=evaluator,
        input=input,
        seed=seed,
        device=device,
        precision=precision,
    )
    task = shop.task(budget, lengths.rounds * lengths.proposals)
    limits = task.budget.resolve(shop.network)
    if kind is None:
        found, evaluated = [shop.magnitude(budget)], 0
        adapting, chosen = _strategy("random")
        assert adapting is not None
        shop.search(adapting(task, chosen), lengths.model_copy(update={"rounds": 0}), report)
    else:
        searching = kind(task, chosen)
        evaluated = shop.search(searching, lengths, report)
        found = list(searching.finalists(shop.network, SPARE * candidates))
    found = list(islice(shop.within(found, limits), candidates))
    found = [network for network in found if network != shop.network]
    fits = limits.fit(shop.network)
    if not found and not fits:
        raise NATError("nothing within the budget was found; raise the limit or let it search longer")
    before = shop.original()
    reference = min(before, shop.best(shop.network, tune, starts), key=Tuned.rank)
    tuned = [shop.best(network, tune, starts) for network in found] + ([reference] if fits else [])
    tuned.sort(key=Tuned.rank)
    home = next(model.parameters()).device
    for each in (before, reference, *tuned):
        each.model.to(home)
    return Result(before, reference, tuple(tuned), evaluated, shop.feed.validation_images)


def _strategy(given: str | Mapping[str, Any]) -> tuple[type[Strategy] | None, Any]:
    values = {"name": given} if isinstance(given, str) else dict(given)
    mistakes: list[str] = []
    kind = plugins().strategies.get(str(values.get("name")))
    chosen = check_part("strategies", "strategy", values, plugins(), mistakes, also=(MAGNITUDE,))
    if mistakes:
        raise NATErrors(mistakes)
    return kind, chosen


def _checked(model: type[M], values: Mapping[str, Any], label: str) -> M:
    mistakes: list[str] = []
    found = validate(model, dict(values), label, mistakes)
    if found is None:
        raise NATErrors(mistakes)
    return found
