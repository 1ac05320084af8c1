"""Recipes: everything wrong is reported at once, in lines that say where and what is allowed; nothing is executed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.errors import NATError, NATErrors
from nat_plugin.plugins import plugins
from nat_plugin.runs.reading import parse_yaml
from nat_plugin.runs.recipe import load_recipe, plan


def mistakes(values: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(NATErrors) as caught:
        plan(values, plugins())
    return caught.value.messages


def test_a_minimal_recipe_has_every_default() -> None:
    resolved = plan({"source": "DARTS_V2"}, plugins()).resolved()
    assert resolved["rules"] == "nat"
    assert resolved["budget"] == {"params": "1.0x", "macs": "1.0x"}
    assert resolved["strategy"]["name"] == "nat"
    assert resolved["evaluator"]["data"]["name"] == "digits"


def test_a_resolved_recipe_resolves_to_itself() -> None:
    once = plan({"source": "DARTS_V2", "strategy": {"name": "random"}}, plugins()).resolved()
    assert plan(once, plugins()).resolved() == once


@pytest.mark.parametrize(
    "name", sorted(name for name in plugins().recipes if not name.startswith(("compare-", "train-")))
)
def test_every_shipped_recipe_is_valid(name: str) -> None:
    load_recipe(name, [], plugins())


def test_all_mistakes_come_at_once_and_name_their_place() -> None:
    found = mistakes(
        {
            "sauce": 1,
            "rules": "natt",
            "budget": {"macs": "lots", "watts": 3},
            "strategy": {"name": "nat", "lr": -1},
            "evaluator": {"name": "supernet", "batsh": 3, "data": {"name": "digits", "limit": "many"}},
            "search": {"rounds": "many"},
        }
    )
    text = "\n".join(found)
    for part in (
        "source: Field required",
        "sauce: unknown key; did you mean 'source'? (allowed: ",
        "rules: unknown rules 'natt'; allowed: nat, nat++",
        "budget: ",
        "strategy.lr: ",
        "evaluator.batsh: unknown key; did you mean 'batch'?",
        "evaluator.data.limit: ",
        "search.rounds: ",
    ):
        assert part in text
    assert all("\n" not in line for line in found)


def test_unknown_parts_list_what_there_is() -> None:
    found = mistakes({"source": "x", "strategy": {"name": "magic"}, "evaluator": {"name": "oracle"}})
    assert any("strategy.name: 'magic' is not known; allowed: " in line and "random" in line for line in found)
    (near,) = mistakes({"source": "DARTS_V2", "strategy": {"name": "hill_clim"}})
    assert near.startswith("strategy.name: 'hill_clim' is not known (did you mean 'hill_climb'?); allowed: ")
    (listed,) = mistakes({"source": "DARTS_V2", "strategy": {"name": ["nat"]}})
    assert listed.startswith("strategy.name: \"['nat']\" is not known; allowed: ")
    assert any("evaluator.name: 'oracle' is not known; allowed: " in line and "supernet" in line for line in found)


def test_set_reaches_any_key(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("source: DARTS_V2\n")
    overrides = ["search.rounds=3", "evaluator.data.limit=500", "final.candidates=2", "budget.macs=0.5x"]
    resolved = load_recipe(str(tmp_path / "r.yaml"), overrides, plugins()).resolved()
    assert resolved["search"]["rounds"] == 3
    assert resolved["evaluator"]["data"]["limit"] == 500
    assert resolved["final"]["candidates"] == 2
    assert resolved["budget"] == {"macs": "0.5x"}


@pytest.mark.parametrize("override", ["rounds", "=3", "source.deep=1", "search.rounds=[1"])
def test_a_malformed_set_is_refused(tmp_path: Path, override: str) -> None:
    (tmp_path / "r.yaml").write_text("source: DARTS_V2\n")
    with pytest.raises(NATError, match="--set"):
        load_recipe(str(tmp_path / "r.yaml"), [override], plugins())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "line 2: YAML aliases"),
        ("a: 1\na: 2\n", "key 'a' is duplicated"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("a: [1\n", "line"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "1" * 2**20, "more than a recipe can have"),
        ("a: 2026-13-45", "month must be"),
    ],
)
def test_unsafe_or_malformed_yaml_ends_in_one_line(text: str, message: str) -> None:
    with pytest.raises(NATError, match=message) as caught:
        parse_yaml(text, "recipe")
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_values_or_one_error(text: str) -> None:
    with suppress(NATError):
        parse_yaml(text, "recipe")


def test_an_unknown_recipe_lists_those_that_ship() -> None:
    with pytest.raises(NATError, match=r"neither a file nor a recipe that ships; recipes: .*quickstart"):
        load_recipe("quickstrat", [], plugins())
