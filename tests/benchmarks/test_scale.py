"""A long stream by an executor: every line comes out in its place, and how much memory the command had meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import IO

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


def _giving_backwards(file: IO[str], count: int) -> None:
    with file:
        file.writelines(f"{cell}\n" for cell in scale.CELLS[::-1])
