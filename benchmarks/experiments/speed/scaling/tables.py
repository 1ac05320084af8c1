"""Tables of what workers take for work and for tasks without any, and what follows for many of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENGINES = ("local", "ray", "submitit")
TASKS, STREAM = "-tasks", "-stream"
"""End the names of what is kept of an engine beside its work."""
UNDER_WAY, MANY, MOST = (2, 100, 1_000), 1_000, 1_000_000
"""Calls under way at a time on pretended workers; workers and tasks that nobody has here."""
SOURCES = {
    "scale": list(ENGINES),
    **{key: [f"{name}{TASKS}" for name in ENGINES] for key in ("scale-overhead", "scale-in-flight", "scale-on-paper")},
    "scale-stream": [f"{name}{STREAM}" for name in ENGINES],
}
"""Of tables: what they are made of."""


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    work = _of("", results)
    tasks, streams = _of(TASKS, results), _of(STREAM, results)
    found = {"scale": _work(work)} if work else {}
    if tasks:
        found |= {"scale-overhead": _overhead(tasks), "scale-in-flight": _in_flight(tasks)}
        found |= {"scale-on-paper": _on_paper(tasks)}
    return found | ({"scale-stream": _streams(streams)} if streams else {})


def _of(ending: str, results: Mapping[str, Any]) -> dict[str, Any]:
    return {name: results[f"{name}{ending}"] for name in ENGINES if f"{name}{ending}" in results}


def _streams(results: Mapping[str, Any]) -> str:
    rows = [
        "| engine | workers | lines | MB of the command | MB of the largest worker |",
        "|---|---|---|---|---|",
    ]
    for name, found in results.items():
        for row in found["moments"]:
            figures = f"{row['lines']:,} | {row['mb']:,.0f} | {row['mb_worker']:,.0f}"
            rows.append(f"| {name} | {found['workers']} | {figures} |")
    return "\n".join(rows)


def _work(results: Mapping[str, Any]) -> str:
    first = next(iter(results.values()))
    alone = {name: row[0] for name, row in results.get("local", first)["seconds"].items()}
    works = " | ".join(f"{name}: s | efficiency" for name in alone)
    rows = [f"| {first['cores']} cores | workers | {works} |", "|---" * (2 + 2 * len(alone)) + "|"]
    for engine, found in results.items():
        for number, workers in enumerate(found["workers"]):
            cells = [
                f"{row[number]:.1f} | {alone[name] / workers / row[number]:.0%}"
                for name, row in found["seconds"].items()
            ]
            rows.append(f"| {engine} | {workers} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _overhead(results: Mapping[str, Any]) -> str:
    rows = [
        "| engine | workers | tasks | ms for a task | of these of the command | MB of the command before and after |",
        "|---|---|---|---|---|---|",
    ]
    for engine, found in results.items():
        for row in found["overhead"]:
            figures = f"{row['tasks']:,} | {row['ms']:.2f} | {row['ms_command']:.2f}"
            rows.append(
                f"| {engine} | {found['workers']} | {figures} | {row['mb_before']:.0f}, {row['mb_after']:.0f} |"
            )
    return "\n".join(rows)


def _in_flight(results: Mapping[str, Any]) -> str:
    counts = next(iter(results.values()))["in_flight"]
    rows = ["| ms of the command for a task | " + " | ".join(f"{int(count):,} under way" for count in counts) + " |"]
    rows.append("|---" * (1 + len(counts)) + "|")
    rows += [
        f"| {engine} | " + " | ".join(f"{ms:.3f}" for ms in found["in_flight"].values()) + " |"
        for engine, found in results.items()
    ]
    return "\n".join(rows)


def _on_paper(results: Mapping[str, Any]) -> str:
    """What limits each engine: the time of the command for a task, as it was with the most tasks, and what more it
    takes where many are under way."""
    rows = [
        f"| engine | tasks handed out in a second | {MANY:,} workers are busy with tasks of | time of the command for "
        f"{MOST:,} tasks | its memory for them | share of a training of an hour |",
        "|---|---|---|---|---|---|",
    ]
    for engine, found in results.items():
        most = max(found["overhead"], key=lambda row: float(row["tasks"]))
        more = found["in_flight"]
        seconds = max(most["ms_command"] + max(0.0, more[str(MANY)] - more[str(UNDER_WAY[0])]), 1e-6) / 1000
        grown = max(0.0, most["mb_after"] - most["mb_before"]) / most["tasks"] * MOST
        rows.append(
            f"| {engine} | {1 / seconds:,.0f} | {MANY * seconds:,.1f} s and more | {MOST * seconds / 3600:,.1f} h | "
            f"{grown:+,.0f} MB, as it grew over {most['tasks']:,} | {seconds / 3600:.1e} |"
        )
    return "\n".join(rows)
