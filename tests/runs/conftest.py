"""A run that was stopped, and what it ends with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.run import resume
from tests.images import digits_file
from tests.runs.stopped import contents, recipe, stopped_at


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_file(tmp_path_factory.mktemp("data") / "digits.npz")


@pytest.fixture(scope="session")
def half(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second training: one network is trained."""
    return stopped_at(tmp_path_factory.mktemp("runs") / "half", recipe(data), 5)


@pytest.fixture(scope="session")
def whole(half: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the run ends with."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    shutil.copytree(half, folder)
    resume(folder, plugins(), Silent())
    return contents(folder)


@pytest.fixture
def folder(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "run"))
