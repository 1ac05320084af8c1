"""Recipes of comparisons: all mistakes at once; those of runs are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nat_plugin.comparisons.recipe import load_comparison, plan_comparison
from nat_plugin.comparisons.summary import trained_by
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.runs.recipe import load_recipe

SMALL = {"sources": ["DARTS_V2"], "strategies": {"random": {}}}


def test_a_resolved_recipe_resolves_to_itself() -> None:
    values = {**SMALL, "strategies": {"random": {}, "wide": {"name": "nat", "hidden": 8}}}
    once = plan_comparison(values, plugins()).resolved()
    assert once["strategies"]["wide"]["name"] == "nat"
    assert once["strategies"]["wide"]["hidden"] == 8
    assert plan_comparison(once, plugins()).resolved() == once


def test_all_mistakes_come_at_once_and_name_their_place() -> None:
    with pytest.raises(NATErrors) as caught:
        plan_comparison(
            {
                "sources": {"file": "a", "names": ["b"]},
                "strategies": {"nat": {"lr": -1}, "magic": {}},
                "evaluator": {"name": "training", "batsh": 3},
                "budget": {"macs": "lots"},
                "queries": 0,
                "sedes": 1,
            },
            plugins(),
        )
    text = str(caught.value)
    for part in (
        "sources: give either a list of architectures, or file",
        "strategies.nat.lr: ",
        "strategies.magic.name: 'magic' is not known; allowed: ",
        "evaluator.batsh: unknown key",
        "budget",
        "queries: ",
        "sedes: unknown key; did you mean 'seeds'?",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup": 5, "evaluator": {"name": "training"}}, "warmup: evaluator 'training' has no shared weights"),
        ({"baseline": "nat"}, "baseline: there is no strategy 'nat'; allowed: random"),
        ({"strategies": {}}, "strategies: "),
        ({"strategies": {"optimum": {"name": "random"}}}, "strategies.optimum: this label stands for"),
        ({"sources": []}, "sources.names: "),
        ({"sources": {"names": ["DARTS_V2"], "sample": 3}}, "sources: sample is for a file"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(NATErrors, match=said):
        plan_comparison({**SMALL, **changes}, plugins())


def test_recipes_of_runs_and_comparisons_are_told_apart() -> None:
    with pytest.raises(NATError, match=r"this recipe is of a run .* use `nat run quickstart`"):
        load_comparison("quickstart", [], plugins())
    with pytest.raises(NATError, match=r"this recipe is of a comparison .* use `nat compare compare-digits`"):
        load_recipe("compare-digits", [], plugins())


def test_what_trained_a_policy_is_counted(tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu"))
    save_policy(policy, tmp_path / "mine", {"evaluations": 300})
    save_policy(policy, tmp_path / "unknown", {"name": "of old"})

    def count(name: str) -> int | None:
        chosen = plan_comparison({**SMALL, "strategies": {"nat": {"policy": name}}}, plugins())
        return trained_by(chosen.strategies["nat"])

    assert [count(name) for name in ("none", str(tmp_path / "mine"), str(tmp_path / "unknown"))] == [0, 300, None]
    assert (count("general") or 0) > 10_000
