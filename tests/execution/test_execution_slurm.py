"""Jobs go to SLURM, for whose commands the folder ``slurm`` stands in, and are found again after a kill."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("submitit")

from submitit.core.core import Job

from nat_plugin.execution.choosing import find_executor
from nat_plugin.execution.submitit import SubmititSettings
from nat_plugin.plugins import plugins
from tests.execution.calls import noted, square


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder with a file for each job."""
    monkeypatch.setenv("PATH", f"{Path(__file__).parent / 'slurm'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NAT_TEST_SLURM", str(tmp_path / "cluster"))
    monkeypatch.setattr(Job, "_results_timeout_s", 1)  # a result that is not there will not come late
    return tmp_path / "cluster"


def executor(folder: Path, cluster: str = "slurm") -> Any:
    return find_executor("submitit", SubmititSettings(cluster=cluster, workers=2), folder, plugins())  # type: ignore[arg-type]


def until(what: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not what():
        assert time.monotonic() < last, "it did not happen in a minute"
        time.sleep(0.05)


def test_jobs_are_found_again_and_none_is_done_twice_or_left(tmp_path: Path, cluster: Path) -> None:
    begun = {name: tmp_path / name for name in ("wanted", "unwanted")}
    killed = executor(tmp_path)
    for name, seconds in (("wanted", 2.0), ("unwanted", 100.0)):
        killed.begin(name, noted, str(begun[name]), seconds)
    until(lambda: all(path.exists() for path in begun.values()))
    with (tmp_path / "jobs" / "names.jsonl").open("a") as names:
        names.write('{"name": "half wri')
    jobs = [json.loads(line)["job"] for line in (tmp_path / "jobs" / "names.jsonl").read_text().splitlines()[:2]]
    with executor(tmp_path) as other:
        assert other.begin("wanted", noted, str(begun["wanted"]), 2.0).result() == 1
        assert other.submit(square, 7).result() == 49
    assert [(cluster / job).read_text().strip() == "cancelled" for job in jobs] == [False, True]
    assert begun["unwanted"].read_text() == "begun\n"
    assert not (tmp_path / "jobs").exists()


def test_of_this_machine_a_job_that_goes_on_is_ended_and_done_again(tmp_path: Path) -> None:
    path = tmp_path / "path"
    killed = executor(tmp_path, "local")
    killed.begin("hangs", noted, str(path), 100.0)
    until(path.exists)
    with executor(tmp_path, "local") as other:
        until(lambda: all(future.done() for future in killed._under_way))
        assert other.begin("hangs", noted, str(path), 0.0).result() == 2


def test_jobs_of_this_machine_that_are_ended_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, ended = tmp_path / "path", executor(tmp_path, "local")
    ended.submit(noted, str(path), 100.0)
    until(path.exists)
    (future,) = ended._under_way
    ended.close(at_once=True)
    until(future.done)
    until(lambda: "KeyboardInterrupt" in (tmp_path / "jobs" / "errors.log").read_text())
    assert capfd.readouterr().err == ""
