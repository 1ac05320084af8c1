"""Fixtures of the data tests: devices, the real CIFAR-10 part, and a way to state a one-line error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nat_plugin.data import DataSettings, Source, load
from nat_plugin.errors import NATError

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def cifar10_small() -> Path:
    path = SHARED / "cifar10_small.npz"
    if not path.is_file():
        pytest.skip("the shared data folder with cifar10_small.npz is not there")
    return path


Fails = Callable[..., str]


@pytest.fixture
def fails() -> Fails:
    """Load settings that must fail with one line that has every given text in it; returns the line."""

    def check(settings: DataSettings, *texts: object, loader: Callable[[DataSettings], Source] | None = None) -> str:
        with pytest.raises(NATError) as caught:
            load(settings, "cpu", None if loader is None else {settings.name: loader})
        message = str(caught.value)
        assert "\n" not in message
        for text in texts:
            assert str(text) in message
        return message

    return check
