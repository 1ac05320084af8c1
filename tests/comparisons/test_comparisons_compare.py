"""Comparisons: equal queries, duplicates free, the same bytes however often killed."""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from nat_plugin.comparisons import plots
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.queries import Queries
from nat_plugin.comparisons.recipe import ComparisonPlan, plan_comparison
from nat_plugin.comparisons.report import notes, rows
from nat_plugin.comparisons.units import SearchUnit, run_plan, seed_of
from nat_plugin.data import load
from nat_plugin.errors import NATError
from nat_plugin.evaluators.supernet import SupernetEvaluator
from nat_plugin.ir import Network, key
from nat_plugin.plugins import plugins
from nat_plugin.reporting.report_file import write_report
from nat_plugin.runs import setup as runs_setup
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan as plan_run
from nat_plugin.runs.record import RunSource
from nat_plugin.runs.run import start
from nat_plugin.runs.setup import Setup, find_origin, set_up
from nat_plugin.search.base import Proposal
from tests.comparisons.engines import KEPT, contents, run
from tests.reporting.browser import check_everywhere, launched
from tests.reporting.pages import read

DIGITS: dict[str, Any] = {
    "sources": ["DARTS_V2", "DARTS_V1"],
    "network": {"channels": 4, "cells": 2},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": None, "data": {"name": "digits", "limit": 200}},
    "strategies": {"random": {}, "hill_climb": {}, "identity": {}, "nat": {"hidden": 8, "mix": {"neighbours": 0}}},
    "warmup": 4,
    "queries": 5,
    "seeds": 1,
    "threads": 1,
    "device": "cpu",
}
TRAINING = {
    "name": "training",
    "data": {"name": "digits", "limit": 120},
    "schedule": {"epochs": 1, "batch": 60, "auxiliary": 0, "cutout": 0},
}


def points(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "points.csv").read_text())))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparisons") / "undisturbed"
    run(folder, DIGITS)
    return folder


def test_all_that_search_have_equal_queries_and_their_best_never_gets_worse(undisturbed: Path) -> None:
    found = json.loads((undisturbed / "comparison.json").read_text())["strategies"]
    assert {label: each["queries"]["per_input"] for label, each in found.items()} == {
        "random": 5, "hill_climb": 5, "identity": 0, "nat": 5,
    }  # fmt: skip
    assert found["identity"]["had_no_more"] == 2
    assert found["identity"]["held_out"]["value"] == 0
    rows = points(undisturbed)
    assert len(rows) == 4 * 2 * 6
    for first, second in itertools.pairwise(rows):
        if int(second["query"]):
            assert float(second["gain"]) >= float(first["gain"])


def test_two_inputs_are_too_few_for_a_verdict_and_the_report_says_why_once(undisturbed: Path) -> None:
    found = json.loads((undisturbed / "comparison.json").read_text())
    assert {label: each["verdict"] for label, each in found["strategies"].items()} == {
        "random": None, "hill_climb": "none", "identity": "none", "nat": "none",
    }  # fmt: skip
    text = (undisturbed / "comparison.md").read_text()
    reasons = {each["verdict_reason"] for each in found["strategies"].values() if each["verdict"]}
    assert all(text.count(f"No verdict: {reason}.") == 1 for reason in reasons)
    assert f"over inputs, for {found['interval_covers']}" in text
    assert "further inputs like these" in found["interval_covers"]


def test_networks_that_guess_give_no_verdict(tmp_path: Path) -> None:
    values = {**DIGITS, "sources": ["DARTS_V2"], "warmup": 0, "seeds": 6, "queries": 3, "budget": {"macs": "0.9x"}}
    found = run(tmp_path, {**values, "strategies": {"random": {}, "hill_climb": {}}})
    assert found["strategies"]["hill_climb"]["verdict_reason"] == "what both found cannot be told from guessing"


def test_killed_and_gone_on_with_gives_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "recipe.yaml", tmp_path / "killed"
    recipe.write_text(yaml.safe_dump(DIGITS))
    call = [sys.executable, "-m", "nat_plugin", "compare", str(recipe), "--out", str(folder)]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(folder.glob("searches/[!.]*.json")) and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in folder.glob("searches/[!.]*.json")}
    assert 0 < len(done) < 8
    run(folder, DIGITS)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was done is not done again
    assert contents(folder) == contents(undisturbed)


class Listening(Silent):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self.total = total

    def step(self, done: int, note: str = "") -> None:
        self.heard.append(f"{done}/{self.total}")

    def note(self, note: str) -> None:
        self.heard.append(note)


def test_what_goes_on_in_a_search_is_heard_of_and_every_search_counts(tmp_path: Path) -> None:
    values = {**DIGITS, "sources": ["DARTS_V2"], "warmup": 0, "evaluator": TRAINING, "queries": 2}
    listening = Listening()
    plan = plan_comparison({**values, "strategies": {"random": {}, "hill_climb": {}}}, plugins())
    compare(plan, tmp_path, plugins(), listening)
    heard = listening.heard
    assert [each for each in heard if "/" in each and ":" not in each] == ["1/2", "2/2"]
    assert heard.index("random, input 1, seed 1: query 1 of 2") < heard.index("random, input 1, seed 1: query 2 of 2")
    assert any(each.startswith("hill_climb, input 1, seed 1: network 1, epoch 1/1: loss") for each in heard)


def test_a_search_does_not_depend_on_what_else_is_compared(undisturbed: Path, tmp_path: Path) -> None:
    run(tmp_path, {**DIGITS, "strategies": {"hill_climb": {}}})
    alone, among = (
        [row for row in points(folder) if row["strategy"] == "hill_climb"] for folder in (tmp_path, undisturbed)
    )
    assert alone == among


def test_another_recipe_and_a_foreign_folder_are_refused(undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(NATError, match="has another recipe; choose another --out"):
        run(undisturbed, {**DIGITS, "queries": 6})
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(NATError, match="this folder is in use"):
        run(tmp_path, DIGITS)


def test_a_wrong_strategy_is_named_before_anything_is_searched(tmp_path: Path) -> None:
    with pytest.raises(NATError, match=r"^strategies\.trained: policy 'nowhere'"):
        run(tmp_path, {**DIGITS, "strategies": {"random": {}, "trained": {"name": "nat", "policy": "nowhere"}}})
    assert not (tmp_path / "searches").exists()


def test_its_report_shows_the_table_and_the_curves(undisturbed: Path, tmp_path: Path) -> None:
    def write(name: str) -> Path:
        return write_report(undisturbed, pytest.fail, tmp_path / name)

    page, found = read(write("first.html")), json.loads((undisturbed / "comparison.json").read_text())
    assert all(cell in page.text for row in rows(found) for cell in row)
    assert all(note in page.text for note in notes(found))
    for caption in ("Gain held out of the best so far", "Measured gain of the best so far"):
        assert caption in page.text
    assert write("second.html").read_bytes() == (tmp_path / "first.html").read_bytes()


def test_its_report_is_at_home_in_a_browser(undisturbed: Path, tmp_path: Path) -> None:
    with launched() as browser:
        check_everywhere(browser, write_report(undisturbed, pytest.fail, tmp_path / "report.html"))


def test_without_matplotlib_there_are_no_pictures_and_all_else(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    run(tmp_path, {**DIGITS, "strategies": {"identity": {}}})
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= set(KEPT)
    assert not list(tmp_path.glob("*.png"))
    assert "![" not in (tmp_path / "comparison.md").read_text()


def test_pictures_are_written_in_both_forms_and_are_the_same_twice(undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = json.loads((undisturbed / "comparison.json").read_text())
    assert plots.plot(found, tmp_path) == ["best_so_far.png", "best_so_far.svg"]
    assert (tmp_path / "best_so_far.png").read_bytes()[:4] == b"\x89PNG"
    for name in ("best_so_far.png", "best_so_far.svg"):
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_network_measured_before_is_free_and_so_is_the_input() -> None:
    plan = plan_comparison({**DIGITS, "evaluator": TRAINING, "warmup": 0}, plugins())
    setup = setup_of(plan)
    source = setup.search.network
    first, second = (proposal.network for proposal in setup.strategy.ask(2))
    asked = Queries(setup.evaluator, source, 5)
    found = asked.ask(Proposal(0, source, first))
    assert found is not None
    assert asked.price(Proposal(1, source, first)) == asked.price(Proposal(1, source, source)) == 0
    assert asked.ask(Proposal(2, source, first)) is found
    assert (asked.used, asked.left) == (1, 4)
    assert asked.price(Proposal(3, second, first)) == 1  # another input is a network too
    assert key(first) != key(second)


def warmed_on(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keys of what shared weights take steps on from now on, call by call."""
    calls: list[list[str]] = []
    train = SupernetEvaluator.train

    def listen(self: SupernetEvaluator, networks: Sequence[Network]) -> dict[str, float]:
        calls.append([key(network) for network in networks])
        return train(self, networks)

    monkeypatch.setattr(SupernetEvaluator, "train", listen)
    return calls


@pytest.mark.parametrize("macs", ["1.0x", "0.8x"])
def test_shared_weights_are_warmed_as_in_a_run(macs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**DIGITS, "sources": ["DARTS_V2"], "budget": {"macs": macs}, "warmup": 60, "queries": 1}
    plan = plan_comparison({**values, "strategies": {"hill_climb": {}, "random": {}}}, plugins())
    calls = warmed_on(monkeypatch)
    compare(plan, tmp_path / "comparison", plugins(), Silent())
    in_comparison = calls.copy()
    assert [len(call) for call in in_comparison] == [50, 10]  # once for both strategies
    origin = find_origin(run_plan(plan, RunSource("DARTS_V2", "darts", ""), "random", 0, plugins()), plugins())
    chosen = run_plan(plan, origin, "random", seed_of(plan, SearchUnit(0, 0)), plugins()).resolved()
    chosen["search"] = {"warmup": 60, "rounds": 1, "proposals": 1, "steps": 0}
    calls.clear()
    start(plan_run(chosen, plugins()), tmp_path / "run", plugins(), Silent())
    assert [call for call in calls if call] == in_comparison


def test_a_strategy_that_draws_other_wirings_has_shared_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired = {"name": "nat", "hidden": 8, "mix": {"random": 1, "input": 0, "neighbours": 0}}
    values = {**DIGITS, "sources": ["DARTS_V2"], "warmup": 9, "queries": 1}
    calls = warmed_on(monkeypatch)
    run(tmp_path, {**values, "strategies": {"random": {}, "wired": wired, "hill_climb": {}}})
    plain, own = calls
    source = plain[7]  # every eighth step is on the input
    assert source not in own
    assert len(plain) == len(own) == 9


def test_the_images_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr(runs_setup, "load", lambda *given: reads.append(given) or load(*given))
    run(tmp_path, {**DIGITS, "strategies": {"random": {}, "hill_climb": {}}, "seeds": 2})
    assert len(reads) == 1


def setup_of(plan: ComparisonPlan) -> Setup:
    named = RunSource("DARTS_V2", "darts", "DARTS_V2")
    origin = find_origin(run_plan(plan, named, "random", 0, plugins()), plugins())
    return set_up(run_plan(plan, origin, "random", 0, plugins()), origin, plugins())


def test_networks_that_are_trained_are_judged_on_the_test_images(tmp_path: Path) -> None:
    values = {**DIGITS, "sources": ["DARTS_V2"], "evaluator": TRAINING, "warmup": 0, "queries": 1, "seeds": 2}
    found = run(tmp_path, {**values, "strategies": {"random": {}}})
    assert found["held_out_split"] == "test"
    assert found["samples"] == "seeds"
    assert found["optimum"] is None


NB201 = {
    "sources": ["NB201_AllConv3x3", "NB201_ResNet"],
    "rules": "nat",
    "strategies": {"random": {}, "exhaustive": {}, "hill_climb": {}},
    "queries": 20,
    "seeds": 2,
    "threads": 1,
    "device": "cpu",
}


def test_on_a_table_the_reachable_optimum_is_known(nb201_table: Path, tmp_path: Path) -> None:
    table = {"name": "table", "path": str(nb201_table)}
    found = run(tmp_path, {**NB201, "evaluator": table, "queries": 800, "strategies": {"exhaustive": {}, "random": {}}})
    assert found["optimum"]["gain"]["value"] > 0
    for label in ("exhaustive", "random"):  # all was asked for: both found the best
        assert found["strategies"][label]["regret"]["value"] == 0
        assert found["strategies"][label]["held_out"]["value"] == pytest.approx(found["optimum"]["held_out"]["value"])
    assert found["strategies"]["random"]["queries"]["per_input"] < 800
    assert all(float(row["regret"]) >= 0 for row in points(tmp_path))


def test_inputs_are_drawn_from_a_file(nb201_table: Path, tmp_path: Path) -> None:
    cells = tmp_path / "cells.txt"
    names = ("nor_conv_3x3", "skip_connect", "avg_pool_3x3", "none")
    cells.write_text("".join(f"|{a}~0|+|{b}~0|{a}~1|+|{b}~0|{a}~1|{b}~2|\n" for a in names for b in names))
    table = {"name": "table", "path": str(nb201_table)}
    values = {**NB201, "evaluator": table, "queries": 2, "seeds": 1, "regret": False}
    sampled = {**values, "sources": {"file": str(cells), "sample": 4, "seed": 1}}
    first = run(tmp_path / "1", sampled)
    assert len(set(first["inputs"])) == 4
    cells.write_text("gone")
    assert run(tmp_path / "1", sampled) == first  # the folder has all that it needs
    cells.write_text("|none~0|\n")
    with pytest.raises(NATError, match=r"cells\.txt, line 1: "):
        run(tmp_path / "2", sampled)
