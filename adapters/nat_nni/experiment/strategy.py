"""The strategies of this project inside NNI: a shell around the object that asks and is told, and nothing more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nni.nas.execution.event import ModelEventType
from nni.nas.space import ModelStatus
from nni.nas.strategy import Strategy
from pydantic import ValidationError

from nat_nni.experiment.coverage import find_coverage
from nat_nni.experiment.engine import check_message, innermost, is_finite, is_over, number, planned_trials, trials_left
from nat_nni.experiment.initial import Initial, SampleInput, SearchedSpace, drawn, given
from nat_nni.experiment.state import from_plain, read_checkpoint, to_plain, write_checkpoint
from nat_nni.experiment.trials import Trials
from nat_plugin import NATError
from nat_plugin import Strategy as CoreStrategy
from nat_plugin.device import find_compute
from nat_plugin.extending import Settings, Task, fingerprints, plugins, read_count, read_name, read_path, read_shape
from nat_plugin.ir import Budget, Moves, Network, Op, Shape, canonical, cost, find_rule, key

VERSION = 1
_log = logging.getLogger("nni.nat_nni")
"""Below NNI's own, so that its settings show and store what is said here too."""
_POLL = 0.2
"""Seconds between looks whether a running trial has told the strategy something new."""
_LAST_WORDS = 5.0
"""Seconds in which what trials said may still come in when NNI says that the experiment is over."""


@dataclass(eq=False)
class Submitted:
    """A model of NNI's, and the network that it is."""

    model: Any
    network: Network
    source: int
    ended: str | None = None
    """The status that it ended with, once that was told."""


class SearchStrategy(Strategy):  # type: ignore[misc]
    """Any strategy of this project, by name, as an NNI strategy: ``SearchStrategy("surrogate", initial="darts-v2")``.

    ``initial``: where to start: a sample (a dict), a JSON file, the name of one of NNI's searched models
    (``darts-v2``), a model of ``export_top_models()``, or a list of those; None draws ``draws`` samples at random.
    ``rules``, ``budget``: what may become of it (``nat``, ``nat++``, ``nat++equal``, ``nat++inputs``), and limits on
    its cost, relative to each input or absolute: ``{"macs": "0.9x", "params": "3M"}``. ``input``: channels, height and
    width of an image; a hub space knows its own. ``evaluations``: how many trials are planned, if not the experiment's
    ``max_trial_number``. ``checkpoint``: a file that the search is kept in after every result; if it is there already,
    the search goes on from it, also after the process was killed. Other settings are those of the strategy.

    NATError, in one line, for whatever of this is wrong, when the experiment starts.
    """

    core: ClassVar[str] = ""

    def __init__(  # noqa: PLR0913 - keywords that a user types
        self,
        strategy: str = "",
        *,
        initial: Initial = None,
        rules: str = "nat",
        budget: Mapping[str, object] | None = None,
        input: Shape | None = None,
        draws: int = 4,
        seed: int = 0,
        evaluations: int | None = None,
        checkpoint: str | Path | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> None:
        super().__init__()
        self.name = read_name("strategy", strategy) or self.core
        self.initial, self.input = initial, None if input is None else read_shape(input)
        self.draws, self.seed = read_count("draws", draws, 1), read_count("seed", seed, 0)
        self.budget = Budget.parse({"macs": "1.0x"} if budget is None else budget)
        self.evaluations = None if evaluations is None else read_count("evaluations", evaluations, 1)
        self.device = find_compute(read_name("device", device)).device
        self.checkpoint = None if checkpoint is None else read_path("checkpoint", checkpoint)
        self.kind: type[CoreStrategy] = plugins().find("strategies", self.name)
        self.rule = find_rule(read_name("rules", rules))  # which plugins may bring
        self.settings = _settings(self.name, self.kind, settings)
        self._lock = threading.RLock()
        self._submitted: list[Submitted] = []
        self._problem: BaseException | None = None
        self._engine_state: dict[str, Any] | None = None  # of the checkpoint file
        self._loaded: dict[str, Any] = {}  # before there was a space to go on in
        self._starts: list[SampleInput] = []
        self._trials: Trials | None = None
        self._read: dict[str, str] = {}  # fingerprints of what the strategy read
        self._space: SearchedSpace | None = None

    def extra_repr(self) -> str:
        return f"{self.name!r}, rules={self.rule.name!r}, seed={self.seed}"

    @property
    def trials(self) -> Trials:
        assert self._trials is not None, "the strategy is not initialized"
        return self._trials

    @property
    def space(self) -> SearchedSpace:
        assert self._space is not None, "the strategy is not initialized"
        return self._space

    def _initialize(self, model_space: Any, engine: Any) -> Any:
        plugins()  # ops and rules that they bring
        self._space = SearchedSpace.of(model_space, self.input)
        if self.initial is None:
            self._starts = drawn(self.space, self.draws, self.seed, self._can_move, self._why_not)
        else:
            self._starts = given(self.space, self.initial)
        self._say()
        inputs = tuple(start.network for start in self._starts)
        planned = self.evaluations or planned_trials(engine)
        left = None if planned is None else max(1, planned - len(inputs))
        task = Task(inputs, self.rule, self.budget, self.seed, left, self.device)
        strategy = self.kind(task, self.settings)
        self._read = fingerprints(strategy.outside)
        self._trials = Trials(strategy, inputs)
        if self.checkpoint is not None:
            found = read_checkpoint(self.checkpoint)
            if found is not None:
                self._restore(found, f"{self.checkpoint}")
        self.load_state_dict(self._loaded)
        self._log_notes()
        engine.register_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        engine.register_model_event_callback(ModelEventType.TrainingEnd, self._on_end)
        return model_space

    def _say(self) -> None:
        coverage = find_coverage(self.space, self._starts, self.rule)
        for line in coverage.lines(self.name, self.rule):
            _log.info(line)
        for line in coverage.complaints():
            _log.warning(line)

    def _why_not(self, start: SampleInput) -> str:
        return "; ".join(find_coverage(self.space, [start], self.rule).lines(self.name, self.rule))

    def _can_move(self, network: Network) -> bool:
        return Moves(network, self.rule, self.budget.resolve(network)).count > 1

    def _run(self) -> None:
        left = None
        if self._engine_state:  # so that the experiment's limits count what was done before, and only that
            innermost(self.engine).load_state_dict(self._engine_state)
        else:
            left = trials_left(self.engine, len(self._submitted))
        while self._problem is None and left != 0 and self.wait_for_resource():
            with self._lock:
                found = self.trials.next()
                running = self.trials.running
            if found is not None:
                self._submit(*found)
                left = None if left is None else left - 1
            elif running:
                time.sleep(_POLL)
            else:
                _log.info("%s has nothing more to propose after %d models.", self.name, len(self._submitted))
                break
        self._await_ends()
        if self._problem is not None:
            raise self._problem
        self._log_notes()

    def _await_ends(self) -> None:
        """Until every model has ended; those that an experiment left out when it was over are named and left."""
        over = 0.0
        while self._problem is None:
            count = sum(not each.model.status.completed() for each in self._submitted)
            if not count:
                return
            if over and time.monotonic() - over > _LAST_WORDS:
                _log.warning("NNI's experiment was over before %d of the models began; they count for nothing.", count)
                return
            if not over and is_over(self.engine):
                over = time.monotonic()
            time.sleep(_POLL)

    def _log_notes(self) -> None:
        for line in self.trials.strategy.notes:
            _log.info(line)

    def _model(self, source: int, network: Network) -> Any:
        """Written without dead operations, an input too: NNI would build them, and the budget does not count them."""
        return self.space.freeze(self.space.sample(canonical(network), self._starts[source]))

    def _submit(self, source: int, network: Network) -> None:
        submitted = Submitted(self._model(source, network), network, source)
        check_message(self.engine, submitted.model)
        with self._lock:
            self._submitted.append(submitted)
        self.engine.submit_models(submitted.model)

    def wait_for_resource(self) -> bool:
        """As NNI's, but it notices sooner that a worker is free."""
        while not self.engine.idle_worker_available():
            if self._problem is not None or not self.engine.budget_available():
                return False
            time.sleep(_POLL)
        return bool(self.engine.budget_available())

    def _cleanup(self) -> None:
        self.engine.unregister_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        self.engine.unregister_model_event_callback(ModelEventType.TrainingEnd, self._on_end)

    def _on_metric(self, event: Any) -> None:
        """Hand on what NNI can take; otherwise it would give up where nobody sees it."""
        found = number(event.metric)
        if found is None:
            _log.warning("%r is not a metric: return a number, or a dict with one under 'default'.", event.metric)
            event.prevent_default()
        else:
            event.metric = found

    def _on_end(self, event: Any) -> None:
        """A trial ended; called by the engine, perhaps in a thread of its own, where nobody would see an error."""
        try:
            with self._lock:
                for each in self._submitted:
                    if each.model is event.model and each.ended is None and event.status is not ModelStatus.Interrupted:
                        self._learn(each, event.status)
        except BaseException as problem:  # noqa: BLE001 - it is raised where the search runs
            self._problem = problem

    def _learn(self, ended: Submitted, status: ModelStatus) -> None:
        metric = ended.model.metric
        if not is_finite(metric):
            found = "no metric" if metric is None else f"the metric {metric}"
            _log.warning("A trial ended as '%s' with %s; it counts as failed.", status.value, found)
        ended.ended = str(status.value)
        self.trials.end(ended.network, metric)
        self._engine_state = innermost(self.engine).state_dict()
        if self.checkpoint is not None:
            write_checkpoint(self.checkpoint, self.state_dict())

    def list_models(self, sort: bool = True, limit: int | None = None) -> Iterator[Any]:
        """The models that were submitted, also before a resume. Sorted: those that were trained, have a finite metric
        and are within the budget, best first; of equals the one with the fewest MACs."""
        with self._lock:
            found = list(self._submitted)
        if sort:
            found = [each for each in found if self._is_result(each)]
            found.sort(key=lambda each: (-each.model.metric, cost(each.network).macs))
        yield from [each.model for each in found[:limit]]

    def _is_result(self, each: Submitted) -> bool:
        trained = each.model.status is ModelStatus.Trained and is_finite(each.model.metric)
        return trained and self.budget.resolve(self._starts[each.source].network).fit(each.network)

    def state_dict(self) -> dict[str, Any]:
        """Dicts, lists, numbers and strings only."""
        if self._trials is None:
            return self._loaded
        with self._lock:
            done = [
                [each.source, list(map(str, each.network.ops)), each.ended, each.model.metric]
                for each in self._submitted
                if each.ended is not None
            ]
            return {
                "version": VERSION,
                "of": self._fingerprint(),
                "done": done,
                "trials": to_plain(self.trials.state()),
                "engine": self._engine_state,
            }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Before or after ``initialize``. Nothing happens where the checkpoint file brought the search further."""
        if self._trials is None:
            self._loaded = state_dict
        elif state_dict and len(state_dict.get("done", ())) >= len(self._submitted):
            self._restore(state_dict, "the experiment's checkpoint")

    def _restore(self, state: dict[str, Any], where: str) -> None:
        own = self._fingerprint()
        if state.get("version") != VERSION or state.get("of") != own:
            other = [name for name, value in own.items() if state.get("of", {}).get(name) != value]
            raise NATError(
                f"{where} belongs to another search ({', '.join(other) or 'version'} differs); resume with the same "
                "settings and files, or start in another place"
            )
        self._submitted = []
        try:
            for source, ops, ended, metric in state["done"]:
                start = self._starts[source].network
                network = start.with_ops([Op.parse(text) for text in ops])
                self._submitted.append(self._past(source, network, ended, metric))
            self.trials.restore(from_plain(state["trials"]))
            self._engine_state = dict(state["engine"] or {})
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise NATError(f"{where} is damaged ({type(error).__name__}: {error}); remove it or give another") from None

    def _past(self, source: int, network: Network, ended: str, metric: float | None) -> Submitted:
        model = self._model(source, network)
        model.status = ModelStatus(ended)
        if metric is not None:
            model.metrics.final = metric
        return Submitted(model, network, source, ended)

    def _fingerprint(self) -> dict[str, Any]:
        """What has to be the same for a search to go on."""
        return {
            "strategy": self.name,
            "rules": self.rule.name,
            "budget": {limit.metric: str(limit) for limit in self.budget.limits},
            "seed": self.seed,
            "initial": [key(start.network) for start in self._starts],
            "settings": self.settings.model_dump(mode="json"),
            **({"what it read": self._read} if self._read else {}),
        }


def _settings(name: str, kind: type[CoreStrategy], given: dict[str, Any]) -> Settings:
    """NATError that names every setting that is wrong, and what is allowed."""
    if "mix" in kind.Settings.model_fields:  # an input costs a trial: by default only the user's own are used
        given = {"mix": {"input": 1.0, "neighbours": 0.0, "random": 0.0}, **given}
    try:
        return kind.Settings(**given)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        allowed = ", ".join(kind.Settings.model_fields) or "none"
        raise NATError(f"strategy '{name}': {said}; its settings: {allowed}") from None
