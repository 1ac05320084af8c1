"""What the shell asks of NNI's execution engines beyond their common interface, and what it does with their metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from nat_nni.framework import load
from nat_plugin import NATError


def innermost(engine: Any) -> Any:
    """The engine itself, behind the middlewares of a ``Chain``."""
    while isinstance(engine, load("nni.nas.execution").Middleware):
        engine = engine.engine
    return engine


def planned_trials(engine: Any) -> int | None:
    """The experiment's limit on trials; None if it has none."""
    engine = innermost(engine)
    found = getattr(engine, "max_model_count", None)  # sequential
    if found is None and hasattr(engine, "nodejs_binding"):  # ts
        found = engine.nodejs_binding.config.max_trial_number
    return None if found is None else int(found)


def trials_left(engine: Any, done: int) -> int | None:
    """How many more trials there may be, after so many in an earlier experiment of which the engine knows nothing.
    None: the engine counts by itself. ``ts`` does not: for a moment after its last trial began it takes another model,
    which never runs."""
    planned = planned_trials(engine)
    return None if planned is None or innermost(engine).state_dict() else max(planned - done, 0)


def is_over(engine: Any) -> bool:
    """Whether the training service has ended the experiment, at a limit on trials or on time: what has not begun by
    then never runs. Other engines run what they take."""
    binding = getattr(innermost(engine), "nodejs_binding", None)
    return binding is not None and binding.get_status() == "DONE"


def check_message(engine: Any, model: Any) -> None:
    """NATError for a model of whose end the training service could not tell us, or whose values it changes. A function
    of the main script is sent as base64 text; if that comes back with ``//`` in it, NNI's own parser takes this for a
    comment, and waits for ever."""
    if not hasattr(innermost(engine), "nodejs_binding"):
        return
    nni = load("nni")
    if nni.load(nni.dump(model.sample)) != model.sample:
        raise NATError(
            f"NNI sends samples to its trials as JSON, and refuses there what comes back of {str(model.sample)[:200]} "
            "(a tuple is a list): use the sequential engine, or a choice of numbers or texts"
        )
    parameters = nni.dump({"parameter_id": 0, "parameters": model})
    end = {"trial_job_id": "", "event": "SUCCEEDED", "hyper_params": parameters}  # as nni_node sends it
    message = json.dumps({"type": "EN", "content": json.dumps(end)}, separators=(",", ":"))
    try:
        nni.load(message)
    except ValueError:
        raise NATError(
            "NNI cannot read back what it makes of the evaluator and the space (// in it is a comment to it) and would "
            "wait for ever: put the functions and classes that they use into a module that the script imports"
        ) from None


def number(metric: Any) -> float | None:
    """The number of a metric: itself, or what a dict has under ``default``. NumPy's and torch's are numbers too; NNI
    gives up on those. None for anything else."""
    value: Any = metric.get("default") if isinstance(metric, Mapping) else metric
    try:
        return None if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return None


def is_finite(metric: float | None) -> bool:
    return metric is not None and math.isfinite(metric)
