"""What a run ends with: the architecture written back, ``result.json``, and a summary to read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from nat_plugin import __version__
from nat_plugin.device import made_with
from nat_plugin.drawing import draw, draw_change
from nat_plugin.evaluators.base import Saved
from nat_plugin.evaluators.scale import Scale
from nat_plugin.files import write_text
from nat_plugin.ir import Network, cost, key, to_json
from nat_plugin.ir.budget import METRICS, ListedMetric, plain_amount
from nat_plugin.measuring.latency import LATENCY
from nat_plugin.measuring.tables import TableMetric
from nat_plugin.runs.choice import FinalSelection, MeanShare
from nat_plugin.runs.finished import RESULT
from nat_plugin.runs.loading import NETWORK, section
from nat_plugin.runs.search import Search
from nat_plugin.runs.setup import Setup, SizedArchitecture
from nat_plugin.training.verdict import ONE_TRAINING
from nat_plugin.writing import result_adapter, write_back

RESULTS = ("architecture.txt", NETWORK, "policy.safetensors", "report.md", RESULT)
"""Files that a run ends with, as far as it has them, beside the weights that ``result.json`` names."""


def write_result(setup: Setup, choice: FinalSelection, search: Search, folder: Path) -> dict[str, Any]:
    """Choose, check, write back, and write the report; what ``result.json`` holds."""
    verdict = choice.verdict()
    network = choice.candidates[verdict.winner]
    adapter = result_adapter(setup.adapter, setup.plan.recipe.extended)
    text = write_back(adapter, choice.moves, network, setup.final.size)
    recipe = setup.plan.recipe
    write_text(folder / "architecture.txt", text + "\n")
    write_text(folder / NETWORK, to_json(network, None) + "\n")
    setup.strategy.save(folder / "policy.safetensors")
    saved = choice.save(verdict.winner, folder)
    result = {
        "version": __version__,
        "input": {
            **_side(setup, choice, 0, setup.origin.text, (verdict.selection[0], verdict.test[0])),
            "in_search": _in_search(setup.search),
        },
        "result": _side(setup, choice, verdict.winner, text, (verdict.selection[verdict.winner], verdict.test[1])),
        "changed": verdict.winner != 0,
        "size": {**asdict(setup.final.size), "input": list(setup.final.size.input)},
        "input_fits": choice.fits(0),
        "format": adapter.name,
        "weights": None if saved is None else saved.path,
        "scale": asdict(Scale() if recipe.final else setup.evaluator.scale(setup.plan.evaluator)),
        "test_difference": _span(verdict.difference.value, verdict.difference.low, verdict.difference.high),
        "trainings": choice.seeds if recipe.final else None,
        "interval_covers": _covers(setup, choice),
        "verdict": verdict.conclusion.word,
        "verdict_reason": verdict.conclusion.reason,
        "beyond_noise": verdict.conclusion.beyond_noise,
        "candidates": [
            {"key": key(each), "selection": _share(share), "params": cost(each).params, "macs": cost(each).macs}
            for each, share in zip(choice.candidates, verdict.selection, strict=True)
        ],
        "trained_for_real": recipe.final is not None,
        "untrained": setup.untrained,
        "evaluated": len(search.keys),
        "rules": recipe.rules,
        "budget": {name: float(limit) for name, limit in setup.final.moves.limits.values} | _allowed(choice),
        "timed_as": choice.timing.setting or None,
        "strategy": recipe.strategy_name,
        "notes": [*setup.strategy.notes, *filter(None, [choice.timing.note, *_lost(search, choice)])],
        "seed": recipe.seed,
        "data": setup.evaluator.summary(),
        "made_with": made_with(setup.compute.device),
    }
    write_text(folder / "report.md", markdown(setup, network, result, saved))
    write_text(folder / RESULT, json.dumps(result, indent=1))
    return result


def _in_search(search: SizedArchitecture) -> dict[str, Any]:
    """The input at the size of the search: what it is, costs there, and may cost."""
    total, limits = cost(search.network), search.moves.limits.values
    return {
        "key": key(search.network),
        "costs": {"params": total.params, "macs": total.macs},
        "limits": {name: float(limit) for name, limit in limits},
    }


def _lost(search: Search, choice: FinalSelection) -> Iterator[str]:
    """What workers could not find out."""
    for count, what, outcome in (
        (search.lost, "measurements", "they count as failed"),
        (choice.lost, "trainings of the final stage", "they count as getting nothing right"),
    ):
        if count:
            yield f"Lost with their workers: {count:,} {what}; {outcome}. Why is in `journal.jsonl`."


def _allowed(choice: FinalSelection) -> dict[str, float]:
    """Of latency, where it was timed as a whole: the milliseconds that were allowed of what was measured then."""
    return {LATENCY: choice.timing.most} if choice.timing.measured else {}


def _side(
    setup: Setup, choice: FinalSelection, number: int, text: str, accuracies: tuple[MeanShare, MeanShare]
) -> dict[str, Any]:
    """Of a candidate, with its accuracies on selection and test; also other metrics that a budget could limit, where
    they are known, and the latency of the whole where it was measured."""
    network = choice.candidates[number]
    total = cost(network)
    metrics = setup.final.moves.limits.metrics.items()
    others = {name: each for name, each in metrics if name not in METRICS and not isinstance(each, ListedMetric)}
    measured = {name: metric(network) for name, metric in others.items()}
    return {
        "architecture": text,
        "key": key(network),
        "ops": [str(op) for op in network.ops],
        "params": total.params,
        "macs": total.macs,
        "by_cell": {name: each.by_cell(network) for name, each in metrics if isinstance(each, TableMetric)},
        "choices": dict(setup.adapter.choices(text)),
        "measured": {name: value if math.isfinite(value) else None for name, value in measured.items()},
        "timed": choice.timing.plain(number),
        "selection": _share(accuracies[0]),
        "test": _share(accuracies[1]),
    }


def _share(share: MeanShare) -> dict[str, float | None]:
    return _span(share.value, share.interval.low, share.interval.high)


def _span(value: float, low: float, high: float) -> dict[str, float | None]:
    """Ready for JSON: an end that is not known is null."""
    ends = {"low": low, "high": high}
    return {"value": value, **{name: end if math.isfinite(end) else None for name, end in ends.items()}}


def _ends(span: dict[str, Any]) -> tuple[float, float, float]:
    """The reverse."""
    low, high = span["low"], span["high"]
    return span["value"], -math.inf if low is None else low, math.inf if high is None else high


def rows(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What, input, result, change."""
    before, after, scale = result["input"], result["result"], Scale(**result.get("scale", {}))
    table = [
        (name, f"{before[column]:,}", f"{after[column]:,}", f"{after[column] / before[column] - 1:+.1%}")
        for name, column in (("parameters", "params"), ("MACs", "macs"))
    ]
    for name, old in before["measured"].items():
        new = after["measured"][name]
        values = [f"{value:,.4g}" if value is not None else "not known" for value in (old, new)]
        table.append((name, *values, f"{new / old - 1:+.1%}" if old and new is not None else ""))
    timed_before, timed_after = before.get("timed"), after.get("timed")
    if timed_before and timed_after:
        shown = f"{timed_after['ms']:,.4g} [{timed_after['low']:,.4g}, {timed_after['high']:,.4g}]"
        table.append(
            (f"{LATENCY} as a whole, ms", f"{timed_before['ms']:,.4g}", shown, f"{timed_after['share'] - 1:+.1%}")
        )
    if result.get("untrained"):  # one value, whatever the split
        old, new = (side["selection"]["value"] for side in (before, after))
        return [*table, (scale.name, scale.value(old), scale.value(new), scale.change(new - old))]
    for split in ("selection", "test"):
        change = after[split]["value"] - before[split]["value"]
        old, new = (scale.span(*_ends(side[split])) for side in (before, after))
        table.append((f"{scale.name} on {split}", old, new, scale.change(change)))
    return table


def _covers(setup: Setup, choice: FinalSelection) -> str:
    """What the intervals are about."""
    if choice.seeds > 1:
        return "further trainings like these, on further images like these"
    which = "these two trained networks" if setup.plan.recipe.final else setup.evaluator.assessed
    return f"{which}, on further images like these; not another training"


def verdict_text(result: dict[str, Any]) -> str:
    """What the result is worth, in a few sentences."""
    if result.get("untrained"):
        return _scored(result)
    if result["test_difference"]["low"] is None:
        return _difference(result)
    return f"{_difference(result)} Intervals are 95 %, for {result['interval_covers']}."


def _scored(result: dict[str, Any]) -> str:
    """Of a run in which nothing was trained."""
    over = "" if result["input_fits"] else "The input itself is over the budget. "
    found = "" if result["changed"] else "No proposal had a better score than the input: the result is the input. "
    return f"{over}{found}No accuracy is known: what is compared is the {Scale(**result['scale']).name}."


def _difference(result: dict[str, Any]) -> str:
    if not result["changed"]:
        return "No proposal did better than the input on the selection split: the result is the input."
    over = "" if result["input_fits"] else "The input itself is over the budget. "
    found = Scale(**result.get("scale", {})).change(*_ends(result["test_difference"]))
    return f"{over}On test the result differs by {found}. {_conclusion(result)}"


def _conclusion(result: dict[str, Any]) -> str:
    reason = result["verdict_reason"]
    if result["verdict"] == "none":
        more = "; `final.seeds: 3` would show it" if result["trained_for_real"] and reason == ONE_TRAINING else ""
        return f"No verdict on the architectures: {reason}{more}."
    return "That is within noise." if result["verdict"] == "within noise" else f"The result is {result['verdict']}."


def table(result: dict[str, Any]) -> Table:
    """The closing table for a terminal."""
    made = Table(caption=verdict_text(result), caption_justify="left")
    for column in ("", "input", "result", "change"):
        made.add_column(column)
    for row in rows(result):
        made.add_row(*row)
    return made


def data_line(data: dict[str, Any]) -> str:
    """What was measured on."""
    splits = ", ".join(f"{name} {images:,}" for name, images in data["splits"].items() if images)
    shape = "x".join(map(str, data["shape"]))
    images = f"images in {splits}" if splits else "of how many images is not known"
    absent = data.get("absent", 0)
    lost = f" {absent} networks were not in the table, and failed; budget: {{absent: 0}} keeps to those that are."
    return f"Data: {data['name']}, {shape} in {data['classes']} classes; {images}.{lost * bool(absent)}"


def markdown(setup: Setup, network: Network, result: dict[str, Any], saved: Saved | None) -> str:
    """The summary of a run."""
    lines = [f"# {setup.origin.label}: {result['strategy']} under rules {result['rules']}", ""]
    lines += ["| | input | result | change |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    how = setup.evaluator.how_final if result["trained_for_real"] else setup.evaluator.how
    limits = ", ".join(f"{name} ≤ {plain_amount(limit)}" for name, limit in result["budget"].items()) or "none"
    lines += [
        "",
        f"{verdict_text(result)} Candidates were {how}; {result['evaluated']} distinct networks were "
        f"measured in the search. Limits: {limits}. Seed {result['seed']}.",
        "",
        data_line(result["data"]),
        "",
        *(line for note in result["notes"] for line in (note, "")),
        f"## Result ({result['format']})",
        "```",
        result["result"]["architecture"],
        "```",
        *section(saved),
        "## Input",
        "```",
        draw(setup.final.network),
        "```",
        "## What changed",
        "```",
        draw_change(setup.final.network, network),
        "```",
    ]
    return "\n".join(lines) + "\n"
