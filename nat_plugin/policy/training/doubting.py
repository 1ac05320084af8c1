"""How much less a critic knows than it thinks of a search space that it has not learned, and of what it chooses on a
task that it has not learned of a space that it has: found by leaving out each in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import ndtr

from nat_plugin.policy.critic import Critic, Expectation, Familiar
from nat_plugin.policy.training.learn_critic import MeasuredTask

GOOD = 0.25
"""In a space that is left out, inputs are drawn from so large a share of the best: of a bad one it is easily said that
it can be better."""
INPUTS, AMONG = 400, 64
"""Inputs of a task, and networks from which the most promising is chosen for each."""
MOST = 8.0
"""The largest doubt: deviations are as large as that where choices come out no better than chance."""
TOLD = 300
"""Measurements of a task that can tell how far a critic without it is to be believed."""


FitCritic: TypeAlias = Callable[[Sequence[MeasuredTask]], Critic]
"""Makes a critic of some tasks."""


@dataclass(frozen=True)
class WithoutPart:
    """What a critic is of that does not know a space, or a task (``is_task``) of a space that it knows."""

    others: Sequence[MeasuredTask]
    is_task: bool


def left_out(spaces: Mapping[str, Sequence[MeasuredTask]]) -> Iterator[WithoutPart]:
    """The critics that ``learned_doubt`` asks for, in its order."""
    yield from (WithoutPart(others, True) for _, others in _without_task(spaces))
    if len(spaces) > 1:
        yield from (WithoutPart(others, False) for _, others in _without_space(spaces))


def _without_space(spaces: Mapping[str, Sequence[MeasuredTask]]) -> Iterator[tuple[str, list[MeasuredTask]]]:
    for left in sorted(spaces):
        yield left, [task for name in sorted(spaces) if name != left for task in spaces[name]]


def _without_task(spaces: Mapping[str, Sequence[MeasuredTask]]) -> Iterator[tuple[MeasuredTask, list[MeasuredTask]]]:
    """Of tasks with enough measurements in a space of which others are known."""
    every = [task for name in sorted(spaces) for task in spaces[name]]
    for left in (task for name in sorted(spaces) if len(spaces[name]) > 1 for task in spaces[name]):
        if len(left.scores) >= TOLD:
            yield left, [task for task in every if task is not left]


def learned_doubt(
    spaces: Mapping[str, Sequence[MeasuredTask]], fit: FitCritic, fit_long: FitCritic, rng: np.random.Generator
) -> Familiar:
    """What a critic of all tasks is familiar with; tasks go by the ``space_name`` of their networks. ``fit`` makes the
    critics that leave out a space, ``fit_long`` those that leave out a task: the longer a critic learns, the surer it
    is of what it has not learned, so these have to learn as long as the one that they stand for. With one space nothing
    can be left out, and the doubt is ``MOST``; with one task in each, nothing says how far tasks are apart beyond what
    the critic thinks."""
    names = frozenset(spaces)
    within = _doubt_of_tasks(spaces, fit_long, rng)
    if len(spaces) < 2:
        return Familiar(names, MOST, within)
    sure, better = [], []
    for left, others in _without_space(spaces):
        critic = fit(others)
        for task in spaces[left]:
            found = choices(critic.expect(task.graphs), task.scores, _good(task.scores), rng)
            sure.append(found[0])
            better.append(found[1])
    return Familiar(names, max(within, inflation(np.concatenate(sure), np.concatenate(better))), within)


def _doubt_of_tasks(spaces: Mapping[str, Sequence[MeasuredTask]], fit: FitCritic, rng: np.random.Generator) -> float:
    """For a task of a space of which others are known. Any of its networks is an input, as any may be brought; those
    that the critic itself thinks good would be those that it thinks too well of."""
    sure, better = [], []
    for left, others in _without_task(spaces):
        found = choices(fit(others).expect(left.graphs), left.scores, np.arange(len(left.scores)), rng)
        sure.append(found[0])
        better.append(found[1])
    return inflation(np.concatenate(sure), np.concatenate(better)) if sure else 1.0


def _good(scores: np.ndarray) -> np.ndarray:
    """Rows of the best."""
    found: np.ndarray = np.argsort(-scores, kind="stable")[: max(1, round(GOOD * len(scores)))]
    return found


def choices(
    expected: Expectation, scores: np.ndarray, sources: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For inputs drawn from ``sources`` (rows): of what was expected to gain most, the expected gain in deviations of a
    measured one, and whether it did gain, (INPUTS,) each."""
    sure, better = np.zeros(INPUTS), np.zeros(INPUTS, bool)
    for number in range(INPUTS):
        source = int(sources[rng.integers(len(sources))])
        some = rng.integers(0, len(scores), AMONG)
        gain, deviation = expected.gain(source, some)
        best = int(np.argmax(gain))
        sure[number] = gain[best] / np.sqrt(deviation[best] ** 2 + 2 * expected.noise)
        better[number] = scores[some[best]] > scores[source]
    return sure, better


def inflation(sure: np.ndarray, better: np.ndarray) -> float:
    """By how much deviations have to grow for the mean probability of a gain to be the share of gains; at least 1."""
    low, high = 1.0, MOST
    if ndtr(sure).mean() <= better.mean():
        return 1.0
    if ndtr(sure / high).mean() >= better.mean():
        return MOST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if ndtr(sure / middle).mean() > better.mean() else (low, middle)
    return (low + high) / 2
