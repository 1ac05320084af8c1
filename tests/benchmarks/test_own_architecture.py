"""Few measurements on one's own architecture: plans are those of the recipes, tables are of the same seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common.results import read_results
from benchmarks.experiments.search.own_architecture import (
    NAT,
    RECIPES,
    STRATEGIES,
    TRIALS,
    Wanted,
    best_of,
    comparison,
    pooled,
    run_plan,
    tables_of,
)
from benchmarks.running import run
from nat_plugin.comparisons.search import Moved, SearchTrace


@pytest.mark.parametrize("name", RECIPES)
def test_all_strategies_search_the_recipe_on_weights_that_saw_as_many_steps(name: str) -> None:
    asked = Wanted(name, Path("/cifar.npz"))
    planned = run_plan(asked, 3)
    wanted = comparison(asked, planned, 3)
    assert list(wanted.names) == list(STRATEGIES)
    assert wanted.strategies[NAT].policy == "general"
    assert wanted.strategies["nat without prior"].policy is None
    search = planned.recipe.search
    assert wanted.recipe.warmup == search.warmup + search.rounds * search.steps > 0
    assert (wanted.recipe.rules, wanted.recipe.budget) == (planned.recipe.rules, planned.recipe.budget)
    assert wanted.recipe.queries == max(TRIALS)
    assert wanted.evaluator.reward_images is None
    assert planned.recipe.final is not None


def test_the_best_after_so_many_is_what_was_found_by_then() -> None:
    """Also where all of it is worse than the input."""
    moved = (Moved(1, -0.3, (0, 1)), Moved(9, -0.2, (1, 0)), Moved(77, -0.1, (1, 1)))
    assert best_of(SearchTrace((), 120, True, moved=moved)) == [*moved[1:]]


def test_the_table_is_of_the_same_seeds() -> None:
    tested = {label: [0.9, 0.92] for label in STRATEGIES} | {"random": [0.9, 0.88]}
    measured = {label: [0.01, 0.02] for label in STRATEGIES}
    seeds = [{"input": 0.9, "tested": tested, "measured": measured, "notes": []} for _ in range(2)]
    lines = tables_of({"quickstart": pooled(seeds)})["own-quickstart"].splitlines()
    assert lines[2] == "| nat | +0.0100 ± 0.0000 | +0.0200 ± 0.0000 | +0.00 ± 0.00 | +2.00 ± 0.00 |  |  |"
    assert lines[-1].endswith("| +0.00 ± 0.00 | -2.00 ± 0.00 | +0.00 ± 0.00 | +4.00 ± 0.00 |")
    assert len(lines) == 2 + len(STRATEGIES)


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search and the trainings after it, very small, and once more from what is kept."""
    words = ["--quick", "--work", str(tmp_path / "work"), "--save"]
    run("search-own-architecture", [*words, str(tmp_path / "first.json")])
    monkeypatch.setattr("nat_plugin.runs.choice.FinalSelection.advance", None)  # nothing is left to be trained
    run("search-own-architecture", [*words, str(tmp_path / "second.json")])
    first, second = (read_results(tmp_path / f"{name}.json")["quickstart"] for name in ("first", "second"))
    assert first["tested"] == second["tested"]
    assert {label: len(found[0]) for label, found in first["tested"].items()} == {NAT: 2, "random": 2}
    assert first["notes"][0].startswith("Prior: policy 'general'")
