"""Executors by name: of plugins too, refused in one line where one is not installed or cannot be as it is asked for."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.errors import NATError
from nat_plugin.execution import base
from nat_plugin.execution.choosing import find_executor, scratch_folder
from nat_plugin.extending import Executor, ExecutorSettings
from nat_plugin.hookspecs import hookimpl
from nat_plugin.plugins import Plugins, installed, plugins
from nat_plugin.runs.progress import Silent
from tests.comparisons.engines import SMALL
from tests.execution.calls import all_of, square


class Gone(Exception):
    """A machine of ``Unlucky`` is no more."""


class UnluckySettings(ExecutorSettings):
    every: int = 2
    """Every how-many-eth call is lost."""


class Unlucky(Executor):
    """An engine of somebody else's that loses machines."""

    Settings = UnluckySettings
    settings: UnluckySettings

    def __init__(self, settings: UnluckySettings, folder: Path) -> None:
        super().__init__(settings, folder)
        self.calls = 0

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (Gone,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        self.calls += 1
        future: Future[Any] = Future()
        if self.calls % self.settings.every == 0:
            future.set_exception(Gone("node 7 does not answer"))
        else:
            future.set_result(function(*arguments))
        return future

    def close(self, at_once: bool) -> None: ...


class Missing(Unlucky):
    package = "no_such_engine"


class Theirs:
    @hookimpl
    def register_executors(self, register: Any) -> None:
        register("unlucky", Unlucky)
        register("missing", Missing)


THEIRS = Plugins([*installed(), ("theirs", Theirs())])


def refused(executor: Any, **changes: Any) -> str:
    with pytest.raises(NATError) as error:
        plan_comparison({**SMALL, "executor": executor, **changes}, THEIRS)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        (
            "rya",
            "executor.name: 'rya' is not known (did you mean 'ray'?); allowed: local, missing, ray, submitit, unlu",
        ),
        (
            {"name": "local", "worker": 2},
            "executor.worker: unknown key; did you mean 'workers'? (allowed: retries, time",
        ),
        ({"workers": 0}, "executor.workers: Input should be greater than or equal to 1 (got '0')"),
        ({"retries": True}, "executor.retries: "),
        (5, "executor: give a name, or a mapping of a name and settings (got '5')"),
        ("missing", "'missing': it needs no_such_engine, which is not installed here: pip install no_such_engine"),
        ({"name": "submitit", "cluster": "moon"}, "executor.cluster: Input should be 'slurm', 'local' or 'debug'"),
    ],
)
def test_what_is_wrong_with_an_executor_is_one_line(executor: Any, said: str) -> None:
    assert said in refused(executor)


def test_what_is_not_installed_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    assert refused("ray").endswith("'ray': it needs ray, which is not installed here: pip install 'nat-plugin[ray]'")
    assert refused("submitit").endswith("pip install 'nat-plugin[slurm]'")


def test_without_slurm_and_with_settings_that_submitit_does_not_know_no_job_begins(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    for settings in ({"cluster": "slurm"}, {"cluster": "local", "parameters": {"colour": "red"}}):
        plan = plan_comparison({**SMALL, "executor": {"name": "submitit", **settings}}, plugins())
        with pytest.raises(NATError, match="executor: submitit refuses this: ") as error:
            find_executor("submitit", plan.executor, tmp_path, plugins())
        assert "\n" not in str(error.value)


def test_submitit_can_be_tried_in_this_process(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    plan = plan_comparison({**SMALL, "executor": {"name": "submitit", "cluster": "debug"}}, plugins())
    executor = find_executor("submitit", plan.executor, tmp_path, plugins())
    assert all_of(executor, ("seven", square, 7))["seven"].value == 49


def test_the_executor_of_the_docs_works(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "scale-out.md"
    *_, code = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    scope: dict[str, Any] = {"__name__": "theirs"}
    exec(code, scope)  # of our own docs
    found = Plugins([*installed(), ("theirs", SimpleNamespace(**scope))])
    executor = find_executor("threads", ExecutorSettings(workers=2), tmp_path, found)
    answers = all_of(executor, *((number, square, number) for number in range(5)))
    assert [answers[number].value for number in range(5)] == [0, 1, 4, 9, 16]


def test_what_a_job_still_writes_into_a_scratch_folder_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that is ended by Ctrl-C."""
    monkeypatch.chdir(tmp_path)
    endless = "cd $0; while :; do : > $((number++)); done 2> /dev/null"
    with ExitStack() as ends, scratch_folder() as folder:
        job = ends.enter_context(subprocess.Popen(["bash", "-c", endless, folder]))
        ends.callback(job.kill)
        while not (folder / "2000").exists():
            time.sleep(0.01)


def test_processes_of_older_recipes_are_workers(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_comparison({**SMALL, "processes": 3}, plugins())
    assert (plan.recipe.executor_name, plan.executor.workers) == ("local", 3)
    assert "executor: {workers: 3}" in capsys.readouterr().err


def test_searches_that_are_lost_are_named_once_all_others_are_done(tmp_path: Path) -> None:
    given = {**SMALL, "warmup": 0, "strategies": {"random": {}, "identity": {}}}
    unlucky = {**given, "executor": {"name": "unlucky", "workers": 1, "retries": 0}}
    lost = "identity, input 1, seed 1: its worker died (killed, out of memory?): Gone, and 1 more; all other"
    with pytest.raises(NATError, match=re.escape(lost)) as error:
        compare(plan_comparison(unlucky, THEIRS), tmp_path, THEIRS, Silent())
    assert "\n" not in str(error.value)
    assert len(list((tmp_path / "searches").iterdir())) == 2
    lucky = {**given, "executor": {"name": "unlucky", "every": 3, "retries": 1}}
    assert compare(plan_comparison(lucky, THEIRS), tmp_path, THEIRS, Silent())["inputs"] == ["DARTS_V2", "DARTS_V1"]
