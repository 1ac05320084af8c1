"""Commands that cannot write, or are stopped: one line says so, and how to go on; real processes, real signals."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

NAT = [sys.executable, "-m", "nat_plugin"]
FULL = Path("/dev/full")
RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 20, "data": {"name": "digits", "limit": 200}},
    "search": {"rounds": 3, "proposals": 20, "steps": 0, "checkpoint": 3},
    "device": "cpu",
}


QUICK = {
    **RECIPE,
    "evaluator": {"name": "proxies", "proxies": ["params"]},
    "search": {"rounds": 1, "proposals": 1},
}
"""Nothing is trained."""


def written(folder: Path, values: dict[str, Any]) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("show", "--help"),
        ("show", "DARTS_V2"),
        ("show", "DARTS_V2", "--json"),
        ("show", "-"),
        ("convert", "DARTS_V2", "--from", "darts", "--to", "network"),
        ("adapters",),
        ("recipes", "--json"),
        ("transform", "NB201_ResNet"),
    ],
)
def test_a_full_disk_behind_standard_output(arguments: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*NAT, *arguments], input="DARTS_V1\n", stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.stderr == "nat: standard output: cannot write: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_error_ends_no_run(tmp_path: Path) -> None:
    recipe = written(tmp_path, QUICK)
    with FULL.open("w") as full:
        done = subprocess.run(
            [*NAT, "run", recipe, "--out", str(tmp_path / "run"), "--json"],
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=120,
        )
        assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "result.json").read_text())
        assert subprocess.run([*NAT, "show", "NOPE"], stderr=full, timeout=120).returncode == 2


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        ("<&-", ("show", "-")),
        ("<&-", ("transform", "NB201_ResNet")),
        (">&-", ("show", "DARTS_V2")),
        (">&- <&-", ("show", "DARTS_V2", "--json")),
        ("2>&-", ("show", "DARTS_V2")),
    ],
)
def test_a_closed_stream_is_as_an_empty_one(closed: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *NAT, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    said = r"(nothing was measured|the input stays): .*\n" if "transform" in arguments else ""
    assert re.fullmatch(said, done.stderr)
    assert bool(done.stdout) == (arguments != ("show", "-") and ">&-" not in closed.split())


def test_a_full_disk_at_the_journal_says_how_to_go_on(tmp_path: Path) -> None:
    folder, recipe = tmp_path / "a run", written(tmp_path, RECIPE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    call = [*NAT, "run", recipe, "--out", str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, preexec_fn=limit, timeout=120)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("nat: ")]
    assert said == [
        f"nat: {folder}/journal.jsonl: cannot write: File too large; nothing written earlier is lost; fix that, then "
        f"resume with: nat resume '{folder}'"
    ]
    assert "Traceback" not in done.stderr


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*NAT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    recipe = written(tmp_path, {**RECIPE, "search": {"rounds": 10**6, "checkpoint": 1}})
    process = started("run", recipe, "--out", str(folder))
    wait_for(folder / "checkpoint.safetensors")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"nat: stopped; resume with: nat resume {folder}"
    assert "Traceback" not in err


@pytest.mark.parametrize("module", ["click", "nat_plugin.cli", "nat_plugin.plugins", "torch"])
def test_ctrl_c_while_something_is_still_imported(module: str) -> None:
    program = (
        "import os, signal, sys\n"
        "from nat_plugin.__main__ import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[-1]: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['nat', 'transform', 'NB201_ResNet', '--adapter', sys.argv[1]]\n"
        "main()\n"
    )
    call = [sys.executable, "-c", program, module]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (130, "nat: stopped", "")


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/r\xffn"
    recipe = os.fsencode(written(tmp_path, QUICK))
    for call in (["run", recipe, "--out", folder], ["resume", folder]):
        done = subprocess.run([*NAT, *call], capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert b"/r\\udcffn/architecture.txt" in done.stdout
