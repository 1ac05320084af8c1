"""Fixtures of the data tests: devices, and a way to state a one-line error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nat_plugin.data import DataSettings, ImageSource, load
from nat_plugin.errors import NATError

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


Fails = Callable[..., str]


@pytest.fixture
def fails() -> Fails:
    """Load settings that must fail with one line that has every given text in it; returns the line."""

    def check(
        settings: DataSettings, *texts: object, loader: Callable[[DataSettings], ImageSource] | None = None
    ) -> str:
        with pytest.raises(NATError) as caught:
            load(settings, "cpu", None if loader is None else {settings.name: loader})
        message = str(caught.value)
        assert "\n" not in message
        for text in texts:
            assert str(text) in message
        return message

    return check
