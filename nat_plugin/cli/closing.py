"""What a run prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from nat_plugin.runs.report import table


def print_result(result: dict[str, Any], folder: Path) -> None:
    """The table, the written-back architecture, and where everything lies."""
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table(result))
    click.echo(f"\nresult ({result['format']}):\n{result['result']['architecture']}\n")
    names = ("architecture.txt", "report.md", "result.json", "policy.safetensors")
    click.echo(f"{folder}: {', '.join(name for name in names if (folder / name).exists())}")
