"""What a run prints at its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from nat_plugin.runs.record import RUN_FILE
from nat_plugin.runs.report import table


def print_result(result: dict[str, Any], folder: Path) -> None:
    """The table, the written-back architecture, and where everything lies."""
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table(result))
    click.echo(f"\nresult ({result['format']}):\n{result['result']['architecture']}\n")
    places = {
        "folder": folder,
        "architecture": folder / "architecture.txt",
        "weights": folder / result["weights"] if result["weights"] else "none: nothing was trained by itself",
        "policy": folder / "policy.safetensors",
        "report": folder / "report.md",
        "figures": folder / "result.json",
    }
    for name, place in places.items():
        if not isinstance(place, Path) or place.exists():
            click.echo(f"{name:<12}  {place}")


def going_on(folder: Path) -> str:
    """What to say of a run that Ctrl-C stopped."""
    if not (folder / RUN_FILE).exists():
        return "stopped before anything was written; the same command begins anew"
    return f"stopped; go on with: nat resume {shlex.quote(str(folder))}"
