"""Which labels are searched, which are not and why, is said once, when a search starts."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import nni
import pytest
import torch
from nat_nni import NAT, RandomSearch
from nni.mutable import ExpressionConstraint
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.hub.pytorch import DARTS, ENAS, NasBench101
from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableDropout, MutableLinear, Repeat
from nni.nas.space import SimplifiedModelSpace, model_context
from torch import nn

from nat_plugin.errors import NATError
from tests.adapters.nni.nni_experiments import Scored
from tests.adapters.nni.nni_samples import drawn
from tests.adapters.nni.nni_spaces import Bare, conv

DIGITS = (1, 28, 28)


class Separable(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(c_in, c_in, 3, groups=c_in)
        self.pointwise = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class Hello(ModelSpace):
    """Like the space of NNI's first tutorial: 18 models, of which moves of nat++ reach two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = LayerChoice([nn.Conv2d(8, 16, 3, 1), Separable(8, 16)], label="conv2")
        self.dropout1 = MutableDropout(nni.choice("dropout", [0.25, 0.5, 0.75]))
        self.dropout2 = nn.Dropout(0.5)
        feature = nni.choice("feature", [16, 32, 64])
        self.fc1 = MutableLinear(16, feature)
        self.fc2 = MutableLinear(feature, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout1(self.conv2(torch.relu(self.conv1(x))).mean((2, 3)))
        return self.fc2(self.dropout2(torch.relu(self.fc1(x))))


HELLO = {"conv2": 0, "dropout": 0.5, "feature": 32}


def run(space: Any, strategy: Any, trials: int | None, caplog: pytest.LogCaptureFixture) -> tuple[list[Any], list[str]]:
    """The samples that were tried, and what was said."""
    caplog.clear()
    evaluator = Scored(lambda sample: len(str(sample)))
    with caplog.at_level(logging.INFO, "nni"):
        strategy(SimplifiedModelSpace.from_model(space, evaluator), SequentialExecutionEngine(trials))
    said = [each.getMessage() for each in caplog.records if each.name == "nni.nat_nni"]
    return [model.sample for model in strategy.list_models(sort=False)], said


def test_what_stays_as_it_is_is_said_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    models, said = run(Hello(), RandomSearch(initial=HELLO, rules="nat++", input=DIGITS), None, caplog)
    assert len(models) == 2
    assert said == [
        "random searches 1 of 3 labels under rules 'nat++', 2 combinations before the budget: 'conv2'",
        "'dropout' stays as given: rules 'nat++' allow nothing else there; 'nat++equal' would",
        "'feature' stays as given: it changes shapes that the rest of the model sees",
        "random has nothing more to propose after 2 models.",
    ]


def test_what_costs_the_same_is_exchanged_under_a_rule_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    models, said = run(Hello(), RandomSearch(initial=HELLO, rules="nat++equal", input=DIGITS), None, caplog)
    assert len({str(sample) for sample in models}) == len(models) == 6
    assert {sample["dropout"] for sample in models} == {0.25, 0.5, 0.75}
    assert said[0] == (
        "random searches 2 of 3 labels under rules 'nat++equal', 6 combinations before the budget: 'conv2', 'dropout'"
    )


def test_under_plain_rules_the_wider_ones_are_named(caplog: pytest.LogCaptureFixture) -> None:
    _, said = run(Hello(), NAT(initial=HELLO, input=DIGITS), 3, caplog)
    assert (
        "'conv2' stays as given: rules 'nat' allow nothing else there; 'nat++', 'nat++equal', 'nat++inputs' would"
        in said
    )
    assert said[0].endswith("searches 0 of 3 labels under rules 'nat', 1 combination before the budget: none")
    first, last = (line for line in said if line.startswith("Prior: policy 'general', trained on NAS-Bench-201; "))
    assert "it has not learned this search space" in first
    assert first.endswith("Too little was measured to judge it.")
    assert last.startswith(first[:80])


def test_where_no_random_sample_can_be_transformed_the_reason_is_in_the_error() -> None:
    search = NAT(input=DIGITS)
    with pytest.raises(NATError, match=r"nat searches 0 of 3 labels under rules 'nat'.*'nat\+\+equal'") as error:
        search(SimplifiedModelSpace.from_model(Hello(), Scored()), SequentialExecutionEngine(3))
    assert "\n" not in str(error.value)


def test_an_input_without_any_edge_says_why_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    space = Bare(lambda: MutableConv2d(3, nni.choice("width", [6, 8]), 3))
    with caplog.at_level(logging.INFO, "nni"), pytest.raises(NATError, match="its edges are all fixed"):
        search = NAT(initial={"width": 6}, input=(3, 8, 8))
        search(SimplifiedModelSpace.from_model(space, Scored()), SequentialExecutionEngine(3))
    assert "'width' stays as given: it changes shapes that the rest of the model sees" in caplog.text


class Tied(ModelSpace):
    """Two kernels that a constraint ties together."""

    def __init__(self) -> None:
        super().__init__()
        one, two = nni.choice("one", [1, 3]), nni.choice("two", [1, 3, 5])
        self.add_mutable(ExpressionConstraint(one + two == 6, label="six"))
        self.stem = MutableConv2d(3, 8, one, padding=one // 2)
        self.body = MutableConv2d(8, 8, two, padding=two // 2)
        self.mix = LayerChoice({"conv": conv(8, 8, 3), "same": nn.Identity()}, label="mix")
        self.head = nn.Linear(8, 2)

    def freeze(self, sample: dict[str, Any]) -> Any:
        with model_context(sample):
            return Tied()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.body(self.stem(x))).mean((2, 3)))


def test_a_constraint_that_fixes_labels_is_named(caplog: pytest.LogCaptureFixture) -> None:
    start = {"one": 3, "two": 3, "mix": "conv"}
    models, said = run(Tied(), NAT(initial=start, input=(3, 8, 8)), 4, caplog)
    assert len(models) == 2
    assert "'one', 'two' stay as given: the constraint 'six' ties labels together" in said
    assert "'six' stays as given: a constraint, and no choice" in said


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2\nshapes cannot be multiplied")


class Faulty(ModelSpace):
    """A candidate that does not run, and one of another shape; both in choices of which the rest is good."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.mix = LayerChoice({"wide": conv(8, 8, 5), "slim": conv(8, 8, 3), "broken": Broken()}, label="mix")
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.stem(x)).mean((2, 3)))


def test_a_candidate_that_does_not_run_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    models, said = run(Faulty(), RandomSearch(initial={"mix": "wide"}, rules="nat++", input=(3, 8, 8)), None, caplog)
    assert [sample["mix"] for sample in models] == ["wide", "slim"]
    assert [line for line in said if "not offered" in line] == [
        "not offered: 'mix=broken': RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    ]


class Deep(ModelSpace):
    """Blocks that may be left out, with a skip of their own or without."""

    def __init__(self, has_skip: bool) -> None:
        super().__init__()
        other = nn.Identity if has_skip else Broken
        self.blocks = Repeat(lambda at: LayerChoice([conv(3, 3, 1), other()], label=f"op{at}"), (1, 3), label="depth")
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("has_skip", "depth", "expected"),
    [
        (True, 3, "'depth' stays as given: its blocks have skips of their own, which leave them out"),
        (False, 1, "'depth' stays as given: it has as few blocks as it can have"),
        (False, 1, "'op0' stays as given: no other candidate is offered"),
        (False, 1, "'op1', 'op2' stay as given: no input uses it"),
    ],
)
def test_a_label_that_an_input_uses_is_not_said_to_be_unused(
    has_skip: bool, depth: int, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    start = {"depth": depth, "op0": 0, "op1": 0, "op2": 0}
    with caplog.at_level(logging.INFO, "nni"), contextlib.suppress(NATError):  # of an input without any edge
        search = NAT(initial=start, rules="nat++", input=(3, 8, 8))
        search(SimplifiedModelSpace.from_model(Deep(has_skip), Scored(len)), SequentialExecutionEngine(1))
    assert expected in [each.getMessage() for each in caplog.records]


def test_what_follows_from_other_labels_is_not_counted_as_searched(caplog: pytest.LogCaptureFixture) -> None:
    space = NasBench101(stem_out_channels=8, num_stacks=2, num_modules_per_stack=1)
    search = RandomSearch(initial=drawn(space, 0), rules="nat++", input=(3, 8, 8))
    _, said = run(space, search, 1, caplog)
    assert "'cell/op" in said[0]
    assert "cell/final" not in said[0]
    assert "'cell/final' stays as given: it follows from the others" in said


@pytest.mark.parametrize("kind", [DARTS, ENAS])
def test_spaces_of_the_hub_say_what_they_keep(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    space = kind(width=(4, 8), num_cells=3, dataset="cifar")
    start = {**drawn(space, 0), "width": 4}
    _, said = run(space, RandomSearch(initial=start, rules="nat++equal", input=(3, 8, 8)), 1, caplog)
    assert any("stay as given: an edge keeps its source" in line for line in said)
    assert "'width' stays as given: it is the size of the whole network" in said
    count = sum("/op_" in label for label in start)
    assert int(said[0].split()[2]) <= count
    assert f"of {2 * count + 1} labels" in said[0]


def test_it_is_said_where_nni_says_its_own() -> None:
    log = logging.getLogger("nni.nat_nni")
    assert log.isEnabledFor(logging.INFO)
    assert log.propagate
    assert log.parent is logging.getLogger("nni")
