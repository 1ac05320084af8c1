"""Values of any type, in a choice that is searched or stays as it is, come back as what they are."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Any

import nni
import numpy as np
import pytest
import torch
from nat_nni import NAT, RandomSearch, export_module, to_network, to_sample
from nat_nni.experiment.engine import check_message
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, ParametrizedModule
from nni.nas.space import SimplifiedModelSpace
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import key
from tests.adapters.nni.nni_experiments import Scored
from tests.adapters.nni.nni_spaces import conv

SHAPE = (3, 8, 8)


class Shade(str, enum.Enum):
    """A text that is none."""

    DARK = "dark"
    LIGHT = "light"


class Told:
    """A value with an address in its text, which NNI copies."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


VALUES: dict[str, list[Any]] = {
    "tuple": [(6, 3), (8, 5)],
    "nested": [((6, 3), ["a", (1,)]), ((6, 3), ["a", (2,)])],
    "numpy": [np.int64(3), np.int64(5)],
    "numpy float": [np.float32(0.25), np.float32(0.5)],
    "text": ["3", "5"],
    "none": [None, 0],
    "bool": [True, False],
    "bool and number": [True, 2],
    "float": [0.1, 1e-7],
    "class": [nn.ReLU, nn.GELU],
    "function": [torch.relu, torch.tanh],
    "enum": [Shade.DARK, Shade.LIGHT],
    "dict": [{"k": 3}, {"k": 5}],
    "object": [Told("one"), Told("two")],
}


class Wide(ModelSpace):
    """A choice that changes a width that the rest sees, so that it stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        both = nni.choice("vc", VALUES["tuple"])
        self.stem = MutableConv2d(3, both[0], both[1], padding=both[1] // 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.body = LayerChoice({"wide": conv(3, 3, 5), "slim": conv(3, 3, 3), "same": nn.Identity()}, label="body")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.stem(self.body(x))).flatten(1)


class Set(ParametrizedModule):
    """A module that is given any value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value, self.layer = value, nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Given(ModelSpace):
    """A module that is given any value, and a choice beside it."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.given = Set(nni.choice("value", values))
        self.body = LayerChoice({"wide": conv(3, 3, 5), "slim": conv(3, 3, 3)}, label="body")
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.given(x)).mean((2, 3)))


def run(space: Any, strategy: Any, trials: int) -> list[Any]:
    strategy(
        SimplifiedModelSpace.from_model(space, Scored(lambda sample: len(str(sample)))),
        SequentialExecutionEngine(trials),
    )
    return [model.sample for model in strategy.list_models(sort=False)]


def test_a_tuple_that_changes_a_width_stays_one(tmp_path: Path) -> None:
    space, start = Wide(), {"vc": (6, 3), "body": "wide"}
    path = tmp_path / "search.json"
    found = run(space, NAT(initial=start, input=SHAPE, rules="nat++", checkpoint=path), 2)
    assert found[0] == start
    assert [type(sample["vc"]) for sample in found] == [tuple] * 2
    again = NAT(initial=start, input=SHAPE, rules="nat++", checkpoint=path)
    more = run(space, again, 3)
    assert more[:2] == found
    assert {sample["body"] for sample in more} == {"wide", "slim", "same"}
    assert all(sample["vc"] == (6, 3) and space.freeze(sample) is not None for sample in more)
    second = NAT(initial=start, input=SHAPE, rules="nat++")
    model_space = SimplifiedModelSpace.from_model(space, Scored())
    second.initialize(model_space, SequentialExecutionEngine(3))
    second.load_state_dict(json.loads(json.dumps(again.state_dict())))
    assert [model.sample for model in second.list_models(sort=False)] == more


def test_a_sample_from_json_is_the_same_with_lists(tmp_path: Path) -> None:
    space, path = Wide(), tmp_path / "sample.json"
    path.write_text(json.dumps({"vc": (8, 5), "body": "same"}))
    sample = {"vc": (8, 5), "body": "same"}
    assert to_sample(space, to_network(space, json.loads(path.read_text()), SHAPE)) == sample
    assert run(space, RandomSearch(initial=path, input=SHAPE), 1) == [sample]
    exported = export_module(space, json.loads(path.read_text()), torch.zeros(2, *SHAPE))
    assert exported(torch.zeros(2, *SHAPE)).shape == (2, 8)


@pytest.mark.parametrize("name", VALUES)
def test_any_value_comes_back_as_it_is(name: str, tmp_path: Path) -> None:
    values = VALUES[name]
    space, path = Given(values), tmp_path / "search.json"
    keys = set()
    for value in values:
        sample = {"value": value, "body": "wide"}
        network = to_network(space, sample, SHAPE)
        back = to_sample(space, network)["value"]
        assert back is value or (type(back) is type(value) and back == value)
        keys.add(key(network))
    assert len(keys) == 2
    start = {"value": values[1], "body": "wide"}
    found = run(space, RandomSearch(initial=start, input=SHAPE, rules="nat++", checkpoint=path), 2)
    again = run(space, RandomSearch(initial=start, input=SHAPE, rules="nat++", checkpoint=path), 2)
    assert len(found) == 2
    for sample in found + again:
        assert type(sample["value"]) is type(values[1])
        assert space.contains(sample)


def evaluate(model: Any, both: tuple[int, int]) -> None:
    nni.report_final_result(float(hash(both) != 0))


def test_a_value_of_the_evaluator_is_read_as_those_of_the_space_are() -> None:
    evaluator = FunctionalEvaluator(evaluate, both=nni.choice("both", [(1, 2), (3, 4)]))
    start = json.loads(json.dumps({"vc": (6, 3), "body": "wide", "both": (3, 4)}))
    search = RandomSearch(initial=start, input=SHAPE, rules="nat++")
    search(SimplifiedModelSpace.from_model(Wide(), evaluator), SequentialExecutionEngine(2))
    assert [model.sample["both"] for model in search.list_models(sort=False)] == [(3, 4)] * 2


def test_true_is_not_1() -> None:
    space = Given([True, 2])
    with pytest.raises(NATError, match=r"sample: 'value' is 1; allowed: True, 2"):
        to_network(space, {"value": 1, "body": "wide"}, SHAPE)
    with pytest.raises(NATError, match=r"sample: 'value' is \[6, True\]; allowed"):
        to_network(Given([(6, 1), (8, 5)]), {"value": [6, True], "body": "wide"}, SHAPE)


def test_a_value_that_nni_itself_loses_on_the_way_to_a_trial_is_said() -> None:
    class Remote:
        nodejs_binding = None

    model = SimplifiedModelSpace.from_model(Wide(), Scored()).freeze({"vc": (6, 3), "body": "wide"})
    check_message(SequentialExecutionEngine(1), model)
    with pytest.raises(NATError, match=r"refuses there what comes back of \{'vc': \(6, 3\)") as error:
        check_message(Remote(), model)
    assert "\n" not in str(error.value)
