"""What a script gives is held to what it has to be before anything is trained, and refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nat_nni
import numpy as np
import pytest
from nat_nni import NAT, Evolution, HillClimb, RandomSearch, SearchStrategy, to_network

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget
from tests.adapters.nni.nni_experiments import DEAR, narrow
from tests.test_arguments import SHAPES

CLASSES = [NAT, RandomSearch, HillClimb, Evolution]
COUNTS = [-1, 1.5, "4", True, 2**40, [], float("nan")]
BUDGETS = ["0.9x", 0.9, ["macs"], [("macs", "0.9x")], {"macs": None}, {"macs": -1}, {3: "0.9x"}, {"macs": "nan"}]


def refused(call: Any, said: str) -> None:
    with pytest.raises(NATError) as error:
        call()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("strategy", CLASSES)
def test_wrong_arguments_are_refused_when_they_are_given(strategy: Any) -> None:
    for shape in SHAPES:
        refused(lambda shape=shape: strategy(initial=DEAR, input=shape), "input: ")
    for budget in BUDGETS:
        refused(lambda budget=budget: strategy(initial=DEAR, budget=budget), "budget: ")
    for count in COUNTS:
        refused(lambda count=count: strategy(initial=DEAR, seed=count), "seed: ")
        refused(lambda count=count: strategy(initial=DEAR, draws=count), "draws: ")
        refused(lambda count=count: strategy(initial=DEAR, evaluations=count), "evaluations: ")
    for name in ("draws", "evaluations"):
        refused(lambda name=name: strategy(initial=DEAR, **{name: 0}), f"{name}: 0 is not a whole number from 1")
    for rules in (None, 3, ["nat"]):
        refused(lambda rules=rules: strategy(initial=DEAR, rules=rules), "rules: ")
    for device in (None, 3, ["cpu"]):
        refused(lambda device=device: strategy(initial=DEAR, device=device), "device: ")
    for path in (3, b"x", ["search.json"]):
        refused(lambda path=path: strategy(initial=DEAR, checkpoint=path), "must be the path of a file")


@pytest.mark.parametrize(
    ("strategy", "setting", "value"),
    [
        ("evolution", "population", -1),
        ("evolution", "tournament", 0),
        ("nat", "samples", -1),
        ("nat", "batch", 0),
        ("surrogate", "first", -2),
    ],
)
def test_settings_of_the_strategies_that_are_no_counts_are_refused(strategy: str, setting: str, value: int) -> None:
    refused(lambda: SearchStrategy(strategy, initial=DEAR, **{setting: value}), f"strategy '{strategy}': {setting}")


@pytest.mark.parametrize("name", [None, 3, "gnat", ""])
def test_a_strategy_that_is_none_is_refused(name: Any) -> None:
    refused(lambda: SearchStrategy(name, initial=DEAR), "strateg")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_is_none_is_refused_where_a_network_is_read(shape: Any) -> None:
    refused(lambda: to_network(narrow(), DEAR, shape), "input: ")


def test_numbers_of_numpy_and_lists_are_taken() -> None:
    assert NAT(initial=DEAR, seed=np.int64(7), input=[3, 8, 8]).input == (3, 8, 8)


def test_a_budget_that_is_no_mapping_is_refused_wherever_it_is_read() -> None:
    refused(lambda: Budget.parse("0.9x"), "budget: must be a mapping such as {'macs': '0.9x'}, not '0.9x'")  # type: ignore[arg-type]


def test_a_checkpoint_that_could_not_be_written_is_known_before_the_first_trial(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    refused(lambda: NAT(initial=DEAR, checkpoint=tmp_path / "none" / "search.json"), "cannot write")
    refused(lambda: NAT(initial=DEAR, checkpoint=file / "search.json"), "cannot write")
    refused(lambda: NAT(initial=DEAR, checkpoint=tmp_path), "is a folder; give a file")
    NAT(initial=DEAR, checkpoint=tmp_path / "search.json")
    assert sorted(tmp_path.iterdir()) == [file], "nothing is left of the trial"


def test_names_that_are_loaded_late_are_listed() -> None:
    assert set(nat_nni.__all__) <= set(dir(nat_nni))
    assert nat_nni._LAZY.keys() <= set(nat_nni.__all__)
    assert all(getattr(nat_nni, name) is not None for name in nat_nni.__all__)
