"""What workers find out for a run: the same result in order, a journal that says the order otherwise, nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.errors import NATError
from nat_plugin.reporting.report_file import write_report
from nat_plugin.runs import workers
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.evaluators.table.tables import INPUT, combinations, genotype, own_table
from tests.interrupting import Stop
from tests.runs.finding import THEIRS, FoundEvaluator

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "strategy": {"name": "hill_climb"},
    "evaluator": {"name": "found"},
    "search": {"rounds": 4, "proposals": 3},
    "device": "cpu",
    "threads": 1,
}
SHUFFLED = {"name": "shuffled", "workers": 4}
KEPT = ("result.json", "journal.jsonl", "architecture.txt", "network.json", "report.md")


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Workers are threads of this process, and know what the tests know."""
    monkeypatch.setattr(workers, "plugins", lambda: THEIRS)
    monkeypatch.setattr(FoundEvaluator, "carried_out", [])
    workers._made.cache_clear()
    yield FoundEvaluator.carried_out
    workers._made.cache_clear()


def run(folder: Path, reporter: Any = None, **changes: Any) -> dict[str, Any]:
    return start(plan({**RECIPE, **changes}, THEIRS), folder, THEIRS, reporter or Silent())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def evaluations(folder: Path) -> list[dict[str, Any]]:
    return [line for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "alone"
    run(folder)
    return folder


@pytest.mark.parametrize("executor", [{**SHUFFLED, "order": 1}, {**SHUFFLED, "order": 2, "workers": 2}])
def test_told_in_order_the_result_has_the_same_bytes_whatever_the_workers(
    executor: dict[str, Any], alone: Path, tmp_path: Path
) -> None:
    run(tmp_path / "other", executor=executor, deterministic=True)
    assert contents(tmp_path / "other") == contents(alone)
    assert not (tmp_path / "other" / "trials").exists()
    (did,) = json.loads((tmp_path / "other" / "workers.json").read_text()).values()  # all threads are of one process
    assert did["tasks"] == len({each[name] for each in evaluations(alone) for name in ("source", "network")})
    page = write_report(tmp_path / "other", lambda _: None).read_text()
    assert "What each worker did" in page
    assert "What each device did" in page


def test_told_as_they_arrive_all_proposals_are_told_once_and_the_order_is_written_down(tmp_path: Path) -> None:
    run(tmp_path / "run", executor={**SHUFFLED, "order": 3, "patience": 0.5})
    found = evaluations(tmp_path / "run")
    assert sorted(each["number"] for each in found) == list(range(12))
    assert [each["number"] for each in found] != list(range(12))
    assert all(each["asked"] > each["number"] for each in found)
    assert [each["asked"] for each in found] == sorted(each["asked"] for each in found)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("every", [1, 3])
def test_what_was_found_out_before_a_run_was_stopped_is_not_done_again(
    deterministic: bool, every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped where a worker just sent what it found, which was not told yet; wherever the last checkpoint was."""
    folder, changes = tmp_path / "run", {"executor": SHUFFLED, "deterministic": deterministic}
    monkeypatch.setattr(FoundEvaluator, "take", _stopping(FoundEvaluator.take, 7))
    with pytest.raises(KeyboardInterrupt):
        run(folder, search={**RECIPE["search"], "checkpoint": every}, **changes)
    before, done = evaluations(folder), list(FoundEvaluator.carried_out)
    monkeypatch.undo()
    monkeypatch.setattr(workers, "plugins", lambda: THEIRS)
    monkeypatch.setattr(FoundEvaluator, "carried_out", [])
    kept = {path.name for path in (folder / "trials").iterdir()}
    assert len(kept) >= 7
    resume(folder, THEIRS, Silent())
    again = set(FoundEvaluator.carried_out)
    assert not {name for name in again if f"{name}-seed0.safetensors" in kept}
    assert len(FoundEvaluator.carried_out) == len(again)
    assert set(done) | again >= {each["network"] for each in evaluations(folder)}
    assert evaluations(folder)[: len(before)] == before
    assert sorted(each["number"] for each in evaluations(folder)) == list(range(12))


def _stopping(take: Any, after: int) -> Any:
    left = after

    def stopping(*given: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        take(*given)

    return stopping


def test_a_run_that_is_stopped_between_rounds_goes_on_with_what_was_under_way(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Stop(2), executor=SHUFFLED)
    before, done = evaluations(tmp_path / "run"), tasks_done(tmp_path / "run")
    resume(tmp_path / "run", THEIRS, Silent())
    assert evaluations(tmp_path / "run")[: len(before)] == before
    assert sorted(each["number"] for each in evaluations(tmp_path / "run")) == list(range(12))
    carried_out = FoundEvaluator.carried_out
    assert 0 < done < tasks_done(tmp_path / "run") <= len(carried_out), "what was done before the stop counts once"
    assert tasks_done(tmp_path / "run") >= len(set(carried_out))


def tasks_done(folder: Path) -> int:
    return sum(each["tasks"] for each in json.loads((folder / "workers.json").read_text()).values())


def test_an_order_that_no_search_wrote_is_left_aside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(folder, Stop(2), executor=SHUFFLED)
    for line in (b'{"stage": "search", "number": 900, "asked": 7}\n', b'{"number": "x", "asked": []}\n', b"[\n"):
        with (folder / "journal.jsonl").open("ab") as journal:
            journal.write(line)
    resume(folder, THEIRS, Silent())
    assert sorted(each["number"] for each in evaluations(folder)) == list(range(12))


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_raises_costs_its_measurement_alone_and_the_run_says_so(deterministic: bool, tmp_path: Path) -> None:
    evaluator = {"name": "found", "broken": "01234567"}
    result = run(tmp_path, executor={**SHUFFLED, "retries": 2}, deterministic=deterministic, evaluator=evaluator)
    found = evaluations(tmp_path)
    failed = [each for each in found if each.get("failed")]
    assert {each["network"][0] for each in failed} <= set("01234567")
    assert {each["network"][0] for each in found if not each.get("failed")} <= set("89abcdef")
    assert {each["why"] for each in failed} == {"it raised MemoryError: no room, 3 times"}
    carried_out = FoundEvaluator.carried_out
    assert all(carried_out.count(each["network"]) == 3 for each in failed)
    assert f"Lost with their workers: {len(failed)} measurements; they count as failed." in " ".join(result["notes"])
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_a_file_of_another_run_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FoundEvaluator, "take", _stopping(FoundEvaluator.take, 2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, executor=SHUFFLED)
    for path in (tmp_path / "trials").iterdir():
        path.write_bytes(b"no tensors")
    with pytest.raises(NATError, match=r"trials/.*safetensors: damaged or changed; remove it") as error:
        resume(tmp_path, THEIRS, Silent())
    assert "\n" not in str(error.value)


DIGITS = {"name": "digits", "limit": 120}
SCHEDULE = {"epochs": 1, "batch": 64, "cutout": 0, "auxiliary": 0}
SMALL = {
    "network": {"channels": 2, "cells": 2},
    "search": {"rounds": 2, "proposals": 2},
    "strategy": {"name": "random"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {
            "evaluator": {"name": "training", "seeds": 2, "schedule": SCHEDULE, "data": DIGITS},
            "final": {"candidates": 2, "seeds": 2, "schedule": SCHEDULE},
            "search": {"rounds": 1, "proposals": 2},
        },
        {
            "evaluator": {"name": "supernet", "batch": 32, "reward_images": 20, "data": DIGITS},
            "final": {"candidates": 1, "schedule": SCHEDULE},
        },
        {
            "evaluator": {
                "name": "proxies",
                "proxies": ["naswot", "macs"],
                "references": 2,
                "cells": 2,
                "channels": 2,
                "resolution": 8,
            }
        },
        {"evaluator": {"name": "table"}},
    ],
    ids=["training", "supernet", "proxies", "table"],
)
def test_with_every_evaluator_workers_change_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    if changes["evaluator"]["name"] == "table":
        path = own_table(tmp_path / "mine.csv", combinations(30))
        table = {
            "path": str(path),
            "adapter": "darts",
            "metric": "accuracy",
            "network_size": {"channels": 4, "cells": 3},
        }
        changes = {"evaluator": {"name": "table", **table}, "network": RECIPE["network"], "source": genotype(INPUT)}
    for name, executor in (("alone", "local"), ("workers", {**SHUFFLED, "order": 5})):
        run(tmp_path / name, **{**SMALL, **changes, "executor": executor, "deterministic": True})
    assert contents(tmp_path / "workers") == contents(tmp_path / "alone")
    weights = {path.name: path.read_bytes() for path in (tmp_path / "alone").glob("weights/*")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "workers").glob("weights/*")} == weights
    assert bool(weights) == ("final" in changes)


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, take = tmp_path / "run", FoundEvaluator.take

    def lose(*given: Any) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        take(*given)

    monkeypatch.setattr(FoundEvaluator, "take", lose)
    with pytest.raises(NATError, match="cannot write: No such file or directory; nothing written earlier is") as error:
        run(folder, executor=SHUFFLED)
    assert "\n" not in str(error.value)
