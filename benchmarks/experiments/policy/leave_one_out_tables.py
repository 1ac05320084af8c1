"""From what was found with tasks left out to figures with intervals, tables of the documentation.

An entry has ``rows``, one for each setting, method, group and number of queries. ``share``: of what the best reachable
gains, all inputs together; ``gain``, ``behind`` the best, and ``ahead`` (the trained policy less this method) are in
the unit of the task; each as value, low, high of its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common.reliability import bins_of, error, pooled, within

REPEATS = 1000
"""Times that inputs and trainings are drawn anew for an interval."""
SUGGEST, TRAINED, RANKED = "suggest", "nat, trained", "critic"
SCRATCH = ("nat", "surrogate", "hill_climb", "evolution", "random")
CASES = {"proposals": "proposals made", "reachable": "networks in reach", "pairs": "any two networks"}
"""Of which it is known how likely one was said to be better than the other, and whether it was."""
Unit = Mapping[str, Any]
Row = Mapping[str, Any]
Entries = Mapping[str, Mapping[str, Any]]


class Runs:
    """Of a method under a setting, in all trainings: ``gains`` (trainings, inputs, queries), ``best`` (inputs,)."""

    def __init__(self, units: Sequence[Unit]) -> None:
        largest = max(units, key=lambda unit: len(unit["inputs"]))
        self.units = [unit for unit in units if all(unit[name] == largest[name] for name in ("inputs", "queries"))]
        self.inputs: list[int] = largest["inputs"]
        self.queries: list[int] = largest["queries"]
        self.gains = np.array([unit["gains"] for unit in self.units])
        self.best = np.array(largest["best"])

    def places(self, members: Sequence[int]) -> list[int]:
        """Where some of the inputs stand."""
        wanted = set(members)
        return [place for place, row in enumerate(self.inputs) if row in wanted]


class Resampled:
    """Means over inputs and trainings, with intervals."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs

    def mean(self, values: np.ndarray) -> list[float]:
        """Of values (trainings, inputs)."""
        return _with_interval(float(values.mean()), self._means(values))

    def ratio(self, values: np.ndarray, whole: np.ndarray) -> list[float] | None:
        """Of the sums of values (trainings, inputs) and of ``whole`` (inputs,); None where that sum is not above 0."""
        if not whole.sum() > 0:
            return None
        parts, wholes = self._means(values), self._means(whole[None])
        fine = wholes > 0
        return _with_interval(float(values.mean() / whole.mean()), parts[fine] / wholes[fine])

    def _means(self, values: np.ndarray) -> np.ndarray:
        """(REPEATS,); of the same inputs for all values."""
        places = np.random.default_rng(0).integers(0, self._inputs, (REPEATS, self._inputs))
        trainings = np.random.default_rng(1).integers(0, len(values), (REPEATS, len(values)))
        means: np.ndarray = np.stack([values[of][:, at].mean() for of, at in zip(trainings, places, strict=True)])
        return means


def _with_interval(value: float, repeats: np.ndarray) -> list[float]:
    low, high = np.quantile(repeats, [0.025, 0.975])
    return [float(f"{each:.6g}") for each in (value, low, high)]


def entry_of(
    units: Mapping[tuple[str, str], Sequence[Unit]],
    groups: Mapping[tuple[str, str], Mapping[str, Sequence[int]]],
    rankings: Sequence[Unit],
) -> dict[str, Any]:
    """``units`` of all trainings, by setting and method; ``groups``: the rows of the task in each, by the same;
    ``rankings``: by the critics of all trainings."""
    runs = {name: Runs(several) for name, several in units.items()}
    rows = []
    for (setting, method), trainings in sorted(runs.items(), key=lambda each: ("=" in each[0][0], each[0])):
        trained = runs.get((setting, TRAINED))
        for group, members in groups[setting, method].items():
            labels = {"setting": setting, "method": method, "group": group}
            against = trained if method in SCRATCH else None
            rows += [labels | row for row in _rows(method, trainings, members, against)]
    calibration = {
        setting: _calibration(trainings, groups[setting, method]["all"])
        for (setting, method), trainings in runs.items()
        if method == SUGGEST
    }
    every = [*rankings, *(unit for several in units.values() for unit in several)]
    origins = {str(unit["from"]): unit["from"] for unit in every}
    critic = {
        "trainings": len(rankings),
        "spearman": float(np.mean([each["spearman"] for each in rankings])) if rankings else None,
        "pairs": pooled(_bins(each["pairs"]) for each in rankings),
    }
    return {"rows": rows, "calibration": calibration, "critic": critic, "parts": list(origins.values())}


def _rows(method: str, runs: Runs, members: Sequence[int], trained: Runs | None) -> list[dict[str, Any]]:
    """By number of queries."""
    at = runs.places(members)
    if not at:
        return []
    best, over, rows = runs.best[at], Resampled(len(at)), []
    for number, queries in enumerate(runs.queries):
        gains = runs.gains[:, at, number]
        row = {
            "queries": queries,
            "inputs": len(at),
            "trainings": len(gains),
            "best": float(best.mean()),
            "gain": over.mean(gains),
            "behind": over.mean(best - gains),
            "share": over.ratio(gains, best),
            "worse": float((gains < 0).mean()),
        }
        if method == SUGGEST:
            row |= _proposals(runs, at)
        if trained is not None and trained.inputs == runs.inputs and queries in trained.queries:
            ahead = trained.gains[:, at, trained.queries.index(queries)] - gains
            row |= {"ahead": over.mean(ahead), "ahead_share": over.ratio(ahead, best)}
        rows.append(row)
    return rows


def _proposals(runs: Runs, at: Sequence[int]) -> dict[str, Any]:
    """How many inputs were changed; of these what the critic said and what was so."""
    changed = np.array([[not unit["kept"][place] for place in at] for unit in runs.units])
    said = np.array([[unit["probability"][place] for place in at] for unit in runs.units], float)
    row: dict[str, Any] = {"changed": float(changed.mean())}
    if changed.any():
        row |= {"said": float(said[changed].mean()), "true": float((runs.gains[:, at, 0] > 0)[changed].mean())}
    return row


def _calibration(runs: Runs, members: Sequence[int]) -> dict[str, Any]:
    """Of the inputs that are a sample of all."""
    at = runs.places(members)
    said = np.array([unit["probability"] for unit in runs.units], float)[:, at]
    made = ~np.array([unit["kept"] for unit in runs.units])[:, at] & np.isfinite(said)
    return {
        "proposals": bins_of(said[made], (runs.gains[:, at, 0] > 0)[made]),
        "reachable": _bins([pair for unit in runs.units for place in at for pair in unit["reached"][place]]),
    }


def _bins(pairs: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    cases = np.array(pairs, float).reshape(-1, 2)
    return bins_of(cases[:, 0], cases[:, 1] > 0)


def tables_of(entries: Entries) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    parts = {
        "summary": _summary,
        "no-query": _no_query,
        "limits": _limits,
        "queries": _queries,
        "calibration": _calibrations,
    }
    return {f"leave-one-out-{name}": part(entries) for name, part in parts.items()}


def _pooled(entry: Mapping[str, Any], what: str) -> list[dict[str, float]]:
    if what == "pairs":
        pairs: list[dict[str, float]] = entry["critic"]["pairs"]
        return pairs
    return pooled(each[what] for each in entry["calibration"].values())


def _rows_of(entry: Mapping[str, Any], method: str, limited: bool) -> list[Row]:
    return [row for row in entry["rows"] if row["method"] == method and ("=" in row["setting"]) == limited]


def _no_query(entries: Entries) -> str:
    lines = _head(
        "task left out", "rules", "inputs", "of the best gain", "gain", "best", "worse", "kept", "said", "better"
    )
    for task, entry in entries.items():
        for row in _rows_of(entry, SUGGEST, limited=False):
            said = [f"{row[name]:.2f}" if row.get(name) is not None else "" for name in ("said", "true")]
            inputs = f"{row['group']} ({row['inputs']})"
            figures = (_percent(row["share"]), _points(row["gain"], entry), _number(row["best"], entry))
            shares = (f"{row['worse']:.0%}", f"{1 - row['changed']:.0%}")
            lines.append(_line(task, row["setting"], inputs, *figures, *shares, *said))
    return "\n".join(lines)


def _limits(entries: Entries) -> str:
    lines = _head("task left out", "rules and limit", "inputs", "gain", "best within", "behind it")
    for task, entry in entries.items():
        for row in _rows_of(entry, SUGGEST, limited=True):
            figures = (_points(row["gain"], entry), _number(row["best"], entry), _points(row["behind"], entry))
            lines.append(_line(task, row["setting"], f"{row['group']} ({row['inputs']})", *figures))
    return "\n".join(lines)


def _places(entry: Mapping[str, Any]) -> dict[tuple[str, str], dict[int, tuple[Row, Row]]]:
    """By setting and group, at every number of queries the row of the trained policy and of the best other method."""
    pairs: dict[tuple[str, str], dict[int, tuple[Row, Row]]] = {}
    for own in entry["rows"]:
        if own["method"] == TRAINED:
            at = own["setting"], own["group"], own["queries"]
            others = [
                row for row in entry["rows"]
                if "ahead" in row and (row["setting"], row["group"], row["queries"]) == at
            ]  # fmt: skip
            if others:
                best = max(others, key=lambda row: row["gain"][0])
                pairs.setdefault(at[:2], {})[at[2]] = (own, best)
    return pairs


def _queries(entries: Entries) -> str:
    counts = sorted({queries for entry in entries.values() for place in _places(entry).values() for queries in place})
    lines = _head("task left out", "rules and limit", "inputs", *(f"Q = {count}" for count in counts))
    for task, entry in entries.items():
        for (setting, group), place in _places(entry).items():
            number = next(iter(place.values()))[0]["inputs"]
            cells = [_against(*place[count], entry) if count in place else "" for count in counts]
            lines.append(_line(task, setting, f"{group} ({number})", *cells))
    return "\n".join(lines)


def _against(own: Row, other: Row, entry: Mapping[str, Any]) -> str:
    """What the trained policy has, what the best other has, and the difference of the two."""
    if own["share"] is None or other["ahead_share"] is None or "=" in own["setting"]:
        figures = _number(own["gain"][0], entry), _number(other["gain"][0], entry), _points(other["ahead"], entry)
    else:
        figures = f"{own['share'][0]:.0%}", f"{other['share'][0]:.0%}", _percent(other["ahead_share"], sign="+")
    return f"{figures[0]}; {other['method']} {figures[1]}: {figures[2]}"


def _summary(entries: Entries) -> str:
    """How often what is aimed at holds."""
    zero = [(task, row) for task, entry in entries.items() for row in _rows_of(entry, SUGGEST, limited=False)]
    lines = _head("without a query, no limit", "places (task, rules, inputs)")
    lines.append(_line("mean not below the input", f"{sum(row['gain'][0] >= 0 for _, row in zero)} of {len(zero)}"))
    below = sum(row["gain"][2] < 0 for _, row in zero)
    lines.append(_line("mean below the input beyond noise", f"{below} of {len(zero)}"))
    every = [row for _, row in zero if row["group"] == "all" and row["share"] is not None]
    most = sum(row["share"][0] >= 0.6 for row in every)
    lines.append(_line("at least 60 % of the best gain, all inputs", f"{most} of {len(every)}"))
    counted: dict[int, list[int]] = {}
    for entry in entries.values():
        for place in _places(entry).values():
            for queries, (_, other) in place.items():
                _, low, high = other["ahead"]
                counted.setdefault(queries, []).append(int(low > 0) - int(high < 0))
    if not counted:
        return "\n".join(lines)
    lines += ["", *_head("queries", "`nat` with the policy ahead of the best without", "level", "behind")]
    for queries, signs in sorted(counted.items()):
        lines.append(_line(str(queries), *(str(signs.count(sign)) for sign in (1, 0, -1))))
    return "\n".join(lines)


def _calibrations(entries: Entries) -> str:
    heads = [name for title in CASES.values() for name in (title, "tenths within 0.1", "mean error")]
    lines = _head("task left out", *heads, "rank correlation")
    for task, entry in entries.items():
        cells = []
        for what in CASES:
            bins = _pooled(entry, what)
            good, known = within(bins)
            cases = sum(each["cases"] for each in bins)
            cells += [f"{cases:,.0f}", f"{good} of {known}", f"{error(bins):.2f}"] if cases else ["", "", ""]
        rank = entry["critic"]["spearman"]
        lines.append(_line(task, *cells, "" if rank is None else f"{rank:.2f}"))
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [_line(*names), "|" + "---|" * len(names)]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(interval: Sequence[float] | None, sign: str = "") -> str:
    if interval is None:
        return "–"
    value, low, high = (format(100 * each, f"{sign}.0f") for each in interval)
    return f"{value} % [{low}, {high}]"


def _points(interval: Sequence[float], entry: Mapping[str, Any]) -> str:
    value, low, high = (_number(each, entry) for each in interval)
    return f"{value} [{low}, {high}]"


def _number(value: float, entry: Mapping[str, Any]) -> str:
    return f"{value:+.2f}" if entry["points"] else f"{value:+.3g}"
