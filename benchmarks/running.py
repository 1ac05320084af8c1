"""One experiment run by its name and the words of a command line."""

from __future__ import annotations

import argparse
import inspect
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.files import FOLDER
from benchmarks.data.made_up import make
from benchmarks.registry import Experiment, find_experiment

QUICK = "--quick"


def run(name: str, words: Sequence[str], stand_ins: Path | None = None) -> None:
    """``stand_ins``: a folder that keeps stand-ins for data files, for several quick runs."""
    experiment = find_experiment(name)
    module = experiment.load()
    parser = parser_of(name, experiment, inspect.getdoc(module) or experiment.question)
    module.add_options(parser)
    if QUICK not in words:
        module.run(parser.parse_args(words))
        return
    with tempfile.TemporaryDirectory() as scratch:
        data = stand_ins or Path(scratch)
        small = [word.replace("SCRATCH", scratch).replace("DATA", str(data)) for word in shlex.split(experiment.quick)]
        for file in experiment.reads if experiment.stand_ins is None else experiment.stand_ins:
            make(file, data)
        module.run(parser.parse_args(["--data", str(data), *small, *words]))


def parser_of(name: str, experiment: Experiment, says: str) -> argparse.ArgumentParser:
    """With the options that all experiments have."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks {name}", description=says, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reads = f"has {', '.join(experiment.reads)}" if experiment.reads else "none of its files is read here"
    parser.add_argument("--data", type=Path, default=FOLDER, metavar="FOLDER", help=f"of data: {reads}")
    parser.add_argument(
        "--save",
        dest="results",
        type=Path,
        nargs="?",
        const=experiment.place(name),
        metavar="FILE",
        help="keep the figures, with the command and the commit, in a JSON file (its own in benchmarks/results)",
    )
    parser.add_argument(QUICK, action="store_true", help=f"seconds, to see that all works: {experiment.quick}")
    return parser
