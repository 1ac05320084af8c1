"""Real digits and a small real network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nat_plugin.data import DataSet, DataSettings, load
from nat_plugin.device import Compute
from nat_plugin.ir import Network
from tests.training.samples import network


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Maps of 8x8 gain little from more threads, which spin while they wait for each other where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small() -> Network:
    return network()


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load(DataSettings(name="digits"), "cpu")


@pytest.fixture
def compute(device: torch.device) -> Compute:
    return Compute(device)
