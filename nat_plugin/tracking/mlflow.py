"""Figures for MLflow, wherever it is told to keep them (``MLFLOW_TRACKING_URI``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from nat_plugin.errors import NATError
from nat_plugin.messages import say_once

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report its use to its makers

from mlflow import MlflowClient

_T = TypeVar("_T")
EXPERIMENT = "nat-plugin"
"""Unless ``MLFLOW_EXPERIMENT_NAME`` says another."""


class MLflow:
    """Each part of a run is a run of MLflow, which a resumed run finds again by the tags ``nat.run`` and ``nat.part``.

    That it cannot be reached at the beginning is an error. Later it is said once, and the run goes on without: the
    journal has every figure.
    """

    def __init__(self, name: str, run: str) -> None:
        self._name, self._run = name, run
        try:
            self._client = MlflowClient()
            self._experiment = self._found_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
        except Exception as error:
            raise NATError(
                f"tracker: MLflow cannot be used here ({_first(error)}); say in MLFLOW_TRACKING_URI where it keeps "
                "what it is given, or leave out tracker"
            ) from error

    def part(self, name: str, _step: int, /) -> MLflowTrack:
        return MLflowTrack(self._client, _tried(lambda: self._run_of(name)))

    def _found_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _run_of(self, part: str) -> str:
        tags = {"nat.run": self._run, "nat.part": part}
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        name = f"{self._name} {part}"
        return str((found or [self._client.create_run(self._experiment, tags=tags, run_name=name)])[0].info.run_id)


class MLflowTrack:
    """One run of MLflow. A resumed run measures the same again, so steps that are there already are passed over."""

    def __init__(self, client: Any, run: str | None) -> None:
        self._client, self._run = client, run
        self._last: dict[str, int] = {}

    def add(self, name: str, value: float, step: int) -> None:
        if self._run is not None and _tried(lambda: self._log(name, value, step)) is None:
            self._run = None

    def close(self) -> None:
        if self._run is not None:
            _tried(lambda: self._client.set_terminated(self._run))

    def _log(self, name: str, value: float, step: int) -> bool:
        if name not in self._last:
            known = self._client.get_metric_history(self._run, name)
            self._last[name] = max((each.step for each in known), default=-1)
        if step > self._last[name]:
            self._client.log_metric(self._run, name, value, step=step)
            self._last[name] = step
        return True


def _tried(work: Callable[[], _T]) -> _T | None:
    """What comes of it; None where MLflow fails, which is said once."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - see above
        say_once(f"tracker: MLflow failed ({_first(error)}); the journal has what it misses")
        return None


def _first(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
