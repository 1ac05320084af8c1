"""A run whose workers are killed, and the command once, ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

from benchmarks.common.results import read_results
from benchmarks.experiments.speed.chaos import tables_of
from benchmarks.running import run


def test_killed_at_random_moments_with_its_workers_a_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    words = ["--save", str(tmp_path / "kept.json")]
    run("chaos", [*words, "--quick"])
    found = read_results(tmp_path / "kept.json")
    (disturbed,) = found["local"]["runs"]
    assert disturbed["commands"] + disturbed["workers"] > 0
    assert [disturbed[name] for name in ("said", "differs", "measured_twice", "left")] == ["", [], 0, 0]
    assert tables_of(found)["chaos"].endswith("| 0 | 0 | 0 | 0 |")
