"""From scores to choices: slot by slot on the host, among the candidates that ``Moves`` still leaves open.

What was closed when each slot was decided is kept, so that log-probabilities and entropies can be computed again on the
device, for all samples at once, and are those of the very decisions that were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.geometric import scatter
from nat_plugin.policy.graphs import Batch
from nat_plugin.policy.network import Policy

Tensor = torch.Tensor

_TRIES = 512
"""Of the likeliest choices, before a budget is met by a price."""
_HALVINGS = 24
_AT_FIRST, _MORE = 4, 8
"""So many times as many choices as are wanted are looked at first; then so many times more."""
_NEVER = -1e3
"""A score that is chosen only where nothing else is left."""


@dataclass(frozen=True)
class SampledChoice:
    """One choice, which candidate rows of its graph were open when their slot was decided (R,), its log-probability."""

    choice: Choice
    open: np.ndarray
    log_probability: float


@torch.no_grad()
def score_batch(policy: Policy, batch: Batch) -> list[np.ndarray]:
    """The scores of every graph as float64 on the host, in one transfer."""
    scores = policy(batch).double().cpu().numpy()
    return [scores[a:b] for a, b in zip(batch.first[:-1], batch.first[1:], strict=True)]


def draw(
    scores: np.ndarray, sizes: np.ndarray, moves: Moves, rng: np.random.Generator | None, count: int = 1
) -> list[SampledChoice]:
    """``count`` samples from one graph's scores (R,) with candidates per slot ``sizes`` (S,); the most probable open
    candidate of each slot in turn if ``rng`` is None."""
    ends = np.cumsum(sizes)
    starts = ends - sizes
    parts = [scores[a:b] - scores[a:b].max() for a, b in zip(starts, ends, strict=True)]
    weights = [np.exp(part) for part in parts]
    sums = [np.cumsum(weight) for weight in weights]
    samples = []
    for _ in range(count):
        uniform = rng.random(len(sizes)) if rng is not None else None
        walk, opened, total = moves.walk(), [], 0.0
        for i, part in enumerate(parts):
            allowed = walk.open()
            opened.append(allowed)
            running = sums[i] if allowed.all() else np.cumsum(np.where(allowed, weights[i], 0.0))
            if running[-1] <= 0:  # all that is open has underflowed
                again = np.exp(np.where(allowed, part - part[allowed].max(), -np.inf))
                running = np.cumsum(again)
                part = part - part[allowed].max()
            if uniform is None:
                taken = int(np.argmax(np.where(allowed, part, -np.inf)))
            else:
                taken = int(np.searchsorted(running, uniform[i] * running[-1], side="right"))
            total += float(part[taken] - np.log(running[-1]))
            walk.take(taken)
        samples.append(SampledChoice(walk.choice, np.concatenate(opened) if opened else np.zeros(0, bool), total))
    return samples


def greedy(scores: np.ndarray, sizes: np.ndarray, moves: Moves) -> Choice:
    """The most probable admitted choice, if it is among the ``_TRIES`` most probable of all; otherwise the more
    probable of two: slot by slot the most probable that is open, and ``_leaned``."""
    ends = np.cumsum(sizes).tolist()
    best = tuple(int(scores[b - n : b].argmax()) for b, n in zip(ends, sizes.tolist(), strict=True))
    if moves.admits(best):
        return best
    found = most_probable(scores, sizes, moves, 1, _TRIES)
    if not found:
        found = [_leaned(scores, sizes, moves), draw(scores, sizes, moves, None)[0].choice]
    return max(found, key=lambda choice: float(scores[np.cumsum(sizes) - sizes + np.array(choice, np.int64)].sum()))


def _leaned(scores: np.ndarray, sizes: np.ndarray, moves: Moves) -> Choice:
    """What is most probable once a price is put on parameters and MACs, as low as meets the limits; slot by slot among
    what is open if that is not connected. Then every single change that is more probable and admitted, the greatest
    gain first."""
    first = np.cumsum(sizes) - sizes
    costs = np.concatenate([each[:size] for each, size in zip(moves.costs, sizes.tolist(), strict=True)])
    price = (costs / np.maximum(costs.mean(axis=0), 1.0)).sum(axis=1)
    best: Choice | None = None
    low, high = -20.0, 20.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        parts = np.split(scores - np.exp(middle) * price, first[1:])
        choice = tuple(int(part.argmax()) for part in parts)
        if moves.admits(choice):
            best, high = choice, middle
        elif moves.total(choice) is None:
            high = middle
        else:
            low = middle
    at = best or draw(scores - np.exp(high) * price, sizes, moves, None)[0].choice
    slots = np.repeat(np.arange(len(sizes)), sizes).tolist()
    gains = scores - np.repeat(scores[first + np.array(at)], sizes)
    for row in np.argsort(-gains, kind="stable").tolist():
        slot = slots[row]
        changed = (*at[:slot], row - int(first[slot]), *at[slot + 1 :])
        if scores[row] > scores[first[slot] + at[slot]] and moves.admits(changed):
            at = changed
    return at


def most_probable(scores: np.ndarray, sizes: np.ndarray, moves: Moves, count: int, tries: int = 4096) -> list[Choice]:
    """Up to ``count`` admitted choices in order of falling probability (slots taken as independent), found among the
    ``tries`` most probable."""
    every = (choice for likely in _in_order(scores, sizes, count, tries) for choice in map(tuple, likely.tolist()))
    return list(islice(filter(moves.admits, every), count))


def most_probable_written(
    scores: np.ndarray, sizes: np.ndarray, moves: Moves, count: int, tries: int = 4096
) -> list[Choice]:
    """The same, but of choices that differ in dead slots alone the first, and of those that keep what the outputs of
    cells join. Where none of the ``tries`` does, those that leave nothing out; at last any."""
    wanted = count, tries
    found = _written(scores, sizes, moves, wanted, moves.keeps_outputs)
    if not found:
        whole = leaving_nothing_out(scores, sizes, moves)
        found = _written(whole, sizes, moves, wanted, moves.keeps_outputs)
        found = found or list(filter(moves.keeps_outputs, [greedy(whole, sizes, moves)]))
    return found or _written(scores, sizes, moves, wanted, moves.admits)


def leaving_nothing_out(scores: np.ndarray, sizes: np.ndarray, moves: Moves) -> np.ndarray:
    """Scores by which every edge that is there stays there, as an operation or a skip."""
    changed: np.ndarray = scores.copy()
    for start, there in zip((np.cumsum(sizes) - sizes).tolist(), moves.nonnull, strict=True):
        for index, nonnull in enumerate(there):
            if there[0] and not nonnull:
                changed[start + index] = _NEVER
    return changed


def _written(
    scores: np.ndarray, sizes: np.ndarray, moves: Moves, wanted: tuple[int, int], right: Callable[[Choice], bool]
) -> list[Choice]:
    count, tries = wanted
    found: dict[bytes, Choice] = {}
    for likely in _in_order(scores, sizes, count, tries):
        written = np.where(moves.live(likely)[1], likely, -1)
        for choice, name in zip(map(tuple, likely.tolist()), written, strict=True):
            text = name.tobytes()
            if text not in found and right(choice) and moves.admits(choice):
                found[text] = choice
                if len(found) == count:
                    return list(found.values())
    return list(found.values())


def _in_order(scores: np.ndarray, sizes: np.ndarray, count: int, tries: int) -> Iterator[np.ndarray]:
    """The ``tries`` most probable choices, admitted or not, some (n, slots) at a time; few where few are wanted."""
    ends = np.cumsum(sizes).tolist()
    parts = [scores[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]
    done, tried = 0, min(tries, _AT_FIRST * count)
    while len(new := _likeliest(parts, tried)[done:]):
        yield new
        done, tried = done + len(new), min(tries, _MORE * tried)


def _likeliest(parts: Sequence[np.ndarray], count: int) -> np.ndarray:
    """The ``count`` choices of which the scores of all slots add up to most, the best first, (n, slots): slot by slot
    the best beginnings, which is exact, as what follows costs all beginnings the same."""
    losses, choices = np.zeros(1), np.zeros((1, 0), np.int64)
    for part in parts:
        total = np.add.outer(losses, part.max() - part).ravel()
        best = np.argsort(total, kind="stable")[:count]
        beginning, last = np.divmod(best, len(part))
        losses, choices = total[best], np.concatenate([choices[beginning], last[:, None]], axis=1)
    return choices


@dataclass(frozen=True)
class Decisions:
    """All decisions of D slots in P samples: K rows (one per candidate of each), as tensors on one device."""

    rows: Tensor  # (K,) candidate row of the batch
    slot: Tensor  # (K,) decision, 0..D-1
    open: Tensor  # (K,) bool
    taken: Tensor  # (D,) which of the K was taken
    owner: Tensor  # (D,) sample, 0..P-1
    count: int  # P


def gather_decisions(batch: Batch, samples: Sequence[tuple[int, SampledChoice]], device: torch.device) -> Decisions:
    """The decisions of samples, each given with the number of its graph in the batch; one transfer to the device."""
    graphs = np.array([graph for graph, _ in samples])
    sizes = [batch.sizes[graph] for graph in graphs]
    counts = np.array([len(each) for each in sizes])
    lengths = batch.first[graphs + 1] - batch.first[graphs]
    starts = np.cumsum(lengths) - lengths
    rows = np.arange(lengths.sum()) + np.repeat(batch.first[graphs] - starts, lengths)
    every = np.concatenate(sizes)
    taken = np.cumsum(every) - every + np.concatenate([np.array(s.choice, np.int64) for _, s in samples])
    opened = np.concatenate([sample.open for _, sample in samples])
    parts = [rows, np.repeat(np.arange(len(every)), every), opened, taken, np.repeat(np.arange(len(samples)), counts)]
    moved = torch.from_numpy(np.concatenate([part.astype(np.int64) for part in parts])).to(device)
    row, slot, is_open, chosen, owner = torch.split(moved, [len(part) for part in parts])
    return Decisions(row, slot, is_open.bool(), chosen, owner, len(samples))


def evaluate(scores: Tensor, decisions: Decisions) -> tuple[Tensor, Tensor]:
    """Log-probability of each sample and the sum of the entropies of its decisions, (P,) each, from scores (R,)."""
    closed = torch.finfo(scores.dtype).min
    logits = scores[decisions.rows].masked_fill(~decisions.open, closed)
    number = len(decisions.taken)
    highest = scatter(logits.detach(), decisions.slot, 0, number, "max")
    shifted = (logits - highest[decisions.slot]).clamp(min=-1e4)
    weights = shifted.exp() * decisions.open
    normal = scatter(weights, decisions.slot, 0, number, "sum").log()
    log = shifted - normal[decisions.slot]
    probabilities = log.exp() * decisions.open
    entropy = scatter(-probabilities * log.masked_fill(~decisions.open, 0.0), decisions.slot, 0, number, "sum")
    chosen = log[decisions.taken]
    return (
        scatter(chosen, decisions.owner, 0, decisions.count, "sum"),
        scatter(entropy, decisions.owner, 0, decisions.count, "sum"),
    )
