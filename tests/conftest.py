"""What all tests share: devices, the shared data folder, profiles of hypothesis."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for subprocesses: threads that wait for shared cores are slow

import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
if str(ROOT) not in sys.path:  # for "from tests.networks import ..."; last, so that the installed package is tested
    sys.path.append(str(ROOT))
from tests.command_line import nat  # noqa: E402, F401 - a fixture for all

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("1", "true") else "local")


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every kind of device that is there."""
    return torch.device(request.param)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small maps gain little from more threads, which spin while they wait for each other where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with benchmark tables and published cells, which lies beside the checkout and not in it."""
    if not SHARED.is_dir():
        pytest.skip("the folder shared/data is not beside this checkout")
    return SHARED
