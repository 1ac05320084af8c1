"""A search without training: single moves are known from the advice, combinations are fitted and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nat_plugin.advising.advice import Advice, Effect, Replacement
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.ir import Choice, Moves, Network
from nat_plugin.search.base import Measurement, Proposal, Settings
from nat_timm.fitting.fit import fit
from nat_timm.measuring.statistics import recalibrate
from nat_timm.models import inherit


class FittedEvaluator(Evaluator):
    """Scores a network by how far its output is from that of the model, once all that changed is fitted in closed form,
    one change after the other. Neither labels nor training are needed.

    A score is minus the mean square of the difference of the logits, as a share of their spread over the pictures:
    about the sum of what the changes of a network do each by itself.
    """

    how = "scored on weights fitted in closed form"
    assessed = "these two networks with weights fitted in closed form"

    def __init__(
        self, context: EvaluatorContext, model: nn.Module, pictures: Sequence[Tensor], compared: Sequence[Tensor]
    ) -> None:
        """``pictures``: to fit on; ``compared``: others, to compare on."""
        super().__init__(context, Settings())
        self._model, self._pictures, self._compared = model.eval(), pictures, compared
        self._wanted = self._logits(model)
        self.gains: dict[Network, float] = {}
        """Of all that was measured."""

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        return [self._measured(each.network) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        """How often it says what the model says; ``split`` makes no difference."""
        del split
        return Assessment.of(self._logits(self._fitted(network)).argmax(1) == self._wanted.argmax(1))

    def _fitted(self, network: Network) -> nn.Module:
        made = inherit(self._model, network)
        if network == self.context.inputs[0]:
            return made
        if not fit(made, self._model, self._pictures):
            recalibrate(made, self._pictures)
        return made

    def _measured(self, network: Network) -> Measurement | None:
        found = self._logits(self._fitted(network))
        spread = float((self._wanted - self._wanted.mean(0)).square().sum())
        change = float((found - self._wanted).square().sum()) / max(spread, 1e-30)
        if not math.isfinite(change):
            return None
        self.gains[network] = -change
        return measurement(change, float((found.argmax(1) == self._wanted.argmax(1)).double().mean()))

    @torch.no_grad()
    def _logits(self, model: nn.Module) -> Tensor:
        return torch.cat([model(x).float() for x in self._compared])


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
    measured += [(each.replacements, each.measured) for each in advice.combinations if each.measured is not None]
    found: dict[Choice, Effect] = {}
    for replacements, effect in sorted(measured, key=lambda pair: -pair[1].change):
        at = dict(places[each.at, each.after] for each in replacements if (each.at, each.after) in places)
        if len(at) == len(replacements):
            found[tuple(at.get(place, 0) for place in range(len(moves.slots)))] = effect
    if not found:
        raise NATError(f"advice: it is of '{advice.model}', and has no move of this model")
    for choice, effect in found.items():
        yield moves.apply(choice), measurement(effect.change**2, effect.agreement)
