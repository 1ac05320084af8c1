"""A whole run on a table of trained networks: no images, seconds, resumable, the same twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data.made_up import latency_table, macro_table, percent
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.ir import NetworkSize, cost, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe, plan
from nat_plugin.runs.run import resume, start
from tests.interrupting import Stop

KEPT = ("result.json", "journal.jsonl", "architecture.txt", "report.md")


@pytest.fixture(scope="module")
def recipe(nb201_table: Path) -> dict[str, Any]:
    return {
        "source": "NB201_AllConv3x3",
        "strategy": {"name": "random"},
        "evaluator": {"name": "table", "path": str(nb201_table), "seed": "draw"},
        "search": {"rounds": 6, "proposals": 5},
        "device": "cpu",
    }


def run(folder: Path, recipe: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return start(plan({**recipe, **changes}, plugins()), folder, plugins(), Silent())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def test_the_recipe_that_ships_runs(nb201_table: Path, tmp_path: Path) -> None:
    path = f"evaluator.path={nb201_table}"
    few = ["search={rounds: 3, proposals: 8}", "strategy.sources=1"]
    result = start(load_recipe("nasbench201", [path, *few], plugins()), tmp_path / "run", plugins(), Silent())
    assert result["result"]["selection"]["value"] >= result["input"]["selection"]["value"]
    adapter = plugins().adapters["nasbench201"]
    written = adapter.read((tmp_path / "run" / "architecture.txt").read_text(), NetworkSize())
    assert key(written) == result["result"]["key"]
    assert cost(written).macs == result["result"]["macs"] <= result["input"]["macs"]
    assert result["input"]["test"]["value"] == pytest.approx(percent("333333", "c10_test200") / 100)


def test_the_report_says_where_the_accuracies_are_from(recipe: dict[str, Any], tmp_path: Path) -> None:
    result = run(tmp_path / "run", recipe)
    assert result["data"]["name"] == "NAS-Bench-201, cifar10 after 200 epochs"
    assert result["data"]["splits"] == {"selection": 25_000, "test": 10_000}
    asked = {record["network"] for record in read_journal(tmp_path / "run" / "journal.jsonl")}
    assert result["data"]["queries"] == result["evaluated"] == len(asked | {result["input"]["key"]})
    report = (tmp_path / "run" / "report.md").read_text()
    assert "Candidates were looked up among trained networks" in report
    assert "Data: NAS-Bench-201, cifar10 after 200 epochs, 3x32x32 in 10 classes" in report
    span = result["test_difference"]
    assert span["low"] < span["value"] < span["high"]
    assert span["high"] - span["low"] > 0.01  # 10,000 images of which it is not known which are right


def test_the_same_seed_gives_the_same_run_interrupted_or_not(recipe: dict[str, Any], tmp_path: Path) -> None:
    run(tmp_path / "whole", recipe)
    run(tmp_path / "again", recipe)
    with pytest.raises(KeyboardInterrupt):
        start(plan(recipe, plugins()), tmp_path / "stopped", plugins(), Stop(3))
    resume(tmp_path / "stopped", plugins(), Silent())
    assert contents(tmp_path / "whole") == contents(tmp_path / "again") == contents(tmp_path / "stopped")
    run(tmp_path / "other", recipe, seed=1)
    assert contents(tmp_path / "other")["journal.jsonl"] != contents(tmp_path / "whole")["journal.jsonl"]


def test_a_table_that_changed_is_refused(recipe: dict[str, Any], nb201_table: Path, tmp_path: Path) -> None:
    paths = {"path": tmp_path / "table.csv.gz", "latency": latency_table(tmp_path / "latency.csv")}
    shutil.copy(nb201_table, paths["path"])
    evaluator = {**recipe["evaluator"], **{name: str(path) for name, path in paths.items()}, "device": "raspi4"}
    with pytest.raises(KeyboardInterrupt):
        start(plan({**recipe, "evaluator": evaluator}, plugins()), tmp_path / "run", plugins(), Stop(3))
    for path in paths.values():
        kept = path.read_bytes()
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(NATError, match=f"{path}: changed since it was first read"):
            resume(tmp_path / "run", plugins(), Silent())
        path.write_bytes(kept)
    resume(tmp_path / "run", plugins(), Silent())


def test_a_table_that_was_replaced_is_read_again(recipe: dict[str, Any], tmp_path: Path) -> None:
    path = macro_table(tmp_path / "macro.csv")
    values = {"source": "22222222", "evaluator": {"name": "table", "path": str(path)}}
    before = run(tmp_path / "before", recipe, **values)
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{row.split(',')[0]},50.0,50.0,50.0" for row in rows)]) + "\n")
    after = run(tmp_path / "after", recipe, **values)
    assert before["input"]["test"]["value"] != after["input"]["test"]["value"] == pytest.approx(0.5)


def test_a_latency_can_be_limited(recipe: dict[str, Any], tmp_path: Path) -> None:
    latency = {"latency": str(latency_table(tmp_path / "latency.csv")), "device": "raspi4"}
    limited = {**recipe, "evaluator": {**recipe["evaluator"], **latency}, "budget": {"latency": "0.7x"}}
    result = run(tmp_path / "run", limited)
    before, after = (result[side]["measured"]["latency"] for side in ("input", "result"))
    assert 0 < after <= 0.7 * before == pytest.approx(result["budget"]["latency"])
    for record in read_journal(tmp_path / "run" / "journal.jsonl"):
        assert record["latency_ms"] <= 0.7 * before
    report = (tmp_path / "run" / "report.md").read_text()
    assert "| latency |" in report
    assert "latency ≤ " in report


def test_networks_of_mobile_blocks(recipe: dict[str, Any], tmp_path: Path) -> None:
    table = {"name": "table", "path": str(macro_table(tmp_path / "macro.csv"))}
    macro = {"source": "22222222", "evaluator": table}
    result = run(tmp_path / "run", recipe, **macro, budget={"macs": "0.8x"}, rules="nat++")
    assert result["format"] == "nasbench-macro"
    assert result["input_fits"] is False
    assert result["result"]["macs"] <= 0.8 * 105_660_928


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"source": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"},
            "does not depend on its input; `nat transform`",
        ),
        ({"source": "DARTS_V2"}, "the table is of NAS-Bench-201, this network is from another space"),
        ({"network": {"channels": 8}}, "trained in one size only"),
        ({"evaluator": {"name": "table", "path": "/no/such.csv"}}, "/no/such.csv: No such file"),
        (
            {"budget": {"latency": "5ms"}},
            "budget.latency: it is measured only where the settings of evaluator 'table' say",
        ),
    ],
)
def test_what_cannot_run_ends_in_one_line_before_anything_is_written(
    recipe: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(NATError, match=message) as caught:
        run(tmp_path / "run", recipe, **changes)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.glob("run/*") if path.name != ".lock"]


def test_all_mistakes_of_a_recipe_come_at_once(recipe: dict[str, Any]) -> None:
    evaluator = {"name": "table", "dataset": "mnist", "data": {"name": "digits"}}
    with pytest.raises(NATErrors) as caught:
        plan({**recipe, "evaluator": evaluator, "final": {"seeds": 2}, "budget": {"watts": 3}}, plugins())
    text = "\n".join(caught.value.messages)
    for part in (
        "evaluator.data: this evaluator has no images; leave it out",
        "final: this evaluator has no images; leave it out",
        "evaluator.path: Field required",
        "evaluator.dataset: ",
        "budget: unknown metric 'watts'; allowed: params, macs, latency",
    ):
        assert part in text
