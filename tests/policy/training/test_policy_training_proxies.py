"""A training whose critic is told of proxies: each network is scored once, whoever asks, and the critic works with and
without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from policy.training.conftest import CRITICS, contents, small, train, undisturbed

from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins
from nat_plugin.policy.critic_files import read_critic
from nat_plugin.policy.training.train import resume
from nat_plugin.runs.progress import Silent
from tests.command_line import Nat
from tests.interrupting import Stop

TOLD = ["synflow", "macs"]
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def recipe(table: Path, file: Path | None = None) -> dict[str, Any]:
    found = small(table)
    found["stages"] = [{"updates": 2, "critic": CRITICS["tasks"] | {"proxies": TOLD}}]
    found["proxies"] = {"networks": 12} | ({} if file is None else {"file": str(file)})
    return found


@pytest.fixture(scope="module")
def told(small_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed(recipe(small_table), tmp_path_factory.mktemp("told") / "training")


def test_it_ends_the_same_where_it_was_interrupted_and_where_proxies_are_known_already(
    told: Path, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known" / "proxies.jsonl"
    monkeypatch.setattr("nat_plugin.policy.training.proxies.AT_ONCE", 8)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "first", recipe(small_table, file), Stop(2))  # the first 8 are scored
    with file.open("a") as half_written:
        half_written.write('{"network": "ab')
    resume(tmp_path / "first", plugins(), Silent())
    assert contents(tmp_path / "first") == contents(told)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert file.read_bytes() == (told / "proxies.jsonl").read_bytes()
    assert len(lines) == 1 + 12 == 1 + len({each["network"] for each in lines[1:]})
    assert all(set(each) == {"network", *TOLD} for each in lines[1:])
    monkeypatch.setattr("nat_plugin.evaluators.proxies.cache.measured_features", None)  # nothing is left to score
    train(tmp_path / "second", recipe(small_table, file))
    assert contents(tmp_path / "second") == contents(told)


def test_the_critic_in_the_file_is_told_of_proxies_and_can_do_without(told: Path, nat: Nat) -> None:
    critic = read_critic(told / "policy.safetensors", torch.device("cpu"))
    assert critic is not None
    assert critic.config.proxies == ("macs", "synflow")
    plain = nat("transform", CELL, "--policy", str(told), "--json")
    assert plain.status == 0
    scored = nat("transform", CELL, "--policy", str(told), "--proxies", "--json")
    assert scored.status == 0
    assert json.loads(scored.out)["probability"] != json.loads(plain.out)["probability"]
    assert nat("transform", CELL, "--policy", str(told), "--proxies", "--json").out == scored.out


def test_where_the_critic_knows_no_proxies_one_line_says_so(nat: Nat) -> None:
    found = nat("transform", CELL, "--proxies")
    assert found.status == 2
    assert found.err.startswith("nat: proxies: policy 'general' has no critic that was trained with proxies")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ops,accuracy\n", "line 1: this line does not belong"),
        ('{"something": 1}\n', "this is not a file of proxies"),
        ('{"nat_proxies": 1, "seed": 5, "batch": 16, "batches": 2}\n', "these proxies are of another version"),
        (
            '{"nat_proxies": 1, "seed": 0, "batch": 16, "batches": 2}\n{"macs": 1}\n',
            "line 2: this line does not belong",
        ),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_stays(
    text: str, message: str, small_table: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(NATError, match=message):
        train(tmp_path / "training", recipe(small_table, file))
    assert file.read_text() == text


def test_unknown_proxies_are_named(small_table: Path, tmp_path: Path) -> None:
    wrong = recipe(small_table)
    wrong["stages"][0]["critic"]["proxies"] = ["synflow", "luck"]
    with pytest.raises(NATError, match=r"stages\.0\.critic\.proxies: .*unknown proxy 'luck'"):
        train(tmp_path, wrong)


def test_units_are_those_of_the_references() -> None:
    from nat_plugin.policy.proxy_inputs import MOST, in_units

    references = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [np.nan, 5.0]])
    found = in_units(np.array([[3.0, 5.0], [5.0, 9.0], [-1e9, 5.0], [np.inf, 5.0]]), references)
    assert found[0].tolist() == [0.0, 0.0]
    assert found[1, 0] > 1
    assert found[1, 1] == 0, "what the references do not move says nothing"
    assert found[2, 0] == -MOST
    assert np.isnan(found[3]).all()
