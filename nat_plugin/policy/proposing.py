"""What to make of an architecture before anything is measured: a policy proposes, a critic doubts.

A proposal has to be worth its risk: its expected gain, less ``caution`` times the deviation of that gain, is compared
with that of the input, which is 0. So an input stays where the critic does not know. What every network of a kind has
(an operation on the way where it reduces) may fall to measurements, not to an expectation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr

from nat_plugin.ir import Choice, Moves, Network, Role, live
from nat_plugin.ir.scaffold import scaffold
from nat_plugin.policy.apply import decode
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.expecting import Expecting
from nat_plugin.policy.network import Policy
from nat_plugin.policy.sampling import draw, greedy, most_probable

CAUTION = 0.5
"""How much of the deviation is taken off the expected gain."""
DECIMALS = 3
"""Of what proposals are worth: what differs by less is equal. Sums round by what else is in a batch."""
AT_ONCE = 512
"""Architectures of which all proposals are judged together."""
LIKELY = 8
"""So many of the likeliest transformations are judged."""


@dataclass(frozen=True)
class Suggestion:
    """``network``: the input itself where nothing is worth its risk. ``probability``: that a measurement of the best
    proposal is better than one of the input; ``gain`` and ``deviation`` of it, in deviations among all networks."""

    network: Network
    kept: bool
    probability: float
    gain: float
    deviation: float


def suggest(
    moves: Sequence[Moves], policy: Policy, critic: Critic, samples: int = 0, seed: int = 0, caution: float = CAUTION
) -> list[Suggestion]:
    """In the same order; what becomes of one does not depend on the others. ``samples``: drawn from the policy too."""
    expecting, found = Expecting(critic), []
    with torch.no_grad():
        scored = decode(policy, moves)
        for start in range(0, len(moves), AT_ONCE):
            part = moves[start : start + AT_ONCE]
            tried = [_tried(each, *next(scored), samples, seed) for each in part]
            asked = [(each, [each.identity, *choices]) for each, choices in zip(part, tried, strict=True)]
            expected = expecting.of_each(asked)
            found += [_chosen(each, some, of, caution) for (each, some), of in zip(asked, expected, strict=True)]
    return found


def _tried(moves: Moves, scores: np.ndarray, sizes: np.ndarray, samples: int, seed: int) -> list[Choice]:
    """Changes that the policy finds likely, without what breaks the structure of a cell."""
    tried = [greedy(scores, sizes, moves), *most_probable(scores, sizes, moves, LIKELY)]
    if samples:
        rng = np.random.default_rng(seed)  # the same for each, so that none depends on those before it
        tried += [sample.choice for sample in draw(scores, sizes, moves, rng, samples)]
    return [each for each in dict.fromkeys(_keeping_structure(moves, tried)) if each != moves.identity]


def _chosen(moves: Moves, tried: Sequence[Choice], expected: Expectation, caution: float) -> Suggestion:
    """Of the first of ``tried``, which changes nothing, and the others."""
    stays = moves.admits(moves.identity)  # it is connected and within the budget
    if len(tried) == 1:
        return Suggestion(moves.network, True, 0.0, 0.0, 0.0)
    gain, deviation = expected.gain(0, np.arange(1, len(tried)))
    worth = np.round(gain - caution * deviation, DECIMALS)
    best = int(np.argmax(worth))  # of equals the likeliest by the policy
    noisy = np.sqrt(deviation[best] ** 2 + 2 * expected.noise)
    probability = float(ndtr(gain[best] / max(noisy, 1e-9)))
    kept = stays and not worth[best] > 0
    network = moves.network if kept else moves.apply(tried[best + 1])
    return Suggestion(network, kept, probability, float(gain[best]), float(deviation[best]))


def _keeping_structure(moves: Moves, choices: Sequence[Choice]) -> list[Choice]:
    """The choices, with the operations put back that a cell needs to reduce by; those for which that is not within the
    limits are left out, unless nothing else is left."""
    strided = _reducing(moves)
    if not strided:
        return list(choices)
    kept = []
    for choice in choices:
        repaired = list(choice)
        for slots in strided:
            ops = [moves.candidates[slot][repaired[slot]] for slot in slots]
            if not any(op.role is Role.OPERATION for op in ops) or (len(slots) == 1 and repaired[slots[0]]):
                for slot in slots:
                    repaired[slot] = 0
        if moves.admits(tuple(repaired)):
            kept.append(tuple(repaired))
    return kept or list(choices)


def _reducing(moves: Moves) -> list[list[int]]:
    """By cell, the slots whose live edges halve the resolution by an operation."""
    frame, found = scaffold(moves.network), []
    alive = {name: live(cell).edges for name, cell in moves.network.cells}
    for name, first, end in moves.parts:
        slots = []
        for number in range(first, end):
            slot = moves.slots[number]
            edge = moves.network.edge(slot)
            strided = frame.sites(name, edge.source, edge.target)[0].stride > 1
            if strided and alive[name][slot.index] and edge.op.role is Role.OPERATION:
                slots.append(number)
        if slots:
            found.append(slots)
    return found
