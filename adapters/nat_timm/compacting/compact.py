"""A model and its data in, a leaner one out, in Python: supernet of its own moves, search, fine-tuning, choice."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, field_validator
from torch import nn

from nat_plugin.device import Compute, find_compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Bench
from nat_plugin.evaluators.feed import Feed
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule
from nat_plugin.ir.budget import METRICS, Limit, Limits
from nat_plugin.ir.layers import Shape
from nat_plugin.plugins import plugins
from nat_plugin.runs.checking import check_part, validate
from nat_plugin.runs.progress import Reporter, Silent, reporter
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.search import Search
from nat_plugin.search.base import Settings, Strategy, Task
from nat_plugin.search.neighbourhood import greedy_repair
from nat_plugin.training.seeds import derive, seeded
from nat_timm.adapter import moved_document
from nat_timm.compacting.checking import batches_of, check_weights
from nat_timm.compacting.magnitude import without_small_blocks
from nat_timm.compacting.result import Result, Tuned
from nat_timm.fitting.fit import fit
from nat_timm.measuring.latency import LATENCY, Latency, Measured
from nat_timm.measuring.statistics import recalibrate
from nat_timm.models import inherit, to_network
from nat_timm.narrowing.thinning import thinned
from nat_timm.training.evaluator import AdaptingSettings, TimmEvaluator, TimmSettings
from nat_timm.training.loaders import Loader, LoaderFeed
from nat_timm.training.supernet import TimmSupernet
from nat_timm.training.tuning import Tuning, accuracy, fine_tune

M = TypeVar("M", bound=BaseModel)
Report: TypeAlias = Callable[[str], None]
SEARCH = {"warmup": 200, "rounds": 12, "proposals": 8, "steps": 8}
"""How long ``compact`` searches, where it is not told."""
SPARE = 4
"""So many finalists for each that is tuned, in case that some are over a latency when they are measured as a whole."""
ATTEMPTS = 3
"""So often such a one is measured, each time made leaner by what it was over."""
MAGNITUDE = "magnitude"
"""The strategy that is none: it needs weights, and no measurement."""
OWN, ADAPTED = "own", "adapted"
STARTS = (OWN, ADAPTED)
"""The weights that fine-tuning may begin from: those of the model that was given, or those that the search left."""


class LoaderEvaluator(TimmEvaluator):
    """The evaluator ``timm`` for a model at hand and images of loaders."""

    def __init__(
        self, bench: Bench, settings: AdaptingSettings, model: nn.Module, feed: LoaderFeed, teacher: nn.Module
    ) -> None:
        """``teacher`` is ``model`` as it came, where that is another one."""
        self._given, self.loaders = model, feed
        super().__init__(bench, TimmSettings(**settings.model_dump()))
        if teacher is not model:
            self._teacher = _placed(copy.deepcopy(teacher), bench.compute).eval().requires_grad_(False)

    def images(self) -> Feed:
        return self.loaders

    def shared(self, template: Network) -> TimmSupernet:
        return TimmSupernet(copy.deepcopy(self._given), template, self.bench.rule, self.pictures)


class CompactionSession:
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
        widths: Mapping[str, object] | None = None,
        input: Shape | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        progress: Reporter | None = None,
        fits: bool = False,
    ) -> None:
        """See ``compact``; ``progress`` hears what is going on."""
        self.progress = progress or Silent()
        settings = _checked(AdaptingSettings, evaluator or {}, "evaluator")
        self.compute, self.seed, self.rule = find_compute(device, precision), seed, find_rule(rules)
        self.given, self.source = model, to_network(model, input, fits=fits)
        check_weights(model)
        self.model = model if widths is None else thinned(model, widths, input)
        self.network = self.source if widths is None else to_network(self.model, input, fits=fits)
        self.steps = batches_of(train_loader)
        if iter(val_loader) is val_loader:
            raise NATError(
                "val_loader can be gone through only once; it is several times: give a loader, not an iterator"
            )
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
        self.evaluator = LoaderEvaluator(bench, settings, self.model, self.feed, model)
        self.teacher = self.evaluator.teacher  # the model as it came, whatever its weights are adapted to
        self._measured: dict[Network, Measured] = {}
        self._is_timed = False

    def task(self, budget: Mapping[str, object], planned: int | None = None) -> Task:
        self._is_timed = LATENCY in budget
        limited = Budget.parse(budget, {**METRICS, LATENCY: lambda network: self.latency(network)})
        if self.model is not self.given:
            if self._is_timed:
                raise NATError("a limit on latency and widths= do not go together: limit the latency alone")
            absolute = limited.resolve(self.source).values
            limited = replace(limited, limits=tuple(Limit(name, value, False) for name, value in absolute))
        return Task((self.network,), self.rule, limited, self.seed, planned, self.compute.device)

    @cached_property
    def latency(self) -> Latency:
        """Of single images, on the device that all is computed on."""
        network = self.network
        self.progress.phase("latency of the model and its parts", 1)
        found = Latency(moved_document(network), network.input, network.head.classes, self.compute)
        self.progress.step(1, f"{found.whole:.3g} ms")
        return found

    def within(self, networks: Sequence[Network], limits: Limits) -> Iterator[Network]:
        """Those that keep a limit on latency, if there is one, when they are measured as a whole. What is over, since
        its latency was estimated too low, is made leaner by so much."""
        most, known = dict(limits.values).get(LATENCY), set()
        for network in networks:
            kept = network if most is None else self._brought_within(network, limits, most)
            if kept is not None and kept not in known:
                known.add(kept)
                yield kept

    def _brought_within(self, network: Network, limits: Limits, most: Fraction) -> Network | None:
        found: Network | None = network
        for _ in range(ATTEMPTS):
            if found is None or self.measured(found).ms <= most:
                return found
            found = self._leaner(found, limits, most)
        return None

    def measured(self, network: Network) -> Measured:
        """The latency of a network as a whole."""
        if network not in self._measured:
            self._measured[network] = self.latency.measured(network)
        return self._measured[network]

    def _leaner(self, network: Network, limits: Limits, most: Fraction) -> Network | None:
        """Near to a network, with an estimate that is as far under the limit as what is saved was overestimated."""
        found, whole = self.measured(network), self.latency.whole
        if found.ms >= whole:
            return None
        least = whole - (whole - float(most)) * (whole - found.estimate) / (whole - found.ms)
        room = tuple((name, Fraction(least) if name == LATENCY else limit) for name, limit in limits.values)
        try:
            moves = Moves(self.network, self.rule, Limits(room, limits.metrics))
        except NATError:  # nothing fits
            return None
        choice = greedy_repair(moves, moves.choice(network))
        return None if choice is None else moves.apply(choice)

    def search(self, strategy: Strategy, settings: SearchSettings, report: Report = lambda _: None) -> int:
        """Adapt the weights and let a strategy search; how many networks were measured."""
        search = Search(strategy, self.evaluator, settings, self.seed)
        with self._seeded("search"):
            if search.warming:
                self.progress.phase("warm-up", settings.warmup)
            while search.warming:
                found = search.advance()
                self.progress.step(search.warmed)
                report(f"warm-up {search.warmed}: {_listed(found)}")
            if not search.finished:
                self.progress.phase("search", settings.rounds)
            while not search.finished:
                found = search.advance()
                self.progress.step(search.round, f"gain {found['gain/best']:+.4f}" if "gain/best" in found else "")
                report(f"round {search.round}: {_listed(found)}")
        return len(search.keys)

    def magnitude(self, budget: Mapping[str, object]) -> Network:
        """The baseline that asks nothing; see ``without_small_blocks``."""
        moves = Moves(self.network, self.rule, self.task(budget).budget.resolve(self.network))
        return without_small_blocks(self.model, moves)

    def original(self) -> Tuned:
        """The model as it came."""
        return self._tuned(self.source, self.teacher, "as it came")

    def tune(self, network: Network, tuning: Tuning, start: str = OWN) -> Tuned:
        """A network fine-tuned from ``start``, one of ``STARTS``: for all on the same batches in the same order."""
        with self._seeded("tuning"):
            model = self._own(network) if start == OWN else self.evaluator.module(network)
            self.progress.phase(f"fine-tuning from {start} weights", tuning.epochs * self.steps)
            fine_tune(
                model, self.feed.training, self.steps, tuning, self.compute, self.teacher, after_step=self.progress.step
            )
        return self._tuned(network, model, f"fine-tuned from {start} weights")

    def best(self, network: Network, tuning: Tuning, starts: Sequence[str]) -> Tuned:
        """A network fine-tuned from each of ``starts``; the most accurate counts. Where channels were cut, there are no
        adapted weights of the model as it came."""
        known = [OWN] if self._is_uncut(network) else starts
        return min((self.tune(network, tuning, start) for start in known), key=Tuned.rank)

    def _is_uncut(self, network: Network) -> bool:
        return self.model is not self.given and network == self.source

    def _own(self, network: Network) -> nn.Module:
        """With the weights of the model that was given. Where something is moved, its running statistics are measured
        anew: they fit the model itself only."""
        made = _placed(inherit(self.given if self._is_uncut(network) else self.model, network), self.compute)
        fit(made, self.teacher, list(self.evaluator.pictures()), cut=False)
        images = self.evaluator.settings.recalibration
        if network != self.source and images:
            recalibrate(made, (x for x, _ in self.feed.sample(images)))
        return made

    def _tuned(self, network: Network, model: nn.Module, how: str) -> Tuned:
        latency = self.measured(network) if self._is_timed else None
        right = accuracy(model, self.feed.validation(), self.compute)
        return Tuned(network, cost(network), model, right, how, latency)

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
    widths: Mapping[str, object] | None = None,
    tuning: Mapping[str, Any] | None = None,
    candidates: int = 3,
    starts: Sequence[str] = STARTS,
    input: Shape | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    report: Report = lambda _: None,
    progress: bool | None = None,
    fits: bool = False,
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
    weights are smallest. ``widths``: limits like those of ``budget`` to which the model gets narrower before anything
    is searched (``nat_timm.thinned``), so that moves have less to save, or can reach the budget at all.
    ``candidates``: finalists to tune, by ``tuning`` (the fields of ``nat_timm.training.tuning.Tuning``), from the
    weights named by ``starts``: one of them halves the time of fine-tuning. ``input``: (C, H, W); left out: as in
    ``to_network``. ``report`` gets a line for each step of the search, and of what it started from.
    ``fits``: whether operations that are fitted in the place of blocks are among the moves (``nat_timm.fit``).
    ``progress``: a bar, or lines where standard error is no terminal; left out: on a terminal only.

    NATError of one line for whatever does not fit together, before anything is trained where it can be known then.
    """
    plain = {"budget": budget, "rules": rules, "candidates": candidates, "starts": starts, "fits": fits}
    _checked(Arguments, plain | {"seed": seed, "device": device, "precision": precision}, "compact")
    kind, chosen = _strategy(strategy)
    tune = _checked(Tuning, tuning or {}, "tuning")
    lengths = _checked(SearchSettings, search or {}, "search", SEARCH)
    with reporter(quiet=not (sys.stderr.isatty() if progress is None else progress)) as shown:
        session = CompactionSession(
            model,
            train_loader,
            val_loader,
            rules=rules,
            evaluator=evaluator,
            widths=widths,
            input=input,
            seed=seed,
            device=device,
            precision=precision,
            progress=shown,
            fits=fits,
        )
        task = session.task(budget, lengths.rounds * lengths.proposals)
        limits = task.budget.resolve(session.source)
        if kind is None:
            found, evaluated = [session.magnitude(budget)], 0
            adapting, chosen = _strategy("random")
            assert adapting is not None
            session.search(adapting(task, chosen), lengths.model_copy(update={"rounds": 0}), report)
        else:
            searching = kind(task, chosen)
            evaluated = session.search(searching, lengths, report)
            for note in searching.notes:
                report(note)
            found = list(searching.finalists(session.network, SPARE * candidates))
        kept = (network for network in session.within(found, limits) if network != session.source)
        found, fits = list(islice(kept, candidates)), limits.fit(session.source)
        if not found and not fits:
            raise NATError("nothing within the budget was found; raise the limit or let it search longer")
        before = session.original()
        reference = min(before, session.best(session.source, tune, starts), key=Tuned.rank)
        tuned = [session.best(network, tune, starts) for network in found] + ([reference] if fits else [])
    tuned.sort(key=Tuned.rank)
    home = next(model.parameters()).device
    for each in (before, reference, *tuned):
        each.model.to(home)
    setting = session.latency.setting if LATENCY in budget else None
    return Result(before, reference, tuple(tuned), evaluated, session.feed.validation_images, setting)


class Arguments(Settings):
    """Those of ``compact`` that nothing else checks."""

    budget: dict[str, Any]
    rules: str
    candidates: int = Field(ge=1, le=10_000)
    starts: tuple[Literal["own", "adapted"], ...]
    seed: int = Field(ge=0, lt=2**63)
    device: str
    precision: str
    fits: bool

    @field_validator("starts")
    @classmethod
    def _one_or_more(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"one or more of {', '.join(STARTS)} are needed")
        return value


def _strategy(given: str | Mapping[str, Any]) -> tuple[type[Strategy] | None, Any]:
    if not isinstance(given, str | Mapping):
        raise NATError(f"strategy is {str(given)[:40]!r}: give a name, or a dict with a name and settings")
    values = {"name": given} if isinstance(given, str) else dict(given)
    mistakes: list[str] = []
    kind = plugins().strategies.get(str(values.get("name")))
    chosen = check_part("strategies", "strategy", values, plugins(), mistakes, also=(MAGNITUDE,))
    if mistakes:
        raise NATErrors(mistakes)
    return kind, chosen


def _checked(
    model: type[M], values: Mapping[str, Any], label: str, usual: Mapping[str, Any] = MappingProxyType({})
) -> M:
    if not isinstance(values, Mapping):
        raise NATError(f"{label} is {str(values)[:40]!r}: give a dict of settings")
    mistakes: list[str] = []
    found = validate(model, {**usual, **values}, label, mistakes)
    if found is None:
        raise NATErrors(mistakes)
    return found


def _placed(model: nn.Module, compute: Compute) -> nn.Module:
    made: nn.Module = model.to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return made


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
