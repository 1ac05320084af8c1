"""A policy that ships says once, on standard error, that it is applied to something that it was not trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nat_plugin.ir import Budget, Frame, Network, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy import finding, trained_on
from nat_plugin.policy.files import Fact, save_policy
from nat_plugin.policy.finding import policy_path
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.search_space import cells_of
from nat_plugin.policy.trained_on import say_where_trained
from nat_plugin.search.base import Task
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy
from tests.command_line import Nat

SMALL = ("--channels", "4", "--cells", "3")
SAID = (
    "policy '{}' was trained on NAS-Bench-201 (CIFAR-10 validation accuracy after 200 epochs, mean over seeds), and is "
    "applied to something else: its first proposals may be wrong; measure them, or train one with `nat train`\n"
)


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_on, "_said", set())


def network(adapter: str, name: str) -> Network:
    found = plugins().adapters[adapter]
    return found.read(found.published()[name].text, Frame(4, 3))


@pytest.mark.parametrize("policy", ["nasbench201", "nasbench201-budgets"])
def test_transform_says_it_in_one_line(policy: str, nat: Nat) -> None:
    genotypes = "\n".join(plugins().adapters["darts"].published()[name].text for name in ("DARTS_V1", "DARTS_V2"))
    said = nat("transform", "-", "--adapter", "darts", "--policy", policy, *SMALL, stdin=genotypes)
    assert (said.status, said.err) == (0, SAID.format(policy))
    assert said.out.count("Genotype(") == 2


def test_on_its_own_space_and_of_a_policy_of_ones_own_nothing_is_said(nat: Nat, tmp_path: Path) -> None:
    own = ("--policy", "nasbench201")
    assert nat("transform", "NB201_ResNet", *own, *SMALL).err == ""
    ops = ("conv_3x3", "conv_3x3", "none", "none", "none", "conv_3x3")
    sample = json.dumps(dict(zip((f"cell/{a}_{b}" for b in (1, 2, 3) for a in range(b)), ops, strict=True)))
    assert nat("transform", sample, "--adapter", "nni", *own).err == ""
    (tmp_path / "mine.safetensors").write_bytes(policy_path("nasbench201").read_bytes())
    assert nat("transform", "DARTS_V2", "--policy", str(tmp_path / "mine.safetensors"), *SMALL).err == ""


def test_of_several_search_spaces_it_was_trained_on_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path)
    known = [network("nasbench201", "NB201_ResNet"), network("darts", "DARTS_V2")]
    facts: dict[str, Fact] = {"space": "two", "trained_on": "both", "cells": "\n".join(map(cells_of, known))}
    save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), tmp_path / "two.safetensors", facts)
    say_where_trained("two", known)
    assert capsys.readouterr().err == ""
    say_where_trained("two", [network("darts", "DARTS_V1")])
    assert capsys.readouterr().err.startswith("policy 'two' was trained on two (both)")


def test_a_search_that_starts_from_it_says_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task((network("darts", "DARTS_V2"),), find_rule("nat"), Budget())
    for _ in range(2):
        NATStrategy(task, NATSettings(policy="nasbench201-budgets"))
    assert capsys.readouterr().err == SAID.format("nasbench201-budgets")
    NATStrategy(
        Task((network("nasbench201", "NB201_ResNet"),), find_rule("nat"), Budget()), NATSettings(policy="nasbench201")
    )
    assert capsys.readouterr().err == ""


def test_what_is_no_policy_that_ships_is_left_to_whoever_looks_for_it() -> None:
    say_where_trained("no such policy", [network("darts", "DARTS_V2")])


def test_the_policy_with_a_critic_is_the_default_and_says_how_sure_it_is(nat: Nat) -> None:
    known = nat("transform", "DARTS_V2")
    assert known.status == 0
    assert known.out.startswith("Genotype(")
    assert known.err.count("\n") == 1
    assert "better than the input" in known.err
    assert json.loads(nat("transform", "DARTS_V2", "--json").out)["probability"] > 0


def test_of_a_space_that_it_does_not_know_the_input_stays(nat: Nat) -> None:
    said = nat("transform", "ENAS_micro")
    assert said.status == 0
    first, second, *rest = said.err.splitlines()
    assert rest == []
    assert first.startswith("policy 'general' was trained on NAS-Bench-201; TransNAS-Bench-101; ")
    assert first.endswith("is applied to something else: an input stays unless a gain is likely all the same")
    assert second.startswith("the input stays: ")
    assert said.out == plugins().adapters["enas-micro"].published()["ENAS_micro"].text + "\n"


def test_the_reduction_cell_still_reduces_by_operations(nat: Nat) -> None:
    """The policies before made one skip of it."""
    before = plugins().adapters["darts"].published()["DARTS_V2"].text
    after = nat("transform", "DARTS_V2").out
    cell = after[after.index("reduce=") :]
    assert cell.count("pool") >= before[before.index("reduce=") :].count("pool") / 2


def test_a_folder_stands_for_its_policy_and_nothing_hides_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("general", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.safetensors").write_bytes(b"")
    assert policy_path("general") == policy_path("nasbench201").with_name("general.safetensors")
    assert policy_path("mine") == Path("mine/policy.safetensors")
    assert policy_path("./general") == Path("general/policy.safetensors")
    Path("nasbench201").write_bytes(b"")
    assert policy_path("nasbench201") == policy_path("general").with_name("nasbench201.safetensors")
    assert policy_path("./nasbench201") == Path("nasbench201")
