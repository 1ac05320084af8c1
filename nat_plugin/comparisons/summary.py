"""What a comparison found, as plain values: what ``comparison.json`` holds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from nat_plugin import __version__
from nat_plugin.comparisons.recipe import OPTIMUM, ComparisonPlan
from nat_plugin.comparisons.search import SearchTrace
from nat_plugin.comparisons.statistics import MeanInterval, Values, against, mean_interval, mean_of, samples
from nat_plugin.comparisons.units import SearchUnit, Work, read_trace, split_of
from nat_plugin.comparisons.verdict import conclude
from nat_plugin.plugins import Plugins
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import policy_path


class Traces:
    """All searches: by label, then by input and seed."""

    def __init__(self, work: Work, plan: ComparisonPlan, optimum: bool) -> None:
        self.labels = list(plan.names)
        self.inputs, self.seeds, self.queries = len(work.origins), plan.recipe.seeds, plan.recipe.queries
        labels = [*self.labels, *([OPTIMUM] if optimum else [])]
        self.found = {
            label: [[read_trace(work, label, SearchUnit(i, s)) for s in range(self.seeds)] for i in range(self.inputs)]
            for label in labels
        }

    def curves(self, label: str, figure: str) -> Values:
        """``gain`` or ``held_out`` of what was best: (inputs, seeds, queries + 1); not a number before there is any."""
        rows = [[trace.curve(self.queries) for trace in row] for row in self.found[label]]
        values = [[[math.nan if s is None else getattr(s, figure) for s in curve] for curve in row] for row in rows]
        return np.array(values, dtype=np.float64)

    def optimum(self, figure: str) -> Values | None:
        """Of the best that can be reached: (inputs, seeds); None where it is not known of all."""
        rows = self.found.get(OPTIMUM)
        if rows is None or not all(trace.steps for row in rows for trace in row):
            return None
        return np.array([[getattr(trace.steps[-1], figure) for trace in row] for row in rows], dtype=np.float64)

    def each(self, label: str) -> list[SearchTrace]:
        return [trace for row in self.found[label] for trace in row]


def trained_by(settings: Any) -> int | None:
    """Networks that were measured to train the policy that a strategy starts from; 0 without one, None if its file does
    not say."""
    name = getattr(settings, "policy", None)
    if not isinstance(name, str):
        return 0
    count = load_policy(policy_path(name))[1].get("evaluations")
    return count if isinstance(count, int) else None


def summary(work: Work, plan: ComparisonPlan, traces: Traces, left_out: int, plugins: Plugins) -> dict[str, Any]:
    """Everything that is reported. Gains are in the unit of the evaluator, ``held_out`` in that of ``scale``."""
    recipe = plan.recipe
    best = {figure: traces.optimum(figure) for figure in ("gain", "held_out")}
    last = {label: samples(traces.curves(label, "held_out"))[:, -1] for label in traces.labels}
    others = {label: values for label, values in last.items() if label != recipe.baseline}
    tests = against(last[recipe.baseline], others) if recipe.baseline in last else {}
    found: dict[str, Any] = {}
    for label in traces.labels:
        gains, held_out = traces.curves(label, "gain"), traces.curves(label, "held_out")
        used = sum(trace.queries for trace in traces.each(label)) / traces.seeds
        trained = trained_by(plan.strategies[label])
        test = tests.get(label)
        verdict = None if test is None else conclude(test, len(tests), traces.each(label), traces.each(recipe.baseline))
        found[label] = {
            "name": plan.names[label],
            "gain": _mean(mean_of(samples(gains)[:, -1])),
            "held_out": _mean(mean_of(last[label])),
            "regret": None if best["gain"] is None else _mean(mean_of(samples(best["gain"][..., None] - gains)[:, -1])),
            "test": None if test is None else _finite(asdict(test)),
            "verdict": None if verdict is None else verdict.word,
            "verdict_reason": None if verdict is None else verdict.reason,
            "queries": {
                "per_input": used / traces.inputs,
                "search": used,
                "policy": trained,
                "total": None if trained is None else used + trained,
            },
            "notes": dict(Counter(note for trace in traces.each(label) for note in trace.notes)),
            "had_no_more": sum(not trace.spent for trace in traces.each(label)),
            "curves": {"gain": _curve(gains), "held_out": _curve(held_out)}
            | ({} if best["gain"] is None else {"regret": _curve(best["gain"][..., None] - gains)}),
        }
    optimum = None
    if best["gain"] is not None and best["held_out"] is not None:
        optimum = {
            name: _mean(mean_of(samples(each[..., None])[:, -1])) for name, each in best.items() if each is not None
        }
    return {
        "version": __version__,
        "inputs": [origin.label for origin in work.origins],
        "inputs_left_out": left_out,
        "queries": recipe.queries,
        "seeds": recipe.seeds,
        "seed": recipe.seed,
        "rules": recipe.rules,
        "budget": recipe.budget,
        "evaluator": recipe.evaluator_name,
        "scale": asdict(plugins.find("evaluators", recipe.evaluator_name).scale(plan.evaluator)),
        "held_out_split": split_of(plugins, recipe.evaluator_name),
        "samples": "inputs" if traces.inputs > 1 else "seeds",
        "interval_covers": _covers(traces.inputs, traces.seeds),
        "baseline": recipe.baseline if recipe.baseline in last else None,
        "optimum": optimum,
        "strategies": found,
    }


def _covers(inputs: int, seeds: int) -> str:
    """What the intervals are about."""
    if inputs > 1:
        return "further inputs like these, on the same images"
    if seeds > 1:
        return "further searches on this input with other seeds, on the same images"
    return "nothing: there is one search of each"


def _mean(mean: MeanInterval) -> dict[str, Any]:
    found: dict[str, Any] = _finite(asdict(mean))
    return found


def _curve(values: Values) -> dict[str, Any]:
    """After 0, 1, … queries."""
    mean, low, high = mean_interval(samples(values))
    return {"mean": _finite(mean.tolist()), "low": _finite(low.tolist()), "high": _finite(high.tolist())}


def _finite(value: Any) -> Any:
    """JSON has no word for what is not a number."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
