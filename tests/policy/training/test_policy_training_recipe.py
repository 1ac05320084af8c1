"""Recipes of trainings: everything wrong is reported at once, in lines that say where and what is allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from policy.training.conftest import small

from nat_plugin.comparisons.recipe import load_comparison
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.plugins import plugins
from nat_plugin.policy.network import ENCODERS
from nat_plugin.policy.training.recipe import PolicySettings, load_training, plan_training
from nat_plugin.policy.training.train import start
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe
from tests.command_line import Nat

MINIMAL = {"name": "mine", "sources": {"cells": {"table": {"path": "cells.csv"}}}}


def mistakes(values: dict[str, Any]) -> str:
    with pytest.raises(NATErrors) as caught:
        plan_training(values, plugins())
    return "\n".join(caught.value.messages)


def test_a_resolved_recipe_resolves_to_itself() -> None:
    once = plan_training(MINIMAL, plugins()).resolved()
    assert once["rules"] == ["nat", "nat++"]
    assert once["sources"]["cells"]["table"]["path"].endswith("/cells.csv")
    assert once["stages"][0]["critic"]["members"] == 2
    assert plan_training(once, plugins()).resolved() == once


@pytest.mark.parametrize("name", sorted(name for name in plugins().recipes if name.startswith("train-")))
def test_every_shipped_recipe_is_valid_and_takes_the_paths_of_its_tables(name: str, tmp_path: Path) -> None:
    sources = load_training(name, [], plugins()).recipe.sources
    paths = {source: tmp_path / f"{source}.csv" for source in sources}
    plan = load_training(name, [f"sources.{source}.table.path={path}" for source, path in paths.items()], plugins())
    assert {source: part.evaluator.path for source, part in plan.parts.items()} == paths


def test_all_mistakes_come_at_once_and_name_their_place() -> None:
    found = mistakes({
        "nmae": "mine",
        "rules": ["nat", "natt"],
        "sources": {
            "one": {"table": {"path": "a.csv", "sede": 1}},
            "two": {"runs": ["a"], "table": {"path": "a.csv"}},
            "three": {"weihgt": 2, "runs": ["a"]},
            "four": {"evaluator": {"name": "supernet"}, "networks": ["DARTS_V2"]},
            "five": {"evaluator": {"name": "training", "bacth": 3}, "networks": ["DARTS_V2"], "adapter": "drats"},
            "six": {"evaluator": {"name": "trainig"}},
            "seven": {"table": {"path": "a.csv"}, "moves": 3, "held_out": 1.0},
        },
        "limits": {"macs": 0.8, "latency": 0.4},
        "stages": [{"updates": -1, "critic": {"epohcs": 3}}],
        "policy": {"objective": "exat", "encoder": "grahp"},
    })  # fmt: skip
    for part in (
        "name: Field required",
        "nmae: unknown key; did you mean 'name'? (allowed: ",
        "sources.one.table.sede: unknown key; did you mean 'seed'? (allowed: ",
        "sources.two: give one of table, runs, evaluator, not table and runs",
        "sources.three.weihgt: unknown key; did you mean 'weight'? (allowed: ",
        "sources.four.evaluator.name: 'supernet' learns its weights in a run; train on what such a run measured",
        "sources.five.evaluator.bacth: unknown key",
        "adapter.name: 'drats' is not known (did you mean 'darts'?)",
        "sources.six.evaluator.name: 'trainig' is not known (did you mean 'training'?)",
        "sources.seven.held_out: Input should be less than 1",
        "limits: the shares macs, params and latency add up to 1 at most",
        "stages.0.updates: ",
        "stages.0.critic.epohcs: unknown key; did you mean 'epochs'? (allowed: ",
        "policy.objective: Input should be 'sampled', 'exact' or 'critic'",
    ):
        assert part in found, f"{part}\n\n{found}"
    assert all(line and "\n" not in line for line in found.splitlines())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rules": ["natt"]}, "rules: unknown rules 'natt'; allowed: nat, nat++"),
        ({"stages": [{"evaluations": 1.0}, {"evaluations": 0.5}]}, "stages: evaluations count all that is read so far"),
        ({"policy": {"encoder": "grahp"}}, "policy.encoder: Input should be 'graph', 'blind' or 'paper' (got 'grahp')"),
        ({"stages": [{"critic": {"epochs": 3}}]}, "stages.0.critic: epochs goes with kind ensemble; leave it out"),
        ({"sources": {}}, "sources: Dictionary should have at least 1 item"),
        ({"sources": {"a": {}}}, "sources.a: give one of table, runs, evaluator, not none"),
        ({"sources": {"a": {"runs": ["r"], "moves": 2}}}, "sources.a: moves goes with evaluator; leave it out"),
        ({"sources": {"a": {"evaluator": {"name": "training"}}}}, "sources.a: an evaluator needs networks to score"),
        ({"sources": [{"table": {}}]}, "sources: Input should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], line: str) -> None:
    """Where it begins with, and without all of the group that it is in."""
    found = mistakes({**MINIMAL, **change})
    assert f"\n{found}".count(f"\n{line}") == 1
    assert '(got "{' not in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("source: DARTS_V2\n", "this recipe is of a run (it has 'source'): use `nat run "),
        (
            "strategies: {nat: }\nsources: [DARTS_V2]\n",
            "this recipe is of a comparison (it has 'strategies'): use `nat c",
        ),
    ],
)
def test_a_recipe_of_another_command_is_sent_there(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(NATError) as caught:
        load_training(str(tmp_path / "other.yaml"), [], plugins())
    assert line in str(caught.value)


def test_other_commands_send_a_recipe_of_a_training_here() -> None:
    for load in (load_recipe, load_comparison):
        with pytest.raises(NATError, match=r"this recipe is of a training .*: use `nat train train-nasbench201`"):
            load("train-nasbench201", [], plugins())


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ({"table": {"path": "{}/none.csv"}}, "sources.a: "),
        ({"runs": ["{}/none"]}, "sources.a: {}/none: this is not the folder of a run: it has no run.json"),
        (
            {"evaluator": {"name": "training"}, "networks": "{}/cells.txt", "adapter": "nasbench201"},
            "sources.a: {}/cells.txt, line 2: ",
        ),
        (
            {"evaluator": {"name": "training"}, "networks": ["DARTS_V2"], "held_out": 0.9},
            "sources.a: 1 networks, of which",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, source: dict[str, Any], line: str) -> None:
    (tmp_path / "cells.txt").write_text("NB201_ResNet\nnothing that is known\n")

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return value.format(tmp_path) if isinstance(value, str) else value

    given = filled(source) | ({"runs": [filled(each) for each in source["runs"]]} if "runs" in source else {})
    plan = plan_training({"name": "mine", "device": "cpu", "sources": {"a": given}}, plugins())
    with pytest.raises(NATError) as caught:
        start(plan, tmp_path / "t", plugins(), Silent())
    assert str(caught.value).startswith(line.format(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        *("sources={a: [1]}", "sources=[1]", "sources={}", "sources.nasbench201.table=3", "sources.nasbench201=null"),
        *("sources={a: {runs: [{}]}}", "sources={a: {table: {path: 3}}}", "sources={a: {table: {}}}", "a.b.c"),
        *("sources={a: {evaluator: {name: [1]}, networks: [a]}}", "sources={a: {evaluator: {}, networks: [a]}}"),
        *("rules={}", "rules=[{}]", "stages=[3]", "stages=[]", "stages=[{temperature: [0, 1]}]", "policy=graph"),
        *("stages=[{critic: {kind: both}}]", "seed=1.0e+999", "limits={macs: .nan}", "name=\udcff", 'name="\\ud800"'),
        *("report=yes", "device=gpu", "policy={encoder: [a]}", "sources={a: {evaluator: {name: training}}}"),
    ],
)
def test_a_hostile_override_is_refused_in_lines(nat: Nat, tmp_path: Path, override: str) -> None:
    done = nat("train", "train-nasbench201", "--set", override, "-o", str(tmp_path / "out"))
    assert (done.status, done.out) == (2, "")
    assert done.err
    assert all(line.startswith("nat: ") and len(line) < 3000 for line in done.err.splitlines())
    assert not any((tmp_path / "out").glob("*.json"))


def test_mistakes_are_found_before_torch_is_imported(small_table: Path, tmp_path: Path) -> None:
    """Of the schema, of a table's settings, and of a training that cannot be gone on with."""
    (tmp_path / "mine.yaml").write_text(json.dumps(small(small_table)))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "train.json").write_text('{"version": "0.1", "checksum": "?"}')
    program = """
import sys, click
from nat_plugin.cli import nat
from nat_plugin.errors import NATError
for command in sys.argv[1:]:
    try:
        nat.main(command.split(), standalone_mode=False)
    except NATError as error:
        print(error)
print([name for name in ("torch", "timm", "nni", "scipy") if name in sys.modules])
"""
    wrong = ("rulez=[nat]", "sources.cells.table.metrik=loss", "policy.encoder=grahp")
    commands = [*(f"train mine.yaml --set {each}" for each in wrong), "resume t", "resume nowhere"]
    call = [sys.executable, "-c", program, *commands]
    said = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    starts = (
        "rulez: unknown",
        "sources.cells.table.metrik: unknown",
        "policy.encoder: ",
        "t/train.json: ",
        "nowhere: ",
    )
    assert [line[: len(start)] for line, start in zip(said, starts, strict=False)] == list(starts)
    assert said[len(starts) :] == ["[]"]


def test_every_encoder_can_be_named() -> None:
    assert get_args(PolicySettings.model_fields["encoder"].annotation) == tuple(ENCODERS)


HEAD, FIRST = "ops,c10_val12,c10_test12", "013333,50,50"
TABLES = {
    "empty": ("", "the file is empty"),
    "without rows": (HEAD, "it has no row that can be used"),
    "of one row": (f"{HEAD}\n{FIRST}", "1 networks, of which"),
    "doubled": (f"{HEAD}\n{FIRST}\n113333,3,4\n{FIRST}", "line 4: this architecture is also in line 2"),
    "NaN": (f"{HEAD}\n{FIRST}\n113333,nan,4", "line 3: c10_val12 is nan, not a finite number"),
    "infinite": (f"{HEAD}\n{FIRST}\n113333,inf,4", "line 3: c10_val12 is inf, not a finite number"),
    "cut off": (f"{HEAD}\n{FIRST}\n113333", "line 3: 1 fields, the header has 3"),
    "unreadable": (f"{HEAD}\n{FIRST}\n993333,3,4", "line 3: ops: not an architecture"),
    "of other columns": ("a,b\n1,2", "for a table of your own set adapter and metric"),
    "of a column twice": (f"ops,{HEAD}\n013333,{FIRST}", "the header has column 'ops' twice"),
    "binary": ("\0\x01\n", "this is not a text file"),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_that_is_wrong_is_one_line(nat: Nat, tmp_path: Path, what: str) -> None:
    text, line = TABLES[what]
    (tmp_path / "cells.csv").write_text(text)
    (tmp_path / "mine.yaml").write_text(json.dumps(small(tmp_path / "cells.csv")))
    said = nat("train", str(tmp_path / "mine.yaml"), "-o", str(tmp_path / "t"))
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert said.err.startswith("nat: sources.cells: ")
    assert line in said.err
