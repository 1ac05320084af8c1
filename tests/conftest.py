"""What all tests share: devices, the shared data folder, profiles of hypothesis."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for subprocesses: threads that wait for shared cores are slow

import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
if str(ROOT) not in sys.path:  # for "from tests.networks import ..."; last, so that the installed package is tested
    sys.path.append(str(ROOT))
from benchmarks.data import made_up  # noqa: E402
from tests.clocks import turned  # noqa: E402, F401 - a fixture for all
from tests.command_line import nat  # noqa: E402, F401 - a fixture for all
from tests.timed_cells import clock  # noqa: E402, F401 - a fixture for all

torch.set_num_threads(1)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("1", "true") else "local")


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every kind of device that is there."""
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small maps gain little from more threads, which spin while they wait for each other where cores are shared."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the measured tables, which lies beside the checkout and not in it: for what is said of those
    very numbers, and nothing else. CONTRIBUTING.md lists the files with such tests."""
    if not SHARED.is_dir():
        pytest.skip("needs the tables of ../shared/data, see CONTRIBUTING.md")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # modules and tests stay: to look through them for what can be freed takes seconds each time
    if not hasattr(config, "workerinput"):
        keep_together()


def keep_together() -> None:
    """Temporary files of all processes go into one folder that goes with this one, since those that are killed leave
    theirs. What a failing test had in its own folder (``tmp_path``) stays where pytest puts it."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix="nat-")  # short: sockets lie in it, whose paths have at most 107 characters
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    after_multiprocessing = -200  # its own folder in there has -100
    Finalize(None, shutil.rmtree, (folder, True), exitpriority=after_multiprocessing)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


NEEDS_DATA = pytest.StashKey[dict[str, bool]]()
"""By file, whether any of its tests needs data."""


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    found = config.stash.setdefault(NEEDS_DATA, {})
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("needs_data")
        file = item.path.relative_to(ROOT).as_posix()
        found[file] = found.get(file, False) or item.get_closest_marker("needs_data") is not None


@pytest.fixture
def files_that_need_data(request: pytest.FixtureRequest) -> dict[str, bool]:
    """By the path of every file that was collected, whether any of its tests needs data."""
    return request.config.stash[NEEDS_DATA]


@pytest.fixture(scope="session")
def nb201_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of all cells of NAS-Bench-201, made up."""
    return made_up.nb201_table(tmp_path_factory.mktemp("nb201") / "table.csv.gz")


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz file in the layout of CIFAR-10, 1,200 images to train on and 200 to test, of random pixels that are a
    little brighter for every class."""
    return made_up.images(tmp_path_factory.mktemp("coloured") / "coloured.npz", 1200, 200)
