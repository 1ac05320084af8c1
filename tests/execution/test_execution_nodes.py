"""A run on two Ray nodes in networks of their own, of which one is killed, by the commands of docs/how-to/scale-out.md.
Root on Linux can make such networks."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from benchmarks.experiments.speed import chaos
from nat_plugin.plugins import plugins
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from tests.execution.scale_out import NODES, commands, section

HEAD, OTHER = "10.77.0.1", "10.77.0.2"
BEGIN_HEAD, BEGIN_OTHER, RUN, RESUME = commands(section(NODES))
PROGRAMS = {"nat": "nat_plugin", "ray": "ray.scripts.scripts"}
"""As modules."""
RECIPE: dict[str, Any] = chaos.RECIPE | {
    "search": {"rounds": 2, "proposals": 6},
    "evaluator": chaos.RECIPE["evaluator"] | {"schedule": chaos.RECIPE["evaluator"]["schedule"] | {"epochs": 6}},
}
"""Long enough to be disturbed."""


class Networks:
    """Two networks with a line between them, a Ray node in each, of a user who has a token."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.names = scratch, tuple(f"nat{os.getpid()}{each}" for each in "ab")
        token = scratch / "home" / ".ray" / "auth_token"
        token.parent.mkdir(parents=True)
        token.write_text("7" * 64)
        self.environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(scratch / "home")}
        self.environment.pop("RAY_AUTH_MODE", None)

    def make(self) -> None:
        one, other = self.names
        lines = [f"netns add {one}", f"netns add {other}"]
        lines.append(f"-n {one} link add line type veth peer name line netns {other}")
        for name, address in zip(self.names, (HEAD, OTHER), strict=True):
            lines += [f"-n {name} addr add {address}/24 dev line", f"-n {name} link set lo up"]
            lines.append(f"-n {name} link set line up")
        for line in lines:
            subprocess.run(["ip", *line.split()], check=True, capture_output=True)

    def begin(self) -> None:
        self._begin(self.names[0], f"{BEGIN_HEAD} --temp-dir {self.scratch}")  # short: sockets lie in it
        self._begin(self.names[1], BEGIN_OTHER)

    def _begin(self, network: str, line: str) -> None:
        for _ in range(4):  # on busy cores half a minute may be too short for it
            done = subprocess.run(**self.within(network, line), capture_output=True)
            if done.returncode == 0:
                return
            self.kill(network)
        raise AssertionError(done.stderr)

    def command(self, line: str, folder: Path, on: int = 1) -> subprocess.Popen[str]:
        """In a folder of the other node, or of that of the head (0)."""
        call = self.within(self.names[on], line)
        return subprocess.Popen(**call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def within(self, network: str, line: str) -> dict[str, Any]:
        """A line of a shell as arguments of a process."""
        words = shlex.split(line)
        own = dict(word.split("=", 1) for word in takewhile(lambda word: word.startswith("RAY_"), words))
        program, *given = words[len(own) :]
        call = ["ip", "netns", "exec", network, sys.executable, "-m", PROGRAMS[program], *given]
        return {"args": call, "env": {**self.environment, **own}, "text": True}

    def kill(self, network: str) -> None:
        """All that runs there, as where its machine is lost."""
        found = subprocess.run(["ip", "netns", "pids", network], capture_output=True, text=True)
        for number in found.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)

    def remove(self) -> None:
        for name in self.names:
            self.kill(name)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture
def networks() -> Iterator[Networks]:
    scratch = Path("/tmp", f"ray{os.getpid()}")
    made = Networks(scratch)
    try:
        try:
            made.make()
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no networks can be made here: that takes Linux, `ip` and root")
        yield made
    finally:
        made.remove()
        shutil.rmtree(scratch, ignore_errors=True)


def begun_alone(folder: Path) -> tuple[Path, Path]:
    """Where the run is in one process, of the recipe that lies in the folder; and where that of two nodes will be."""
    start(plan(RECIPE, plugins()), folder / "alone", plugins(), Silent())
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    return folder / "alone", folder / RUN.partition("--out ")[2]


def test_a_run_whose_head_of_ray_is_lost_says_so_in_a_line_and_goes_on_once_it_is_back(
    networks: Networks, tmp_path: Path
) -> None:
    alone, folder = begun_alone(tmp_path)
    networks.begin()
    command = networks.command(RUN, tmp_path)
    while len(list((folder / "trials").glob("*.safetensors"))) < 2:
        assert command.poll() is None, command.communicate()
        time.sleep(0.05)
    networks.kill(networks.names[0])
    said, _ = command.communicate(timeout=120)
    assert command.returncode == 2, said
    lines = [line for line in said.splitlines() if not line.startswith("search ")]
    assert len(lines) == 1, said
    (expected,) = re.findall(r"^    (nat: .*) \(\[", section(NODES), re.MULTILINE)
    assert lines[0].startswith(expected)
    networks.kill(networks.names[1])
    networks.begin()
    resumed = networks.command(RESUME, tmp_path)
    said, _ = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, said
    assert [name for name in chaos.KEPT if (folder / name).read_bytes() != (alone / name).read_bytes()] == []
    numbers = [line["number"] for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]
    assert len(numbers) == len(set(numbers)) == 12


def test_a_node_that_is_lost_costs_what_it_was_at_alone(networks: Networks, tmp_path: Path) -> None:
    """Before the head, on whose machine the command is and all goes on."""
    alone, folder = begun_alone(tmp_path)
    networks.begin()
    command = networks.command(RUN, tmp_path, on=0)
    while len(list((folder / "trials").glob("*.safetensors"))) < 2:
        assert command.poll() is None, command.communicate()
        time.sleep(0.05)
    networks.kill(networks.names[1])
    said, _ = command.communicate(timeout=600)
    assert command.returncode == 0, said
    assert [name for name in chaos.KEPT if (folder / name).read_bytes() != (alone / name).read_bytes()] == []
    work = json.loads((folder / "workers.json").read_text())
    assert sum(each["failed"] for each in work.values()) <= 1
    assert sum(each["tasks"] for each in work.values()) == 13  # the input and what was proposed, each once
