"""A batch of proposals under way, and what of training can be written into a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nat_plugin.ir import Moves, Network, from_json, to_json
from nat_plugin.policy.graphs import Batch, build_batch, build_graph
from nat_plugin.policy.reinforce import Episode
from nat_plugin.policy.sampling import SampledChoice
from nat_plugin.search.base import Proposal
from nat_plugin.settings import State


class Round:
    """Samples of several inputs, by the numbers of their proposals, of which one after the other is told."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self.moves = list(moves)
        self.samples: dict[int, tuple[int, SampledChoice]] = {}
        self._gains: dict[int, float | None] = {}

    def add(self, graph: int, sample: SampledChoice, number: int) -> None:
        """``graph``: which of the inputs."""
        self.samples[number] = graph, sample

    def proposals(self) -> list[Proposal]:
        return [
            Proposal(number, self.moves[graph].network, self.moves[graph].apply(sample.choice))
            for number, (graph, sample) in self.samples.items()
        ]

    def tell(self, number: int, gain: float | None) -> bool:
        """Whether the proposal is one of this round."""
        if number in self.samples:
            self._gains[number] = gain
        return number in self.samples

    @property
    def told(self) -> int:
        return len(self._gains)

    @property
    def complete(self) -> bool:
        return self.told == len(self.samples)

    def rest(self) -> Round:
        """A round of those that are not told."""
        found = Round(self.moves)
        found.samples = {number: each for number, each in self.samples.items() if number not in self._gains}
        return found

    def episodes(self) -> list[Episode]:
        """What was measured, in the order of proposal, whatever the order of telling."""
        found = ((graph, sample, self._gains.get(number)) for number, (graph, sample) in self.samples.items())
        return [Episode(graph, sample, gain) for graph, sample, gain in found if gain is not None]

    def batch(self, device: torch.device) -> Batch:
        return build_batch([build_graph(each.network, each) for each in self.moves], device)

    def state(self) -> State:
        return {
            "networks": [to_json(each.network, indent=None) for each in self.moves],
            "samples": [[number, graph, *sample_state(one)] for number, (graph, one) in self.samples.items()],
            "gains": [[number, gain] for number, gain in self._gains.items()],
        }

    @staticmethod
    def restored(state: State, moves: Callable[[Network], Moves]) -> Round:
        found = Round([moves(from_json(text)) for text in state["networks"]])
        for number, graph, *sample in state["samples"]:
            found.add(graph, restored_sample(sample), number)
        found._gains = dict(state["gains"])
        return found


def sample_state(sample: SampledChoice) -> list[Any]:
    return [list(sample.choice), "".join("01"[int(each)] for each in sample.open), sample.log_probability]


def restored_sample(state: list[Any]) -> SampledChoice:
    choice, opened, log_probability = state
    return SampledChoice(tuple(choice), np.array([each == "1" for each in opened], bool), log_probability)
