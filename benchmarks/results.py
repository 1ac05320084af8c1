"""Results that are kept in the repository, with what they came from."""

from __future__ import annotations

import datetime
import json
import math
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_PLACE = re.compile(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


def add_result(path: Path, name: str, figures: dict[str, Any]) -> None:
    """Put figures under a name into a JSON file, in place of what stood there under that name."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = provenance() | _plain(figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, allow_nan=False) + "\n")


def put_tables(pages: Path, tables: Mapping[str, str]) -> None:
    """Put tables into a page of the documentation, or into all of a folder, each between ``<!-- table NAME -->`` and
    ``<!-- end -->``; those that have no place there are left out."""
    for page in _pages(pages):
        text = page.read_text()
        filled = _PLACE.sub(lambda at: _filled(at[1], tables[at[1]]) if at[1] in tables else at[0], text)
        if filled != text:
            page.write_text(filled)


def tables_on(pages: Path) -> dict[str, str]:
    """The tables of a page, or of all in a folder, by their names."""
    return {at[1]: at[2].strip() for page in _pages(pages) for at in _PLACE.finditer(page.read_text())}


def _pages(given: Path) -> list[Path]:
    return sorted(given.rglob("*.md")) if given.is_dir() else [given]


def _filled(name: str, table: str) -> str:
    return f"<!-- table {name} -->\n\n{table}\n\n<!-- end -->"


def provenance() -> dict[str, Any]:
    """The command (of absolute paths the last part), the commit, the machine and the day."""
    words = (Path(word).name if Path(word).is_absolute() else word for word in sys.argv)
    return {
        "command": " ".join(["python", *words]),
        "commit": _said("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "machine": f"{_processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _plain(value: Any) -> Any:
    """With null for what is no number, such as the interval of a single seed."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
