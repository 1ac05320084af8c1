"""What every strategy keeps: budget and rules, repeatable from a seed, resumable at any point to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts, random_ladder
from search.landscapes import landscape, run

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, find_rule, key
from nat_plugin.policy.files import load_policy, save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.search.base import Measurement, Proposal, Strategy, Task
from nat_plugin.search.evolution import EvolutionSettings, EvolutionStrategy
from nat_plugin.search.exhaustive import ExhaustiveSettings, ExhaustiveStrategy
from nat_plugin.search.greedy import GreedyStrategy
from nat_plugin.search.hill_climb import HillClimbStrategy
from nat_plugin.search.identity import IdentityStrategy
from nat_plugin.search.knapsack.strategy import KnapsackSettings, KnapsackStrategy
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy
from nat_plugin.search.neighbourhood import changed
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.search.rules.strategy import RuleSettings, RuleStrategy
from nat_plugin.search.surrogate.strategy import SurrogateSettings, SurrogateStrategy
from nat_plugin.settings import Settings, State
from tests.networks import networks

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"hidden": 8, "rounds": 1, "sources": 3, "samples": 2}
MIX = {"input": 1, "neighbours": 1, "random": 1}

MAKERS: dict[str, Callable[[Task], Strategy]] = {
    "nat": lambda task: NATStrategy(task, NATSettings(**SMALL)),
    "nat, refined": lambda task: NATStrategy(task, NATSettings(**SMALL, mix=MIX, evaluations=60, refine=0.3)),
    "nat, paper": lambda task: NATStrategy(task, NATSettings(**SMALL, encoder="paper", refine=0)),
    "random": lambda task: RandomStrategy(task, Settings()),
    "hill_climb": lambda task: HillClimbStrategy(task, Settings()),
    "evolution": lambda task: EvolutionStrategy(task, EvolutionSettings(population=4, tournament=2)),
    "surrogate": lambda task: SurrogateStrategy(task, SurrogateSettings(candidates=30)),
    "greedy": lambda task: GreedyStrategy(task, Settings()),
    "knapsack": lambda task: KnapsackStrategy(task, KnapsackSettings()),
    "exhaustive": lambda task: ExhaustiveStrategy(task, ExhaustiveSettings()),
    "rule": lambda task: RuleStrategy(task, RuleSettings(map={"*": {"sep_*": "skip", "skip": "null", "*": "skip"}})),
    "identity": lambda task: IdentityStrategy(task, Settings()),
}
WITH_PRIOR = "nat, general policy"
"""Dearer than the others, and so in fewer places."""
COMPLETE = ["random", "hill_climb", "evolution", "surrogate", "exhaustive"]
"""Those that go on until everything was proposed."""
PER_INPUT = [*COMPLETE, "greedy", "knapsack", "rule"]
"""Those that propose nothing twice for an input."""


def small_enough(kind: str, task: Task) -> bool:
    return kind != "exhaustive" or all(Moves(network, task.rule).count <= 2000 for network in task.inputs)


@settings(max_examples=20)
@given(
    st.lists(networks(most_nodes=4), min_size=1, max_size=2),
    st.sampled_from(["nat", "nat++"]),
    st.sampled_from([{}, {"macs": "1.0x"}, {"params": "0.6x"}, {"macs": "0.9x", "params": "1.0x"}, {"params": "2k"}]),
    st.integers(0, 1000),
)
def test_no_proposal_leaves_the_rules_or_the_budget(
    inputs: list[Network], rule: str, budget: dict[str, object], seed: int
) -> None:
    task = Task(tuple(inputs), find_rule(rule), Budget.parse(budget), seed)
    try:
        every = [maker(task) for kind, maker in MAKERS.items() if small_enough(kind, task)]
    except NATError:
        assume(False)
    for strategy in every:
        for _ in range(3):
            proposals = strategy.ask(5)
            for proposal in proposals:
                Moves(proposal.source, task.rule, task.budget.resolve(proposal.source)).verify(proposal.network)
                strategy.tell(proposal, Measurement(float(proposal.number % 3), 1.0))
        for source in inputs:
            moves = Moves(source, task.rule, task.budget.resolve(source))
            found = strategy.finalists(source, 4)
            keys = [key(network) for network in found]
            assert len(set(keys)) == len(keys) <= 4
            assert key(source) not in keys
            for network in found:
                moves.verify(network)
            assert strategy.finalists(source, 4) == found


def stored(state: State) -> State:
    """The state as a checkpoint would give it back: tensors by themselves, the rest through JSON."""
    tensors: list[torch.Tensor] = []

    def out(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            tensors.append(value.clone())
            return {"tensor": len(tensors) - 1}
        if isinstance(value, dict):
            assert all(isinstance(name, str) for name in value)
            return {name: out(each) for name, each in value.items()}
        return [out(each) for each in value] if isinstance(value, list) else value

    def back(value: Any) -> Any:
        if isinstance(value, dict):
            return tensors[value["tensor"]] if set(value) == {"tensor"} else {n: back(v) for n, v in value.items()}
        return [back(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(out(state), allow_nan=False)
    return back(json.loads(text))  # type: ignore[no-any-return]


def bits(state: State) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.tolist()
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return json.dumps(plain(state), sort_keys=True)


def play(strategy: Strategy, waiting: list[Proposal], turns: range) -> list[tuple[int, str]]:
    """A pool of workers that answer late, out of order, and sometimes fail."""
    asked = []
    for turn in turns:
        new = strategy.ask(1 + turn % 5)
        asked += [(proposal.number, key(proposal.network)) for proposal in new]
        waiting += new
        for _ in range(len(waiting) * 2 // 3):
            proposal = waiting.pop(turn * 7 % len(waiting))
            gain = np.sin(proposal.number) if proposal.number % 11 else None
            strategy.tell(proposal, None if gain is None else Measurement(float(gain), 0.0))
    return asked


def make(kind: str, device: torch.device) -> Strategy:
    rng = np.random.default_rng(0)
    drawn = random_ladder if kind in ("exhaustive", "surrogate", WITH_PRIOR) else random_darts
    inputs, budget = (drawn(rng), drawn(rng)), Budget.parse({"macs": "1.0x"})
    task = Task(inputs, find_rule("nat++"), budget, 3, device=device)
    return NATStrategy(task, NATSettings()) if kind == WITH_PRIOR else MAKERS[kind](task)


@pytest.mark.parametrize(
    ("kind", "cut"), [*((kind, cut) for kind in MAKERS for cut in (0, 1, 4, 9, 17)), (WITH_PRIOR, 9)]
)
def test_a_restored_strategy_goes_on_to_the_bit(kind: str, cut: int, device: torch.device) -> None:
    whole = make(kind, device)
    waiting: list[Proposal] = []
    play(whole, waiting, range(cut))
    saved, kept = stored(whole.state()), list(waiting)
    rest = play(whole, waiting, range(cut, 24))
    again = make(kind, device)
    again.restore(saved)
    assert bits(again.state()) == bits(saved)
    assert play(again, kept, range(cut, 24)) == rest
    if device.type == "cpu":
        assert bits(again.state()) == bits(whole.state())
    for source in whole.task.inputs:
        assert again.finalists(source, 5) == whole.finalists(source, 5)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_state_does_not_change_what_was_saved(kind: str) -> None:
    strategy = make(kind, CPU)
    waiting: list[Proposal] = []
    play(strategy, waiting, range(5))
    state = strategy.state()
    before = bits(state)
    play(strategy, waiting, range(5, 12))
    assert bits(state) == before


@pytest.mark.parametrize("kind", [*MAKERS, WITH_PRIOR])
def test_the_seed_decides_everything(kind: str, device: torch.device) -> None:
    first, same = (play(make(kind, device), [], range(12)) for _ in range(2))
    assert first == same


def one_ladder(kind: str, seed: int = 0) -> Strategy:
    network = ladder([3, 1, 4, 2, 3, 0])
    return MAKERS[kind](Task((network,), find_rule("nat"), Budget(), seed))


@pytest.mark.parametrize("kind", PER_INPUT)
def test_nothing_is_proposed_twice_for_an_input_and_never_the_input(kind: str) -> None:
    strategy, waiting = make(kind, CPU), list[Proposal]()
    found: dict[Network, list[str]] = {source: [key(source)] for source in strategy.task.inputs}
    for turn in range(30):
        new = strategy.ask(1 + turn % 7)
        for proposal in new:
            found[proposal.source].append(key(proposal.network))
        waiting += new
        while len(waiting) > turn % 5:
            proposal = waiting.pop(turn * 7 % len(waiting))
            gain = float("nan") if proposal.number % 9 == 4 else np.sin(proposal.number)
            strategy.tell(proposal, None if proposal.number % 7 == 3 else Measurement(float(gain), 0.0))
    for keys in found.values():
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("kind", [*COMPLETE, "nat"])
def test_any_number_can_be_asked_for_before_anything_is_told(kind: str) -> None:
    strategy = one_ladder(kind)
    proposals = [proposal for count in (8, 1, 16) for proposal in strategy.ask(count)]
    assert len(proposals) == 25
    assert [proposal.number for proposal in proposals] == list(range(25))


@pytest.mark.parametrize("outcome", ["sin", "equal", "none", "nan"])
@pytest.mark.parametrize("kind", COMPLETE)
def test_everything_is_proposed_once_whatever_comes_of_it(kind: str, outcome: str) -> None:
    strategy = one_ladder(kind)
    keys = []
    while True:
        proposals = strategy.ask(5)
        if not proposals:
            break
        for proposal in proposals:
            keys.append(key(proposal.network))
            gain = {"sin": np.sin(proposal.number), "equal": 0.0, "nan": np.nan}.get(outcome)
            strategy.tell(proposal, None if gain is None else Measurement(float(gain), 0.0))
    [network] = strategy.task.inputs
    moves = Moves(network, strategy.task.rule)
    assert sorted(keys) == sorted({key(moves.apply(choice)) for choice in moves.all()} - {key(network)})
    assert strategy.ask(1) == []


@pytest.mark.parametrize("kind", [*COMPLETE, "greedy"])
def test_finalists_are_ranked_by_gain(kind: str) -> None:
    strategy = one_ladder(kind)
    [network] = strategy.task.inputs
    score = landscape(network, find_rule("nat"), 0)
    run(strategy, score, 20)
    values = [score(each) for each in strategy.finalists(network, 5)]
    assert values == sorted(values, reverse=True)
    assert len(values) == 5


@pytest.mark.parametrize("kind", COMPLETE)
def test_what_was_measured_elsewhere_can_be_told_and_is_not_asked_again(kind: str) -> None:
    strategy = one_ladder(kind)
    [network] = strategy.task.inputs
    moves = Moves(network, strategy.task.rule)
    known = moves.apply(moves.sample(np.random.default_rng(3)))
    strategy.tell(Proposal(-1, network, known), Measurement(9.0, 0.0))
    assert strategy.finalists(network, 1) == [known]
    assert key(known) not in {key(proposal.network) for proposal in strategy.ask(1000)}


@pytest.mark.parametrize("kind", ["nat", *COMPLETE, "greedy", "knapsack"])
def test_what_is_over_the_budget_can_be_told_and_is_no_finalist(kind: str) -> None:
    """Single changes of a network that has to become much cheaper say what is in it, and none of them is a result."""
    network = one_ladder(kind).task.inputs[0]
    task = Task((network,), find_rule("nat"), Budget.parse({"macs": "0.6x"}), 0, 40)
    strategy, restored = MAKERS[kind](task), MAKERS[kind](task)
    moves = strategy.moves_of(network)
    singles = [
        changed(moves.identity, slot, i) for slot, ops in enumerate(moves.candidates) for i in range(1, len(ops))
    ]
    over = [choice for choice in singles if not moves.admits(choice)]
    assert len(over) > len(singles) / 2
    for number, choice in enumerate(over):
        strategy.tell(Proposal(-1 - number, network, moves.apply(choice)), Measurement(9.0, 0.0))
    assert all(moves.admits(moves.choice(each)) for each in strategy.finalists(network, 5))
    asked = strategy.ask(4)
    for proposal in asked:
        moves.verify(proposal.network)
        strategy.tell(proposal, Measurement(-float(proposal.number), 0.0))
    restored.restore(strategy.state())
    assert [each.network for each in restored.ask(3)] == [each.network for each in strategy.ask(3)]
    assert all(moves.admits(moves.choice(each)) for each in strategy.finalists(network, 5))


def test_nat_starts_from_a_policy_file(tmp_path: Path) -> None:
    network = random_darts(np.random.default_rng(0))
    policy = new_policy(PolicyConfig(hidden=12, rounds=2), 5, CPU)
    save_policy(policy, tmp_path / "p.safetensors")
    task = Task((network,), find_rule("nat"), Budget())
    strategy = NATStrategy(task, NATSettings(policy=str(tmp_path / "p.safetensors"), refine=0))
    run(strategy, landscape(network, task.rule, 0), 64)
    strategy.save(tmp_path / "q.safetensors")
    learned, facts = load_policy(tmp_path / "q.safetensors")
    assert learned.config == policy.config
    assert facts == {"strategy": "nat", "rules": "nat", "updates": 2, "evaluations": 64}
    assert any(not torch.equal(a, b) for a, b in zip(learned.parameters(), policy.parameters(), strict=True))


def test_an_input_in_which_nothing_can_be_changed_is_refused() -> None:
    network = ladder([3, 3], [(0, 1), (1, 2)])
    [(name, cell)] = network.cells
    fixed = network.with_cells([(name, replace(cell, edges=tuple(replace(e, choices=()) for e in cell.edges)))])
    task = Task((network, fixed), find_rule("nat"), Budget())
    for kind in MAKERS.keys() - {"identity"}:
        with pytest.raises(NATError, match="input 1 has no operation that may be changed"):
            MAKERS[kind](task)


def test_an_impossible_budget_is_found_at_once() -> None:
    network = random_darts(np.random.default_rng(0))
    task = Task((network,), find_rule("nat"), Budget.parse({"params": "0.01x"}))
    for kind in MAKERS.keys() - {"identity"}:
        with pytest.raises(NATError, match="fits the budget"):
            MAKERS[kind](task)
