"""What workers find out for ``compact``: how combinations of moves do, and what fine-tuning makes of finalists."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data.dataloader import _BaseDataLoaderIter

from nat_plugin import NATError, __version__
from nat_plugin.evaluators import Trial
from nat_plugin.execution import Executor, ExecutorCall, ExecutorSettings, SharedState, chosen_executor, scratch_folder
from nat_plugin.extending import State, plugins, read_text
from nat_plugin.files import write_text
from nat_plugin.ir import Network, to_json
from nat_plugin.runs import Journal, KeptWorkers, TrialWorkers, begin_folder, check_free, tidy_folder
from nat_plugin.training import Accuracy
from nat_timm.compacting.fitted import FittedEvaluator
from nat_timm.compacting.result import Tuned, how_tuned, ranked
from nat_timm.compacting.tuner import OWN, Tuner
from nat_timm.training.tuning import Tuning

if TYPE_CHECKING:
    from nat_timm.compacting.session import CompactionSession

CALL, JOURNAL = "call.json", "journal.jsonl"


@dataclass(frozen=True)
class WorkSettings:
    """The executor by its name, with its settings; whether a strategy is told in the order in which it asked; where
    what is found out is kept (None: until the end, in the folder at hand)."""

    name: str
    executor: ExecutorSettings
    deterministic: bool | None
    folder: Path | None

    @staticmethod
    def of(executor: Any, deterministic: bool | None, folder: Path | str | None) -> WorkSettings | None:
        """None where neither is given: then all is done as it comes, and nothing is kept."""
        if executor is None and folder is None:
            return None
        chosen = chosen_executor(executor, plugins())
        return WorkSettings(*chosen, deterministic, None if folder is None else Path(folder))


@dataclass(eq=False)
class CompactionWork:
    """Workers of a call of ``compact``, the journal of its search, and what there is to say of what was lost."""

    workers: KeptWorkers
    deterministic: bool | None
    journal: Journal
    notes: list[str] = field(default_factory=list)

    def trials(self, evaluator: FittedEvaluator) -> TrialWorkers | None:
        """None where there is nobody but this process, which measures by itself."""
        if self.workers.here:
            return None
        packed = Packed.of(evaluator.scores, "the model", self.workers.executor)
        carry_out = (_scored, (packed, torch.get_num_threads()))
        return TrialWorkers(self.workers, evaluator, carry_out, self.deterministic)

    def best(
        self, session: CompactionSession, networks: Sequence[Network], tuning: Tuning, starts: Sequence[str]
    ) -> list[Tuned | None]:
        """Of every network the best of all ways of tuning it, as ``CompactionSession.best`` has it; None where all
        were lost with their workers. The first network is what the others are compared with: NATError where it was
        lost, once all others are done."""
        calls = [call for number in range(len(networks)) for call in _calls(session, number, networks, tuning, starts)]
        packed = Packed.of(session.tuner, "the model or a loader", self.workers.executor)
        following = (ExecutorCall(call, _tuned, (packed, *call.given(session)), call.name) for call in calls)
        session.progress.phase("fine-tuning", len(calls))
        answered: dict[int, list[tuple[_TuningCall, State]]] = {}
        lost: dict[int, str] = {}
        for done, (call, answer) in enumerate(self.workers.answers(lambda: next(following, None)), start=1):
            if answer.value is None:
                lost[call.number] = f"fine-tuning from {call.start} weights: {answer.why}"
            else:
                answered.setdefault(call.number, []).append((call, answer.value))
            session.progress.step(done)
        if 0 in lost:
            raise NATError(
                f"{lost[0]}, of the model itself; all else is done: with folder= it is kept, and the same call tries "
                "that again"
            )
        if lost:
            first = next(iter(lost.values()))
            self.notes.append(f"Lost with their workers: {len(lost):,} of {len(networks) - 1:,} finalists: {first}")
        by_network = (_all_tuned(session, answered.get(number, [])) for number in range(len(networks)))
        return [ranked(ways)[0] if ways else None for ways in by_network]


@dataclass(frozen=True)
class _TuningCall:
    """A network, by its number, tuned from the weights ``start``, each way with its turn among all ways."""

    number: int
    network: Network
    start: str
    ways: tuple[tuple[int, Tuning], ...]

    def given(self, session: CompactionSession) -> tuple[Any, ...]:
        """What a worker gets beside the tuner. Adapted weights are those of the network alone."""
        weights = None
        if self.start != OWN:
            with session.tuner.seeded("tuning"):
                weights = _on_cpu(session.evaluator.net.inherited(self.network))
        return self.network, self.ways, weights, torch.get_num_threads()

    @property
    def name(self) -> str:
        """Among what is kept of a call of ``compact``."""
        text = json.dumps([to_json(self.network, None), [way.model_dump() for _, way in self.ways]])
        return f"{self.start}-{sha256(text.encode()).hexdigest()[:16]}"


def _calls(
    session: CompactionSession, number: int, networks: Sequence[Network], tuning: Tuning, starts: Sequence[str]
) -> Iterator[_TuningCall]:
    """All ways from the same weights together: a network is fitted once."""
    by_start: dict[str, list[tuple[int, Tuning]]] = {}
    for turn, (way, start) in enumerate(session.ways(networks[number], tuning, starts)):
        by_start.setdefault(start, []).append((turn, way))
    for start, ways in by_start.items():
        yield _TuningCall(number, networks[number], start, tuple(ways))


def _all_tuned(session: CompactionSession, found: Sequence[tuple[_TuningCall, State]]) -> list[Tuned]:
    """What came of all ways, in their turn."""
    made: dict[int, Tuned] = {}
    for call, answer in found:
        for (turn, tuning), each in zip(call.ways, answer["ways"], strict=True):
            with session.tuner.seeded("tuning"):
                model = session.tuner.shell(call.network, is_adapted=call.start != OWN)
            model.load_state_dict(each["weights"])
            right = Accuracy(each["correct"], len(each["hits"]), each["loss"], each["hits"])
            made[turn] = session.tuned(call.network, model.eval(), right, how_tuned(tuning, call.start))
    return [made[turn] for turn in sorted(made)]


def _tuned(
    packed: Packed,
    network: Network,
    ways: Sequence[tuple[int, Tuning]],
    weights: Mapping[str, Tensor] | None,
    threads: int,
) -> State:
    """In a worker, in each of several ways. Loaders are as they were when they were shared."""
    torch.set_num_threads(threads)
    tuner: Tuner = packed.fresh()
    found = []
    for _, tuning in ways:
        model = tuner.tune(network, tuning, None if weights is None else partial(tuner.adapted, network, weights))
        right = tuner.judged(model)
        judged = {"correct": right.correct, "loss": right.loss, "hits": right.hits}
        found.append({**judged, "weights": _on_cpu(model)})
    return {"ways": found}


def _on_cpu(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.detach().cpu() for name, each in model.state_dict().items()}


def _scored(packed: Packed, threads: int, trial: Trial) -> State:
    """In a worker."""
    torch.set_num_threads(threads)
    change, agreement = packed.once().of(trial.network)
    return {"change": change, "agreement": agreement}


@dataclass(frozen=True)
class Packed:
    """What workers need of the program, which they get once. ``digest``: of its pickle, without which that is not
    read."""

    shared: SharedState
    digest: str

    @staticmethod
    def of(value: Any, what: str, executor: Executor) -> Packed:
        """NATError where it cannot be given to other processes."""
        file = io.BytesIO()
        try:
            _Pickler(file).dump(value)
        except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError) as error:
            raise NATError(
                f"executor: {what} cannot be given to other processes: {' '.join(str(error).split())[:200]}; classes "
                "and functions have to be those of a module"
            ) from error
        data = torch.frombuffer(bytearray(file.getbuffer()), dtype=torch.uint8)
        return Packed(executor.share({"pickle": data}), sha256(file.getbuffer()).hexdigest())

    def fresh(self) -> Any:
        """As it was when it was packed, whatever calls did to it since."""
        data = memoryview(self.shared.get()["pickle"].numpy())
        if sha256(data).hexdigest() != self.digest:
            raise NATError("executor: what workers share was damaged or changed; start again")
        return pickle.loads(data)

    def once(self) -> Any:
        """The same for all calls of a worker."""
        if self.digest not in _made:
            _made.clear()
            _made[self.digest] = self.fresh()
        return _made[self.digest]


_made: dict[str, Any] = {}
"""In a worker: one thing, by its digest."""


class _Pickler(pickle.Pickler):
    """Leaves out the processes of a loader that are at work: it begins others."""

    def reducer_override(self, found: Any) -> Any:
        return (type(None), ()) if isinstance(found, _BaseDataLoaderIter) else NotImplemented


def digest_of(model: nn.Module, images: Sequence[Tensor], arguments: Mapping[str, Any]) -> str:
    """Which call it is: of what is kept of another one nothing is taken."""
    found = sha256(json.dumps(arguments, sort_keys=True, default=str).encode())
    for each in (*model.state_dict().values(), *images):
        found.update(each.detach().cpu().contiguous().view(torch.uint8).numpy() if each.dim() else repr(each).encode())
    return found.hexdigest()


@contextmanager
def working(settings: WorkSettings, call: str) -> Iterator[CompactionWork]:
    """``call``: see ``digest_of``."""
    if settings.folder is None:
        with scratch_folder() as folder, _working(settings, call, folder) as work:
            yield work
        return
    with begin_folder(settings.folder, CALL):
        if not (settings.folder / CALL).exists():
            check_free(settings.folder, CALL)
            write_text(settings.folder / CALL, json.dumps({"version": __version__, "call": call}))
        tidy_folder(settings.folder)
        _check(settings.folder, call)
        with _working(settings, call, settings.folder) as work:
            yield work


@contextmanager
def _working(settings: WorkSettings, call: str, folder: Path) -> Iterator[CompactionWork]:
    journal = Journal(folder / JOURNAL)
    try:
        with KeptWorkers(settings.name, settings.executor, folder, plugins(), call) as workers:
            try:
                yield CompactionWork(workers, settings.deterministic, journal)
            finally:
                workers.write_work()
    finally:
        journal.close()


def _check(folder: Path, call: str) -> None:
    try:
        found = json.loads(read_text(folder / CALL))["call"]
    except (ValueError, TypeError, KeyError) as error:
        raise NATError(f"{folder / CALL}: damaged or changed; choose another folder") from error
    if found != call:
        raise NATError(f"{folder}: this folder holds the results of another call of compact; choose another folder")
