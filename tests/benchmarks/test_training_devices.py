"""Two processes learn what one does, and either goes on where the other stopped: a supernet, timm, a final training."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common.results import read_results
from benchmarks.experiments.training.devices import tables_of
from benchmarks.running import run


def test_two_devices_learn_what_one_does_and_go_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning_fabric", reason="needs the extra fabric")
    words = ["--quick", "--save", str(tmp_path / "kept.json")]
    run("training-devices", [*words])
    found = read_results(tmp_path / "kept.json")
    for subject, each in found["cpu"]["subjects"].items():
        same = [each["differences"][name] for name in ("two devices", "two, then one", "one, then two")]
        assert max(same) < 1e-5, (subject, each)
        in_float32 = [each["differences"][name] for name in ("two, float32, low rate", "two, first steps")]
        assert max(in_float32) < 1e-4, (subject, each)
        assert len(set(each["losses"])) == len(each["losses"]), "it learned"
    assert capsys.readouterr().out.count("\n") == 1 + len(found["cpu"]["subjects"])
    for table in tables_of(found).values():
        assert len({line.count("|") for line in table.splitlines()}) == 1
        assert "timm adaptation" in table
