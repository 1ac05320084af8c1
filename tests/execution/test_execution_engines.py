"""Every engine carries out calls side by side, and a worker that dies costs its own call alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.errors import NATError
from nat_plugin.execution.choosing import check_executor, executor_values, find_executor
from nat_plugin.plugins import plugins
from tests.comparisons.engines import SMALL, contents, run
from tests.execution.calls import all_of, dying, refused, square, where

without_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'nat-plugin[ray]'")
ENGINES = [
    pytest.param({"name": "local", "workers": 2}, id="local"),
    pytest.param({"name": "submitit", "cluster": "local", "workers": 2}, id="submitit"),
    pytest.param({"name": "ray", "workers": 2}, id="ray", marks=without_ray),
]


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


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_are_answered_and_one_whose_worker_dies_is_tried_again(engine: dict[str, Any], tmp_path: Path) -> None:
    for name in ("once", "always"):
        (tmp_path / name).mkdir()
    found = all_of(
        executor({**engine, "retries": 1}, tmp_path / "results"),
        ("once", dying, str(tmp_path / "once"), 1),
        ("always", dying, str(tmp_path / "always"), 9),
        ("well", square, 7),
        ("where", where),
    )
    assert (found["once"].value, found["well"].value) == (1, 49)
    assert found["where"].value != os.getpid()
    assert found["always"].lost is not None
    assert found["always"].lost.startswith("its worker died 2 times (killed, or out of memory?): ")
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
