"""``--quick`` of every experiment: all that it does, very small, on stand-ins for its data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.common.results import read_results
from benchmarks.registry import EXPERIMENTS
from benchmarks.running import run

ELSEWHERE = {
    "chaos": "test_chaos.py",
    "search-own-architecture": "test_own_architecture.py",
    "timm-pretrained": "test_timm_pretrained.py",
    "training-devices": "test_training_devices.py",
}
"""Experiments whose quick run another file looks at more closely."""


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Experiments set the number of threads and silence what others log."""
    threads, disabled = torch.get_num_threads(), logging.root.manager.disable
    yield
    torch.set_num_threads(threads)
    logging.disable(disabled)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in ELSEWHERE])
def test_a_quick_run_says_what_it_found_and_keeps_it(
    name: str, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # whatever is written without a place of its own
    run(name, ["--quick", "--save", "kept.json"], stand_ins)
    assert capsys.readouterr().out.strip()
    found = read_results(tmp_path / "kept.json")
    assert found
    assert all({"command", "commit", "machine", "date"} < each.keys() for each in found.values())
    assert {path.name for path in tmp_path.iterdir()} <= {"kept.json"}
    tables_of = getattr(EXPERIMENTS[name].load(), "tables_of", None)
    assert tables_of is None or all("|" in table for table in tables_of(found).values())


def test_quick_runs_that_another_file_looks_at_are_there() -> None:
    for name, file in ELSEWHERE.items():
        assert f'run("{name}", [*words' in Path(__file__).with_name(file).read_text()
