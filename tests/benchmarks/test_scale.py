"""A long stream by an executor: every line comes out in its place, and how much memory the command had meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pytest

from benchmarks.common.results import read_results
from benchmarks.experiments.speed.scaling import stream, tables, tasks
from benchmarks.running import run


def test_a_stream_is_kept_beside_what_else_is_known_of_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CELLS", stream.CELLS[:8])
    kept = tmp_path / "kept.json"
    run("scale", ["--quick", "--stream", "20", "--save", str(kept)])
    found = read_results(kept)
    assert list(found) == ["local-stream"]
    moments = found["local-stream"]["moments"]
    assert [row["lines"] for row in moments] == list(range(2, 21, 2))
    assert all(row["mb"] > 0 for row in moments)
    (key, table), *others = tables.tables_of(found).items()
    assert (key, others) == ("scale-stream", [])
    assert table.splitlines()[-1].startswith("| local | 1 | 20 | ")


def test_a_stream_that_comes_out_in_another_order_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CELLS", stream.CELLS[1000:1040])
    monkeypatch.setattr(stream, "_give", _giving_backwards)
    with pytest.raises(AssertionError, match="line 1: "):
        stream.stream("local", 1, 40, tmp_path)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_as_many_calls_are_under_way_as_there_are_pretended_workers(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []

    def looking(self: tasks.PretendedPool, *call: Any) -> Any:
        most.append(1 + len(self.waiting))
        return submit(self, *call)

    submit = tasks.PretendedPool.submit
    monkeypatch.setattr(tasks.PretendedPool, "submit", looking)
    assert tasks.in_flight(engine, 50, 200, tmp_path) > 0
    assert max(most) == most[-1] == 49  # and one whose answer has come
    assert not tasks.PretendedPool.waiting


def test_what_follows_for_many_workers_counts_what_they_cost_the_command() -> None:
    overhead = [{"tasks": 10, "ms": 1.0, "ms_command": 1.0, "mb_before": 1.0, "mb_after": 1.0}]
    found = {"workers": 2, "overhead": overhead, "in_flight": {"2": 0.5, "100": 0.6, "1000": 0.5}}
    assert "| local | 1,000 |" in tables.tables_of({"local-tasks": found})["scale-on-paper"]
    known = tables.tables_of({"local-tasks": found | {"in_flight": {"2": 0.5, "100": 0.6, "1000": 1.5}}})
    assert "| local | 500 | 2.0 s and more |" in known["scale-on-paper"]
    assert known["scale-in-flight"].splitlines()[-1] == "| local | 0.500 | 0.600 | 1.500 |"
    assert "scale" not in known


def test_efficiency_is_against_one_local_worker() -> None:
    found = {"cores": 2, "workers": [1, 2], "seconds": {"lines of a stream": [8.0, 5.0]}}
    slower = found | {"seconds": {"lines of a stream": [16.0, 8.0]}}
    rows = tables.tables_of({"local": found, "ray": slower})["scale"].splitlines()
    assert rows[2:] == [
        "| local | 1 | 8.0 | 100% |",
        "| local | 2 | 5.0 | 80% |",
        "| ray | 1 | 16.0 | 50% |",
        "| ray | 2 | 8.0 | 50% |",
    ]


def test_tasks_can_be_measured_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    run("scale", ["--quick", "--only", "tasks", "--save", str(kept)])
    assert list(read_results(kept)) == ["local-tasks"]


def _giving_backwards(file: IO[str], *_: Any) -> None:
    with file:
        file.writelines(f"{cell}\n" for cell in stream.CELLS[::-1])
