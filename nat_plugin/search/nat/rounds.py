"""A batch of proposals under way, and what of training can be written into a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nat_plugin.ir import Moves, Network, from_json, to_json
from nat_plugin.policy.graphs import Batch, build_batch, build_graph
from nat_plugin.policy.reinforce import Episode
from nat_plugin.policy.sampling import Sample
from nat_plugin.search.base import Proposal, State


class Round:
    """Samples of several inputs, numbered from ``first``, of which one after the other is told."""

    def __init__(self, first: int, moves: Sequence[Moves]) -> None:
        self.first, self.moves = first, list(moves)
        self.samples: list[tuple[int, Sample]] = []
        self._gains: dict[int, float | None] = {}

    def add(self, graph: int, sample: Sample) -> None:
        self.samples.append((graph, sample))

    def proposals(self) -> list[Proposal]:
        return [
            Proposal(self.first + place, self.moves[graph].network, self.moves[graph].apply(sample.choice))
            for place, (graph, sample) in enumerate(self.samples)
        ]

    def tell(self, number: int, gain: float | None) -> bool:
        """Whether the proposal is one of this round."""
        place = number - self.first
        if not 0 <= place < len(self.samples):
            return False
        self._gains[place] = gain
        return True

    @property
    def complete(self) -> bool:
        return len(self._gains) == len(self.samples)

    def episodes(self) -> list[Episode]:
        """What was measured, in the order of proposal, whatever the order of telling."""
        found = ((graph, sample, self._gains[place]) for place, (graph, sample) in enumerate(self.samples))
        return [Episode(graph, sample, gain) for graph, sample, gain in found if gain is not None]

    def batch(self, device: torch.device) -> Batch:
        return build_batch([build_graph(each.network, each) for each in self.moves], device)

    def state(self) -> State:
        return {
            "first": self.first,
            "networks": [to_json(each.network, indent=None) for each in self.moves],
            "samples": [
                [graph, list(one.choice), "".join("01"[int(each)] for each in one.open), one.log_probability]
                for graph, one in self.samples
            ],
            "gains": [[place, gain] for place, gain in self._gains.items()],
        }

    @staticmethod
    def restored(state: State, moves: Callable[[Network], Moves]) -> Round:
        found = Round(state["first"], [moves(from_json(text)) for text in state["networks"]])
        for graph, choice, opened, log in state["samples"]:
            found.add(graph, Sample(tuple(choice), np.array([each == "1" for each in opened], bool), log))
        found._gains = dict(state["gains"])
        return found


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The moments of an optimizer by number of the parameter; text keys, tensors and numbers only."""
    moments = optimizer.state_dict()["state"]
    return {
        str(number): {name: v.detach().cpu().clone() if torch.is_tensor(v) else v for name, v in values.items()}
        for number, values in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    whole = optimizer.state_dict()
    whole["state"] = {int(number): dict(values) for number, values in state.items()}
    optimizer.load_state_dict(whole)
