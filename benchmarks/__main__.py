"""``python -m benchmarks``: list experiments, run one, write the tables and figures of the documentation."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.methods import METHODS
from benchmarks.registry import EXPERIMENTS
from benchmarks.spaces import SPACES
from nat_plugin.errors import NATError

LIST = ("--list", "-l")
HELP = ("--help", "-h")
USAGE = """python -m benchmarks                     lists experiments, methods and spaces
python -m benchmarks NAME [OPTION ...]   runs one; --help has its options, --quick takes seconds
python -m benchmarks tables              writes the tables of the documentation
python -m benchmarks figures             draws its figures
python -m benchmarks.data [FILE ...]     builds the files that experiments read"""


def listing() -> str:
    """Experiments, the methods that they compare, the spaces that they do so in."""
    tables = {
        "Experiments": {name: each.question for name, each in EXPERIMENTS.items()},
        "Methods": METHODS,
        "Spaces": {name: each.about for name, each in SPACES.items()},
    }
    width = max(len(name) for table in tables.values() for name in table)
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<{width}}  {about}" for name, about in table.items())])
        for title, table in tables.items()
    )


def main(words: Sequence[str]) -> int:
    first, *rest = words or LIST
    if first in LIST:
        print(f"{listing()}\n\n{USAGE}")
        return 0
    if first in HELP:
        print(USAGE)
        return 0
    try:
        if first == "tables":
            from benchmarks.tables import write_tables

            write_tables(rest)
        elif first == "figures":
            from benchmarks.figures import write_figures

            write_figures(rest)
        else:
            from benchmarks.running import run

            run(first, rest)
    except NATError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
