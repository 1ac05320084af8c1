"""A critic in the file of a policy: equal after a round trip, and one line for one that is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from policy.samples import random_ladder

from nat_plugin.errors import NATError
from nat_plugin.ir import canonical
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar, new_critic
from nat_plugin.policy.critic_files import read_critic, saved_critic
from nat_plugin.policy.files import SavedCritic, load_policy, save_policy
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy

CPU = torch.device("cpu")


def critic() -> Critic:
    made = new_critic(CriticConfig(members=2, hidden=8, rounds=1, width=4), 3, CPU)
    made.familiar = Familiar(frozenset({"one", "two"}), 2.5, 1.5)
    return made


def written(path: Path, saved: SavedCritic | None) -> Path:
    save_policy(new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU), path, {"rules": "nat"}, saved)
    return path


def test_round_trip(tmp_path: Path, device: torch.device) -> None:
    path = written(tmp_path / "p.safetensors", saved_critic(critic()))
    found = read_critic(path, device)
    assert found is not None
    assert found.config == critic().config
    assert found.familiar == critic().familiar
    assert found.device.type == device.type
    rng = np.random.default_rng(0)
    graphs = [build_graph(canonical(random_ladder(rng))) for _ in range(5)]
    assert np.allclose(found.expect(graphs).mean, critic().expect(graphs).mean, atol=1e-5)
    assert load_policy(path)[1] == {"rules": "nat"}


def test_one_without_proxies_is_written_as_before_there_were_any(tmp_path: Path) -> None:
    assert "proxies" not in saved_critic(critic()).config
    told = new_critic(CriticConfig(members=1, hidden=8, rounds=1, width=4, proxies=("macs", "zico")), 3, CPU)
    found = read_critic(written(tmp_path / "p.safetensors", saved_critic(told)), CPU)
    assert found is not None
    assert found.config == told.config
    unknown = replace(saved_critic(told), config=saved_critic(told).config | {"proxies": "macs luck"})
    with pytest.raises(NATError, match=r"critic: proxies: .*unknown proxy 'luck'"):
        read_critic(written(tmp_path / "unknown.safetensors", unknown), CPU)


@pytest.mark.parametrize("kind", [None, "ensemble"])
def test_a_policy_without_one_has_none(kind: str | None, tmp_path: Path) -> None:
    saved = None if kind is None else SavedCritic({"kind": kind}, {"0.w": torch.zeros(1)})
    assert read_critic(written(tmp_path / "p.safetensors", saved), CPU) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"members": 0}, "members"),
        ({"hidden": 10**9}, "hidden"),
        ({"width": "4"}, "width"),
        ({"doubt": 0.5}, "doubt"),
        ({"within": "much"}, "within"),
        ({"colour": 1}, "colour"),
        ({"width": 5}, "shape"),
        ({"members": 1}, "not expected"),
        ({"members": 3}, "missing"),
        ({"members": 64, "rounds": 64, "hidden": 1024}, "tensors of 64 members are missing"),
        ({"kind": "oracle"}, "kind is 'oracle'; this version knows tasks, ensemble"),
    ],
)
def test_what_is_no_critic_is_said_in_one_line(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    saved = saved_critic(critic())
    path = written(tmp_path / "p.safetensors", replace(saved, config=saved.config | values))
    with pytest.raises(NATError, match=said) as caught:
        read_critic(path, CPU)
    assert "p.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)
