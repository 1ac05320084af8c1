"""What packages offer is there for type checkers and in ``dir()``: no name is ``Any``."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {path.name: path for path in (ROOT / "nat_plugin", *sorted((ROOT / "adapters").glob("nat_*")))}


def offering() -> list[str]:
    """All modules with an ``__all__``."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if any(isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__" for each in tree.body):
                inside = path.relative_to(folder).with_suffix("").parts
                found.append(".".join([package, *(part for part in inside if part != "__init__")]))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").is_file()


@pytest.mark.parametrize("module", offering())
def test_what_is_offered_is_there_and_listed(module: str) -> None:
    found = importlib.import_module(module)
    assert set(found.__all__) <= set(dir(found))
    if "__dir__" in vars(found):
        assert {name for name in dir(found) if not name.startswith("__")} == set(found.__all__) - {"__version__"}
    assert all(getattr(found, name) is not None for name in found.__all__)


CALLS = {
    'read("x")': "Architecture",
    'read("x").network': "Network",
    'transform("x", {"macs": "0.9x"})': "Transformed",
    'transform("x").confidence': "float | None",
    'run("x")': "RunResult",
    'run("x").winner': "Transformed",
    'compare("x")': "ComparisonResult",
    'train("x").policy': "Path",
    'cost("x").macs': "int",
    "load_policy()": "LoadedPolicy",
    "timm.compact": "-> nat_timm.compacting.result.CompactionResult",
    "timm.advise": "-> nat_plugin.advising.advice.Advice",
}
"""What is called of ``nat_plugin``, and how the type ends that outside checkers see."""


def test_no_name_that_is_offered_is_any(tmp_path: Path) -> None:
    names = [(module, name) for module in offering() for name in importlib.import_module(module).__all__]
    assert len(names) > 120
    asked = [f"import {module}\nreveal_type({module}.{name})" for module, name in names]
    asked += [f"import nat_plugin\nreveal_type(nat_plugin.{call})" for call in CALLS]
    (tmp_path / "asked.py").write_text("\n".join([*asked, "nat_plugin.raed"]))
    libraries = ("torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib")  # not looked into: seconds
    (tmp_path / "mypy.ini").write_text(
        textwrap.dedent(f"""
        [mypy]
        python_version = 3.10
        mypy_path = {ROOT}:{ROOT / "adapters"}
        strict = True
        follow_imports = silent
        ignore_missing_imports = True
        allow_subclassing_any = True
        [mypy-{",".join(f"{name}.*" for name in libraries)}]
        follow_imports = skip
        """)
    )
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", "asked.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = dict(re.findall(r"^asked\.py:(\d+): note: Revealed type is \"(.*)\"$", done.stdout, re.MULTILINE))
    revealed = {f"{module}.{name}": said.get(str(2 * at + 2), "nothing") for at, (module, name) in enumerate(names)}
    assert [name for name, kind in revealed.items() if kind in ("Any", "nothing")] == [], done.stdout[-2000:]
    calls = {call: said.get(str(2 * (len(names) + at) + 2), "nothing") for at, call in enumerate(CALLS)}
    assert [call for call, kind in calls.items() if not kind.endswith(CALLS[call])] == [], calls
    assert 'Module has no attribute "raed"' in done.stdout
