"""Writes ``report.html`` into a folder, whatever the folder is of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from nat_plugin.comparisons.record import FILE as COMPARISON
from nat_plugin.errors import NATError
from nat_plugin.files import write_text
from nat_plugin.policy.training.record import FILE as TRAINING
from nat_plugin.reporting.compactions import COMPACTION_FILE as COMPACTION
from nat_plugin.reporting.compactions import compaction_page, read_compaction
from nat_plugin.reporting.comparisons import comparison_page, read_comparison
from nat_plugin.reporting.page import Page
from nat_plugin.reporting.plots import MISSING, available
from nat_plugin.reporting.rendering import render
from nat_plugin.reporting.runs import read_run, run_page
from nat_plugin.reporting.several import several_page
from nat_plugin.reporting.trainings import read_training, training_page
from nat_plugin.runs.record import RUN_FILE

REPORT = "report.html"
MOST = 8
"""Runs side by side."""
KINDS: dict[str, Callable[[Path], Page]] = {
    RUN_FILE: lambda folder: run_page(read_run(folder)),
    COMPARISON: lambda folder: comparison_page(read_comparison(folder)),
    TRAINING: lambda folder: training_page(read_training(folder)),
    COMPACTION: lambda folder: compaction_page(read_compaction(folder)),
}
"""By the file that a folder has of it."""


def write_report(folder: Path, say: Callable[[str], None], path: Path | None = None) -> Path:
    """Make the report of a folder from its files, there or at ``path``. NATError for a folder that no report can be
    made of. ``say`` hears what is missing in it."""
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    made = next((page for file, page in KINDS.items() if (folder / file).is_file()), None)
    if made is None:
        raise NATError(
            f"{folder}: no folder of a run, comparison, training or compaction: it has no {', '.join(KINDS)}"
        )
    return _write(made(folder), path or folder / REPORT, say)


def write_side_by_side(folders: Sequence[Path], say: Callable[[str], None], path: Path) -> Path:
    """One report of several runs."""
    if len(folders) > MOST:
        raise NATError(f"{len(folders)} folders: at most {MOST} runs are shown side by side")
    names = [os.path.basename(os.path.abspath(folder)) for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return _write(
        several_page([(name, read_run(folder)) for name, folder in zip(names, folders, strict=True)]), path, say
    )


def _write(page: Page, path: Path, say: Callable[[str], None]) -> Path:
    write_text(path, render(page))
    if not available():
        say(MISSING)
    return path
