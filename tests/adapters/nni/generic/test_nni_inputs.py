"""Input choices of spaces that users write: which inputs may be taken, and what that costs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adapters.nni.nni_experiments import Scored, experiment
from adapters.nni.nni_samples import check_moved, check_sample, drawn
from adapters.nni.nni_spaces import Zero, conv
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from nat_nni import NAT
from nat_nni.export.counting import count_frozen
from nat_nni.generic.space import SamplePlan
from nat_nni.mapping import describe, to_network, to_sample
from nni.nas.nn.pytorch import Cell, InputChoice, LayerChoice, ModelSpace, MutableModule, Repeat
from nni.nas.space import model_context
from torch import nn

from nat_plugin.ir import NULL, SKIP, Moves, canonical, cost, find_rule, is_connected
from nat_plugin.plugins import plugins

SHAPE = (3, 8, 8)
plugins()  # which bring the rules
RULES = ("nat", "nat++", "nat++inputs")


class Wired(ModelSpace):
    """One, two or any number of three branches go on, added up or side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.one, self.two = conv(8, 8, 3), conv(8, 8, 1)
        self.mid = LayerChoice({"big": conv(8, 8, 5), "small": conv(8, 8, 3), "same": nn.Identity()}, label="mid")
        self.single = InputChoice(3, n_chosen=1, label="single")
        self.pair = InputChoice(3, n_chosen=2, reduction="sum", label="pair")
        self.many = InputChoice(3, n_chosen=None, reduction="sum", label="many")
        self.joined = InputChoice(3, n_chosen=2, reduction="concat", label="joined")
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.single([x, self.one(x), self.two(x)])
        x = self.pair([x, self.one(x), self.mid(x)])
        more = self.many(candidate_inputs=[x, self.one(x), self.two(x)])
        x = x if more is None else x + more
        return self.head(self.joined([x, self.one(x), self.two(x)]).mean((2, 3)))


class Inner(nn.Module):
    def __init__(self, label: str) -> None:
        super().__init__()
        self.conv = LayerChoice([conv(8, 8, 3), conv(8, 8, 1)], label=f"{label}_conv")
        self.take = InputChoice(2, n_chosen=None, reduction="mean", label=f"{label}_take")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        taken = self.take([x, self.conv(x)])
        return x if taken is None else taken


class Nested(ModelSpace):
    """Input choices inside of other choices, one that is duplicated, a part that can be nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.outer = LayerChoice({"deep": Inner("outer"), "flat": conv(8, 8, 3)}, label="outer")
        self.blocks = Repeat(lambda index: Inner(f"b{index}"), (1, 2), label="depth")
        self.first, self.second = (InputChoice(2, n_chosen=1, label="twice") for _ in range(2))
        self.last = LayerChoice({"conv": conv(8, 8, 3), "none": Zero()}, label="last")
        self.any = InputChoice(2, n_chosen=None, label="any")
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.first([x, self.blocks(self.outer(x))])
        x = self.second([x, self.last(x)])
        more = self.any([x, self.last(x)])
        return self.head((x if more is None else x + more).mean((2, 3)))


class Cells(ModelSpace):
    """Two cells of NNI with the same label."""

    merge, outputs = "all", 16

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.one, self.between = self._cell(), conv(self.outputs, 8, 1, stride=2)
        self.other = self._cell()
        self.head = nn.Conv2d(self.outputs, 4, 1)

    def _ops(self) -> Any:
        return [conv(8, 8, 3), conv(8, 8, 1), nn.Identity()]

    def _cell(self) -> Cell:
        return Cell(self._ops(), num_nodes=2, num_ops_per_node=2, num_predecessors=2, merge_op=self.merge, label="cell")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.between(self.one([x, x * 2]))
        return self.head(self.other([x, x * 2])).mean((2, 3))


class Factories(Cells):
    """What the ops are depends on their input: behind the first it is dearer."""

    def _ops(self) -> Any:
        return {
            "conv": lambda node, op, source: conv(8, 8, 3 if source == 0 else 1),
            "pool": lambda node, op, source: nn.AvgPool2d(3, 1, 1),
            "skip": lambda node, op, source: nn.Identity(),
        }


class LooseEnds(Cells):
    """How many nodes are given out, and so the width behind, depends on the inputs."""

    merge = "loose_end"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.between(self._padded(self.one([x, x * 2])))
        return self.head(self._padded(self.other([x, x * 2]))).mean((2, 3))

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.outputs - x.shape[1]))


SPACES = (Wired, Nested, Cells, Factories, LooseEnds)


@cache
def built(kind: type[ModelSpace]) -> Any:
    return kind()


def plan_of(space: ModelSpace, sample: dict[str, Any]) -> SamplePlan:
    found: SamplePlan = describe(space).plan(sample, SHAPE)  # type: ignore[attr-defined]
    return found


def check_runs(space: Any, sample: dict[str, Any]) -> None:
    """The frozen model runs, and its output depends on the image."""
    torch.manual_seed(0)
    image = torch.randn(2, *SHAPE, requires_grad=True)
    space.freeze(dict(sample)).train()(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.any()


@pytest.mark.parametrize("kind", SPACES)
@given(seed=st.integers(0, 2**32 - 1), rules=st.sampled_from(RULES))
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_random_samples_and_what_they_become_cost_what_is_built(kind: type[ModelSpace], seed: int, rules: str) -> None:
    space = built(kind)
    network = check_sample(space, drawn(space, seed), SHAPE)
    sample = check_moved(space, network, rules, seed)
    if sample is not None:
        check_runs(space, sample)


@pytest.mark.parametrize("kind", SPACES)
def test_every_single_move_freezes_runs_and_costs_what_was_said(kind: type[ModelSpace]) -> None:
    """Under the widest rules, which allow what the others do."""
    space = built(kind)
    network = to_network(space, drawn(space, 3), SHAPE)
    moves = Moves(network, find_rule(RULES[-1]))
    for slot, candidates in enumerate(moves.candidates):
        for number in range(1, len(candidates)):
            choice = tuple(number if each == slot else 0 for each in range(len(moves.candidates)))
            if not moves.admits(choice):
                continue
            moved = canonical(moves.apply(choice))
            sample = to_sample(space, moved)
            assert count_frozen(space, sample, SHAPE) == cost(moved)
            check_runs(space, sample)


def test_a_fixed_number_of_inputs_changes_under_rules_of_its_own_only() -> None:
    start = {"mid": "big", "single": [0], "pair": [0, 1], "many": [1], "joined": [0, 2]}
    network = to_network(built(Wired), start, SHAPE)
    reached: dict[str, set[str]] = {rules: set() for rules in RULES}
    for rules in RULES:
        moves = Moves(network, find_rule(rules))
        for seed in range(60):
            moved = to_sample(built(Wired), moves.apply(moves.sample(np.random.default_rng(seed))))
            assert len(moved["pair"]) == len(moved["joined"]) == 2
            reached[rules] |= {f"{label} {moved[label]}" for label in ("single", "pair", "joined")}
    assert reached["nat"] == reached["nat++"] == {"single [0]", "pair [0, 1]", "joined [0, 2]"}
    pairs = [[0, 1], [0, 2], [1, 2]]
    assert reached["nat++inputs"] == {
        *(f"single {[each]}" for each in range(3)),
        *(f"{label} {each}" for label in ("pair", "joined") for each in pairs),
    }


def test_any_number_of_inputs_is_an_edge_for_each() -> None:
    start = {"mid": "big", "single": [0], "pair": [0, 1], "many": [1], "joined": [0, 2]}
    network = to_network(built(Wired), start, SHAPE)
    edges = {edge.key: edge for edge in network.by_name["many"].edges}
    assert [edges[f"many:{number}"].op for number in range(3)] == [NULL, SKIP, NULL]
    moves = Moves(network, find_rule("nat"))
    found = set()
    for choice in moves.all():
        found.add(tuple(to_sample(built(Wired), moves.apply(choice))["many"]))
    assert found == {(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}


def test_in_a_cell_inputs_change_where_the_ops_behind_them_stay_the_same() -> None:
    def others(kind: type[ModelSpace], label: str, sample: dict[str, Any]) -> set[int]:
        moves = Moves(to_network(built(kind), sample, SHAPE), find_rule("nat++inputs"))
        keys = [moves.network.edge(slot).key for slot in moves.slots]
        if label not in keys:
            return set()
        return {int(str(op).split(":")[2][1:]) for op in moves.candidates[keys.index(label)]}

    sample: dict[str, Any] = {f"cell/op_{node}_{op}": "0" for node in (2, 3) for op in (0, 1)}
    sample |= {label.replace("op", "input"): [1] for label in sample}
    assert others(Cells, "cell/input_3_0", sample) == {0, 1, 2}
    named = {label: "conv" if value == "0" else value for label, value in sample.items()}
    assert others(Factories, "cell/input_3_0", named) == {1, 2}, "behind the first input it costs more"
    assert others(Factories, "cell/input_3_0", {**named, "cell/input_3_0": [0]}) == set()
    assert others(LooseEnds, "cell/input_3_0", sample) == {0, 1}, "another node would no more be given out"


class Stubborn(ModelSpace):
    """Input choices of which none can change, each for a reason of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide = conv(3, 8, 3), conv(8, 12, 1)
        self.shapes = InputChoice(2, n_chosen=1, label="shapes")
        self.constant = InputChoice(2, n_chosen=1, label="constant")
        self.nothing = InputChoice(2, n_chosen=None, label="nothing")
        self.own = Rebuilt()
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.own(self.stem(x))
        x = self.shapes([x, self.wide(x)])[:, :8]
        x = self.constant([x, torch.ones_like(x)])
        x = self.nothing([x, torch.zeros_like(x)])
        return self.head(x.mean((2, 3)))


class Rebuilt(MutableModule):
    """A module that freezes itself: nobody else knows to what."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = InputChoice(2, n_chosen=1, label="inside")
        self.layer = conv(8, 8, 5 if getattr(self.inside, "chosen", None) == [1] else 3)

    def freeze(self, sample: Any) -> Any:
        with model_context(sample):
            return Rebuilt()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inside([x, self.layer(x)])


def test_what_cannot_change_says_why() -> None:
    space = Stubborn()
    sample = {"shapes": [0], "constant": [0], "nothing": [0, 1], "inside": [0]}
    check_sample(space, sample, SHAPE)
    needed = "with other inputs, or where other parts become nothing, the output would not depend on the image"
    assert plan_of(space, sample).fixed == {
        "inside": "a module with a freeze of its own is built around it",
        "shapes": "no other inputs cost the same and have the same shape",
        "constant": needed,
        "nothing": needed,
    }
    network = to_network(space, sample, SHAPE)
    assert network.slots == ()


class Bare(ModelSpace):
    """Any number of two inputs; without any the model fails, or gives the same for all images."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails, self.stem, self.head = fails, conv(3, 8, 3), nn.Linear(8, 5)
        self.take = InputChoice(2, n_chosen=None, label="take")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        taken = self.take([x, -x])
        if taken is None and not self.fails:
            taken = torch.zeros_like(x)
        return self.head(taken.mean((2, 3)))


@pytest.mark.parametrize("fails", [True, False])
def test_none_of_the_inputs_is_not_offered_where_the_model_needs_one(fails: bool) -> None:
    space = Bare(fails)
    network = check_sample(space, {"take": [1]}, SHAPE)
    moves = Moves(network, find_rule("nat"))
    found = [to_sample(space, moves.apply(choice))["take"] for choice in moves.all()]
    assert sorted(found) == [[0], [0, 1], [1]]


def test_a_sample_that_takes_no_input_and_needs_one_is_read_as_such() -> None:
    assert not is_connected(check_sample(Bare(fails=False), {"take": []}, SHAPE))


def score(sample: dict[str, Any]) -> float:
    """Later inputs are better, and the cheap op."""
    later = sum(sum(sample[label]) for label in ("single", "pair", "many", "joined"))
    return later + 3.0 * (sample["mid"] == "same")


@pytest.mark.usefixtures("nni_home")
def test_an_experiment_finds_better_inputs_at_no_more_cost(tmp_path: Path) -> None:
    start = {"mid": "big", "single": [0], "pair": [0, 1], "many": [0], "joined": [0, 1]}
    search = NAT(initial=start, rules="nat++inputs", budget={"macs": "1.0x", "params": "1.0x"}, input=SHAPE)
    space = Wired()
    run = experiment(tmp_path, search, 40, space=space, evaluator=Scored(score))
    run.run()
    try:
        (best,) = run.export_top_models(1, formatter="dict")
        limit = count_frozen(space, start, SHAPE)
        for model in search.list_models():
            found = count_frozen(space, model.sample, SHAPE)
            assert (found.macs <= limit.macs, found.params <= limit.params) == (True, True)
            check_runs(space, model.sample)
        assert score(best) > score(start)
        assert best["single"] != [0] or best["pair"] != [0, 1] or best["joined"] != [0, 1]
    finally:
        run.stop()
