"""What a run prints at its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from nat_plugin.policy.training.record import FILE
from nat_plugin.runs.record import RUN_FILE


def print_result(result: dict[str, Any], folder: Path) -> None:
    """The table, the written-back architecture, and where everything lies."""
    from rich.console import Console

    from nat_plugin.runs.report import table

    console = Console(width=None if Console().is_terminal else 110)
    console.print(table(result))
    click.echo(f"\nresult ({result['format']}):\n{result['result']['architecture']}\n")
    places = {
        "folder": folder,
        "architecture": folder / "architecture.txt",
        "weights": folder / result["weights"] if result["weights"] else "none: nothing was trained by itself",
        "policy": folder / "policy.safetensors",
        "report": folder / "report.html",
        "summary": folder / "report.md",
        "figures": folder / "result.json",
    }
    for name, place in places.items():
        if not isinstance(place, Path) or place.exists():
            click.echo(f"{name:<12}  {place}")


def print_training(result: dict[str, Any], folder: Path) -> None:
    """What a policy gains on inputs that were held out, and where everything lies."""
    for name, task in result["tasks"].items():
        click.echo(f"{name}: {task['evaluations']:,} of {task['networks']:,} networks read")
        for row in task["gains"]:
            limits = " ".join(f"{metric} {limit}" for metric, limit in row["limits"].items()) or "no limit"
            said = f"  held out, {row['rules']}, {limits}: "
            if "gain" in row:
                share = "" if row.get("share") is None else f", {row['share']:.1%} of the best reachable"
                said += f"{row['gain']:+.4g} on {row['known']:,} inputs{share}"
            else:
                said += "no result has a score"
            click.echo(said)
    places = {
        "folder": ".",
        "policy": "policy.safetensors",
        "report": "report.html",
        "summary": "report.md",
        "figures": "result.json",
    }
    click.echo("")
    for name, place in places.items():
        click.echo(f"{name:<8}  {folder / place}")


def going_on(folder: Path) -> str:
    """What to say of a run or training that Ctrl-C stopped."""
    if not any((folder / name).exists() for name in (RUN_FILE, FILE)):
        return "stopped before anything was written; the same command begins anew"
    return f"stopped; resume with: nat resume {shlex.quote(str(folder))}"
