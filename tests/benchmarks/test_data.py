"""Data files: each has an origin and a hash, what is built is checked, what cannot be built says why."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.common.files import MACRO, NB201
from benchmarks.data import sources
from benchmarks.data.__main__ import main
from benchmarks.data.sources import SOURCES, macro_csv
from benchmarks.registry import EXPERIMENTS

PUBLISHED = {
    "00000001": {"test_acc": [64.34, 64.2, 64.12], "mean_acc": 64.2, "std": 0.1, "params": 791594, "flops": 14115328},
    "00000000": {"test_acc": [45.32, 45.33, 45.44], "mean_acc": 45.4, "std": 0.1, "params": 387882, "flops": 7713280},
}
ROWS = (
    b"arch,acc_s1,acc_s2,acc_s3,params,flops\r\n00000000,45.32,45.33,45.44,387882,7713280\r\n"
    b"00000001,64.34,64.20,64.12,791594,14115328\r\n"
)


def test_every_file_that_an_experiment_reads_has_an_origin() -> None:
    assert {name for each in EXPERIMENTS.values() for name in each.reads} <= SOURCES.keys()
    assert [name for name, each in SOURCES.items() if (each.build is None) == (each.missing == "")] == []


def test_what_is_built_is_checked_and_then_only_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "download", lambda _: json.dumps(PUBLISHED).encode())
    assert main([MACRO, "--folder", str(tmp_path)]) == 2  # two networks are not the whole benchmark
    assert "has another sha256" in capsys.readouterr().err
    assert not (tmp_path / MACRO).exists()
    right = replace(SOURCES[MACRO], sha256=hashlib.sha256(ROWS).hexdigest())
    monkeypatch.setitem(SOURCES, MACRO, right)
    assert main([MACRO, "--folder", str(tmp_path)]) == 0
    assert gzip.decompress((tmp_path / MACRO).read_bytes()) == ROWS
    monkeypatch.setattr(sources, "download", None)
    assert main([MACRO, "--folder", str(tmp_path)]) == 0
    assert [line.split(":")[1] for line in capsys.readouterr().out.splitlines()] == [" built", " right"]
    (tmp_path / MACRO).write_bytes(gzip.compress(b"other"))
    assert main([MACRO, "--folder", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err


def test_what_cannot_be_built_says_why_and_where_it_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NB201, "--folder", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {NB201}: not built: ")
    assert "D-X-Y/NATS-Bench" in said


@pytest.mark.parametrize("published", [b"", b"[]", b'{"00000000": {}}', b'{"00000000": {"test_acc": ["x"]}}'])
def test_a_download_of_something_else_is_one_line(published: bytes) -> None:
    with pytest.raises(sources.NATError, match=r"no NAS-Bench-Macro: \w+"):
        macro_csv(published)


def test_the_files_beside_the_checkout_are_those_of_the_figures(shared_data: Path) -> None:
    assert main(["--folder", str(shared_data)]) == 0
