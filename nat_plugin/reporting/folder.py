"""``report.html`` of a folder, whatever the folder is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nat_plugin.files import write_text
from nat_plugin.reporting.html import render
from nat_plugin.reporting.plots import MISSING, available
from nat_plugin.reporting.runs import read_run, run_page

REPORT = "report.html"


def write_report(folder: Path, say: Callable[[str], None], path: Path | None = None) -> Path:
    """Make the report of a folder from its files, there or at ``path``. NATError for a folder that no report can be
    made of. ``say`` hears what is missing in it."""
    path = path or folder / REPORT
    write_text(path, render(run_page(read_run(folder))))
    if not available():
        say(MISSING)
    return path
