"""What to make of an architecture before anything is measured: a policy proposes, a critic doubts.

A proposal has to be worth its risk: its expected gain, less ``caution`` times the deviation of that gain, is compared
with that of the input, which is 0. So an input stays where the critic does not know; one that cannot stay, in a search
space that it does not know, is changed by what the limits force and no more. What every network of a kind has
(operations where it reduces, most of which have to stay; the nodes that the output of a cell joins) may fall to
measurements, not to an expectation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nat_plugin.ir import Choice, Moves, Network, Role, live
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.policy.apply import decode
from nat_plugin.policy.critic import Critic, Expectation, Familiar
from nat_plugin.policy.expecting import Expecting
from nat_plugin.policy.input_proxies import InputProxies, ScoredOf
from nat_plugin.policy.network import Policy
from nat_plugin.policy.sampling import draw, greedy, leaving_nothing_out, most_probable_written
from nat_plugin.search.neighbourhood import projection

CAUTION = 0.5
"""How much of the deviation is taken off the expected gain."""
DECIMALS = 3
"""Of what proposals are worth: what differs by less is equal. Sums round by what else is in a batch."""
AT_ONCE = 512
"""Architectures of which all proposals are judged together."""
FINALISTS = 12
"""So many of what is worth most are judged again where proxies of them can be had."""
LIKELY, TRIES = 16, 1024
"""So many of the likeliest transformations that are written differently are judged, found among so many of the
likeliest: many differ in what is dead alone, and then few networks would be judged."""


@dataclass(frozen=True)
class Suggestion:
    """``network``: the input itself where nothing is worth its risk. ``probability``: that a measurement of the best
    proposal is better than one of the input, with what is lost by having chosen the best of many; ``gain`` and
    ``deviation`` of it as the critic expects them, in deviations among all networks."""

    network: Network
    kept: bool
    probability: float
    gain: float
    deviation: float


@dataclass(frozen=True)
class SuggestSettings:
    """``samples``: drawn from the policy too, by ``seed``; ``caution``: deviations that a gain has to outweigh."""

    samples: int = 0
    seed: int = 0
    caution: float = CAUTION


def suggest(
    moves: Sequence[Moves],
    policy: Policy,
    critic: Critic,
    wanted: SuggestSettings | None = None,
    scoring: Sequence[ScoredOf] | None = None,
) -> list[Suggestion]:
    """In the same order; what becomes of one does not depend on the others. ``scoring``: how proxies are computed of
    what each becomes, for a critic that is to be told of them."""
    wanted = wanted or SuggestSettings()
    expecting, suggestions = Expecting(critic), []
    proxies = None if scoring is None else InputProxies(critic)
    with torch.no_grad():
        scored = decode(policy, moves)
        for start in range(0, len(moves), AT_ONCE):
            batch = moves[start : start + AT_ONCE]
            entries = [_Asked(item, *next(scored), critic.familiar.knows(item.network)) for item in batch]
            for entry in entries:
                entry.tried += _tried(entry, wanted)
            expected = expecting.as_one([(entry.moves, entry.tried) for entry in entries])
            if scoring is not None and proxies is not None:
                for number, (entry, how) in enumerate(zip(entries, scoring[start : start + AT_ONCE], strict=True)):
                    entry.tried = _finalists(entry, expected[number], wanted.caution)
                    proxy_values = proxies.of(entry.moves, entry.tried, how)
                    expected[number] = expecting.told(entry.moves, entry.tried, proxy_values)
            suggestions += [
                _chosen(entry, of, wanted.caution, critic.familiar) for entry, of in zip(entries, expected, strict=True)
            ]
    return suggestions


@dataclass
class _Asked:
    """An input, what the policy scores, and what is judged: at first what changes nothing."""

    moves: Moves
    scores: np.ndarray
    sizes: np.ndarray
    known: bool
    """Whether the critic has learned its search space."""

    def __post_init__(self) -> None:
        self.tried: list[Choice] = [self.moves.identity]
        self.stays = self.moves.admits(self.moves.identity)  # it is connected and within the budget
        self.forced = not (self.stays or self.known)  # what is judged is what the limits force


def _worth(expected: Expectation, caution: float) -> np.ndarray:
    """Of all that is judged; nothing of the input."""
    gain, deviation = expected.gain(0, np.arange(len(expected.mean)))
    worth: np.ndarray = np.round(gain - caution * deviation, DECIMALS)
    return worth


def _finalists(asked: _Asked, expected: Expectation, caution: float) -> list[Choice]:
    """What changes nothing, and what is worth most, the best first."""
    worth = _worth(expected, caution)[1:]
    return [asked.tried[0], *(asked.tried[1 + at] for at in np.argsort(-worth, kind="stable")[:FINALISTS].tolist())]


def _tried(asked: _Asked, wanted: SuggestSettings) -> list[Choice]:
    """Changes that the policy finds likely, without what breaks the structure of a cell; or the one that is forced."""
    scores, sizes, moves = asked.scores, asked.sizes, asked.moves
    if asked.forced and (nearest := keeping_structure(moves, [_forced(moves, sizes)])):
        return nearest
    asked.forced = False
    tried = most_probable_written(scores, sizes, moves, LIKELY, TRIES)
    tried = tried or [greedy(scores, sizes, moves)]
    if wanted.samples:
        rng = np.random.default_rng(wanted.seed)  # the same for each, so that none depends on those before it
        tried += [sample.choice for sample in draw(scores, sizes, moves, rng, wanted.samples)]
    kept = keeping_structure(moves, tried) or tried
    kept = list(filter(moves.keeps_outputs, kept)) or kept
    return [each for each in dict.fromkeys(kept) if each != moves.identity]


def _forced(moves: Moves, sizes: np.ndarray) -> Choice:
    """The nearest choice within the limits; if that leaves out what the output of a cell joins, one that leaves out
    nothing, where there is one."""
    nearest = projection(moves, moves.identity)
    if moves.keeps_outputs(nearest):
        return nearest
    staying = np.zeros(int(sizes.sum()))
    staying[np.cumsum(sizes) - sizes] = 1.0
    whole = greedy(leaving_nothing_out(staying, sizes, moves), sizes, moves)
    return whole if moves.keeps_outputs(whole) else nearest


def _chosen(asked: _Asked, expected: Expectation, caution: float, familiar: Familiar) -> Suggestion:
    """The best of what is judged besides the input, or the input where that is not worth its risk."""
    if len(asked.tried) == 1:
        return Suggestion(asked.moves.network, True, 0.0, 0.0, 0.0)
    worth = _worth(expected, caution)
    best = 1 + int(np.argmax(worth[1:]))
    gain, deviation = expected.gain(0, np.array([best]))
    unsure = familiar.chosen_factor(asked.moves.network) * deviation[0]
    noisy = np.sqrt(unsure**2 + 2 * expected.noise)
    # the normal distribution, without scipy.special, which takes a tenth of a second to import
    probability = math.erfc(-gain[0] / max(noisy, 1e-9) / math.sqrt(2)) / 2
    kept = asked.stays and not worth[best] > 0
    network = asked.moves.network if kept else asked.moves.apply(asked.tried[best])
    return Suggestion(network, kept, probability, float(gain[0]), float(deviation[0]))


def keeping_structure(moves: Moves, choices: Sequence[Choice]) -> list[Choice]:
    """The choices; where less than half of the operations would stay that a cell reduces by, all of these are put back,
    and what is not within the limits then is left out."""
    strided = _reducing(moves)
    if not strided:
        return list(choices)
    kept = []
    for choice in choices:
        repaired = list(choice)
        for slots in strided:
            ops = [moves.candidates[slot][repaired[slot]] for slot in slots]
            stay = sum(op.role is Role.OPERATION for op in ops)
            if 2 * stay < len(slots) or (len(slots) == 1 and repaired[slots[0]]):
                for slot in slots:
                    repaired[slot] = 0
        if moves.admits(tuple(repaired)):
            kept.append(tuple(repaired))
    return kept


def _reducing(moves: Moves) -> list[list[int]]:
    """By cell, the slots whose live edges halve the resolution by an operation wherever the cell stands: what a cell
    has that stands elsewhere, too, is no matter of reducing."""
    table, found = edge_costs(moves.network), []
    alive = {name: live(cell).edges for name, cell in moves.network.cells}
    for name, first, end in moves.parts:
        slots = []
        for number in range(first, end):
            slot = moves.slots[number]
            edge = moves.network.edge(slot)
            strided = all(site.stride > 1 for site in table.sites(name, edge.source, edge.target))
            if strided and alive[name][slot.index] and edge.op.role is Role.OPERATION:
                slots.append(number)
        if slots:
            found.append(slots)
    return found
