"""A task left out: the whole command on a small table of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.data import made_up
from benchmarks.running import run
from nat_plugin.errors import NATError
from nat_plugin.policy.critic import CriticConfig, new_critic
from nat_plugin.policy.critic_files import saved_critic
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy

CPU = torch.device("cpu")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Of a recipe with two tasks of the same cells in files of their own, and a policy that has learned nothing."""
    made_up.recipe(tmp_path / "recipe.yaml")
    critic = new_critic(CriticConfig(1, 8, 1, 4), 0, CPU)
    save_policy(
        new_policy(PolicyConfig("graph", 8, 1), 0, CPU), tmp_path / "policy.safetensors", {}, saved_critic(critic)
    )
    given = {"recipe": "recipe.yaml", "policy": "policy.safetensors", "work": "work", "save": "results.json"}
    paths = [word for name, file in given.items() for word in (f"--{name}", str(tmp_path / file))]
    small = ["--rules", "nat", "--limits", "none", "--inputs", "6", "--searched", "2", "--data", str(tmp_path)]
    return [*paths, *small, "--strategies", "nat, trained", "random", "--leave"]


def test_parts_that_ran_at_different_times_are_one_result(words: list[str], tmp_path: Path) -> None:
    run("policy-leave-one-out", [*words, "one", "--queries", "0"])
    known = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.json")}
    assert len(known) == 2
    run("policy-leave-one-out", [*words, "one", "--queries", "0", "1", "2"])
    assert all(path.stat().st_mtime_ns == when for path, when in known.items())
    run("policy-leave-one-out", [*words, "two", "--queries", "0"])
    found = json.loads((tmp_path / "results.json").read_text())
    assert list(found) == ["one", "two"]
    entry = found["one"]
    assert entry["trained_without"] == ["one"]
    assert "two.csv" in entry["good_by"]
    methods = {(row["method"], row["queries"]) for row in entry["rows"]}
    assert methods == {("suggest", 0), *((name, count) for name in ("nat, trained", "random") for count in (1, 2))}
    assert all(row["gain"][0] <= row["best"] + 1e-9 for row in entry["rows"])


def test_what_is_not_in_the_recipe_is_named(words: list[str]) -> None:
    with pytest.raises(NATError, match="'four' is no table of this recipe; it has one, two, three"):
        run("policy-leave-one-out", [*words, "four"])
