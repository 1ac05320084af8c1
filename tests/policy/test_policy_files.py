"""Policies as files: equal after a round trip, and one line for anything that is no policy."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from policy.samples import random_darts

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, find_rule
from nat_plugin.policy.describe import VERSION
from nat_plugin.policy.files import SavedCritic, load_critic, load_policy, save_policy
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy

CPU = torch.device("cpu")
CONFIGS = [
    PolicyConfig(hidden=8, rounds=1),
    PolicyConfig("blind", 4),
    PolicyConfig("paper", 8, vocabulary=("null", "a")),
    PolicyConfig(hidden=8, rounds=1, headroom=False),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_round_trip(config: PolicyConfig, tmp_path: Path, device: torch.device) -> None:
    policy = new_policy(config, 0, device)
    save_policy(policy, tmp_path / "sub" / "p.safetensors", {"updates": 3, "rules": "nat"})
    loaded, facts = load_policy(tmp_path / "sub" / "p.safetensors", device)
    assert facts == {"updates": 3, "rules": "nat"}
    assert loaded.config == config
    assert loaded.device.type == device.type
    for name, value in policy.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["p.safetensors"]


def test_a_loaded_policy_scores_and_learns(tmp_path: Path) -> None:
    save_policy(new_policy(PolicyConfig(hidden=8), 0, CPU), tmp_path / "p")
    loaded, _ = load_policy(tmp_path / "p")
    network = random_darts(np.random.default_rng(0))
    batch = build_batch([build_graph(network, Moves(network, find_rule("nat")))])
    assert torch.equal(loaded(batch), new_policy(PolicyConfig(hidden=8), 0, CPU)(batch))
    loaded(batch).sum().backward()


def test_loaded_weights_are_aligned_as_new_ones_are(tmp_path: Path) -> None:
    """Else the same weights score in other last bits, on some processors."""
    save_policy(new_policy(PolicyConfig(hidden=8), 0, CPU), tmp_path / "p")
    loaded, _ = load_policy(tmp_path / "p")
    assert all(weight.data_ptr() % 64 == 0 for weight in loaded.parameters())


def written(path: Path, policy: Policy, weights: dict[str, torch.Tensor] | None = None, **changes: object) -> Path:
    """A policy file with some of its header or weights changed."""
    header = {"schema": 1, "description": VERSION, **policy.config.as_json(), "facts": {}, **changes}
    safetensors.torch.save_file({**policy.state_dict(), **(weights or {})}, path, {"nat_policy": json.dumps(header)})
    return path


BAD_HEADERS = [
    ({"schema": 9}, "schema 9 is newer than 2: install a newer nat-plugin"),
    ({"schema": "1"}, "header: schema"),
    ({"description": 99}, "made for descriptions of version 99"),
    ({"encoder": "cnn"}, "unknown encoder 'cnn'; allowed: graph, blind, paper"),
    ({"encoder": "paper"}, "needs a vocabulary"),
    ({"hidden": 10**9}, "header: hidden"),
    ({"hidden": 16}, "has shape"),
    ({"rounds": 2}, "is missing"),
    ({"rounds": 0}, "is not expected"),
    ({"extra": 1}, "header: extra"),
    ({"facts": {"a": [1]}}, "header: facts"),
    ({"facts": {"a": float("nan")}}, "NaN"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_HEADERS)
def test_a_wrong_header_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "p", new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU), **changes)
    with pytest.raises(NATError) as error:
        load_policy(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_policy_from_before_the_room_is_asked_to_be_trained_again(tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=8, rounds=1, headroom=False), 0, CPU)
    header = {"schema": 1, "description": 1, **policy.config.as_json(), "facts": {}}
    del header["room"]
    safetensors.torch.save_file(policy.state_dict(), tmp_path / "p", {"nat_policy": json.dumps(header)})
    with pytest.raises(NATError, match="made for descriptions of version 1, this is 2: train it again"):
        load_policy(tmp_path / "p")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((8,), float("nan")), "finite"),
        (torch.full((8,), float("inf")), "finite"),
        (torch.zeros(8, dtype=torch.float64), "float32"),
        (torch.zeros(9), "has shape (9,), not (8,)"),
    ],
)
def test_wrong_weights_are_refused(weight: torch.Tensor, message: str, tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU)
    path = written(tmp_path / "p", policy, {"net.op_norm.weight": weight})
    with pytest.raises(NATError) as error:
        load_policy(path)
    assert message in str(error.value)


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=8), 0, CPU)
    save_policy(policy, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    contents = {
        "pickle": pickle.dumps({"a": 1}),
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "cut in the header": whole[:100],
        "huge header": b"\xff" * 7 + b"\x7f" + whole[8:],
        "longer": whole + b"\0" * 9,
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(NATError, match="not a safetensors file") as error:
            load_policy(tmp_path / name)
        assert "\n" not in str(error.value)
    torch.save(policy.state_dict(), tmp_path / "torch.safetensors")
    with pytest.raises(NATError, match="not a safetensors file"):
        load_policy(tmp_path / "torch.safetensors")
    safetensors.torch.save_file(policy.state_dict(), tmp_path / "bare")
    with pytest.raises(NATError, match="holds no policy"):
        load_policy(tmp_path / "bare")
    with pytest.raises(NATError, match="No such file"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(NATError):
        load_policy(tmp_path)


def critic() -> SavedCritic:
    return SavedCritic({"kind": "ensemble", "members": 1}, {"0.a": torch.ones(2, 3), "b": torch.zeros(1)})


def test_a_file_may_hold_a_critic_too(tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=8), 0, CPU)
    save_policy(policy, tmp_path / "p", {"updates": 3}, critic())
    loaded, facts = load_policy(tmp_path / "p")
    assert facts == {"updates": 3}
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in policy.state_dict().items())
    found = load_critic(tmp_path / "p")
    assert found is not None
    assert found.config == critic().config
    assert found.tensors.keys() == {"0.a", "b"}
    assert torch.equal(found.tensors["0.a"], torch.ones(2, 3))


def test_without_a_critic_it_is_as_earlier_versions_wrote_it(tmp_path: Path) -> None:
    save_policy(new_policy(PolicyConfig(hidden=8), 0, CPU), tmp_path / "p")
    assert load_critic(tmp_path / "p") is None
    with safetensors.safe_open(tmp_path / "p", "pt") as file:
        header = json.loads(file.metadata()["nat_policy"])
    assert header["schema"] == 1
    assert "critic" not in header


def test_what_is_wrong_with_a_critic_is_said_in_a_line(tmp_path: Path) -> None:
    policy = new_policy(PolicyConfig(hidden=8), 0, CPU)
    save_policy(policy, tmp_path / "p", critic=SavedCritic({}, {"a": torch.full((2,), np.nan)}))
    with pytest.raises(NATError, match=r"weight 'critic\.a' is not made of finite float32 numbers"):
        load_critic(tmp_path / "p")
    load_policy(tmp_path / "p")
    weights = {name: value.contiguous() for name, value in policy.state_dict().items()}
    with pytest.raises(NATError, match=r"weight 'critic\.a' is not expected"):  # the header has none
        save_policy(policy, tmp_path / "q")
        with safetensors.safe_open(tmp_path / "q", "pt") as file:
            metadata = file.metadata()
        safetensors.torch.save_file({**weights, "critic.a": torch.ones(1)}, tmp_path / "q", metadata)
        load_policy(tmp_path / "q")


def test_a_critic_without_a_policy_is_no_policy(tmp_path: Path) -> None:
    header = {"schema": 2, "description": VERSION, **PolicyConfig(hidden=8).as_json(), "facts": {}, "critic": {}}
    tensors = {"critic.a": torch.zeros(2)}
    safetensors.torch.save_file(tensors, tmp_path / "p", {"nat_policy": json.dumps(header)})
    with pytest.raises(NATError, match=r"policy .*p: weight '.*' is missing"):
        load_policy(tmp_path / "p")
