"""A training from a table ends with a policy that is worth something on what it never read, twice the same, however
often it was interrupted."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from nat_nasbench.nb201 import from_digits
from policy.training.conftest import CRITICS, EDGES, contents, small, train

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, NetworkSize, find_rule, is_connected, key
from nat_plugin.plugins import plugins
from nat_plugin.policy.apply import transform
from nat_plugin.policy.critic_files import read_critic
from nat_plugin.policy.files import load_critic, load_policy
from nat_plugin.policy.training.critics import make_critic
from nat_plugin.policy.training.doubting import MOST
from nat_plugin.policy.training.recipe import CriticSettings
from nat_plugin.policy.training.spaces import split_place
from nat_plugin.policy.training.train import resume
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.search.base import Task
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy
from tests.command_line import Nat
from tests.interrupting import Stop

KINDS = [("sampled", "tasks"), ("exact", "tasks"), ("critic", "ensemble")]
"""Of the objective, and of the critic."""


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def kinds(request: pytest.FixtureRequest) -> tuple[str, str]:
    objective, critic = request.param
    return objective, critic


@pytest.fixture(scope="module")
def recipe(kinds: tuple[str, str], small_table: Path) -> dict[str, Any]:
    return small(small_table, *kinds)


@pytest.fixture(scope="module")
def undisturbed(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("trainings") / "undisturbed"
    train(folder, recipe)
    torch.set_num_threads(threads)
    return folder


def test_it_learns_what_is_good_for_networks_that_it_never_read(small_table: Path, tmp_path: Path) -> None:
    recipe = small(small_table)
    recipe["stages"][1] |= {"updates": 60, "critic": {"hidden": 16, "steps": 100, "batch": 64}}
    recipe["policy"] |= {"inputs": 200, "batch": 32}
    recipe["report"] = 60
    found = train(tmp_path, recipe)["tasks"]["cells"]
    free, limited = found["gains"]
    assert free["known"] == free["inputs"] == 60
    assert free["share"] > 0.6
    assert limited["limits"] == {"macs": "0.8x"}
    assert limited["best"] - limited["gain"] < 0.05
    assert found["critic"]["spearman"] > 0.7
    assert found["critic"]["reachable"] == found["critic"]["pairs"] > 50
    assert found["critic"]["error"] < 0.25


def test_what_is_read_is_counted_and_nothing_held_out_is_learned_from(undisturbed: Path) -> None:
    found = json.loads((undisturbed / "result.json").read_text())["tasks"]["cells"]
    lines = [line for line in read_journal(undisturbed / "journal.jsonl") if "network" in line]
    assert len(lines) == found["evaluations"] == 100
    assert len({line["network"] for line in lines}) == found["distinct"]
    adapter = plugins().adapters["nasbench201"]
    assert "## Gain on inputs held out" in (undisturbed / "report.md").read_text()
    cells = [adapter.read(from_digits("".join(cell)), NetworkSize()) for cell in itertools.product(*EDGES)]
    held = {key(network) for network in cells if is_connected(network) and split_place(network, 201) < 0.3}
    assert len(held) > 10
    assert held.isdisjoint(line["network"] for line in lines)


def test_the_same_seed_gives_the_same_bytes_and_another_others(
    undisturbed: Path, recipe: dict[str, Any], tmp_path: Path
) -> None:
    train(tmp_path / "again", recipe)
    assert contents(tmp_path / "again") == contents(undisturbed)
    train(tmp_path / "other", recipe | {"seed": 1})
    assert contents(tmp_path / "other") != contents(undisturbed)


@pytest.mark.parametrize("after", [2, 8, 15])
def test_interrupted_it_ends_the_same(undisturbed: Path, recipe: dict[str, Any], tmp_path: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, recipe, Stop(after))
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path, plugins(), Stop(1))
    resume(tmp_path, plugins(), Silent())
    assert contents(tmp_path) == contents(undisturbed)
    mine, its = (json.loads((each / "result.json").read_text()) for each in (tmp_path, undisturbed))
    assert mine.pop("seconds") >= 0
    its.pop("seconds")
    assert mine == its


def test_a_finished_training_stays_as_it_is(undisturbed: Path) -> None:
    before = contents(undisturbed)
    resume(undisturbed, plugins(), Silent())
    assert contents(undisturbed) == before


def test_the_policy_file_says_what_it_is_of_and_has_the_critic(undisturbed: Path, kinds: tuple[str, str]) -> None:
    policy, facts = load_policy(undisturbed / "policy.safetensors")
    assert facts["name"] == "small"
    assert facts["objective"] == kinds[0]
    assert facts["evaluations"] == 100
    assert facts["space"] == "NAS-Bench-201"
    saved = load_critic(undisturbed / "policy.safetensors")
    assert saved is not None
    critic = make_critic(CriticSettings.model_validate(CRITICS[kinds[1]]), 0, torch.device("cpu"))
    critic.load(saved.tensors, saved.config)
    assert saved.config == critic.config()
    less = dict(saved.tensors)
    name, _ = less.popitem()
    with pytest.raises(NATError, match=f"critic: '{name}' is missing"):
        critic.load(less, saved.config)
    network = plugins().adapters["nasbench201"].read("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
                                                     NetworkSize())  # fmt: skip
    budget = Budget.parse({"macs": "1.0x"})
    [after] = transform([network], find_rule("nat"), budget, policy)
    Moves(network, find_rule("nat"), budget.resolve(network)).verify(after)


def test_it_is_applied_and_starts_a_search_with_and_without_a_critic_to_judge_it(
    undisturbed: Path, kinds: tuple[str, str], nat: Nat
) -> None:
    """One that was learned from an ensemble has no critic that says how likely a gain is, and proposes all the same."""
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|nor_conv_3x3~2|"
    said, judged = nat("transform", text, "--policy", str(undisturbed), "--json"), kinds[1] == "tasks"
    row = json.loads(said.out)
    assert (said.status, "probability" in row, bool(said.err)) == (0, judged, judged)
    network, rule = plugins().adapters["nasbench201"].read(text, NetworkSize()), find_rule("nat")
    strategy = NATStrategy(Task((network,), rule, Budget()), NATSettings(policy=str(undisturbed)))
    assert f"policy '{undisturbed}', trained on NAS-Bench-201" in strategy.notes[0]
    [proposal] = strategy.ask(1)
    Moves(network, rule).verify(proposal.network)
    [own] = transform([network], rule, Budget(), load_policy(undisturbed / "policy.safetensors")[0])
    assert judged or own in (network, proposal.network)  # which is asked first


def test_a_source_that_changed_is_refused(small_table: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(small_table.read_text())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "t", small(table), Stop(5))
    text = table.read_text()
    table.write_text(text.replace("113333,", "113333,0", 1))
    with pytest.raises(NATError, match=f"{table}: changed since it was first read"):
        resume(tmp_path / "t", plugins(), Silent())
    table.unlink()
    with pytest.raises(NATError, match="was read when the training began and is not there now; say where: nat resume"):
        resume(tmp_path / "t", plugins(), Silent())
    (tmp_path / "new.csv").write_text(text)
    resume(tmp_path / "t", plugins(), Silent(), {str(table): str(tmp_path / "new.csv")})
    assert (tmp_path / "t" / "policy.safetensors").exists()


def test_it_learns_from_what_an_evaluator_says_of_networks(small_table: Path, tmp_path: Path) -> None:
    cells = tmp_path / "cells.txt"
    cells.write_text(f"{from_digits('113333')}\n\n{from_digits('103333')}\n")
    source = {
        "evaluator": {"name": "table", "path": str(small_table)},
        "networks": str(cells),
        "moves": 20,
        "adapter": "nasbench201",
    }
    recipe = small(small_table, sources={"scored": source})
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "t", recipe, Stop(2))  # in the middle of measuring
    resume(tmp_path / "t", plugins(), Silent())
    train(tmp_path / "again", recipe)
    assert contents(tmp_path / "t") == contents(tmp_path / "again")
    found = json.loads((tmp_path / "t" / "result.json").read_text())["tasks"]["scored"]
    assert found["networks"] == 22
    lines = [line for line in read_journal(tmp_path / "t" / "journal.jsonl") if "network" in line]
    assert sum(not line["held_out"] for line in lines) == found["evaluations"] == 22 - found["held_out"]
    assert sum(line["held_out"] for line in lines) == found["held_out"] == found["inputs"]


def test_a_table_of_ones_own_needs_an_adapter_and_a_metric_alone(small_table: Path, tmp_path: Path) -> None:
    rows = [line.split(",") for line in small_table.read_text().splitlines()[1:]]
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "cell;loss\n".replace(";", ",") + "".join(f"{from_digits(a)},{100 - float(b)}\n" for a, b, _ in rows)
    )
    table = {"path": str(mine), "adapter": "nasbench201", "architecture": "cell", "metric": "loss",
             "lower_is_better": True}  # fmt: skip
    own = train(tmp_path / "own", small(small_table, sources={"cells": {"table": table, "evaluations": 100}}))
    known = {"table": {"path": str(small_table)}, "evaluations": 100}
    same = train(tmp_path / "same", small(small_table, sources={"cells": known}))
    for one, other in zip(own["tasks"]["cells"]["gains"], same["tasks"]["cells"]["gains"], strict=True):
        assert (one["inputs"], one["known"]) == (other["inputs"], other["known"])
        assert one["gain"] == pytest.approx(100 * other["gain"], abs=1e-6)


@pytest.mark.parametrize("rows", [2, 3])
def test_a_table_of_a_few_rows_is_learned_from(rows: int, small_table: Path, tmp_path: Path) -> None:
    lines = small_table.read_text().splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join([lines[0], *lines[-rows:]]) + "\n")
    recipe = small(few, "sampled", stages=[{"evaluations": 0.1, "updates": 1, "critic": CRITICS["tasks"]}])
    recipe["sources"]["cells"] = {"table": {"path": str(few)}, "held_out": 0}
    found = train(tmp_path / "training", recipe)
    assert found["tasks"]["cells"]["evaluations"] == 2


def test_several_tasks_share_critic_and_split(small_table: Path, tmp_path: Path) -> None:
    """Whatever is held out of one task is held out of all."""
    other = tmp_path / "other.csv"
    lines = small_table.read_text().splitlines()
    other.write_text("\n".join([lines[0], *(_upside_down(line) for line in lines[1::2])]) + "\n")
    sources = {
        "cells": {"table": {"path": str(small_table)}, "evaluations": 60, "weight": 3},
        "less": {"table": {"path": str(other)}, "evaluations": 60},
    }
    found = train(tmp_path / "t", small(small_table, sources=sources))
    assert [task["evaluations"] for task in found["tasks"].values()] == [60, 60]
    assert "share" not in found["tasks"]["less"]["gains"][0]  # half of what can be reached has no score
    lines = [json.dumps(line["task"]) for line in read_journal(tmp_path / "t" / "journal.jsonl") if "network" in line]
    assert set(lines) == {'"cells"', '"less"'}


def test_what_it_does_not_know_of_other_spaces_is_learned_and_kept(small_table: Path, tmp_path: Path) -> None:
    """Two spaces: cells with convolutions 3x3, and rows of a table whose cells are of NAS-Bench-Macro."""
    other = tmp_path / "macro.csv"
    cells = map("".join, itertools.product("012", repeat=4))
    rows = [f"{cell}1111,{cell.count('0')}.5" for cell in cells]
    other.write_text("\n".join(["architecture,accuracy", *rows]) + "\n")
    sources = {
        "cells": {"table": {"path": str(small_table)}, "evaluations": 60},
        "layers": {"table": {"path": str(other), "adapter": "nasbench-macro", "metric": "accuracy"}},
    }
    critic = CRITICS["tasks"] | {"doubt_steps": 4}
    recipe = small(small_table, sources=sources, stages=[{"updates": 4, "critic": critic}], checkpoint=1)
    train(tmp_path / "whole", recipe)
    saved = load_critic(tmp_path / "whole" / "policy.safetensors")
    assert saved is not None
    assert len(str(saved.config["spaces"]).split()) == 2
    assert float(str(saved.config["doubt"])) >= 1.0
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", recipe, Stop(3))
    resume(tmp_path / "stopped", plugins(), Silent())
    policies = [(tmp_path / name / "policy.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert policies[0] == policies[1]


def test_without_steps_for_its_doubt_it_knows_its_own_space_alone(ended: Path) -> None:
    critic = read_critic(ended / "policy.safetensors", torch.device("cpu"))
    assert critic is not None
    read = plugins().adapters["nasbench201"].read
    assert critic.familiar.factor(read(from_digits("333333"), NetworkSize())) == 1.0
    darts = plugins().adapters["darts"]
    assert critic.familiar.factor(darts.read(darts.published()["DARTS_V2"].text, NetworkSize(4, 3))) == MOST


def _upside_down(line: str) -> str:
    cell, one, two = line.split(",")
    return f"{cell},{100 - float(one)},{100 - float(two)}"


def test_the_command_line(nat: Nat, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(json.dumps(small(small_table)))
    said = nat("train", "mine.yaml", "--set", "stages=[{updates: 3, critic: {members: 1, hidden: 4, steps: 2}}]")
    assert (said.status, said.err.count("Traceback")) == (0, 0)
    assert "held out, nat, no limit: " in said.out
    assert Path("nat-trainings/mine/policy.safetensors").exists()
    again = nat("train", "mine.yaml", "-o", "nat-trainings/mine")
    assert (again.status, again.err) == (
        2, "nat: nat-trainings/mine: this folder is in use: `nat resume` resumes it; or choose another --out\n",
    )  # fmt: skip
    said = nat("resume", "nat-trainings/mine", "--json")
    assert json.loads(said.out)["name"] == "small"
    assert nat("resume", "nowhere").err == "nat: nowhere: there is no such folder\n"
