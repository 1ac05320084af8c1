"""Model spaces that users write: every choice is an edge, measured on their own modules."""

from __future__ import annotations

import pytest
import torch
from adapters.nni.nni_samples import check_moved, check_sample, drawn
from adapters.nni.nni_spaces import Branches, Celled, Plain, conv
from nat_nni.mapping import describe, to_network, to_sample
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, find_rule, is_connected

SHAPE = (3, 16, 16)
PLAIN = {"mix": "wide", "depth": 3, **{f"b{n}_expand": 4 for n in range(3)}, **{f"b{n}_kernel": 5 for n in range(3)}}
BRANCHES = {"left": "conv", "right": "conv", "outer": "deep", "inner": 0, "times": 2, "shared": 0, "last": "conv"}


@pytest.mark.parametrize("kind", [Plain, Branches, Celled])
def test_costs_are_those_of_the_frozen_model_before_and_after_moves(kind: type[ModelSpace]) -> None:
    space = kind()
    for seed in range(3):
        network = check_sample(space, drawn(space, seed), SHAPE)
        for rules in ("nat", "nat++"):
            check_moved(space, network, rules, seed)


def test_value_choices_are_ordered_by_cost_and_move_together() -> None:
    space = Plain()
    network = to_network(space, PLAIN, SHAPE)
    options = {network.edge(slot).key: network.edge(slot).choices for slot in network.slots}
    names = [str(op).split(":")[1] for op in options["b0_expand+b0_kernel"]]
    assert names == ["depth/4.5", "depth/4.3", "depth/2.5", "depth/2.3", "depth/1.5", "depth/1.3"]
    assert str(options["b2_expand+b2_kernel"][-1]) == "skip", "the depth falls by leaving a block out"
    assert str(options["mix"][0]) == "opaque:mix/wide:6432,25664:1638400", "one label, two places, two costs"


def test_leaving_out_a_block_moves_the_others_up() -> None:
    space = Plain()
    network = to_network(space, {**PLAIN, "b2_expand": 1, "b2_kernel": 3}, SHAPE)
    at = [network.edge(slot).key for slot in network.slots].index("b1_expand+b1_kernel")
    moves = Moves(network, find_rule("nat"))
    choice = tuple(int(number == at) for number in range(len(network.slots)))
    moved = to_sample(space, moves.apply(choice))
    assert (moved["depth"], moved["b1_expand"], moved["b1_kernel"]) == (2, 1, 3)
    assert len(to_network(space, moved, SHAPE).by_name["depth"].edges) == 2


def test_zeros_are_null_where_the_model_works_without() -> None:
    network = to_network(Branches(), {**BRANCHES, "pick": [1]}, SHAPE)
    choices = {edge.key: edge.choices for _, cell in network.cells for edge in cell.edges}
    nullable = {key for key, each in choices.items() if any(op.is_null for op in each)}
    assert nullable == {"left", "last"}, "not both parallel branches"
    assert not any("none" in str(op) for op in choices["right"])


def test_a_sample_whose_output_does_not_depend_on_its_input_is_read_as_such() -> None:
    assert not is_connected(to_network(Branches(), {**BRANCHES, "left": "none", "right": "none", "pick": [1]}, SHAPE))


def test_choices_inside_a_choice_count_only_where_they_are_used() -> None:
    network = to_network(Branches(), {**BRANCHES, "pick": [1]}, SHAPE)
    edge = next(edge for _, cell in network.cells for edge in cell.edges if edge.key == "outer+inner")
    assert [str(op).split(":")[1] for op in edge.choices[:2]] == ["outer/deep.0", "outer/deep.1"]
    assert [str(op) for op in edge.choices[2:]] == ["skip"]


class Tied(ModelSpace):
    """Two layers with the same weights, one of them a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Conv2d(3, 3, 3, padding=1)
        self.choice = LayerChoice([self.fixed, nn.Identity()], label="choice")
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.choice(self.fixed(x)).mean((2, 3)))


class Widening(ModelSpace):
    """A choice whose candidates give different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = LayerChoice({"one": conv(3, 8, 1), "two": conv(3, 8, 1, stride=2)}, label="choice")
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.choice(x).mean((2, 3)))


def test_a_choice_that_changes_shapes_stays_as_it_is_and_says_why() -> None:
    space = Widening()
    network = check_sample(space, {"choice": "two"}, SHAPE)
    assert network.slots == ()
    plan = describe(space).plan({"choice": "two"}, SHAPE)  # type: ignore[attr-defined]
    assert plan.fixed == {"choice": "it changes shapes that the rest of the model sees"}


def test_wrong_input_is_refused_in_one_line() -> None:
    with pytest.raises(NATError, match=r"Plain: say of which size its images are: input=\(channels, height, width\)"):
        to_network(Plain(), PLAIN)
    with pytest.raises(NATError, match=r"Plain: this sample does not run on images of \(1, 16, 16\)"):
        to_network(Plain(), PLAIN, (1, 16, 16))
    with pytest.raises(NATError, match="sample: Plain refuses it"):
        to_network(Plain(), {"mix": "wide"}, SHAPE)
    with pytest.raises(NATError, match="are the same weights"):
        to_network(Tied(), {"choice": 0}, SHAPE)
