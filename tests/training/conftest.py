"""Real digits and a small real network."""

from __future__ import annotations

import pytest
import torch

from nat_plugin.data import DataSet, DataSettings, load
from nat_plugin.device import Compute
from nat_plugin.ir import Network
from tests.training.samples import network


@pytest.fixture(autouse=True)
def calm(one_thread: None) -> None:
    """Every test of this folder computes on one thread."""


@pytest.fixture
def small() -> Network:
    return network()


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load(DataSettings(name="digits"), "cpu")


@pytest.fixture
def compute(device: torch.device) -> Compute:
    return Compute(device)
