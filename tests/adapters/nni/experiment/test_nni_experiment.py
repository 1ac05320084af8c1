"""Real experiments of NNI with real training: the best models are no worse and no dearer than what was given."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from nat_nni import NAT
from nat_nni.experiment.initial import searched_sample
from nat_nni.export.counting import count_frozen

from tests.adapters.nni.nni_experiments import DIGITS, darts, experiment

DOCS = Path(__file__).resolve().parents[4] / "docs"
PAGES = DOCS / "tutorials" / "nni-space.md", DOCS / "reference" / "formats" / "nni.md"
PATIENT = """
from nni.experiment import launcher
launcher._check_rest_server.__defaults__ = (100, *launcher._check_rest_server.__defaults__[1:])
"""  # NNI gives its server three seconds to start, which is too little where cores are shared
FREEZE = """
import torch
from nni.nas.hub.pytorch import DARTS
space = DARTS(width=4, num_cells=3, dataset="cifar")
for sample in json.load(open("top.json")):
    assert space.freeze(sample).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
"""


def blocks(section: str) -> list[str]:
    """The blocks of Python under a heading."""
    text = "\n".join(page.read_text() for page in PAGES)
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, section
    return re.findall(r"```python\n(.*?)```", found[1], re.DOTALL)


def run(code: str, folder: Path, name: str = "search.py") -> str:
    """The output of a script, run in a folder in a fresh process."""
    (folder / name).write_text(code)
    command = [sys.executable, "-W", "ignore", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def macs(sample: Mapping[str, Any]) -> int:
    return count_frozen(darts(), sample, DIGITS).macs


def darts_v2() -> dict[str, Any]:
    sample = searched_sample("darts-v2")
    assert sample is not None
    return sample


@pytest.mark.usefixtures("nni_home")
def test_both_engines_find_what_is_no_worse_and_no_dearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five models one after the other; then the script of the docs, two trials at once, each in a process of its own.
    What they found is frozen, and taken out of NNI."""
    sequential(tmp_path)
    training_service(tmp_path)
    (taken_out,) = blocks("A model without NNI")
    monkeypatch.chdir(tmp_path)
    exec(taken_out + FREEZE, {"__name__": "taken_out"})  # of our own docs
    scope: dict[str, Any] = {"__name__": "model"}
    exec((tmp_path / "found" / "model.py").read_text(), scope)  # what was just written
    assert scope["load"](tmp_path / "found" / "weights.pt")(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def sequential(folder: Path) -> None:
    torch.set_num_threads(1)
    search = NAT(initial="darts-v2", input=DIGITS, rules="nat++")
    started = experiment(folder, search, 5)
    try:
        started.run()
        models = list(search.list_models(sort=False))
        top = started.export_top_models(3)
        samples = started.export_top_models(3, formatter="dict")
        (instance,) = started.export_top_models(1, formatter="instance")
    finally:
        started.stop()
    assert len(models) == 5
    assert models[0].sample == darts_v2()
    assert all(0 < model.metric <= 1 for model in models)
    assert top[0].metric >= models[0].metric
    assert [model.metric for model in top] == sorted((model.metric for model in models), reverse=True)[:3]
    assert samples == [model.sample for model in top]
    assert max(map(macs, samples)) <= macs(darts_v2())
    assert instance(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    (folder / "top.json").write_text(json.dumps(samples))


def training_service(folder: Path) -> None:
    """With an odd number of trials: the last worker to be free is offered no model, which would wait for ever."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    training, script = blocks("Script")
    (folder / "training.py").write_text(training.replace("randperm(1000)", "randperm(192)"))
    script = PATIENT + script.replace("port=8080", f"port={port}").replace("max_trial_number=4", "max_trial_number=3")
    script += '    print("FIRST", next(search.list_models(sort=False)).metric)\n'
    printed = run(script, folder)
    ranked = [float(each) for each in re.findall(r"^(\d\.\d+) \{", printed, re.MULTILINE)]
    first = re.search(r"^FIRST (.*)$", printed, re.MULTILINE)
    assert first is not None
    assert len(ranked) == 3
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] >= float(first[1])
    assert macs(json.loads((folder / "found.json").read_text())) <= macs(darts_v2())


@pytest.mark.usefixtures("nni_home")
def test_a_space_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of the docs, as it stands there."""
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("A space of your own")
    scope: dict[str, Any] = {"__name__": "own"}
    exec(script, scope)  # of our own docs
    models, best = [model.sample for model in scope["search"].list_models(sort=False)], scope["best"]
    assert models[0] == {"width": 8, "kernel": "5x5", "depth": 4}
    assert len(models) == len({json.dumps(model) for model in models}) == 6
    assert best in models[1:]  # the input is over the budget
    assert all(model["width"] == 8 for model in models)
    assert all(model["kernel"] != "5x5" or model["depth"] < 4 for model in models[1:])
