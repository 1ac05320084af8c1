"""The critic as a training sees it: it is fitted to measured tasks, describes networks by features once, and says of a
pair of these what it gains to become the other, with its deviation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Protocol

import numpy as np
import torch

from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies import PROXIES
from nat_plugin.execution.workers import InTurn, in_turn_here
from nat_plugin.plugins import Plugins, plugins
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar, new_critic
from nat_plugin.policy.critic_files import familiar_of, saved_critic
from nat_plugin.policy.files import Fact
from nat_plugin.policy.graphs import Graph
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.policy.training.doubting import MOST, WithoutPart, learned_doubt, left_out
from nat_plugin.policy.training.ensemble import RankEnsemble as Ensemble
from nat_plugin.policy.training.ensemble import RankEnsembleConfig as EnsembleConfig
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, LearningCurve, MeasuredTask
from nat_plugin.policy.training.recipe import CriticSettings
from nat_plugin.settings import State

Tensor = torch.Tensor


class GainCritic(Protocol):
    """What a training needs of a critic."""

    def fit(self, tasks: Sequence[MeasuredTask], in_turn: InTurn = in_turn_here) -> LearningCurve:
        """Learn from all that was measured. ``in_turn`` carries out what can be done side by side."""

    def encode(self, graphs: Sequence[Graph]) -> np.ndarray:
        """Features of networks, (G, d) float64: all that is ever asked about them."""

    def gain(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n,) of what it gains to become something else, from features (n, d), or (1, d) of one
        network for all; in a unit of the critic's own that is the same for all networks."""

    def config(self) -> dict[str, Fact]:
        """Plain values from which one of the same shape is made."""

    def tensors(self) -> dict[str, Tensor]:
        """All that was learned, float32."""

    def load(self, tensors: Mapping[str, Tensor], config: Mapping[str, Fact]) -> None:
        """Be as the one that gave these. NATError for tensors of another shape."""


@dataclass(frozen=True)
class CriticFit:
    """A critic that has learned nothing, how it learns, and what of."""

    config: CriticConfig
    learning: CriticLearning
    tasks: Sequence[MeasuredTask]


def _fitted(parts: Plugins, fit: CriticFit, seed: int, device: str, threads: int) -> State:
    """Perhaps in a worker: what the critic has learned then, and how."""
    del parts  # whose ops the graphs of the fit name
    torch.set_num_threads(threads)
    critic = new_critic(fit.config, seed, torch.device(device))
    training = CriticTraining(critic, fit.tasks, fit.learning, seed)
    training.run()
    return {"weights": dict(critic.state_dict()), "curve": [list(each) for each in training.curve]}


def _mark(fit: CriticFit) -> str:
    """Tells fits apart by what was measured."""
    return sha256(b"".join(np.asarray(task.scores, np.float64).tobytes() for task in fit.tasks)).hexdigest()[:16]


class TaskCritic:
    """``nat_plugin.policy.critic``: what is expected of a task that nobody measured. Features are the expectation of a
    network, then those that its deviations follow from."""

    def __init__(self, settings: CriticSettings, seed: int, device: torch.device) -> None:
        told = tuple(name for name in PROXIES if name in (settings.proxies or ()))
        self._config = CriticConfig(**settings.given("members", "hidden", "rounds", "width"), proxies=told)
        self._learning = CriticLearning(**settings.given("steps", "tasks", "batch", "lr", "weight_decay", "favourites"))
        self._doubt_steps = settings.doubt_steps or 0
        self._seed, self._critic = seed, new_critic(self._config, seed, device)

    def fit(self, tasks: Sequence[MeasuredTask], in_turn: InTurn = in_turn_here) -> LearningCurve:
        """The critic and those that leave out a space or a task, none of which needs another: side by side. Members of
        one share their random numbers, so they are not."""
        spaces: dict[str, list[MeasuredTask]] = {}
        for task in tasks if self._doubt_steps else ():
            spaces.setdefault(task.space, []).append(task)
        fits = [CriticFit(self._config, self._learning, tasks)]
        fits += [self._without(each) for each in left_out(spaces)]
        where = (self._seed, str(self._critic.device), torch.get_num_threads())
        names = [f"critic{self._seed}-{number}-{_mark(each)}" for number, each in enumerate(fits)]
        critics = in_turn(_fitted, [(plugins(), each, *where) for each in fits], names)
        own = next(critics)
        self._critic.load_state_dict(own["weights"], strict=True)
        others = (self._made(each.config, its["weights"]) for each, its in zip(fits[1:], critics, strict=True))
        if self._doubt_steps:
            rng = np.random.default_rng(self._seed)
            self._critic.familiar = learned_doubt(spaces, lambda _: next(others), lambda _: next(others), rng)
        else:
            self._critic.familiar = Familiar(frozenset(task.space for task in tasks), MOST)
        return [(step, loss) for step, loss in own["curve"]]

    def _without(self, left: WithoutPart) -> CriticFit:
        """A critic of some of the tasks, to see what it makes of a space; or of a task: one member, which learns as
        long as those of the critic itself."""
        if left.is_task:
            return CriticFit(replace(self._config, members=1), self._learning, left.others)
        return CriticFit(self._config, replace(self._learning, steps=self._doubt_steps), left.others)

    def _made(self, config: CriticConfig, weights: Mapping[str, Tensor]) -> Critic:
        found = new_critic(config, self._seed, self._critic.device)
        found.load_state_dict(dict(weights), strict=True)
        return found

    def encode(self, graphs: Sequence[Graph]) -> np.ndarray:
        found = self._critic.expect(graphs)
        return np.concatenate([found.mean[:, None], found.features], axis=1)

    def gain(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        change = after - before
        return change[:, 0], np.linalg.norm(change[:, 1:], axis=1)

    def config(self) -> dict[str, Fact]:
        return saved_critic(self._critic).config

    def tensors(self) -> dict[str, Tensor]:
        return dict(self._critic.state_dict())

    def load(self, tensors: Mapping[str, Tensor], config: Mapping[str, Fact]) -> None:
        _check(self.tensors(), tensors)
        self._critic.load_state_dict(dict(tensors), strict=True)
        self._critic.familiar = familiar_of(config)


class EnsembleCritic:
    """An ensemble that has learned scores by their rank within each task, of all tasks together; features are what each
    member predicts."""

    def __init__(self, settings: CriticSettings, seed: int, device: torch.device) -> None:
        names = ("members", "hidden", "rounds", "epochs", "least_steps", "batch", "lr", "weight_decay")
        self._config = EnsembleConfig(**settings.given(*names))
        self._critic = Ensemble(self._config, seed, device)

    def fit(self, tasks: Sequence[MeasuredTask], in_turn: InTurn = in_turn_here) -> LearningCurve:
        del in_turn  # members share their random numbers
        graphs = [graph for task in tasks for graph in task.graphs]
        return self._critic.fit(graphs, np.concatenate([normal_ranks(task.scores) for task in tasks]))

    def encode(self, graphs: Sequence[Graph]) -> np.ndarray:
        found: np.ndarray = self._critic.predict(graphs).T
        return found

    def gain(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gains = after - before
        return gains.mean(axis=1), gains.std(axis=1, ddof=1) if gains.shape[1] > 1 else np.zeros(len(gains))

    def config(self) -> dict[str, Fact]:
        return {"kind": "ensemble", **asdict(self._config)}

    def tensors(self) -> dict[str, Tensor]:
        members = enumerate(self._critic.members)
        return {f"{number}.{name}": value for number, each in members for name, value in each.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor], config: Mapping[str, Fact]) -> None:
        del config  # it has nothing besides what the settings say
        _check(self.tensors(), tensors)
        for number, member in enumerate(self._critic.members):
            first = f"{number}."
            own = {name.removeprefix(first): value for name, value in tensors.items() if name.startswith(first)}
            member.load_state_dict(own, strict=True)


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """NATError unless these are tensors of the names and shapes that are wanted."""
    for name in sorted(wanted.keys() ^ given.keys()):
        raise NATError(f"critic: '{name[:80]}' is {'missing' if name in wanted else 'not expected'}")
    for name, value in given.items():
        if value.shape != wanted[name].shape:
            raise NATError(f"critic: '{name}' has shape {tuple(value.shape)}, not {tuple(wanted[name].shape)}")


KINDS: dict[str, Callable[[CriticSettings, int, torch.device], GainCritic]] = {
    "tasks": TaskCritic,
    "ensemble": EnsembleCritic,
}


def make_critic(settings: CriticSettings, seed: int, device: torch.device) -> GainCritic:
    """A critic that has learned nothing."""
    return KINDS[settings.kind](settings, seed, device)
