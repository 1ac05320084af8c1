"""A model and its data in, a leaner one out, in Python: supernet of its own moves, search, fine-tuning, choice."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, field_validator
from torch import nn

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Bench
from nat_plugin.evaluators.feed import Feed
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule
from nat_plugin.ir.budget import METRICS, Limits
from nat_plugin.ir.layers import Shape
from nat_plugin.measuring.keeping import Keeper
from nat_plugin.measuring.latency import LATENCY, Latency, Measured
from nat_plugin.measuring.measure import measure, settings_of, to_measure
from nat_plugin.measuring.settings import LatencySettings, Setting
from nat_plugin.measuring.tables import Subject, TableMetric, table_metrics
from nat_plugin.plugins import plugins
from nat_plugin.runs.checking import check_part, validate
from nat_plugin.runs.progress import Reporter, Silent, reporter
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.search import Search
from nat_plugin.search.base import Settings, Strategy, Task
from nat_plugin.training.seeds import derive, seeded
from nat_timm.adapter import TimmAdapter
from nat_timm.compacting.checking import check_weights
from nat_timm.compacting.magnitude import without_small_blocks
from nat_timm.compacting.result import Result, Tuned
from nat_timm.measuring.latency import TimmLatency
from nat_timm.measuring.statistics import recalibrate
from nat_timm.models import inherit, to_network
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
        input: Shape | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        latency: Mapping[str, Any] | None = None,
        costs: Mapping[str, Path | str] | None = None,
        progress: Reporter | None = None,
    ) -> None:
        """See ``compact``; ``progress`` hears what is going on."""
        self.progress = progress or Silent()
        self.tables = table_metrics({name: Path(path) for name, path in _costs(costs or {}).items()})
        here = {"device": device, "precision": precision}
        self._timing: LatencySettings | None = _checked(LatencySettings, latency or {}, "latency", here)
        if LATENCY in self.tables:
            if latency is not None:
                raise NATError(
                    "latency and costs['latency'] are both given: a table has its settings, leave latency out"
                )
            self._timing = settings_of(self.tables[LATENCY].table)
        settings = _checked(AdaptingSettings, evaluator or {}, "evaluator")
        self.compute, self.seed, self.rule = find_compute(device, precision), seed, find_rule(rules)
        self.model = model
        self.network = to_network(model, input)
        for table in self.tables.values():
            table.check(self.network, self.rule, TimmAdapter().identity(self.network))
        check_weights(model)
        self.steps = _batches_of(train_loader)
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
        self.evaluator = LoaderEvaluator(bench, settings, model, self.feed)
        self.teacher = self.evaluator.teacher  # the model as it came, whatever its weights are adapted to
        self._is_timed = False

    def task(self, budget: Mapping[str, object], planned: int | None = None, sums: bool = False) -> Task:
        """``sums``: for a strategy that needs the latency of all ops, which is measured then."""
        self._is_timed = LATENCY in budget
        estimate = self.latencies if sums and self._is_timed else lambda network: self.latency(network)
        limited = Budget.parse(budget, {**METRICS, LATENCY: estimate, **self.tables})
        return Task((self.network,), self.rule, limited, self.seed, planned, self.compute.device)

    @cached_property
    def latency(self) -> Latency:
        """What times models here."""
        assert self._timing is not None
        self.progress.phase("latency of the model", 1)
        found = TimmLatency(self.network, self._timing)
        self.progress.step(1, f"{found.whole:.3g} ms")
        return found

    @cached_property
    def latencies(self) -> TableMetric:
        """Of all ops, as a sum: the table that was given, or one that is made here."""
        if LATENCY in self.tables:
            return self.tables[LATENCY]
        self.progress.phase("latency of every op", len(to_measure(self.network)))
        return TableMetric(measure(self.latency, Subject(None), self.progress.step), "latency")

    @cached_property
    def _keeper(self) -> Keeper | None:
        """None where nothing is timed: no limit on latency, or one by a table of another device."""
        if not self._is_timed or self._timing is None:
            return None
        return Keeper(self.network, self.rule, self.latency, self.tables.get(LATENCY, self.latency))

    def within(self, networks: Sequence[Network], limits: Limits) -> Iterator[Network]:
        """Those that keep a limit on latency, if there is one, when they are timed as a whole: what is over is made
        leaner, and what leaves much of it gets operations back."""
        keeper = self._keeper if LATENCY in dict(limits.values) else None
        return iter(dict.fromkeys(networks)) if keeper is None else keeper.within(networks, limits)

    def measured(self, network: Network) -> Measured | None:
        """The latency of a network as a whole, where that is limited and timed here."""
        return None if self._keeper is None else self._keeper.measured(network)

    @property
    def setting(self) -> Setting | None:
        return None if self._keeper is None else self.latency.setting

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
        return self._tuned(self.network, self.teacher, "as it came")

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
        right = accuracy(model, self.feed.validation(), self.compute)
        return Tuned(network, cost(network), model, right, how, self.measured(network))

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
    latency: Mapping[str, Any] | None = None,
    costs: Mapping[str, Path | str] | None = None,
    report: Report = lambda _: None,
    progress: bool | None = None,
) -> Result:
    """Make a timm model with weights leaner: one within ``budget`` that is as accurate as can be found.

    The model, which stays as it is, becomes a supernet of its own moves; that is adapted on ``train_loader`` with the
    model as a teacher, a strategy searches by the loss on images of ``val_loader``, the finalists and the model itself
    are fine-tuned alike, each from the weights of the model and from the adapted ones, and what is most accurate on
    ``val_loader`` within the budget is the best.

    ``train_loader`` and ``val_loader`` give batches (x, y): normalised images (N, C, H, W), class numbers (N,).
    ``budget``, ``strategy``, ``search`` and ``evaluator`` are as in a recipe (docs/recipes.md), of the evaluator
    ``timm`` without ``weights``, ``train`` and what is about latency; ``strategy`` may also be ``magnitude``: without
    the blocks whose weights are smallest. ``latency``: what it is of, by the fields of ``LatencySettings``
    (docs/latency.md); left out: of one image on ``device``. What is tuned is timed again as a whole. ``costs``: files
    with tables of ``nat measure``, or your own, by the metric that ``budget`` then may limit.
    ``candidates``: finalists to tune, by ``tuning`` (the fields of ``nat_timm.training.tuning.Tuning``), from the
    weights named by ``starts``: one of them halves the time of fine-tuning. ``input``: (C, H, W); left out: as in
    ``to_network``. ``report`` gets a line for each step of the search, and of what it
    started from.
    ``progress``: a bar, or lines where standard error is no terminal; left out: on a terminal only.

    NATError of one line for whatever does not fit together, before anything is trained where it can be known then.
    """
    plain = {"budget": budget, "rules": rules, "candidates": candidates, "starts": starts}
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
            input=input,
            seed=seed,
            device=device,
            precision=precision,
            latency=latency,
            costs=costs,
            progress=shown,
        )
        task = session.task(budget, lengths.rounds * lengths.proposals, kind is not None and kind.needs_sums)
        limits = task.budget.resolve(session.network)
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
        kept = (network for network in session.within(found, limits) if network != session.network)
        found, fits = list(islice(kept, candidates)), limits.fit(session.network)
        if not found and not fits:
            raise NATError("nothing within the budget was found; raise the limit or let it search longer")
        before = session.original()
        reference = min(before, session.best(session.network, tune, starts), key=Tuned.rank)
        tuned = [session.best(network, tune, starts) for network in found] + ([reference] if fits else [])
    tuned.sort(key=Tuned.rank)
    home = next(model.parameters()).device
    for each in (before, reference, *tuned):
        each.model.to(home)
    return Result(before, reference, tuple(tuned), evaluated, session.feed.validation_images, session.setting)


def _costs(given: Mapping[str, Path | str]) -> Mapping[str, Path | str]:
    if not isinstance(given, Mapping) or not all(isinstance(each, str | Path) for each in given.values()):
        raise NATError(f"costs is {str(given)[:40]!r}: give a dict of metrics and files")
    return given


class Arguments(Settings):
    """Those of ``compact`` that nothing else checks."""

    budget: dict[str, Any]
    rules: str
    candidates: int = Field(ge=1, le=10_000)
    starts: tuple[Literal["own", "adapted"], ...]
    seed: int = Field(ge=0, lt=2**63)
    device: str
    precision: str

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


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _batches_of(loader: Loader) -> int:
    try:
        found = len(loader)  # type: ignore[arg-type]
    except TypeError:
        raise NATError("train_loader has no len(), the number of its batches, which a schedule needs") from None
    if not found:
        raise NATError("train_loader has no batch: no images, or with drop_last fewer than a batch")
    return found
