"""Jobs go to SLURM, for whose commands the folder ``slurm`` stands in, and are found again after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("submitit")

from submitit.core.core import Job
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from nat_plugin.errors import NATError
from nat_plugin.execution import submitit
from nat_plugin.execution.choosing import find_executor
from nat_plugin.execution.submitit import SubmititSettings
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.execution.calls import answer_of, noted, square, wanting
from tests.execution.engines import RUN


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder with a file for each job."""
    monkeypatch.setenv("PATH", f"{Path(__file__).parent / 'slurm'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NAT_TEST_SLURM", str(tmp_path / "cluster"))
    monkeypatch.setattr(Job, "_results_timeout_s", 1)  # a result that is not there will not come late
    monkeypatch.setattr(SlurmJob, "watcher", SlurmInfoWatcher(delay_s=600))  # every test counts its jobs anew
    return tmp_path / "cluster"


def executor(folder: Path, cluster: str = "slurm") -> Any:
    settings = SubmititSettings(cluster=cluster, workers=2, retries=0)  # type: ignore[arg-type]
    return find_executor("submitit", settings, folder, plugins())


def until(what: Callable[[], bool]) -> None:
    last = time.monotonic() + 300
    while not what():
        assert time.monotonic() < last, "it did not happen in five minutes"
        time.sleep(0.05)


def test_jobs_are_found_again_and_none_is_done_twice_or_left(tmp_path: Path, cluster: Path) -> None:
    begun = {name: tmp_path / name for name in ("wanted", "unwanted")}
    killed = executor(tmp_path)
    for name, seconds in (("wanted", 2.0), ("unwanted", 100.0)):
        killed.begin(name, noted, str(begun[name]), seconds)
    until(lambda: all(path.exists() for path in begun.values()))
    lines = (tmp_path / "jobs" / "names.jsonl").read_text().splitlines()
    jobs = [json.loads(line)["job"] for line in lines if line]
    with executor(tmp_path) as other:
        assert other.begin("wanted", noted, str(begun["wanted"]), 2.0).result() == 1
        assert other.submit(square, 7).result() == 49
    assert [(cluster / job).read_text().strip() == "cancelled" for job in jobs] == [False, True]
    assert begun["unwanted"].read_text() == "begun\n"
    assert not (tmp_path / "jobs").exists()


def test_a_run_that_is_killed_takes_what_its_jobs_find_out(tmp_path: Path, cluster: Path) -> None:
    recipe = {name: value for name, value in RUN.items() if name != "final"}
    alone, folder, path = tmp_path / "alone", tmp_path / "run", tmp_path / "recipe.json"
    start(plan(recipe, plugins()), alone, plugins(), Silent())
    path.write_text(json.dumps({**recipe, "executor": {"name": "submitit", "workers": 2}}))
    command = subprocess.Popen([sys.executable, "-m", "nat_plugin", "run", str(path), "--out", str(folder)])
    names = folder / "jobs" / "names.jsonl"
    until(lambda: names.exists() and names.read_text().count("}") == 2)
    command.kill()
    command.wait()
    resume(folder, plugins(), Silent())
    for name in ("result.json", "journal.jsonl"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes()
    assert len(list(cluster.iterdir())) == 2
    assert not (folder / "jobs").exists()


@pytest.mark.parametrize("refuses", [True, False])
def test_a_call_that_came_to_nothing_is_made_again_once_that_is_mended(refuses: bool, tmp_path: Path) -> None:
    path = tmp_path / "wanted"
    ended = executor(tmp_path)
    with nullcontext() if not refuses else pytest.raises(NATError, match="no such file"):
        assert answer_of(ended, "x", wanting, str(path), refuses).lost == "it raised OSError: no disk"
    ended.close(at_once=True)
    path.touch()
    with executor(tmp_path) as other:
        assert answer_of(other, "x", wanting, str(path), refuses).value == 7


def test_of_all_jobs_of_a_killed_command_the_last_of_each_name_is_found_and_the_others_are_ended(
    tmp_path: Path, cluster: Path
) -> None:
    names = tmp_path / "jobs" / "names.jsonl"
    begun = [tmp_path / name for name in ("unnamed", "first", "second", "behind")]
    killed = executor(tmp_path)
    killed.submit(noted, str(begun[0]), 100.0)
    killed.begin("twice", noted, str(begun[1]), 100.0)
    killed.begin("twice", noted, str(begun[2]), 100.0)  # as where the first died
    with names.open("a") as file:
        file.write('\n{"name": "cut o')
    killed.begin("behind", noted, str(begun[3]), 100.0)
    until(lambda: all(path.exists() for path in begun))
    jobs = sorted(cluster.iterdir(), key=lambda path: int(path.name))
    other = executor(tmp_path)
    assert [path.read_text().strip() == "cancelled" for path in jobs] == [True, True, False, False]
    assert set(other._left) == {"twice", "behind"}
    other.close(at_once=True)
    assert {path.read_text().strip() for path in jobs} == {"cancelled"}


def test_a_job_that_slurm_does_not_know_is_ended_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "path"
    killed = executor(tmp_path)
    killed.begin("x", noted, str(path), 100.0)
    until(path.exists)
    monkeypatch.setenv("NAT_TEST_SLURM_FORGETS", "1")
    monkeypatch.setattr(SlurmJob, "watcher", SlurmInfoWatcher(delay_s=600))  # as in another process
    with executor(tmp_path) as other:
        assert other.begin("x", noted, str(path), 0.0).result() == 2


def test_a_job_that_slurm_forgets_while_it_is_waited_for_is_lost_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAT_TEST_SLURM_FORGETS", "1")
    path, found = tmp_path / "path", executor(tmp_path)
    future = found.begin("x", noted, str(path), 100.0)
    until(path.exists)
    assert not future.done()
    monkeypatch.setattr(found._awaited, "_seconds", 0.1)
    assert isinstance(future.exception(timeout=300), found.lost)
    found.close(at_once=True)


def test_a_job_that_slurm_refuses_is_submitted_again_and_then_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    refusals = tmp_path / "refusals"
    monkeypatch.setenv("NAT_TEST_SLURM_REFUSES", str(refusals))
    monkeypatch.setattr(submitit, "PAUSES", (0.0, 0.0))
    with executor(tmp_path) as found:
        refusals.write_text("1\n2\n")
        assert found.submit(square, 7).result() == 49
        refusals.write_text("1\n2\n3\n")
        with pytest.raises(NATError, match=r"^executor: a job was refused 3 times: .*QOSMaxSubmitJob") as error:
            found.submit(square, 7)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_ctrl_c_while_a_job_is_submitted_leaves_none_behind(
    tmp_path: Path, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAT_TEST_SLURM_INTERRUPTS", "1")
    with pytest.raises(KeyboardInterrupt), executor(tmp_path) as found:
        found.begin("x", noted, str(tmp_path / "path"), 100.0)
    assert [path.read_text().strip() for path in cluster.iterdir()] == ["cancelled"]


def test_a_job_of_slurm_with_the_number_of_one_of_this_machine_is_left_alone(tmp_path: Path, cluster: Path) -> None:
    """Where results that were begun without SLURM are gone on with by it."""
    other = executor(tmp_path / "other")
    other.submit(noted, str(tmp_path / "path"), 100.0)
    (job,) = cluster.iterdir()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / f"{job.name}_submitted.pkl").touch()
    executor(tmp_path).close(at_once=True)
    assert job.read_text().strip() != "cancelled"
    other.close(at_once=True)
    assert job.read_text().strip() == "cancelled"


def test_a_call_may_be_large(tmp_path: Path) -> None:
    """submitit alone refuses what is more than a gigabyte."""
    for engine in ("slurm", "local"):
        found = executor(tmp_path, engine)
        assert found._submitit._executor.max_pickle_size_gb == float("inf")
        found.close(at_once=True)


def test_of_this_machine_a_job_that_goes_on_is_ended_and_done_again(tmp_path: Path) -> None:
    path = tmp_path / "path"
    killed = executor(tmp_path, "local")
    hanging = killed.begin("hangs", noted, str(path), 100.0)
    until(path.exists)
    with executor(tmp_path, "local") as other:
        until(hanging.done)
        assert other.begin("hangs", noted, str(path), 0.0).result() == 2


def test_jobs_of_this_machine_that_are_ended_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, ended = tmp_path / "path", executor(tmp_path, "local")
    future = ended.submit(noted, str(path), 100.0)
    until(path.exists)
    ended.close(at_once=True)
    until(future.done)
    until(lambda: "KeyboardInterrupt" in (tmp_path / "jobs" / "errors.log").read_text())
    assert capfd.readouterr().err == ""
