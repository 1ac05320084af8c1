"""Whether runs end as if nothing had been while workers are killed at random moments, and once the command itself.

A search that trains candidates on digits, told in the order of asking; each disturbed run has to end with the bytes of
the one that was not, with every network measured once. Workers note what they begin and end (``noted``), so that a
training which is done twice is seen. Workers of all engines are processes of this machine; those of
``submitit`` are its own jobs without SLURM.

``python -m benchmarks chaos [--engines NAME ...] [--runs N] [--at-once N] [--proposals N] [--every SECONDS]
[--save]``
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common.results import add_result, provenance, read_results
from benchmarks.experiments.speed import noted
from nat_plugin.plugins import Plugins
from nat_plugin.plugins import installed as installed_plugins
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "strategy": {"name": "random"},
    "evaluator": {
        "name": "training",
        "schedule": {"epochs": 2, "batch": 64, "cutout": 0, "auxiliary": 0},
        "data": {"name": "digits", "limit": 400},
    },
    "deterministic": True,
    "threads": 1,
    "device": "cpu",
}
ENGINES: dict[str, dict[str, Any]] = {
    "local": {"name": "local", "workers": 2, "retries": 100},
    "ray": {"name": "ray", "workers": 2, "retries": 100},
    "submitit": {"name": "submitit", "cluster": "local", "workers": 2, "retries": 100},
}
WORKERS = {"local": "multiprocessing.forkserver", "ray": r"ray::(?!\w+Agent)", "submitit": r"submitit\.core\._submit"}
"""What the command line of a worker has in it, as a regular expression. Agents of Ray are part of a node."""
LIMIT, TO_END = 1800.0, 30.0
"""Seconds that a run may take, and its workers after it."""
KEPT = ("result.json", "journal.jsonl", "report.md", "network.json")


@dataclass(frozen=True)
class Disturbed:
    """How often something was killed in a run, how long that took, and what of its result is another (nothing)."""

    seed: int
    workers: int
    commands: int
    seconds: float
    said: str = ""
    """Where it did not end with its result: the last line that it printed."""
    differs: tuple[str, ...] = ()
    measured_twice: int = 0
    """Networks that the journal has twice, or that were trained though the result of that was kept."""
    lost_results: int = 0
    """Trainings that were done and done again: their workers, or the command, were killed before the result came."""
    left: int = 0
    """Processes that were still there after it."""


def recipe(engine: str | None, proposals: int) -> dict[str, Any]:
    changes: dict[str, Any] = {} if engine is None else {"executor": ENGINES[engine]}
    changes["evaluator"] = {**RECIPE["evaluator"], "name": "noted"}
    return {**RECIPE, "search": {"rounds": 2, "proposals": proposals}, **changes}


def begin(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """A command, in a session of its own."""
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        call = [sys.executable, "-m", "nat_plugin", *command]
        known = noted.environment(folder, folder.parent / "plugins")
        return subprocess.Popen(call, stdout=log, stderr=log, start_new_session=True, env=known)


def processes() -> list[tuple[int, int, str]]:
    """All: number, parent, command line."""
    lines = subprocess.run(["ps", "-e", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    return [(int(pid), int(parent), line) for pid, parent, line in (each.split(None, 2) for each in lines.splitlines())]


def begun_by(process: int, named: str = "") -> list[int]:
    """Processes that it, or one of these, began and that are still its own; of those with a name none of the first,
    which begin the others."""
    own, found, every = {process}, dict[int, int](), processes()
    while new := [(pid, parent) for pid, parent, line in every if parent in own and pid not in own]:
        own |= {pid for pid, _ in new}
        found |= dict(new)
    lines = {pid: line for pid, _, line in every}
    return [pid for pid, parent in found.items() if re.search(named, lines[pid]) and (not named or parent != process)]


def disturbed(engine: str, folder: Path, proposals: int, every: float, seed: int) -> Disturbed:
    """A run in which after every training that is done one of the workers is killed, within so many seconds, and the
    command once."""
    rng, since = random.Random(seed), time.monotonic()
    command_at = rng.randrange(2 * proposals - 1)
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(recipe(engine, proposals)))
    process = begin(folder, "run", str(path), "--out", str(folder))
    workers, commands, done, known = 0, 0, 0, set[int]()
    try:
        while process.poll() is None and time.monotonic() - since < LIMIT:
            time.sleep(0.05)
            trials = len(list((folder / "trials").glob("*.safetensors")))
            if trials <= done:
                continue
            time.sleep(rng.uniform(0, every))
            done, there = trials, _workers(process, engine)
            known |= set(there)
            if not commands and trials > command_at:
                process.kill()
                commands += process.wait() == -signal.SIGKILL
                process = begin(folder, "resume", str(folder))
            elif there:
                workers += _kill(rng.choice(there))
        said = _said(process.poll(), folder)
    finally:
        process.kill()
    seconds = time.monotonic() - since
    lines = [line["number"] for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]
    lost, kept = noted.again(folder)
    twice, left = len(lines) - len(set(lines)) + kept, _left(known, engine)
    return Disturbed(seed, workers, commands, round(seconds, 1), said, (), twice, lost, left)


def _left(known: set[int], engine: str) -> int:
    """How many of these workers are still there a while after the end."""
    last = time.monotonic() + TO_END
    while left := known.intersection(pid for pid, _, line in processes() if re.search(WORKERS[engine], line)):
        if time.monotonic() > last:
            break
        time.sleep(0.5)
    return len(left)


def _workers(process: subprocess.Popen[bytes], engine: str) -> list[int]:
    """As soon as there are any; none where it ends before."""
    while process.poll() is None:
        if there := begun_by(process.pid, WORKERS[engine]):
            return there
        time.sleep(0.2)
    return []


def _said(status: int | None, folder: Path) -> str:
    """Nothing where it has ended with its result."""
    if status == 0:
        return ""
    lines = (folder.parent / f"{folder.name}.log").read_text().splitlines() or [""]
    return lines[-1] if status is not None else f"not at its end after {LIMIT:g} seconds: {lines[-1]}"


def _kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def differing(folder: Path, other: Path) -> tuple[str, ...]:
    return tuple(name for name in KEPT if _content(folder / name) != _content(other / name))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def undisturbed(folder: Path, proposals: int) -> Path:
    known = Plugins([*installed_plugins(), ("noted", noted)])
    start(plan(recipe(None, proposals), known), folder, known, Silent())
    return folder


def kept_runs(path: Path | None, engine: str, setting: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the same experiment, on the same code, which was interrupted: it goes on with the others."""
    if path is None or not path.exists():
        return []
    entry = {"commit": "", **read_results(path).get(engine, {})}
    before, now = (
        each["commit"].removesuffix("-dirty") for each in (entry, provenance())
    )  # the file itself is changed
    return list(entry["runs"]) if before == now and setting.items() <= entry.items() else []


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    columns = ["runs", "workers killed", "commands killed", "without a result", "other bytes", "measured twice"]
    with_notes = all("lost_results" in each for found in results.values() for each in found["runs"])
    columns += ["results lost on their way", "left"] if with_notes else ["left"]
    lines = ["| engine | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for engine, found in results.items():
        runs = found["runs"]
        names = ("workers", "commands", "measured_twice", *(["lost_results"] if with_notes else []), "left")
        sums = [sum(each[name] for each in runs) for name in names]
        bad = [
            sum(bool(each["said"]) for each in runs),
            sum(bool(each["differs"] and not each["said"]) for each in runs),
        ]
        figures = (len(runs), *sums[:2], *bad, *sums[2:])
        lines.append(f"| {engine} | {' | '.join(map(str, figures))} |")
    return {"chaos": "\n".join(lines)}


def installed(names: Sequence[str]) -> list[str]:
    return [name for name in names if name == "local" or find_spec(name) is not None]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--proposals", type=int, default=12, help="In each of two rounds.")
    parser.add_argument("--every", type=float, default=2.0, help="Seconds at most from a training to a kill.")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="Runs side by side.")
    parser.add_argument("--folder", type=Path, help="Where runs that end otherwise are kept, to look at them.")


def run(args: argparse.Namespace) -> None:
    setting = {"proposals": args.proposals, "every": args.every}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(args.at_once) as at_once:
        alone = undisturbed(Path(scratch, "alone"), args.proposals)

        def done(engine: str, seed: int) -> Disturbed:
            folder = Path(scratch, f"{engine}{seed}")
            each = disturbed(engine, folder, args.proposals, args.every, seed)
            return replace(each, differs=differing(folder, alone))

        for engine in installed(args.engines):
            found = kept_runs(args.results, engine, setting)
            seeds = sorted(set(range(args.runs)) - {each["seed"] for each in found})
            for future in as_completed([at_once.submit(done, engine, seed) for seed in seeds]):
                each = future.result()
                found = sorted([*found, asdict(each)], key=lambda one: int(one["seed"]))
                print(engine, each, flush=True)
                if args.folder is not None and (each.differs or each.said):
                    shutil.copytree(scratch, args.folder, dirs_exist_ok=True, ignore_dangling_symlinks=True)
                add_result(args.results, engine, {**setting, "runs": found})
