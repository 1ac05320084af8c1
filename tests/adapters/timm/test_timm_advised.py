"""``compact`` by an advice: single moves are told, combinations fitted in closed form, nothing is trained."""

from __future__ import annotations

from itertools import islice
from typing import Any

import nat_timm
import numpy as np
import pytest
import torch
from nat_timm.compacting.fitted import FittedEvaluator, FittedScores, told
from nat_timm.compacting.session import CompactionSession
from nat_timm.compacting.settings import SessionSettings
from nat_timm.networks import moved_document
from nat_timm.training.tuning import Tuning
from torch import Tensor, nn

from nat_plugin.advising.advice import Advice
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.ir import Budget, Choice, Limits, Moves, Network, cost, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.search.base import Proposal
from tests.adapters.timm.samples import images, lively

SIZE = 32
NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively(NAME)


@pytest.fixture(scope="module")
def advice(model: nn.Module) -> Advice:
    return nat_timm.advise(model, images(SIZE, 48))


@pytest.fixture(scope="module")
def batches() -> list[tuple[Tensor, Tensor]]:
    return [(x, torch.arange(len(x)) % 7) for x in images(SIZE, 64).split(32)]


def network_of(model: nn.Module) -> Network:
    return nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)


def session_of(model: nn.Module, batches: Any) -> CompactionSession:
    return CompactionSession(model, batches, batches, SessionSettings(input=(3, SIZE, SIZE), device="cpu", fits=True))


def test_what_the_advice_measured_is_told_the_worst_first(model: nn.Module, advice: Advice) -> None:
    """What is only faster too, where that is asked for."""
    moves = Moves(network_of(model), find_rule("nat++"), Limits(held_elsewhere=True))
    found = list(told(advice, moves))
    changes = [measured.details["change"] for _, measured in found]
    assert changes == sorted(changes, reverse=True)
    singles = [each for each, _ in found if sum(index > 0 for index in moves.choice(each)) == 1]
    assert len(set(singles)) == len(advice.moves)
    saved = {cost(moves.network).macs - cost(network).macs for network in singles}
    assert saved == {move.macs for move in advice.moves}
    measured = {(each.macs, each.measured.change) for each in advice.combinations if each.measured is not None}
    assert measured
    assert measured <= {(cost(moves.network).macs - cost(each).macs, of.details["change"]) for each, of in found}


def test_after_a_search_by_advice_choices_within_any_limit_come_in_order_of_harm(
    model: nn.Module, advice: Advice, batches: Any
) -> None:
    session = session_of(model, batches)
    strategy = plugins().find("strategies", "random")
    settings = SearchSettings(warmup=0, rounds=1, proposals=2, steps=0)
    assert session.ranking is None
    session.advised(strategy(session.task({"macs": "0.8x"}), strategy.Settings()), advice, settings)
    assert session.ranking is not None
    moves = Moves(session.network, session.rule, Budget.parse({"macs": "0.9x"}).resolve(session.network))
    harms = {moves.choice(network): -found.gain for network, found in told(advice, moves)}

    def harm(choice: Choice) -> float:
        alone = ((*moves.identity[:slot], index, *moves.identity[slot + 1 :]) for slot, index in enumerate(choice))
        return sum(harms.get(each, 0.0) for each in alone)

    found = list(islice(session.ranking(moves), 8))
    assert all(map(moves.admits, found))
    rng = np.random.default_rng(0)
    assert harm(found[0]) < min(harm(moves.sample(rng)) for _ in range(50))


def test_after_a_search_by_advice_cuts_are_made_in_closed_form_without_fits_too(
    model: nn.Module, advice: Advice, batches: Any
) -> None:
    session = CompactionSession(model, batches, batches, SessionSettings(input=(3, SIZE, SIZE), device="cpu"))
    moves = Moves(session.network, find_rule("nat++"))
    singles = [_single(moves, at, n) for at, ops in enumerate(moves.candidates) for n in range(1, len(ops))]
    cut, edit = next(
        (network, edit) for network in singles for edit in moved_document(network).edits if edit.op == "hidden"
    )
    ways = []
    for is_advised in (False, True):
        if is_advised:
            strategy = plugins().find("strategies", "random")
            settings = SearchSettings(warmup=0, rounds=1, proposals=1, steps=0)
            session.advised(strategy(session.task({"macs": "0.8x"}), strategy.Settings()), advice, settings)
        ways.append(session.tune(cut, Tuning(epochs=0)).model)
    before, after = (each.get_submodule(edit.at[-1]).weight for each in ways)
    assert before.shape == after.shape
    assert not torch.equal(before, after)


def _single(moves: Moves, at: int, number: int) -> Network:
    return moves.apply([number if place == at else 0 for place in range(len(moves.slots))])


def test_an_advice_of_another_model_is_refused(advice: Advice) -> None:
    other = Moves(network_of(lively("test_resnet")), find_rule("nat++"))
    with pytest.raises(NATError, match=f"advice: it is of '{NAME}', and has no move of this model"):
        list(told(advice, other))


def test_a_network_scores_by_how_far_its_output_is_from_the_model(model: nn.Module) -> None:
    network = network_of(model)
    context = EvaluatorContext((network,), find_rule("nat++"), None, Compute(torch.device("cpu")))
    x, test = images(SIZE, 32), images(SIZE, 16, seed=5)
    evaluator = FittedEvaluator(context, FittedScores(model, network, [x], [test]))
    moves = Moves(network, find_rule("nat++"), Budget.parse({"macs": "0.7x"}).resolve(network))
    after = moves.apply(moves.sample(np.random.default_rng(0)))
    same, found = evaluator.measure([Proposal(n, network, each) for n, each in enumerate((network, after))])
    assert same is not None
    assert found is not None
    assert (same.gain, same.details["agreement"]) == (pytest.approx(0, abs=1e-6), 1)
    made = nat_timm.inherit(model, after)
    nat_timm.fit(made, model, [x])
    with torch.no_grad():
        ours, its = made(test), model(test)
    square = (ours - its).square().sum() / (its - its.mean(0)).square().sum()
    assert found.gain == pytest.approx(-float(square), rel=1e-4)


def test_a_network_that_several_strategies_propose_is_fitted_once(
    model: nn.Module, advice: Advice, batches: list[tuple[Tensor, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, asked, lengths = session_of(model, batches), list[Network](), SearchSettings(warmup=0, rounds=1, steps=0)
    logits = FittedScores.logits

    def counted(scores: FittedScores, network: Network) -> Tensor:
        asked.append(network)
        return logits(scores, network)

    monkeypatch.setattr(FittedScores, "logits", counted)
    for _ in range(2):
        kind = plugins().find("strategies", "knapsack")
        evaluated = session.advised(kind(session.task({"macs": "0.7x"}, 4), kind.Settings()), advice, lengths)
    assert len(asked) == len(set(asked)) == evaluated - 1  # the model is among those that are known


@pytest.mark.parametrize("name", ["nat", "knapsack", "greedy"])
def test_a_search_by_advice_finds_combinations_without_shared_weights(
    model: nn.Module, advice: Advice, batches: list[tuple[Tensor, Tensor]], name: str
) -> None:
    session = session_of(model, batches)
    kind, task = plugins().find("strategies", name), session.task({"macs": "0.7x"}, 4)
    strategy = kind(task, kind.Settings())
    lengths = SearchSettings(warmup=0, rounds=2, proposals=2, steps=0)
    assert session.advised(strategy, advice, lengths) == 5  # the model and four combinations
    assert not session.is_adapted
    limits = task.budget.resolve(session.network)
    found = strategy.finalists(session.network, 8)
    assert found
    assert all(limits.fit(network) for network in found)


def test_compact_by_advice_is_within_the_budget_and_trains_no_shared_weights(
    model: nn.Module, batches: list[tuple[Tensor, Tensor]]
) -> None:
    result = nat_timm.compact(
        model,
        batches,
        batches,
        budget={"macs": "0.7x"},
        strategy="knapsack",
        input=(3, SIZE, SIZE),
        search={"rounds": 1, "proposals": 2},
        tuning={"epochs": 0},
        candidates=1,
        fits=True,
        advice=True,
        device="cpu",
    )
    assert result.best.cost.macs <= 0.7 * result.before.cost.macs
    assert {each.how for each in result.tuned} == {"with own weights"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"advice": "yes"}, "advice is 'yes': give True, or what nat_timm.advise gives"),
        ({"advice": True, "search": {"warmup": 3}}, "search: with an advice nothing is trained; leave out warmup"),
        ({"advice": True, "search": {"steps": 3}}, "search: with an advice nothing is trained; leave out warmup"),
    ],
)
def test_what_does_not_go_with_an_advice_is_one_line(
    model: nn.Module, batches: list[tuple[Tensor, Tensor]], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(NATError, match=message):
        nat_timm.compact(model, batches, batches, budget={"macs": "0.7x"}, input=(3, SIZE, SIZE), **given)
