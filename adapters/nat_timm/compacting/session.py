"""A model that is a supernet of its own moves, with images to adapt, measure and tune on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeAlias

from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.advising import Advice
from nat_plugin.device import find_compute
from nat_plugin.evaluators import Evaluator, EvaluatorContext, Feed
from nat_plugin.ir import METRICS, Budget, Limit, Moves, Network, cost, find_rule
from nat_plugin.measuring import (
    LATENCY,
    Keeper,
    Latency,
    LatencySetting,
    LatencySettings,
    MeasuredLatency,
    TableMetric,
    TableSubject,
    TimedMetric,
    Untimed,
    find_keeper,
    measure_table,
    ops_to_measure,
)
from nat_plugin.runs import Reporter, Search, SearchSettings, Silent, checked_settings
from nat_plugin.search import HarmRanking, Proposal, Strategy, Task
from nat_plugin.training import Accuracy, derive_seed, seeded
from nat_timm.adapter import TimmAdapter
from nat_timm.advising.advise import advise
from nat_timm.compacting.checking import batches_of
from nat_timm.compacting.fitted import FittedEvaluator, FittedScores, told
from nat_timm.compacting.lines import SearchLines
from nat_timm.compacting.magnitude import without_small_blocks
from nat_timm.compacting.result import Tuned, how_tuned, ranked
from nat_timm.compacting.settings import SessionSettings
from nat_timm.compacting.tuner import OWN, Tuner, placed
from nat_timm.compacting.work import CompactionWork
from nat_timm.fitting.readers import order_hidden
from nat_timm.measuring.latency import TimmLatency
from nat_timm.models import to_network
from nat_timm.narrowing.thinning import thinned
from nat_timm.saving.weights import check_says, check_usable
from nat_timm.training.evaluator import AdaptingSettings, TimmEvaluator, TimmSettings
from nat_timm.training.loaders import Loader, LoaderFeed, Loaders
from nat_timm.training.supernet import TimmSupernet
from nat_timm.training.tuning import Tuning

ReportLine: TypeAlias = Callable[[str], None]
ADVISED_ON = 256
"""Training images that an advice is of, and on which combinations are fitted in a search by it."""


class LoaderEvaluator(TimmEvaluator):
    """The evaluator ``timm`` for a model at hand and images of loaders."""

    def __init__(
        self,
        context: EvaluatorContext,
        settings: AdaptingSettings,
        model: nn.Module,
        feed: LoaderFeed,
        teacher: nn.Module,
    ) -> None:
        """``teacher``: the model as it came, in evaluation mode and without gradients."""
        self._given, self.loaders = model, feed
        super().__init__(context, TimmSettings(**settings.model_dump()))
        self._teacher = teacher

    def images(self) -> Feed:
        return self.loaders

    def shared(self, template: Network) -> TimmSupernet:
        return TimmSupernet(copy.deepcopy(self._given), template, self.context.rule, self.pictures)


class TimedHere(TimedMetric):
    """As a session times its model, which it does when it is first asked."""

    def __init__(self, session: CompactionSession) -> None:
        self._session = session

    def latency(self, network: Network) -> Latency:
        del network  # there is one model
        return self._session.latency


class CompactionSession:
    """A model that is a supernet of its own moves, with images to adapt, measure and tune on; ``compact`` in parts, for
    whoever compares strategies on the same weights."""

    def __init__(
        self,
        model: nn.Module,
        train_loader: Loader,
        val_loader: Loader,
        settings: SessionSettings,
        progress: Reporter | None = None,
    ) -> None:
        """``progress`` is told each phase and step."""
        self.progress = progress or Silent()
        self.tables, self._timing = settings.tables(), settings.timing()
        adapting = self._settings = checked_settings(AdaptingSettings, settings.evaluator, "evaluator")
        self.compute, self.seed = find_compute(settings.device, settings.precision), settings.seed
        self.rule, input, fits = find_rule(settings.rules), settings.input, settings.fits
        self.given, self.source = model, to_network(model, input, fits=fits)
        for table in self.tables.values():
            table.check(self.source, self.rule, TimmAdapter().identity(self.source))
        check_usable(model)
        self.model = model if settings.widths is None else thinned(model, settings.widths, input)
        self.network = self.source if settings.widths is None else to_network(self.model, input, fits=fits)
        self.steps = batches_of(train_loader)
        if iter(val_loader) is val_loader:
            raise NATError(
                "val_loader can be gone through only once; it is several times: give a loader, not an iterator"
            )
        images, batch = adapting.reward_images, adapting.reward_batch
        with self._seeded("images"):
            loaders = Loaders(train_loader, val_loader, self.network.input, self.network.head.classes)
            self.feed = LoaderFeed(loaders, self.compute, self.seed, images=images, batch=batch)
        self._context = EvaluatorContext((self.network,), self.rule, None, self.compute, self.seed)
        self.teacher = placed(copy.deepcopy(model), self.compute).eval().requires_grad_(False)
        """The model as it came, whatever its weights are adapted to."""
        check_says(self.teacher, next(iter(self.feed.reward(0, 0)))[0][:2])
        self._fitted_to = self.teacher if self.model is self.given else placed(self.model, self.compute).eval()
        self._budget = Budget()
        self._keepers: dict[Budget, Keeper | Untimed | None] = {}
        self.ranking: HarmRanking | None = None
        """Of choices within any limits, after a search by advice: by the harm that was measured."""
        self.work: CompactionWork | None = None
        self.lines = SearchLines()
        """Who finds out what can be found out side by side; None: all is done here."""
        self._in_closed_form = fits
        """Whether what reads a cut is fitted, and pictures say which channels go: with fits, and by advice."""

    @cached_property
    def tuner(self) -> Tuner:
        """What gives weights to networks."""
        return Tuner(
            self.given,
            self.source,
            self.model,
            self.moved,
            self._fitted_to,
            self.teacher,
            self.feed,
            self.steps,
            self._settings.recalibration,
            self.compute,
            self.seed,
            self._in_closed_form,
        )

    @cached_property
    def evaluator(self) -> LoaderEvaluator:
        """With the shared weights of all that may be proposed: a search by advice does without."""
        return LoaderEvaluator(self._context, self._settings, self.model, self.feed, self.teacher)

    @cached_property
    def moved(self) -> nn.Module:
        """The model that is moved; in closed form it knows of its hidden channels which of them are to stay."""
        if not self._in_closed_form:
            return self.model
        made = placed(copy.deepcopy(self.model), self.compute).eval()
        order_hidden(made, self.network, self.rule, self._pictures, self.seed)
        return made

    @cached_property
    def _pictures(self) -> list[Tensor]:
        """What an advice, and a search by it, is of."""
        with self._seeded("pictures"):
            return [x for x, _ in self.feed.calibration_batches(ADVISED_ON)]

    @cached_property
    def advice(self) -> Advice:
        """On single moves, by which all strategies may search."""
        self.progress.phase("advice", 1)
        found = advise(
            self.moved, self._pictures, rules=self.rule.name, combinations=False, device=str(self.compute.device)
        )
        self.progress.step(1, f"{len(found.moves)} moves")
        return found

    @cached_property
    def scores(self) -> FittedScores:
        """Of networks that are fitted in closed form, each of which is measured once, whichever strategy asks."""
        compared = [x for x, _ in self.feed.reward(0, 0)]
        return FittedScores(self.moved, self.network, self._pictures, compared)

    @property
    def is_adapted(self) -> bool:
        """Whether a step on shared weights was taken."""
        return "evaluator" in vars(self) and self.evaluator.steps_done > 0

    def task(self, budget: Mapping[str, object], planned: int | None = None, sums: bool = False) -> Task:
        """``sums``: for a strategy that needs the latency of all ops, which is measured then."""
        estimate = self.latencies if sums and LATENCY in budget else TimedHere(self)
        limited = Budget.parse(budget, {**METRICS, LATENCY: estimate, **self.tables})
        if self.model is not self.given:
            measured = sorted({LATENCY, *self.tables} & set(budget))
            if measured:
                raise NATError(f"a limit on {measured[0]} and widths= do not go together: limit {measured[0]} alone")
            absolute = limited.resolve(self.source).values
            limited = replace(limited, limits=tuple(Limit(name, value, False) for name, value in absolute))
        self._budget = limited
        return Task((self.network,), self.rule, limited, self.seed, planned, self.compute.device)

    @cached_property
    def latency(self) -> Latency:
        """What times models here."""
        return self._latency_by(self.network, self._timing)

    def _latency_by(self, network: Network, settings: LatencySettings) -> Latency:
        self.progress.phase("latency of the model", 1)
        found = TimmLatency(network, settings)
        self.progress.step(1, f"{found.whole:.3g} ms")
        return found

    @cached_property
    def latencies(self) -> TableMetric:
        """Of all ops, as a sum: the table that was given, or one that is made here."""
        if LATENCY in self.tables:
            return self.tables[LATENCY]
        self.progress.phase("latency of every op", len(ops_to_measure(self.network)))
        return TableMetric(measure_table(self.latency, TableSubject(None), self.progress.step), "latency")

    @property
    def keeper(self) -> Keeper | Untimed | None:
        """Who holds networks to the limit on latency of the task, if it has one, when they are timed as a whole."""
        budget = self._budget
        if budget not in self._keepers:
            by = self._latency_by if LATENCY in self.tables else lambda *_: self.latency
            self._keepers[budget] = find_keeper(self.network, self.rule, budget, by)
        return self._keepers[budget]

    def within(self, networks: Sequence[Network]) -> Iterator[Network]:
        """Those that keep a limit on latency, if there is one, when they are timed as a whole: what is over is made
        leaner, and what leaves much of it gets operations back. After a search by advice the next best by what was
        measured takes their place."""
        keeper = self.keeper
        if not isinstance(keeper, Keeper):
            return iter(dict.fromkeys(networks))
        return keeper.within(networks, self.ranking)

    def measured(self, network: Network) -> MeasuredLatency | None:
        """The latency of a network as a whole, where that is limited and timed here."""
        return self.keeper.measured(network) if isinstance(self.keeper, Keeper) else None

    @property
    def setting(self) -> LatencySetting | None:
        return self.keeper.timed.setting if isinstance(self.keeper, Keeper) else None

    def advised(
        self, strategy: Strategy, advice: Advice | None, settings: SearchSettings, report: ReportLine = lambda _: None
    ) -> int:
        """Let a strategy search without training anything: it is told what ``advice`` (None: one made here) measured of
        single moves, and what it proposes is fitted in closed form; how many networks were measured so."""
        if not self._in_closed_form:
            self._in_closed_form = True
            for name in ("moved", "tuner"):
                vars(self).pop(name, None)
        known = list(told(advice or self.advice, strategy.moves_of(self.network)))
        for number, (network, found) in enumerate(known):
            strategy.tell(Proposal(-1 - number, self.network, network), found)
        report(f"advice: {len(known)} measurements told")
        evaluator = FittedEvaluator(self._context, self.scores)
        evaluated = self.search(strategy, settings, report, evaluator)
        self.ranking = HarmRanking([*((network, found.gain) for network, found in known), *evaluator.gains.items()])
        return evaluated

    def search(
        self,
        strategy: Strategy,
        settings: SearchSettings,
        report: ReportLine = lambda _: None,
        evaluator: Evaluator | None = None,
    ) -> int:
        """Adapt the weights and let a strategy search; how many networks were measured. ``evaluator``: another one than
        that of shared weights."""
        work, trials = self.work, None
        journal = None if work is None else work.journal
        if work is not None:
            trials = work.trials(evaluator) if isinstance(evaluator, FittedEvaluator) else None
        self.lines = SearchLines(journal)
        search = Search(strategy, evaluator or self.evaluator, settings, self.seed, self.lines, trials)
        if journal is not None:
            search.replay(journal.cut())
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
        if work is not None and search.lost:
            work.notes.append(f"Lost with their workers: {search.lost:,} measurements; they count as failed.")
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
        self.progress.phase(f"fine-tuning from {start} weights", tuning.epochs * self.steps)
        adapted = None if start == OWN else partial(self.evaluator.module, network)
        model = self.tuner.tune(network, tuning, adapted, self.progress.step)
        return self._tuned(network, model, how_tuned(tuning, start))

    def best(self, network: Network, tuning: Tuning, starts: Sequence[str]) -> Tuned:
        """A network fine-tuned from each of ``starts``, and in closed form before it is; the best counts (``ranked``).
        Where channels were cut, there are no adapted weights of the model as it came, and where nothing was adapted the
        two are the same."""
        return ranked([self.tune(network, *each) for each in self.ways(network, tuning, starts)])[0]

    def best_of_each(self, networks: Sequence[Network], tuning: Tuning, starts: Sequence[str]) -> list[Tuned | None]:
        """``best`` of every network; None where it was lost with its workers. The first is the model itself."""
        if self.work is not None:
            return self.work.best(self, networks, tuning, starts)
        return [self.best(network, tuning, starts) for network in networks]

    def ways(self, network: Network, tuning: Tuning, starts: Sequence[str]) -> list[tuple[Tuning, str]]:
        """In which ``best`` tunes, each from one of ``STARTS``."""
        known = starts if self.is_adapted and not self.tuner.is_uncut(network) else [OWN]
        found = [(tuning, start) for start in known]
        if self._in_closed_form and tuning.epochs:
            found.append((tuning.model_copy(update={"epochs": 0}), OWN))
        return found

    def _tuned(self, network: Network, model: nn.Module, how: str) -> Tuned:
        return self.tuned(network, model, self.tuner.judged(model), how)

    def tuned(self, network: Network, model: nn.Module, right: Accuracy, how: str) -> Tuned:
        """What is known of a network, tuned so."""
        timed = self.measured(network)
        tables = self.tables.items() if self.model is self.given else ()  # of the channels that it came with
        looked_up = {
            name: (each(network), each.table.unit) for name, each in tables if name != LATENCY or timed is None
        }
        return Tuned(network, cost(network), model, right, how, timed, looked_up, self._by_cell(network))

    def _by_cell(self, network: Network) -> dict[str, dict[str, Any]]:
        """By the tables that were given, and by that of latency where one was made here."""
        if self.model is not self.given:
            return {}
        made = {LATENCY: self.latencies} if "latencies" in vars(self) else {}
        return {name: table.by_cell(network) for name, table in {**self.tables, **made}.items()}

    def _seeded(self, what: str) -> AbstractContextManager[None]:
        return seeded(self.compute.device, derive_seed(self.seed, what))


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
