"""Fixed rules: what a map says, what the strategy makes of it, and that fitting finds the rule behind the scores."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policy.samples import ladder, random_darts, random_ladder
from pydantic import ValidationError

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, Op, canonical, cost, find_rule, key
from nat_plugin.runs.reading import parse_yaml
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.rules.fitting import fit_rule
from nat_plugin.search.rules.op_map import OpMap, read_op_map
from nat_plugin.search.rules.strategy import RuleSettings, RuleStrategy

NAT, NAT_PLUS = find_rule("nat"), find_rule("nat++")
LADDER = ladder([3, 2, 4, 3, 1, 4])


def transformed(op_map: OpMap, network: Network, budget: dict[str, object] | None = None) -> list[str]:
    moves = Moves(network, NAT, Budget.parse(budget or {}).resolve(network))
    return [str(op) for op in moves.ops(op_map.choice(moves))]


def test_an_exact_place_goes_before_patterns_and_these_in_their_order() -> None:
    found = OpMap({
        "*": {"conv_*": "skip", "avg_pool_3x3": "skip"},
        "0->*": {"conv_3x3": "null", "skip": "null"},
        "0->1": {"conv_3x3": "conv_3x3"},
    })  # fmt: skip
    assert found.wanted("0->1", Op.parse("conv_3x3")) == Op.parse("conv_3x3")
    assert found.wanted("0->2", Op.parse("conv_3x3")) == Op.parse("skip")  # of the first pattern that has it
    assert found.wanted("0->2", Op.parse("skip")) == Op.parse("null")
    assert found.wanted("1->2", Op.parse("skip")) is None
    assert transformed(found, LADDER) == ["conv_3x3", "skip", "skip", "skip", "skip", "skip"]


def test_what_is_not_open_stays_or_gives_way() -> None:
    everything = OpMap({"*": {"*": "null"}})
    assert transformed(everything, LADDER) == ["null", "null", "null", "conv_3x3", "null", "null"]  # one path must stay
    moves = Moves(LADDER, NAT)
    moves.verify(moves.apply(everything.choice(moves)))
    larger = OpMap({"*": {"conv_1x1": "conv_3x3", "avg_pool_3x3": "skip"}})  # no move of the rules leads there
    assert transformed(larger, LADDER) == ["conv_3x3", "conv_1x1", "skip", "conv_3x3", "skip", "skip"]
    poorer = transformed(OpMap({"1->3": {"skip": "null"}}), LADDER, {"params": "0.99x"})
    assert poorer == ["conv_3x3", "skip", "avg_pool_3x3", "conv_3x3", "null", "avg_pool_3x3"]  # the cheapest that does


def test_one_proposal_for_each_input_which_is_the_result_whatever_was_measured() -> None:
    inputs = (LADDER, ladder([1, 1, 1, 1, 1, 1]), ladder([3, 3, 3, 3, 3, 3]))
    strategy = RuleStrategy(Task(inputs, NAT, Budget()), RuleSettings(map={"*": {"conv_3x3": "skip"}}))
    proposals = strategy.ask(10)
    assert [proposal.source for proposal in proposals] == [inputs[0], inputs[2]]  # the other stays as it is
    assert strategy.ask(10) == []
    assert strategy.finalists(inputs[1], 3) == []
    for proposal in proposals:
        assert strategy.finalists(proposal.source, 3) == [proposal.network]
        strategy.tell(proposal, Measurement(-1.0, 0.0))
        assert strategy.finalists(proposal.source, 3) == [proposal.network]
        assert Op.parse("conv_3x3") not in proposal.network.ops


def test_null_without_quotes_is_the_op() -> None:
    given: dict[Any, Any] = {"0->1": {None: "skip", "skip": None}}
    settings = RuleSettings(map=given)
    assert settings.map == {"0->1": {"null": "skip", "skip": "null"}}
    assert RuleSettings(**settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give either map"),
        ({"map": {"*": {"*": "skip"}}, "file": "x.json"}, "give either map"),
        ({"map": {"0->1": {"conv_3x3": "jump"}}}, "place '0->1': .*jump"),
        ({"map": {"0->1": {"jump": "skip"}}}, "place '0->1': .*jump"),
        ({"map": {"0->1": "skip"}}, "0->1"),
        ({"map": "skip"}, "map"),
        ({"map": {"0->1": {"skip": True}}}, "skip"),
    ],
)
def test_settings_that_say_nothing_sensible_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RuleSettings(**given)


def test_a_map_for_other_places_is_refused() -> None:
    with pytest.raises(NATError, match=r"no place in the map exists in the input, which has 0->1, 0->2"):
        RuleStrategy(Task((LADDER,), NAT, Budget()), RuleSettings(map={"normal/*": {"skip": "null"}}))


def test_a_map_is_a_file_to_read(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    found = OpMap({"0->1": {"null": "skip", "avg_pool_*": "skip"}, "*": {"conv_3x3": "null"}})
    found.write(path)
    assert read_op_map(path) == found
    assert json.loads(path.read_text()) == found.after
    strategy = RuleStrategy(Task((LADDER,), NAT, Budget()), RuleSettings(file=str(path)))
    assert [str(op) for op in strategy.ask(1)[0].network.ops] == transformed(found, LADDER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("[]", "document"),
        ('{"0->1": {"skip": 3}}', "0->1.skip"),
        ('{"0->1": {"skip": "jump"}}', "place '0->1'"),
        ('{"a": {}, "a": {}}', "duplicated"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_map_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "map.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NATError, match=said) as error:
        RuleStrategy(Task((LADDER,), NAT, Budget()), RuleSettings(file=str(path)))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_the_map_in_the_documentation_is_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "strategies.md"
    [block] = re.findall(r"^    strategy:\n(?:     .*\n)+", page.read_text(), re.MULTILINE)
    given = parse_yaml(textwrap.dedent(block), "strategies.md")["strategy"]
    assert given.pop("name") == "rule"
    found = OpMap(RuleSettings(**given).map or {})
    assert transformed(found, ladder([0, 2, 4, 3, 1, 4])) == ["skip", *transformed(OpMap({}), LADDER)[1:]]


def points(network: Network) -> float:
    """A point for every live convolution 1x1, one less for every live one 3x3."""
    texts = [str(op) for op in canonical(network).ops]
    return texts.count("conv_1x1") - texts.count("conv_3x3")


def mean_gain(op_map: OpMap, inputs: list[Network], score: Callable[[Network], float]) -> float:
    moves = [Moves(network, NAT) for network in inputs]
    return float(np.mean([score(each.apply(op_map.choice(each))) - score(each.network) for each in moves]))


def test_the_rule_behind_the_scores_is_found() -> None:
    rng = np.random.default_rng(0)
    inputs, held = ([random_ladder(rng) for _ in range(60)] for _ in range(2))
    asked: list[Network] = []

    def score(network: Network) -> float:
        asked.append(network)
        return points(network)

    found = fit_rule(inputs, NAT, score, starts=2)
    plain = OpMap({"*": {"conv_3x3": "skip"}})
    assert len(found.op_map.after) == 6
    for ops in found.op_map.after.values():
        assert ops["conv_3x3"] in ("skip", "null")
        assert "conv_1x1" not in ops
    assert found.gain == pytest.approx(mean_gain(found.op_map, inputs, points))
    assert found.gain >= mean_gain(plain, inputs, points)
    assert mean_gain(found.op_map, held, points) > 0.9 * mean_gain(plain, held, points)
    assert found.evaluations == len(asked) == len(set(map(key, asked)))  # what computes the same is measured once
    assert fit_rule(inputs, NAT, points, starts=2) == found


def test_fitting_leaves_out_inputs_without_a_score_and_keeps_where_a_change_has_none() -> None:
    rng = np.random.default_rng(1)
    inputs = [random_ladder(rng) for _ in range(30)]
    nothing = fit_rule(inputs, NAT, lambda network: None)
    assert (nothing.op_map.after, nothing.gain, nothing.evaluations) == ({}, 0.0, len(set(map(key, inputs))))
    failing = fit_rule(inputs[:1], NAT, lambda network: points(network) if network is inputs[0] else None)
    assert (failing.op_map.after, failing.gain) == ({}, 0.0)


def test_fitting_keeps_the_budget() -> None:
    network = random_darts(np.random.default_rng(0))
    seen: list[int] = []

    def score(each: Network) -> float:
        seen.append(cost(each).macs)
        return sum(str(op).startswith("dil_conv") for op in each.ops)

    found = fit_rule([network], NAT_PLUS, score, Budget.parse({"macs": "0.9x"}), starts=2)
    assert found.gain > 0
    assert all(macs <= 0.9 * cost(network).macs for macs in seen[1:])


SECTION_5 = {
    **{place: {"null": "skip", "avg_pool_3x3": "skip"} for place in ("0->1", "1->2", "0->3", "2->3")},
    **{place: {"skip": "null", "avg_pool_3x3": "null"} for place in ("0->2", "1->3")},
}
"""The fixed rule for NAS-Bench-201: skip, or nothing, by the edge; convolutions stay."""


def test_fitting_finds_the_fixed_rule_of_nas_bench_201(nb201: Any) -> None:
    networks = nb201.sample(240, seed=3)
    found = fit_rule(networks, NAT, nb201.validation, starts=4)
    known = OpMap(SECTION_5)

    assert found.gain == pytest.approx(mean_gain(found.op_map, networks, nb201.validation), abs=0.05)
    assert found.gain >= mean_gain(known, networks, nb201.validation) - 0.05
    same = sum(found.op_map.after.get(p, {}).get(b) == a for p, ops in SECTION_5.items() for b, a in ops.items())
    assert same >= 10  # of 12
    held = nb201.sample(300, seed=4, least=90)
    assert mean_gain(known, held, nb201.test) == pytest.approx(0.52, abs=0.15)
    assert mean_gain(found.op_map, held, nb201.test) > 0.25
