"""``python -m benchmarks.data [FILE ...]``: build the files that experiments read, and check them.

What is in the folder already is only checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.files import FOLDER
from benchmarks.data.sources import SOURCES, build, content, matches, matches_in_part
from nat_plugin.errors import NATError


def state_of(name: str, folder: Path, archives: Path | None) -> str:
    """``right``, or ``built`` where it was not there; of a file that cannot be made again to the bit, what of it is
    right. NATError where it is neither."""
    if not (folder / name).exists():
        build(name, folder, archives)
        return "built"
    found, part = content(folder / name), SOURCES[name].part
    if not matches(name, found):
        if part is not None and matches_in_part(name, found):
            return f"right in part ({part.says})"
        raise NATError(f"{folder / name}: holds something else than the figures were made with; move it away")
    return "right"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.data", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"left out: all of {', '.join(SOURCES)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--archives", type=Path, help="where archives lie that no plain address has")
    args = parser.parse_args(words)
    unknown = [name for name in args.files if name not in SOURCES]
    if unknown:
        print(f"error: '{unknown[0][:80]}' is no data file; there are {', '.join(SOURCES)}", file=sys.stderr)
        return 2
    status = 0
    for name in args.files or SOURCES:
        try:
            print(f"{name}: {state_of(name, args.folder, args.archives)}: {SOURCES[name].says}", flush=True)
        except NATError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
