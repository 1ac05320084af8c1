"""Tables of what searches inside NNI found on NAS-Bench-201; they need no NNI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = (2, 3, 5, 10, 20, 30, 50, 100)
"""Numbers of models."""


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Gains after so many models, and how many the others need for what ours has after ten."""
    return {
        "nni-models": "\n\n".join(_models(found) for entry in results.values() for found in entry["results"]),
        "nni-needed": "\n\n".join(_needed(entry) for entry in results.values()),
    }


def _models(found: Mapping[str, Any]) -> str:
    counts = [count for count in SHOWN if count <= len(next(iter(found["curves"].values())))]
    lines = [f"| {found['data']}, {found['group']} | " + " | ".join(map(str, counts)) + " |"]
    lines.append("|---" * (1 + len(counts)) + "|")
    for name, means in found["curves"].items():
        cells = ("{:.2f} ({:.2f})".format(*means[count - 1]) for count in counts)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _needed(entry: Mapping[str, Any]) -> str:
    names = list(entry["results"][0]["needed"])
    lines = [f"| inputs | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for found in entry["results"]:
        most = len(next(iter(found["curves"].values())))
        cells = (str(found["needed"][name] or f"more than {most}") for name in names)
        lines.append(f"| {found['data']}, {found['group']} | {' | '.join(cells)} |")
    return "\n".join(lines)
