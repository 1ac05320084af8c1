"""Runs on several devices: a process that dies, what one device goes on with, and what cannot be."""

from __future__ import annotations

import copy
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import nat_plugin as nat
from nat_plugin.parallel.settings import FabricSettings
from nat_plugin.plugins import plugins
from nat_plugin.runs.devices import plan_of_record
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.record import RunRecord, RunSource
from nat_plugin.runs.run import resume, start
from tests.interrupting import Stop

SMALL: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "data": {"name": "digits", "limit": 300}, "batch": 16, "reward_images": 30},
    "search": {"warmup": 2, "rounds": 6, "proposals": 2, "steps": 2},
    "precision": "float64",
    "device": "cpu",
    "threads": 1,
}


def recipe(**fabric: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SMALL), "fabric": fabric}


ROUNDS = 24


def test_a_run_goes_on_with_other_devices_after_one_died_and_has_the_journal_of_one(tmp_path: Path) -> None:
    """Two devices, of which one is killed; then one; then two again."""
    pytest.importorskip("lightning_fabric", reason="needs the extra fabric")
    path, folder = tmp_path / "two.yaml", tmp_path / "two"
    whole = {**SMALL, "search": {**SMALL["search"], "rounds": ROUNDS}}
    path.write_text(yaml.safe_dump({**whole, "fabric": {"devices": 2}}), encoding="utf-8")
    run = command("run", str(path), "-o", str(folder))
    try:
        until = time.monotonic() + 400
        while len(lines(folder)) < 4 and run.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        (other,) = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(other), signal.SIGKILL)
        said = run.communicate(timeout=60)[1].splitlines()
    finally:
        run.kill()
    assert run.returncode == 2
    wanted = f"nat: the process of device 1 (number {other}) was ended by signal 9 (SIGKILL)"
    assert [line for line in said if line.startswith("nat:")] == [f"{wanted}; resume with: nat resume {folder}"]
    begun = len(lines(folder))
    with pytest.raises(KeyboardInterrupt):
        resume(folder, plugins(), Stop(2), fabric={"devices": 1})
    assert begun < len(lines(folder)) < ROUNDS * 4
    again = command("resume", str(folder), "--devices", "2")
    assert (again.communicate(timeout=400)[1], again.returncode)[1] == 0
    alone(whole, tmp_path / "one")
    one, two = lines(tmp_path / "one"), lines(folder)
    assert len(one) == len(two)
    for of_one, of_two in zip(one, two, strict=True):
        assert flat(of_two) == pytest.approx(flat(of_one), abs=1e-5), (
            "any number of devices learns and measures the same"
        )


def command(*words: str, **environment: str) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "nat_plugin", *words]
    return begun(call, environment)


def begun(call: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    known = {**os.environ, **environment}
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=known)


SHORT = {**SMALL, "search": {"rounds": 1, "proposals": 1, "steps": 1}}


@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_processes_that_somebody_else_has_started_are_taken(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="needs the extra fabric")
    path, folder = tmp_path / "two.yaml", tmp_path / "two"
    path.write_text(yaml.safe_dump({**SHORT, "fabric": {"devices": 2}}), encoding="utf-8")
    words, port = ["-m", "nat_plugin", "run", str(path), "-o", str(folder)], str(free_port())
    if launcher == "torchrun":
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
        processes = [begun([sys.executable, *torchrun, *words], {})]
    else:
        of_both = {
            "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "nat", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }  # fmt: skip
        own = ({"SLURM_PROCID": each, "SLURM_LOCALID": each} for each in "01")
        processes = [begun([sys.executable, *words], {**of_both, **each}) for each in own]
    said = [each.communicate(timeout=300)[1] for each in processes]
    assert [each.returncode for each in processes] == [0] * len(processes), said
    work = json.loads((folder / "workers.json").read_text())
    assert [each["tasks"] for each in work.values()] == [next(iter(work.values()))["tasks"]] * 2, (
        "each device has a row"
    )
    assert all(each["tasks"] > 1 for each in work.values())
    alone(SHORT, tmp_path / "one")
    for of_one, of_two in zip(lines(tmp_path / "one"), lines(folder), strict=True):
        assert flat(of_two) == pytest.approx(flat(of_one), abs=1e-5)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def alone(values: dict[str, Any], folder: Path) -> None:
    """Carried through by this process, without a report."""
    start(plan(values, plugins()), folder, plugins(), Silent())


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "journal.jsonl"
    return read_journal(path) if path.exists() else []


def flat(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line."""
    found = {name: value for name, value in line.items() if isinstance(value, float)}
    return found | {name: value for part in line.values() if isinstance(part, dict) for name, value in part.items()}


@pytest.mark.parametrize(
    ("fabric", "said"),
    [
        ({"devices": 0}, "fabric.devices: give how many .from 1."),
        ({"devices": 3}, "evaluator.batch: 16 images cannot be divided among 3 devices"),
        ({"devices": [0, 0]}, "a list of different numbers of GPUs"),
        ({"strategy": "fsdp"}, "fabric.strategy: 'fsdp' divides the weights among devices; here each .*: say ddp"),
        ({"strategy": "deepspeed_stage_2"}, "fabric.strategy: 'deepspeed_stage_2' divides the weights .*: say ddp"),
        ({"strategy": "dp"}, "fabric.strategy: Input should be 'auto' or 'ddp'"),
        ({"precision": "bf16-mixed"}, "fabric.precision: it stands for bfloat16, and precision is float64: say one"),
    ],
)
def test_devices_that_cannot_be_are_a_line(fabric: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(nat.NATError, match=said):
        nat.run(recipe(**fabric), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"precision": 32}, ("32-true", "auto")),
        ({"precision": "bf16", "strategy": "ddp_find_unused_parameters_true"}, ("bf16-mixed", "ddp")),
        ({"precision": "16-mixed"}, ("16-mixed", "auto")),
    ],
)
def test_other_names_of_fabric_mean_the_same(given: dict[str, Any], meant: tuple[str, str]) -> None:
    found = FabricSettings(**given)
    assert (found.precision, found.strategy) == meant


def test_one_device_needs_nothing_of_fabric_and_several_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)  # as where it is not installed
    short = {"search": {"rounds": 1, "proposals": 1, "steps": 1}}
    for name, values in (("plain", SMALL), ("one", recipe(devices=1))):
        alone({**values, **short}, tmp_path / name)
    journals = [(tmp_path / name / "journal.jsonl").read_bytes() for name in ("plain", "one")]
    assert journals[0] == journals[1]
    assert b"fabric" not in (tmp_path / "plain" / "run.json").read_bytes()
    with pytest.raises(nat.NATError, match=r"pip install 'nat-plugin\[fabric\]'"):
        nat.run(recipe(devices=2), out=tmp_path / "two")


def test_what_a_run_goes_on_with_is_devices_and_nodes(tmp_path: Path) -> None:
    record = RunRecord({"device": "cpu"}, RunSource("", "", ""), {})
    assert plan_of_record(record, {}, plugins()) is None
    with pytest.raises(nat.NATError, match=r"fabric\.precision cannot change when a run is resumed"):
        plan_of_record(record, {"precision": "64-true"}, plugins())
    with pytest.raises(nat.NATError, match="fabric: must be a mapping such as"):
        nat.resume(tmp_path, fabric="two")  # type: ignore[arg-type]
