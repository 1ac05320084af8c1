"""The package works as a wheel and as an editable install, from any folder, with all that it ships."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from nat_plugin import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
ADAPTERS = {path.name for path in (ROOT / "adapters").glob("nat_*")}
RECIPES = {path.stem for path in (ROOT / "recipes").glob("*.yaml")}
DATA = (".json", ".safetensors", ".typed", ".j2", ".css", ".js")


def build(kind: str, folder: Path) -> Path:
    """The file that the build backend makes: ``wheel``, ``editable`` or ``sdist``."""
    program = f"import sys; from hatchling.build import build_{kind} as build; build(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, folder], cwd=ROOT, capture_output=True, check=True)
    return next(folder.glob("*.tar.gz" if kind == "sdist" else "*.whl"))


def test_a_wheel_holds_every_package_and_all_data(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(build("wheel", tmp_path)).namelist())
    assert {name.split("/")[0] for name in names if name.endswith("/__init__.py")} == {"nat_plugin", *ADAPTERS}
    assert {f"nat_plugin/recipes/{name}.yaml" for name in RECIPES} <= names
    files = [path for room in ("nat_plugin", "adapters") for path in (ROOT / room).rglob("*.*") if path.suffix in DATA]
    assert {path.relative_to(ROOT).as_posix().removeprefix("adapters/") for path in files} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "adapters/", "docs/"))]


def test_what_would_be_published_is_sound(tmp_path: Path) -> None:
    made = [build(kind, tmp_path) for kind in ("wheel", "sdist")]
    command = [sys.executable, "-m", "twine", "check", "--strict", *made]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(made[1]) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
    assert {"README.md", "LICENSE", "CITATION.cff", "tests/conftest.py", "recipes/quickstart.yaml"} <= names
    assert not [name for name in names if name.startswith((".ci", ".github", "shared"))]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_installed_it_runs_from_any_folder(kind: str, tmp_path: Path) -> None:
    """In a new virtual environment that sees the dependencies of this one behind its own packages."""
    home, elsewhere, wheels = tmp_path / "env", tmp_path / "elsewhere", tmp_path / "wheels"
    venv.create(home, symlinks=True)
    elsewhere.mkdir()
    wheels.mkdir()
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, build(kind, wheels)], check=True)
    own = next(home.glob("lib/python*/site-packages"))
    (own / "~dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def output(*command: str | Path) -> str:
        return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True).stdout

    expected = f"nat, version {__version__}\n"
    assert output(home / "bin" / "nat", "--version") == output(python, "-m", "nat_plugin", "--version") == expected
    nat = [python, "-m", "nat_plugin"]
    assert {row["name"] for row in json.loads(output(*nat, "recipes", "--json"))["recipes"]} == RECIPES
    shown = json.loads(output(*nat, "show", "DARTS_V2", "--channels", "36", "--cells", "20", "--json"))
    assert (shown["params"], shown["format"]) == (3_349_342, "darts")
    found = output(python, "-c", "import nat_plugin, nat_darts; print(nat_plugin.__file__, nat_darts.__file__)").split()
    assert [Path(path).is_relative_to(own) for path in found] == [kind == "wheel"] * 2


def test_every_adapter_is_packed_announced_and_type_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["project"]["entry-points"]["nat_plugin"].values()) == ADAPTERS
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(path).name for path in packed} == set(project["tool"]["mypy"]["packages"]) == {"nat_plugin", *ADAPTERS}
