"""Fixtures of the folders that train: real digits and a small real network."""

from __future__ import annotations

import pytest
import torch

from nat_plugin.data import DataSet, DataSettings, load
from nat_plugin.device import Compute
from nat_plugin.ir import Network
from tests.training.samples import network


@pytest.fixture
def small() -> Network:
    return network()


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load(DataSettings(name="digits"), "cpu")


@pytest.fixture
def compute(device: torch.device) -> Compute:
    return Compute(device)
