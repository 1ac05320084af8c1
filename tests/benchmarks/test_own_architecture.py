"""Few measurements on one's own architecture: plans are those of the recipes, tables are of the same seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.experiments.search import own_architecture
from benchmarks.experiments.search.own_architecture import (
    NAT,
    RECIPES,
    STRATEGIES,
    TRIALS,
    best_of,
    comparison,
    pooled,
    run_plan,
    tables_of,
)
from nat_plugin.comparisons.search import Moved, Trace
from nat_plugin.runs.progress import Silent


@pytest.mark.parametrize("name", RECIPES)
def test_all_strategies_search_the_recipe_on_weights_that_saw_as_many_steps(name: str) -> None:
    run = run_plan(name, Path("/cifar.npz"), 3)
    wanted = comparison(run, 3)
    assert list(wanted.names) == list(STRATEGIES)
    assert wanted.strategies[NAT].policy == "general"
    assert wanted.strategies["nat without prior"].policy is None
    search = run.recipe.search
    assert wanted.recipe.warmup == search.warmup + search.rounds * search.steps > 0
    assert (wanted.recipe.rules, wanted.recipe.budget) == (run.recipe.rules, run.recipe.budget)
    assert wanted.recipe.queries == max(TRIALS)
    assert wanted.evaluator.reward_images is None
    assert run.recipe.final is not None


def test_the_best_after_so_many_is_what_was_found_by_then() -> None:
    """Also where all of it is worse than the input."""
    moved = (Moved(1, -0.3, (0, 1)), Moved(9, -0.2, (1, 0)), Moved(77, -0.1, (1, 1)))
    assert best_of(Trace((), 120, True, moved=moved)) == [*moved[1:]]


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
    monkeypatch.setattr(own_architecture, "TRIALS", (1, 2))
    monkeypatch.setattr(own_architecture, "STRATEGIES", {NAT: {}, "random": {}})
    small = ["network={channels: 4, cells: 3}", "final.schedule.epochs=1", "evaluator.steps=2",
             "evaluator.data.limit=200", "search={warmup: 2, rounds: 1, steps: 0}"]  # fmt: skip
    monkeypatch.setattr(own_architecture, "RECIPES", {"quickstart": ("quickstart", tuple(small))})
    wanted = comparison(run_plan("quickstart", None, 0), 0)
    found = []
    for _ in range(2):
        traces = own_architecture.searched(wanted, tmp_path / "searches", Silent())
        (tmp_path / "trained").mkdir(exist_ok=True)
        found.append(own_architecture.trained("quickstart", None, wanted, traces, tmp_path / "trained", Silent()))
        monkeypatch.setattr("nat_plugin.runs.choice.Choice.advance", None)  # nothing is left to be trained
    assert found[0] == found[1]
    assert all(len(each) == 2 for each in found[0]["tested"].values())
    assert found[0]["notes"][0].startswith("Prior: policy 'general'")
