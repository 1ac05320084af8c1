"""A policy is found by its file, by the folder that has it, by the name of one that ships, or of one that once did."""

from __future__ import annotations

from pathlib import Path

import pytest

from nat_plugin import load_policy, messages
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, NetworkSize, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.finding import REPLACED, check_still_ships, policy_path, shipped_policies
from nat_plugin.processes import workers
from nat_plugin.search.base import Task
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy
from tests.command_line import Nat

SAID = "policy '{}' no longer ships; 'general' is used in its place\n"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_said", set())


def test_a_folder_stands_for_its_policy_and_nothing_hides_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = policy_path("general")
    monkeypatch.chdir(tmp_path)
    for name in ("general", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.safetensors").write_bytes(b"")
    assert policy_path("general") == shipped
    assert policy_path("mine") == Path("mine/policy.safetensors")
    assert policy_path("./general") == Path("general/policy.safetensors")


def test_one_policy_ships_and_an_unknown_name_is_told_so() -> None:
    assert shipped_policies() == ["general"]
    with pytest.raises(NATError, match=r"'nasbench': no such file; .* those that ship: general$"):
        policy_path("nasbench")


@pytest.mark.parametrize("name", REPLACED)
def test_a_name_that_no_longer_ships_is_of_the_policy_in_its_place(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert policy_path(name) == policy_path(name) == policy_path("general")
    assert capsys.readouterr().err == SAID.format(name)


def test_workers_do_not_say_it(capfd: pytest.CaptureFixture[str]) -> None:
    with workers(1, "spawn", "") as submit:
        assert submit(policy_path, "nasbench201").result() == policy_path("general")
    assert capfd.readouterr().err == ""


def test_a_policy_of_ones_own_may_have_such_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nasbench201").mkdir()
    Path("nasbench201/policy.safetensors").write_bytes(b"")
    assert policy_path("nasbench201") == Path("nasbench201/policy.safetensors")
    assert NATSettings(policy="nasbench201").policy == str(tmp_path / "nasbench201")
    assert capsys.readouterr().err == ""


def test_the_command_line_says_it_and_does_as_without_a_name(nat: Nat) -> None:
    cells = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|\n" * 2
    stream = ("transform", "-", "--adapter", "nasbench201")
    plain, named = nat(*stream, stdin=cells), nat(*stream, "--policy", "nasbench201-budgets", stdin=cells)
    assert (named.status, named.out) == (0, plain.out)
    assert (plain.err, named.err) == ("", SAID.format("nasbench201-budgets"))


def test_python_says_it_and_names_the_policy_that_it_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert (load_policy("nasbench201").name, load_policy("nasbench201").critic is None) == ("general", False)
    assert capsys.readouterr().err == SAID.format("nasbench201")


def test_a_search_says_it_once_and_reports_the_policy_that_it_used(capsys: pytest.CaptureFixture[str]) -> None:
    adapter = plugins().adapters["nasbench201"]
    network = adapter.read(adapter.published()["NB201_ResNet"].text, NetworkSize(4, 3))
    for _ in range(2):
        strategy = NATStrategy(Task((network,), find_rule("nat"), Budget()), NATSettings(policy="nasbench201"))
    assert capsys.readouterr().err == SAID.format("nasbench201")
    assert "policy 'general', trained on " in strategy.notes[0]
    assert [each.name for each in strategy.outside] == ["policy general"]


def test_what_began_with_such_a_policy_does_not_go_on_with_another() -> None:
    check_still_ships(["policy general", "/home/me/nasbench201"], "begin anew")
    with pytest.raises(NATError, match=r"^policy 'nasbench201' no longer ships, and .*, or begin anew$"):
        check_still_ships(["policy nasbench201"], "begin anew")
