"""What a command imports: nothing that takes long before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nat_plugin.policy.geometric import _Placeholder

SLOW = (
    *(
        "lightning_fabric",
        "matplotlib",
        "mlflow",
        "nni",
        "pandas",
        "ray",
        "scipy",
        "sklearn",
        "submitit",
        "sympy",
        "tensorboard",
        "timm",
        "torchvision",
    ),
    *("triton", "torch._dynamo", "torch.onnx", "torch.utils.benchmark", "torch_geometric.llm"),
)
PROGRAM = """
import json, sys
from nat_plugin.cli import nat
nat.main(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def imported(*command: str, **environment: str) -> set[str]:
    words, environment = [sys.executable, "-c", PROGRAM, *command], {**os.environ, **environment}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_transforming_imports_what_a_policy_needs_and_no_more_and_leaves_no_file(tmp_path: Path) -> None:
    found = imported("transform", "DARTS_V2", "--budget", "macs=0.9x", TMPDIR=str(tmp_path))
    assert {"torch", "torch_geometric.nn"} <= found
    assert found.isdisjoint(SLOW)
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_tests_are_in_a_folder_that_their_session_removes() -> None:
    """Also of the processes that they start, which may be killed."""
    folder = Path(tempfile.gettempdir())
    assert folder.name.startswith("nat-")
    assert os.environ["TMPDIR"] == str(folder)


def test_showing_imports_neither_torch_nor_what_is_slow() -> None:
    assert imported("show", "DARTS_V2", "--json").isdisjoint({"torch", "torch_geometric", *SLOW})


def test_runs_comparisons_and_trainings_import_nothing_slow_before_they_begin() -> None:
    program = (
        "import json, sys\n"
        "import nat_plugin.comparisons.compare, nat_plugin.policy.training.train, nat_plugin.runs.run\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint({"torch_geometric", *SLOW} - {"scipy"})  # for intervals


def test_the_end_of_a_process_is_not_spent_on_cycles() -> None:
    program = (
        "import atexit, gc, sys\natexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from nat_plugin.__main__ import main\nsys.argv = ['nat', '--version']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_what_stands_for_a_module_imports_it_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    placeholder = _Placeholder("colorsys")
    monkeypatch.setitem(sys.modules, "colorsys", placeholder)
    assert not hasattr(placeholder, "__file__")
    assert sys.modules["colorsys"] is placeholder
    assert placeholder.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert sys.modules["colorsys"] is not placeholder
    assert sys.modules["colorsys"].__file__ is not None
