"""Every engine carries out calls side by side, and a worker that dies costs its own call alone."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from nat_plugin.errors import NATError
from nat_plugin.execution import calls, local
from nat_plugin.execution.carrying import carried_out
from nat_plugin.execution.choosing import check_executor, executor_values, find_executor
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from tests.comparisons.engines import SMALL, contents, run
from tests.execution.calls import (
    SickAtFirst,
    Unpickled,
    all_of,
    broken,
    dying,
    gpu_of,
    hanging,
    leaving,
    noted,
    refused,
    square,
    summed,
    unsendable,
    where,
)  # fmt: skip
from tests.execution.engines import ENGINES, RUN

LOST = "its worker died (killed, out of memory, longer than timeout: 3 seconds?): "


@pytest.fixture(scope="module", autouse=True)
def _one_cluster() -> Iterator[None]:
    """For all tests of this file; an executor starts it, since none runs."""
    if find_spec("ray") is None:
        yield
        return
    with executor({"name": "ray", "workers": 2}, Path()):
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that was carried out in this process."""
    folder = tmp_path_factory.mktemp("comparisons") / "alone"
    run(folder, SMALL)
    return folder


@pytest.fixture(autouse=True)
def _disk_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that is not there will not come late: submitit waits seconds for the disk of a cluster."""
    if find_spec("submitit") is not None:
        from submitit.core.core import Job

        monkeypatch.setattr(Job, "_results_timeout_s", 1)


def executor(values: dict[str, Any], folder: Path) -> Any:
    mistakes: list[str] = []
    settings = check_executor(values, plugins(), mistakes)
    assert not mistakes
    assert settings is not None
    return find_executor(executor_values(values)["name"], settings, folder, plugins())


def test_a_local_worker_that_is_killed_while_it_is_at_nothing_costs_nothing(tmp_path: Path) -> None:
    with executor({"name": "local", "workers": 2}, tmp_path) as found:
        os.kill(found.submit(where).result(), signal.SIGKILL)
        (pool,) = found._pools
        while not pool._executor._broken:
            time.sleep(0.01)
        assert found.submit(square, 7).result() == 49


def test_nor_does_a_local_one_get_another_before_that_is_looked_at(tmp_path: Path) -> None:
    """As where two calls have ended, and the answer to the other is taken first."""
    with executor({"name": "local", "workers": 2}, tmp_path) as found:
        failed = found.submit(carried_out, broken, (), None, "").result()
        assert failed.failed
        assert found.submit(carried_out, where, (), None, "").result().worker != failed.worker


@pytest.mark.parametrize("engine", [ENGINES[0], ENGINES[2]])
def test_a_worker_in_which_a_call_failed_gets_no_other(engine: dict[str, Any], tmp_path: Path) -> None:
    call = SickAtFirst(str(tmp_path / "first"))
    found = executor({**engine, "workers": 1, "timeout": 60}, tmp_path)
    answers = all_of(found, *((number, call, number) for number in range(4)))
    assert [answers[number].value for number in range(4)] == [0, 1, 2, 3]
    assert sum(len(each.failed) for each in answers.values()) == 1


def test_workers_of_this_machine_have_its_gpus_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    monkeypatch.setattr(local, "DEVICES", tmp_path)
    with executor({"name": "local", "workers": 3}, tmp_path) as found:
        futures = [found.submit(gpu_of, device) for device in ("auto", "cuda")]
        assert [future.result() for future in futures] == ["0", "1"]
        found.shun(futures[1], "")
        assert found._gpus[found._new()] == "1"
    with executor({"name": "local", "workers": 3}, tmp_path) as named:
        assert named.submit(gpu_of, "cuda:1").result() == ""  # the recipe says which


def test_gpus_that_a_process_may_use_are_given_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in {"3,GPU-5f": ["3", "GPU-5f"], "": [], "-1": []}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert local.visible_gpus() == expected


def test_a_worker_that_hangs_before_its_call_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = executor({"name": "local", "workers": 2, "timeout": 0.5, "retries": 0}, tmp_path)
    monkeypatch.setattr(type(found), "grace", 0.5)
    answers = all_of(found, ("hangs", noted, Unpickled(), 0.0), ("well", square, 7))
    assert answers["hangs"].lost is not None
    assert answers["hangs"].lost.startswith("nothing was heard of its worker for ")
    assert answers["well"].value == 49


def test_an_answer_that_waited_for_this_process_is_not_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be at something else for long between two answers."""
    found = executor({"name": "local", "workers": 2, "timeout": 60, "retries": 0}, tmp_path)
    waiting = iter(calls.ExecutorCall(number, square, (number,)) for number in range(2))
    with found:
        answers = calls.answers(found, lambda: next(waiting, None))
        first = next(answers)
        while not all(future.done() for future in found._busy):
            time.sleep(0.01)
        monkeypatch.setattr(type(found), "is_late", lambda self, age: True)
        assert {(each.subject, each.value) for each in (first, *answers)} == {(0, 0), (1, 1)}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_goes_wrong_around_a_call_costs_it_alone(engine: dict[str, Any], tmp_path: Path) -> None:
    found = executor({**engine, "retries": 0}, tmp_path)
    answers = all_of(found, ("leaves", leaving), ("cannot be sent", unsendable), ("well", square, 7))
    assert answers["leaves"].lost == "it raised SystemExit: no licence"
    assert answers["well"].value == 49
    if engine["name"] == "local":  # others send functions by their code
        assert str(answers["cannot be sent"].lost).startswith("it raised ")


def test_what_is_under_way_is_told_while_nothing_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "EVERY", 0.02)
    heard: list[calls.UnderWay] = []
    waiting = iter([calls.ExecutorCall(1, noted, (str(tmp_path / "begun"), 0.5))])
    with executor({"name": "local", "workers": 2}, tmp_path) as found:
        assert [each.value for each in calls.answers(found, lambda: next(waiting, None), heard.append)] == [1]
    assert len(heard) > 2
    assert {each.calls for each in heard} == {1}
    assert [each.oldest for each in heard] == sorted(each.oldest for each in heard)


@pytest.mark.parametrize("engine", [pytest.param({"name": "local"}, id="here"), ENGINES[0], ENGINES[2]])
def test_a_state_that_many_calls_need_comes_to_a_worker_once_and_with_none_of_them(
    engine: dict[str, Any], tmp_path: Path
) -> None:
    found = executor(engine, tmp_path)
    shared = found.share({"x": torch.ones(10**6), "plain": 1})
    assert (engine["name"] == "local" and found.here) or len(pickle.dumps(shared)) < 1000
    answers = all_of(found, *((number, summed, shared, number) for number in range(3)))
    assert [answers[number].value for number in range(3)] == [(number * 1e6, 1) for number in range(3)]
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_that_dies_hangs_or_raises_costs_its_call_alone(engine: dict[str, Any], tmp_path: Path) -> None:
    for name in ("once", "always"):
        (tmp_path / name).mkdir()
    found = all_of(
        executor({**engine, "retries": 1, "timeout": 3}, tmp_path / "results"),
        ("once", dying, str(tmp_path / "once"), 1),
        ("always", dying, str(tmp_path / "always"), 9),
        ("hangs", hanging),
        ("raises", broken),
        ("well", square, 7),
        ("where", where),
    )
    assert (found["once"].value, found["well"].value) == (1, 49)
    assert found["where"].value != os.getpid()
    assert found["always"].lost is not None
    assert found["always"].lost.startswith(LOST)
    assert found["always"].lost.endswith(", 2 times")
    assert str(found["hangs"].lost).startswith(LOST)
    assert found["raises"].lost == "it raised ZeroDivisionError: a loss of nothing, 2 times"
    assert (found["where"].worker.endswith(f":{found['where'].value}"), found["raises"].worker) == (True, "")
    assert len(list((tmp_path / "always").iterdir())) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_wrong_with_what_was_given_travels_as_it_is(engine: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NATError, match="seed: wrong rules: wrong too"):
        all_of(executor(engine, tmp_path), ("a", refused))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_comparison_ends_with_the_same_bytes(engine: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    run(tmp_path / "other", {**SMALL, "executor": engine})
    assert contents(tmp_path / "other") == contents(alone)
    assert not (tmp_path / "other" / "jobs").exists()


@pytest.fixture(scope="module")
def alone_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a final stage, carried out in this process."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    start(plan(RUN, plugins()), folder, plugins(), Silent())
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_with_its_final_stage_ends_with_the_same_bytes(
    engine: dict[str, Any], alone_run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "run"
    start(plan({**RUN, "executor": engine}, plugins()), other, plugins(), Silent())
    names = ("result.json", "journal.jsonl", "report.md", "network.json")
    files = [*(alone_run / name for name in names), *alone_run.glob("weights/*")]
    assert len(files) == len(names) + 2
    for file in files:
        assert (other / file.relative_to(alone_run)).read_bytes() == file.read_bytes()
    assert not (other / "jobs").exists()
