"""What benchmarks write down: figures, counts of queries, reliability."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.intervals import interval, signed
from benchmarks.common.reliability import LEAST, bins_of, error, pooled, within
from benchmarks.common.results import place_of, provenance
from benchmarks.experiments.policy.leave_one_out_tables import entry_of, tables_of
from benchmarks.methods.searches import gains_after
from nat_plugin.ir import Budget, Network, NetworkSize, find_rule, key
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Task


def test_what_is_noted_of_a_run_can_be_typed_and_has_no_paths_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [
        "/home/me/clone/benchmarks/__main__.py",
        "some",
        "--data",
        str(tmp_path / "tables"),
        "--inputs",
        "3",
        "--set",
        "a={b: 1}",
    ]
    monkeypatch.setattr("sys.argv", words)
    assert provenance()["command"] == "python -m benchmarks some --data tables --inputs 3 --set 'a={b: 1}'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "+1.50"),
        ((1.5, 0.25), "+1.50 ± 0.25"),
        ([1.5, None], "+1.50"),
        (interval([2.0]), "+2.00"),
        (None, "–"),
        ([None, None], "–"),
        (float("nan"), "–"),
    ],
)
def test_a_mean_is_written_with_its_interval_where_it_has_one(value: object, text: str) -> None:
    assert signed(value) == text
    assert signed(value, ".2f") == text.lstrip("+")


def test_places_of_tables_have_no_blanks() -> None:
    assert place_of("few-queries", "nat++, macs=0.8x") == "few-queries-nat++-macs-0.8x"


def test_a_query_is_a_network_that_computes_something_new() -> None:
    [cell] = ["|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"]
    network = plugins().adapters["nasbench201"].read(cell, NetworkSize())
    asked: list[str] = []

    def look_up(found: Network) -> tuple[str, float, float]:
        asked.append(key(found))
        return key(found), float(len(set(asked))), float(len(set(asked)))

    kind = plugins().find("strategies", "random")
    strategy = kind(Task((network,), find_rule("nat"), Budget(), 0, 20), kind.Settings())
    gains = gains_after(strategy, (key(network), 0.0, 0.0), look_up, True, (1, 3, 20))
    new = [name for name in dict.fromkeys(asked) if name != key(network)]
    assert len(new) == 20
    assert gains[0] < gains[1] < gains[2]


def test_probabilities_that_come_true_as_often_as_said_have_no_error() -> None:
    said = np.repeat(np.arange(10) / 10 + 0.05, 100)
    true = np.concatenate([np.arange(100) < round(100 * each) for each in np.arange(10) / 10 + 0.05])
    bins = bins_of(said, true)
    assert within(bins) == (10, 10)
    assert error(bins) == pytest.approx(0, abs=1e-9)
    wrong = bins_of(said, ~true)
    assert within(wrong)[0] < 5
    assert error(pooled([bins, wrong])) < error(wrong)
    assert within(bins_of(said[: LEAST - 1], true[: LEAST - 1])) == (0, 0)


def _unit(method_gain: float, best: list[float], queries: list[int]) -> dict[str, object]:
    gains = [[method_gain * each] * len(queries) for each in best]
    return {"inputs": list(range(len(best))), "queries": queries, "gains": gains, "best": best, "from": {}}


def test_shares_intervals_and_what_the_policy_is_ahead_by() -> None:
    best = [1.0, 2.0, 3.0, 4.0]
    units = {
        ("nat", "nat, trained"): [_unit(0.75, best, [1]), _unit(0.85, best, [1])],
        ("nat", "random"): [_unit(0.5, best, [1])],
    }
    groups = {at: {"all": [0, 1, 2, 3], "good": [2, 3]} for at in units}
    entry = entry_of(units, groups, [])
    own = next(row for row in entry["rows"] if row["method"] == "nat, trained" and row["group"] == "all")
    other = next(row for row in entry["rows"] if row["method"] == "random" and row["group"] == "good")
    assert own["share"][0] == pytest.approx(0.8)
    assert own["share"][1] == pytest.approx(0.75)  # over trainings: every input has the same share
    assert own["trainings"] == 2
    assert other["ahead_share"][0] == pytest.approx(0.3)
    assert other["inputs"] == 2
    named = {"a task": entry | {"points": True}}
    assert "80%; random 50%: +30 % [+25, +35]" in tables_of(named)["leave-one-out-queries"]
    assert "| 1 | 2 | 0 | 0 |" in tables_of(named)["leave-one-out-summary"]


def test_results_that_a_command_writes_do_not_make_its_commit_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept, other = tmp_path / "benchmarks" / "results" / "kept.json", tmp_path / "code.py"
    kept.parent.mkdir(parents=True)
    for each in (kept, other):
        each.touch()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "begin"]):
        subprocess.run([*git, *words], check=True)
    kept.write_text("{}")
    assert re.fullmatch("[0-9a-f]{12}", provenance()["commit"])
    other.write_text("1")
    assert re.fullmatch("[0-9a-f]{12}-dirty", provenance()["commit"])
