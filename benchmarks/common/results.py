"""Results that are kept in the repository, with what they came from."""

from __future__ import annotations

import datetime
import json
import math
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
NOTHING = "unknown"
"""Stands for what a command did not say."""


def add_result(path: Path | None, name: str, figures: dict[str, Any]) -> None:
    """Put figures under a name into a JSON file, in place of what stood there under that name. Without a file nothing
    is kept."""
    if path is None:
        return
    known = read_results(path) if path.exists() else {}
    known[name] = provenance() | _plain(figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_results(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def place_of(*names: str) -> str:
    """The place of a table in the documentation, by the names of a subject, an entry, a part."""
    return "-".join(re.sub(r"[^\w.+]+", "-", name).strip("-") for name in names)


def provenance() -> dict[str, Any]:
    """The command (of absolute paths the last part), the commit, the machine and the day."""
    import torch  # what only lists experiments does without

    program, *rest = sys.argv
    words = (Path(word).name if Path(word).is_absolute() else word for word in rest)
    by_name = Path(program).parts[-2:] == ("benchmarks", "__main__.py")
    start = ["python", "-m", "benchmarks"] if by_name else ["python", Path(program).name]
    return {
        "command": shlex.join([*start, *words]),
        "commit": _commit(),
        "machine": f"{_processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def _commit() -> str:
    """With ``-dirty`` where anything differs from it but results, which the same command may have written."""
    commit = _said("git", "describe", "--always", "--abbrev=12")
    changed = _said("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return commit if changed == NOTHING else f"{commit}-dirty"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or NOTHING


def _plain(value: Any) -> Any:
    """With null for what is no number, such as the interval of a single seed."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
