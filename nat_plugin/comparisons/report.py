"""A comparison to read: a table for the terminal, ``comparison.md``, and ``points.csv``."""

from __future__ import annotations

import csv
import io
from typing import Any

from rich.table import Table

from nat_plugin.comparisons.summary import Traces
from nat_plugin.evaluators.scale import Scale

_COLUMNS = (
    "strategy",
    "queries per input",
    "total queries",
    "gain measured",
    "gain held out",
    "more than {}",
    "p (Holm)",
    "verdict",
)


def columns(found: dict[str, Any]) -> list[str]:
    """The names of those of ``rows``."""
    names = [each.format(found["baseline"] or "baseline") for each in _COLUMNS]
    return [*names, *(["regret"] if found["optimum"] else [])]


def _span(mean: dict[str, Any] | None, scale: float, form: str) -> str:
    if mean is None or mean["value"] is None:
        return "–"
    text = format(scale * mean["value"], form)
    if mean["low"] is None:
        return text
    return f"{text} [{scale * mean['low']:{form}}, {scale * mean['high']:{form}}]"


def rows(found: dict[str, Any]) -> list[list[str]]:
    """By strategy, and the reachable optimum where it is known. Held-out gains are in the unit of the scale."""
    made, factor = [], Scale(**found["scale"]).factor
    form = "+.2f" if factor == 100 else "+.4g"
    for label, each in found["strategies"].items():
        test, queries = each["test"], each["queries"]
        total = "not stated" if queries["total"] is None else f"{queries['total']:,.0f}"
        row = [label, f"{queries['per_input']:.1f}", total, _span(each["gain"], 1, "+.4f")]
        row += [_span(each["held_out"], factor, form), _span(test and test["difference"], factor, form)]
        row += ["–", "–"] if test is None else [f"{test['holm']:.2g}", each["verdict"]]
        made.append(row + ([_span(each["regret"], 1, ".4f")] if found["optimum"] else []))
    if found["optimum"]:
        gain, held_out = found["optimum"]["gain"], found["optimum"]["held_out"]
        row = ["reachable optimum", "–", "–", _span(gain, 1, "+.4f"), _span(held_out, factor, form), "–", "–", "–"]
        row += ["0.0000"]
        made.append(row)
    return made


def notes(found: dict[str, Any]) -> list[str]:
    """How to read the table, in a sentence each."""
    inputs, seeds = len(found["inputs"]), found["seeds"]
    said = [
        f"{inputs:,} input{'s' * (inputs > 1)}, {seeds:,} seed{'s' * (seeds > 1)}, at most {found['queries']:,} "
        f"queries for each; a query is a distinct network measured, the input is free.",
        f"Gain measured: what the search saw, of its best. Gain held out: of that same network, in "
        f"{Scale(**found['scale']).gains} on the {found['held_out_split']} images.",
        f"Brackets: 95 % by Student's t over {found['samples']}, for {found['interval_covers']}.",
    ]
    if found["baseline"]:
        said.append(
            f"p: Wilcoxon's signed-rank test against {found['baseline']} over pairs of {found['samples']}, of the gain "
            "held out, corrected by Holm."
        )
        for reason in dict.fromkeys(each["verdict_reason"] for each in found["strategies"].values()):
            if reason:
                said.append(f"No verdict: {reason}.")
    else:
        said.append("No test: the baseline is not among the strategies.")
    said.append("Total queries: over all inputs with one seed, and those that trained the policy where there is one.")
    for label, each in found["strategies"].items():
        said += [f"{label}, {count:,} of {inputs * seeds:,} searches. {note}" for note, count in each["notes"].items()]
    if found["inputs_left_out"]:
        said.append(f"{found['inputs_left_out']:,} drawn inputs had nothing to be changed and were left out.")
    return said


def table(found: dict[str, Any]) -> Table:
    """The closing table for a terminal."""
    made = Table(caption="\n".join(notes(found)), caption_justify="left")
    for column in columns(found):
        made.add_column(column)
    for row in rows(found):
        made.add_row(*row)
    return made


def markdown(found: dict[str, Any], pictures: list[str]) -> str:
    names = columns(found)
    limits = ", ".join(f"{name} {limit}" for name, limit in found["budget"].items()) or "none"
    lines = [f"# Comparison by `{found['evaluator']}` under rules {found['rules']}, budget {limits}", ""]
    lines += ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(found)]
    lines += ["", *notes(found)]
    lines += [line for name in pictures if name.endswith(".png") for line in ("", f"![{name[:-4]}]({name})")]
    return "\n".join(lines) + "\n"


def points(traces: Traces) -> str:
    """CSV: for every search and every query what was best after it; nothing where there was nothing yet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    best = traces.optimum("gain")
    writer.writerow(["strategy", "input", "seed", "query", "used", "network", "gain", "held_out", "regret"])
    for label in traces.labels:
        for source, row in enumerate(traces.found[label]):
            for seed, trace in enumerate(row):
                for query, step in enumerate(trace.curve(traces.queries)):
                    where = [label, source, seed, query, min(query, trace.queries)]
                    if step is None:
                        writer.writerow([*where, "", "", "", ""])
                        continue
                    regret = "" if best is None else repr(float(best[source, seed] - step.gain))
                    writer.writerow([*where, step.network, repr(step.gain), repr(step.held_out), regret])
    return text.getvalue()
