"""A search without training: single moves are known from the advice, combinations are fitted and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.advising import Advice, Effect, Replacement
from nat_plugin.device import memory_kept
from nat_plugin.evaluators import Assessment, Evaluator, EvaluatorContext, Split, Trial
from nat_plugin.extending import Settings, State
from nat_plugin.ir import Choice, Moves, Network, key
from nat_plugin.search import Measurement, Proposal
from nat_timm.fitting.fit import fit_to
from nat_timm.fitting.reference import Reference
from nat_timm.models import inherit


class FittedScores:
    """How far the output of networks is from that of the model that they were made of, once all that changed is fitted
    in closed form, one change after the other. It can be pickled: workers have it too."""

    def __init__(self, model: nn.Module, own: Network, pictures: Sequence[Tensor], compared: Sequence[Tensor]) -> None:
        """``own``: the network of the model; ``pictures``: to fit on; ``compared``: others, to compare on."""
        self._model, self._own, self._compared = model.eval(), own, compared
        self._reference = Reference(model, pictures)
        self._known: dict[Network, tuple[float, float]] = {}
        self.wanted = self._logits(model)

    def of(self, network: Network) -> tuple[float, float]:
        """The mean square of the difference of the logits, as a share of their spread over the pictures; and how often
        the two say the same."""
        if network not in self._known:
            found = self.logits(network)
            spread = float((self.wanted - self.wanted.mean(0)).square().sum())
            change = float((found - self.wanted).square().sum()) / max(spread, 1e-30)
            self._known[network] = change, float((found.argmax(1) == self.wanted.argmax(1)).double().mean())
        return self._known[network]

    @memory_kept()
    def logits(self, network: Network) -> Tensor:
        """Of a network that is fitted: (images, classes)."""
        made = inherit(self._model, network)
        fit_to(made, self._reference)
        return self._logits(made)

    @torch.no_grad()
    def _logits(self, model: nn.Module) -> Tensor:
        return torch.cat([model(x).float() for x in self._compared])


class FittedEvaluator(Evaluator):
    """Scores a network by how far its output is from that of the model. Neither labels nor training are needed.

    A score is minus the change that ``FittedScores`` finds: about the sum of what the changes of a network do each by
    itself.
    """

    how = "scored on weights fitted in closed form"
    assessed = "these two networks with weights fitted in closed form"
    cheap = False

    def __init__(self, context: EvaluatorContext, scores: FittedScores) -> None:
        super().__init__(context, Settings())
        self.scores = scores
        self._found: dict[str, tuple[float, float] | None] = {}
        """Of workers, by key."""
        self.gains: dict[Network, float] = {}
        """Of all that was measured."""

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:
        wanted = (Trial(each.network) for each in proposals if key(each.network) not in self._found)
        return list({trial.name: trial for trial in wanted}.values())

    def carry_out(self, trial: Trial) -> State:
        change, agreement = self.scores.of(trial.network)
        return {"change": change, "agreement": agreement}

    def take(self, trial: Trial, found: State | None) -> None:
        self._found[key(trial.network)] = None if found is None else (found["change"], found["agreement"])

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        return [self._measured(each.network) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        """How often it says what the model says; ``split`` makes no difference."""
        del split
        return Assessment.of(self.scores.logits(network).argmax(1) == self.scores.wanted.argmax(1))

    def _measured(self, network: Network) -> Measurement | None:
        name = key(network)
        found = self._found[name] if name in self._found else self.scores.of(network)
        if found is None or not math.isfinite(found[0]):
            return None
        change, agreement = found
        self.gains[network] = -change
        return measurement(change, agreement)


def measurement(square: float, agreement: float) -> Measurement:
    return Measurement(-square, 0.0, {"change": square**0.5, "agreement": agreement})


def told(advice: Advice, moves: Moves) -> Iterator[tuple[Network, Measurement]]:
    """The single moves and the combinations that the advice measured, as networks: the most harmful first, since what a
    strategy was told last counts longest. NATError where it is of another model."""
    places = {
        (moves.network.edge(slot).key, str(op.values.get("name", op))): (place, index)
        for place, (slot, ops) in enumerate(zip(moves.slots, moves.candidates, strict=True))
        for index, op in enumerate(ops)
        if index
    }
    measured: list[tuple[Sequence[Replacement], Effect]] = [((move,), move.effect) for move in advice.moves]
    measured += [
        (combination.replacements, combination.measured)
        for combination in advice.combinations
        if combination.measured is not None
    ]
    effects: dict[Choice, Effect] = {}
    for replacements, effect in sorted(measured, key=lambda pair: -pair[1].change):
        at = dict(
            places[replacement.at, replacement.after]
            for replacement in replacements
            if (replacement.at, replacement.after) in places
        )
        if len(at) == len(replacements):
            effects[tuple(at.get(place, 0) for place in range(len(moves.slots)))] = effect
    if not effects:
        raise NATError(f"advice: it is of '{advice.model}', and has no move of this model")
    for choice, effect in effects.items():
        yield moves.apply(choice), measurement(effect.change**2, effect.agreement)
