"""A policy that ships says once, on standard error, that it is applied to something that it was not trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nat_plugin import messages
from nat_plugin.ir import Network, NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.policy import finding
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar
from nat_plugin.policy.critic_files import saved_critic
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.finding import policy_path
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.trained_on import say_where_trained
from tests.command_line import Nat

SMALL = ("--channels", "4", "--cells", "3")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_said", set())


def network(adapter: str, name: str) -> Network:
    found = plugins().adapters[adapter]
    return found.read(found.published()[name].text, NetworkSize(4, 3))


def test_on_a_space_that_it_knows_and_of_a_policy_of_ones_own_nothing_is_said(nat: Nat, tmp_path: Path) -> None:
    ops = ("conv_3x3", "conv_3x3", "none", "none", "none", "conv_3x3")
    sample = json.dumps(dict(zip((f"cell/{a}_{b}" for b in (1, 2, 3) for a in range(b)), ops, strict=True)))
    assert "trained on" not in nat("transform", sample, "--adapter", "nni").err
    (tmp_path / "mine.safetensors").write_bytes(policy_path("general").read_bytes())
    said = nat("transform", "ENAS_micro", "--policy", str(tmp_path / "mine.safetensors"), *SMALL)
    assert said.status == 0
    assert "trained on" not in said.err


def test_of_several_search_spaces_it_was_trained_on_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path)
    known = [network("nasbench201", "NB201_ResNet"), network("darts", "DARTS_V2")]
    critic = Critic(CriticConfig(1, 4, 1, 2))
    critic.familiar = Familiar(frozenset(map(space_name, known)))
    policy = new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu"))
    save_policy(policy, tmp_path / "two.safetensors", {"space": "cells of two kinds"}, saved_critic(critic))
    say_where_trained("two", known)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        say_where_trained("two", [*known, network("enas-micro", "ENAS_micro")])
    assert capsys.readouterr().err == (
        "policy 'two' was trained on cells of two kinds, and is applied to something else: an input stays unless a "
        "gain is likely all the same\n"
    )


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
