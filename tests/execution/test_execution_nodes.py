"""A run on two Ray nodes, in networks of their own, of which one is killed. Root on Linux can make such networks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
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

HEAD, OTHER = "10.77.0.1", "10.77.0.2"
PORT = 6399
RECIPE: dict[str, Any] = chaos.RECIPE | {
    "search": {"rounds": 2, "proposals": 6},
    "evaluator": chaos.RECIPE["evaluator"] | {"schedule": chaos.RECIPE["evaluator"]["schedule"] | {"epochs": 6}},
}
"""Long enough to be disturbed."""


class Networks:
    """Two networks with a line between them, a Ray node in each. Where the head has tokens, so does the other."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.names = scratch, tuple(f"nat{os.getpid()}{each}" for each in "ab")
        self.environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}

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
        own = ["--head", "--port", str(PORT), "--include-dashboard", "false", "--temp-dir", str(self.scratch)]
        self._ray(self.names[0], "--node-ip-address", HEAD, *own)
        self._ray(self.names[1], "--node-ip-address", OTHER, "--address", f"{HEAD}:{PORT}")

    def _ray(self, network: str, *words: str) -> None:
        call = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus", "1", *words]
        for _ in range(4):  # on busy cores half a minute may be too short for it
            done = subprocess.run(self.within(network, *call), env=self.environment, capture_output=True, text=True)
            if done.returncode == 0:
                return
            self.kill(network)
        raise AssertionError(done.stderr)

    def command(self, *words: str, on: int = 1) -> subprocess.Popen[str]:
        """``nat`` on the other node, or that of the head (0)."""
        call = self.within(self.names[on], sys.executable, "-m", "nat_plugin", *words)
        return subprocess.Popen(call, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def within(self, network: str, *call: str) -> list[str]:
        return ["ip", "netns", "exec", network, *call]

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
    scratch = Path("/tmp", f"ray{os.getpid()}")  # short: sockets lie in it
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


def test_a_run_whose_head_of_ray_is_lost_says_so_in_a_line_and_goes_on_once_it_is_back(
    networks: Networks, tmp_path: Path
) -> None:
    alone, folder, path = tmp_path / "alone", tmp_path / "run", tmp_path / "recipe.json"
    start(plan(RECIPE, plugins()), alone, plugins(), Silent())
    path.write_text(json.dumps({**RECIPE, "executor": {"name": "ray", "address": f"{HEAD}:{PORT}", "workers": 2}}))
    networks.begin()
    command = networks.command("run", str(path), "--out", str(folder))
    while len(list((folder / "trials").glob("*.safetensors"))) < 2:
        assert command.poll() is None, command.communicate()
        time.sleep(0.05)
    networks.kill(networks.names[0])
    said, _ = command.communicate(timeout=120)
    assert command.returncode == 2, said
    lines = [line for line in said.splitlines() if not line.startswith("search ")]
    assert len(lines) == 1, said
    assert lines[0].startswith(f"nat: executor: the head of Ray at {HEAD}:{PORT} has not answered for 20 seconds")
    networks.kill(networks.names[1])
    networks.begin()
    resumed = networks.command("resume", str(folder))
    said, _ = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, said
    assert [name for name in chaos.KEPT if (folder / name).read_bytes() != (alone / name).read_bytes()] == []
    numbers = [line["number"] for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]
    assert len(numbers) == len(set(numbers)) == 12


def test_a_node_that_is_lost_costs_what_it_was_at_alone(networks: Networks, tmp_path: Path) -> None:
    """Before the head, on whose machine the command is and all goes on."""
    alone, folder, path = tmp_path / "alone", tmp_path / "run", tmp_path / "recipe.json"
    start(plan(RECIPE, plugins()), alone, plugins(), Silent())
    path.write_text(json.dumps({**RECIPE, "executor": {"name": "ray", "address": f"{HEAD}:{PORT}", "workers": 2}}))
    networks.begin()
    command = networks.command("run", str(path), "--out", str(folder), on=0)
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
