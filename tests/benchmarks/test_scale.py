"""A long stream by an executor: every line comes out in its place, and how much memory the command had meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pytest

from benchmarks.common.results import read_results
from benchmarks.experiments.speed import scale
from benchmarks.running import run


def test_a_stream_is_kept_beside_what_else_is_known_of_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "CELLS", scale.CELLS[:8])
    kept = tmp_path / "kept.json"
    run("scale", ["--quick", "--stream", "20", "--save", str(kept)])
    found = read_results(kept)
    assert list(found) == ["local-stream"]
    moments = found["local-stream"]["moments"]
    assert [row["lines"] for row in moments] == list(range(2, 21, 2))
    assert all(row["mb"] > 0 for row in moments)
    (key, table), *others = scale.tables_of(found).items()
    assert (key, others) == ("scale-stream", [])
    assert table.splitlines()[-1].startswith("| local | 1 | 20 | ")


def test_a_stream_that_comes_out_in_another_order_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "CELLS", scale.CELLS[1000:1040])
    monkeypatch.setattr(scale, "_give", _giving_backwards)
    with pytest.raises(AssertionError, match="line 1: "):
        scale.stream("local", 1, 40, tmp_path)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_as_many_calls_are_under_way_as_there_are_pretended_workers(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []

    def looking(self: scale.PretendedPool, *call: Any) -> Any:
        most.append(1 + len(self.waiting))
        return submit(self, *call)

    submit = scale.PretendedPool.submit
    monkeypatch.setattr(scale.PretendedPool, "submit", looking)
    assert scale.in_flight(engine, 50, 200, tmp_path) > 0
    assert max(most) == most[-1] == 49  # and one whose answer has come
    assert not scale.PretendedPool.waiting


def test_what_follows_for_many_workers_counts_what_they_cost_the_command() -> None:
    overhead = [{"tasks": 10, "ms": 1.0, "ms_command": 1.0, "mb_before": 1.0, "mb_after": 1.0}]
    found = {"cores": 2, "workers": [], "overhead_workers": 2, "seconds": {}, "overhead": overhead}
    known = scale.tables_of({"local": found | {"seconds": {name: [1.0] for name in scale.WORK}}})
    assert "| local | 1,000 |" in known["scale-on-paper"]
    many = found | {"seconds": {name: [1.0] for name in scale.WORK}, "in_flight": {"2": 0.5, "100": 0.6, "1000": 1.5}}
    tables = scale.tables_of({"local": many})
    assert "| local | 500 | 2.0 s and more |" in tables["scale-on-paper"]
    assert tables["scale-in-flight"].splitlines()[-1] == "| local | 0.500 | 0.600 | 1.500 |"


def _giving_backwards(file: IO[str], count: int) -> None:
    with file:
        file.writelines(f"{cell}\n" for cell in scale.CELLS[::-1])
