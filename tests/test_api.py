"""The Python API: what ``import nat_plugin`` offers, that it is what the command line does, and what it refuses."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nat_plugin as nat
from nat_plugin.ir import NetworkSize, key
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from tests.adapters.texts import TEXTS
from tests.command_line import Nat

NB201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "budget": {"macs": "0.9x"},
    "strategy": {"name": "random"},
    "evaluator": {"name": "proxies", "proxies": ["params"], "references": 2},
    "search": {"rounds": 1, "proposals": 2},
}


def test_importing_it_imports_nothing_of_it() -> None:
    program = "import sys, nat_plugin as nat; print(*sys.modules); print(*dir(nat))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported, offered = (line.split() for line in done.stdout.splitlines())
    assert {each for each in imported if each.startswith("nat_")} == {
        "nat_plugin",
        "nat_plugin.lazy",
        "nat_plugin.moved",
    }
    assert {"torch", "numpy", "pydantic", "click"}.isdisjoint(imported)
    assert set(nat.__all__) <= set(offered)


def test_what_is_promised_is_all_there_and_nothing_else() -> None:
    names = {name: getattr(nat, name) for name in nat.__all__}
    assert all(each is not None for each in names.values())
    for name in ("raed", "transforms", "torch"):
        with pytest.raises(AttributeError, match=f"module 'nat_plugin' has no attribute '{name}'"):
            getattr(nat, name)
    assert sorted(names) == sorted(set(nat.__all__))


WITH_EXAMPLES = (
    "nat_plugin",
    *(f"nat_plugin.api.{name}" for name in ("architectures", "policies", "transforming", "recipes", "results")),
    *(f"nat_plugin.{name}" for name in ("api.transformed", "adapter", "search.base", "evaluators.base", "hookspecs")),
)


def test_all_that_people_call_or_write_has_an_example() -> None:
    without = {
        "ComparisonResult",
        "LoadedPolicy",
        "NATError",
        "Report",
        "TrainingResult",
    }  # the calls that give them have
    for name in set(nat.__all__) - without:
        thing = getattr(nat, name)
        assert inspect.ismodule(thing) or name in ("__version__", "hookimpl") or ">>>" in thing.__doc__, name


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = importlib.import_module(module)
    failed, tried = doctest.testmod(found, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert (failed, tried > 2) == (0, True)


Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def genotype() -> Genotype:
    normal = [("sep_conv_3x3", 0), ("skip_connect", 1)] * 4
    return Genotype(normal, range(2, 6), [("max_pool_3x3", 0), ("skip_connect", 1)] * 4, [2, 3, 4, 5])


@pytest.mark.parametrize("name", sorted(name for name in plugins().adapters if name != "timm"))
def test_any_format_is_read_shown_and_drawn(name: str) -> None:
    own = {"network": nat.read(NB201).convert("network").text, "nni": nat.read("darts-v2", adapter="nni").text}
    text = own.get(name) or TEXTS[name][0]
    arch = nat.read(text, adapter=name)
    assert (arch.format, arch.text, str(arch)) == (name, text, text)
    assert nat.cost(arch) == arch.cost == nat.cost(arch.network)
    page = arch._repr_html_()
    assert "<svg" in page
    assert arch.summary in page
    assert "http" not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_what_computes_nothing_is_read_all_the_same() -> None:
    arch = nat.read("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert repr(arch).endswith("(nasbench201): its output does not depend on its input>")
    assert "<svg" not in arch._repr_html_()
    with pytest.raises(nat.NATError):
        _ = arch.params


def test_values_of_python_are_read_as_their_literals(tmp_path: Path) -> None:
    own = genotype()
    assert nat.read(own) == nat.read(repr(own))
    file = tmp_path / "cell.txt"
    file.write_text(NB201)
    assert nat.read(file).text == nat.read(NB201).text
    network = nat.read(NB201, channels=8).network
    assert nat.read(network).network == network
    assert nat.cost(network) == nat.read(network).cost
    sample = nat.read("darts-v2", adapter="nni")
    assert nat.read(json.loads(sample.text), adapter="nni").network == sample.network


@pytest.fixture
def command(nat: Nat) -> Nat:
    """The command line, by a name that is not that of the module."""
    return nat


def test_a_size_is_that_of_the_command_line(command: Nat) -> None:
    arch = nat.read("DARTS_V2", channels=8, cells=5, input=16, classes=3)
    shown = json.loads(
        command("show", "DARTS_V2", "--channels", "8", "--cells", "5", "--input", "16", "--classes", "3", "--json").out
    )
    assert arch.describe() == shown
    assert nat.read(arch) == arch
    assert nat.read(arch, input=(1, 32, 16)).network.input == (1, 32, 16)
    assert arch.size == NetworkSize(8, 5, (3, 16, 16), 3)


def test_transform_is_that_of_the_command_line(command: Nat) -> None:
    printed = json.loads(command("transform", "DARTS_V2", "--budget", "macs=0.9x", "--json").out)
    lean = nat.transform("DARTS_V2", budget={"macs": "0.9x"})
    assert (lean.text, lean.format, lean.params, lean.macs) == tuple(
        printed[name] for name in ("architecture", "format", "params", "macs")
    )
    assert lean.confidence is not None
    assert (lean.changed, lean.kept, round(lean.confidence, 4)) == (True, False, printed["probability"])
    assert lean.macs <= 0.9 * lean.input.macs
    assert key(nat.read(lean.text).network) == key(lean.network)
    assert "[sep_conv_3x3 -> " in lean.diff
    page = lean._repr_html_()
    assert 'class="changed"' in page
    assert "with probability" in page
    again = nat.transform(lean, policy=nat.load_policy())
    assert again.input.text == lean.text


def test_a_policy_without_a_critic_says_nothing_of_how_sure_it_is(tmp_path: Path) -> None:
    save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), tmp_path / "mine")
    lean = nat.transform(NB201, {"macs": "0.9x"}, policy=tmp_path / "mine", rules="nat++", extended=True)
    assert (lean.confidence, lean.remark, lean.kept, lean.format) == (None, None, False, "network")


def test_a_run_ends_with_architectures_and_a_report(tmp_path: Path) -> None:
    arch = nat.read("DARTS_V2", channels=4)
    result = nat.run(
        {**RECIPE, "source": arch},
        {"search.proposals": 3, "network": {"channels": 6, "cells": 3}},
        out=tmp_path / "run",
    )
    assert result.folder == tmp_path / "run"
    assert (result.input.text, result.input.format, result.input.size.channels) == (arch.text, "darts", 6)
    assert result.winner.macs <= 0.9 * result.input.macs
    assert (result.winner.text, result.winner.params) == (
        (tmp_path / "run" / "architecture.txt").read_text().rstrip("\n"), result.figures["result"]["params"],
    )  # fmt: skip
    assert result.winner.diff
    report = (tmp_path / "run" / "report.md").read_text()
    assert (str(result.report), Path(result.report).name, result._repr_markdown_()) == (report, "report.md", report)
    assert (result.verdict, result.weights, result.policy) == ("none", None, None)
    again = nat.resume(result.folder)
    assert again.figures == result.figures
    assert isinstance(again, nat.RunResult)


def test_a_file_and_a_dict_are_the_same_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(RECIPE))
    other = {**RECIPE, "source": "DARTS_V1"}
    first = nat.run(file, out=tmp_path / "1")
    second = nat.run(other, {"source": nat.read("DARTS_V2"), "threads": 2}, out=str(tmp_path / "2"))
    assert torch.get_num_threads() == 1  # as before, whatever the recipe says
    assert first.figures == second.figures
    assert RECIPE["budget"] == {"macs": "0.9x"}


def test_adapters_with_a_python_api_are_there_by_name() -> None:
    import nat_nni
    import nat_timm

    assert (nat.timm, nat.nni) == (nat_timm, nat_nni)
    assert callable(nat.timm.compact)
    assert callable(nat.timm.advise)


WRONG: list[tuple[Callable[[], object], str]] = [
    (
        lambda: nat.read(3),
        "a int is not an architecture; give a text, a path, a genotype, a list, a dict or a Network",
    ),  # type: ignore[arg-type]
    (lambda: nat.read(None), "a NoneType is not an architecture"),  # type: ignore[arg-type]
    (lambda: nat.read(""), "the architecture is empty"),
    (lambda: nat.read(Path("missing.txt")), "'missing.txt' is neither a file, nor a published name"),
    (lambda: nat.read([1, 2]), "no adapter|neither a file"),
    (lambda: nat.read("DARTS_V2", adapter="dart"), "unknown adapter 'dart'"),
    (lambda: nat.read("DARTS_V2", adapter=3), "adapter: must be a name, or a mapping of a name and settings, not 3"),  # type: ignore[arg-type]
    (lambda: nat.read(nat.read("DARTS_V2"), adapter="nni"), "adapter: what was read is of format 'darts'"),
    (lambda: nat.read("DARTS_V2", channels=0), "channels: 0 is not a whole number from 1"),
    (lambda: nat.read("DARTS_V2", channels="8"), "channels: '8' is not a whole number"),  # type: ignore[arg-type]
    (lambda: nat.read("DARTS_V2", input=(3, 32)), r"input: \(3, 32\) is not the shape of an image"),  # type: ignore[arg-type]
    (lambda: nat.cost("DARTS_V9"), "'DARTS_V9' is neither a file, nor a published name"),
    (lambda: nat.read("DARTS_V2").convert("nib"), "unknown adapter 'nib'"),
    (lambda: nat.transform("DARTS_V2", {"flops": 1}), "budget: unknown metric 'flops'"),
    (lambda: nat.transform("DARTS_V2", "0.9x"), "budget: must be a mapping such as"),  # type: ignore[arg-type]
    (lambda: nat.transform("DARTS_V2", {"macs": "0.01x"}), "nothing|no legal|budget"),
    (lambda: nat.transform("DARTS_V2", rules="any"), "any"),
    (lambda: nat.transform("DARTS_V2", policy="generl"), "policy 'generl': no such file"),
    (
        lambda: nat.transform("DARTS_V2", policy=3),
        "policy: must be the name of one that ships, a file or the folder of a run, not 3",
    ),  # type: ignore[arg-type]
    (lambda: nat.transform("DARTS_V2", samples=-1), "transform.samples: Input should be greater"),
    (lambda: nat.transform("DARTS_V2", device="tpu"), "device 'tpu' is not one of"),
    (lambda: nat.transform("DARTS_V2", costs={"energy": 3}), "costs: must be a mapping such as"),  # type: ignore[dict-item]
    (lambda: nat.transform("DARTS_V2", proxies=True), "proxies: policy 'general' has no critic that was trained with"),
    (lambda: nat.load_policy("missing.safetensors"), "policy 'missing.safetensors': no such file"),
    (lambda: nat.run("quickstrt"), "'quickstrt' is neither a file nor a recipe that ships"),
    (lambda: nat.run(3), "recipe: must be a name, a file, or a dict of its keys, not a int"),  # type: ignore[arg-type]
    (lambda: nat.run({}), "source: Field required"),
    (lambda: nat.run({**RECIPE, "sedd": 1}), "sedd: unknown key; did you mean 'seed'?"),
    (lambda: nat.run({**RECIPE, "seed": float("nan")}), "recipe: seed: nan is not a finite number"),
    (lambda: nat.run({**RECIPE, "seed": object()}), "recipe: seed: a object is neither number, text, list nor mapping"),
    (lambda: nat.run("quickstart", ["seed=3"]), "overrides: must be a mapping such as"),  # type: ignore[arg-type]
    (lambda: nat.run("quickstart", {"source.x": 1}), "overrides: source.x: 'source' is not a group of settings"),
    (lambda: nat.run("quickstart", out=3), "out: must be a folder, not 3"),  # type: ignore[arg-type]
    (lambda: nat.run("compare-digits"), "this recipe is of a comparison"),
    (lambda: nat.compare("quickstart"), "this recipe is of a run"),
    (lambda: nat.train("compare-digits"), "this recipe is of a comparison"),
    (lambda: nat.resume("nowhere"), "nowhere: there is no such folder"),
    (lambda: nat.transform("DARTS_V2", device=3), "device '3' is not one of"),  # type: ignore[arg-type]
    (lambda: nat.load_policy(device=3), "device '3' is not one of"),  # type: ignore[arg-type]
    (lambda: nat.resume(".", {"a": 3}), "moved: must be a mapping of old paths to new ones"),  # type: ignore[dict-item]
    (lambda: nat.resume(3), "folder: must be a folder, not 3"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_wrong_is_said_in_one_line(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong, message = WRONG[number]
    with pytest.raises(nat.NATError, match=message) as said:
        wrong()
    assert "\n" not in str(said.value)
    assert os.listdir(tmp_path) == []
