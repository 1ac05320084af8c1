"""Whatever a file says of its own size, it is refused in little time and memory."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import re
import resource
import sqlite3
import struct
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from nat_plugin.cli import main
from nat_plugin.plugins import plugins
from tests.adapters.nasbench.files import nni_database

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MEMORY = 5, 2**30
"""Processor seconds and bytes of writable memory that a refusal may take, once everything is imported."""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What the copies of this process would each import again."""
    _ = plugins().strategies, plugins().evaluators, plugins().datasets
    import_module("nat_plugin.runs.run")


def refused(folder: Path, *arguments: str, stdin: str = os.devnull) -> str:
    """The one line with which ``nat`` refuses, in a process of its own that is held to the limits: a fork, since torch
    alone takes seconds to import."""
    said = folder / "said"
    child = os.fork()
    if child == 0:
        limited(folder, said, stdin, arguments)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = said.read_text()
    assert status == 2, text[-2000:] or status
    assert len(text.splitlines()) == 1, text[-2000:]
    assert text.startswith("nat: ")
    return text


def limited(folder: Path, said: Path, stdin: str, arguments: tuple[str, ...]) -> NoReturn:
    status = 99
    try:
        os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(folder)
        sys.argv = ["nat", *arguments]
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (writable() + MEMORY,) * 2)
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - nothing may go on in the copy of pytest
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def writable() -> int:
    """Bytes of this process that count against ``RLIMIT_DATA``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData"))


def recipe(folder: Path, evaluator: dict[str, object]) -> str:
    (folder / "recipe.yaml").write_text(json.dumps({"source": "DARTS_V2", "evaluator": evaluator}))
    return "recipe.yaml"


@pytest.mark.parametrize("place", ["source", "source.py", "recipe", "policy", "table", "database", "npz", "line"])
def test_a_device_without_end(tmp_path: Path, place: str) -> None:
    link = tmp_path / "endless.py"
    link.symlink_to("/dev/zero")
    on_table = {"name": "table", "path": "/dev/zero", "dataset": "cifar10"}
    commands: dict[str, Callable[[], tuple[str, ...]]] = {
        "source": lambda: ("show", "/dev/zero"),
        "source.py": lambda: ("show", "endless.py:A"),
        "recipe": lambda: ("run", "/dev/zero"),
        "policy": lambda: ("transform", "DARTS_V2", "--policy", "/dev/zero", "--device", "cpu"),
        "table": lambda: ("run", recipe(tmp_path, on_table)),
        "database": lambda: ("run", recipe(tmp_path, {**on_table, "format": "nni"})),
        "npz": lambda: ("run", recipe(tmp_path, {"data": {"name": "npz", "path": "/dev/zero"}})),
        "line": lambda: ("transform", "-", "--device", "cpu"),
    }
    refused(tmp_path, *commands[place](), stdin="/dev/zero")


EARLY = [
    ("show", "/dev/zero"),
    ("show", "endless.py:A"),
    ("convert", "/dev/zero", "--from", "darts", "--to", "network"),
    ("run", "/dev/zero"),
    ("run", "missing.yaml"),
    ("run", "quickstart", "--set", "no equals"),
    ("compare", "/dev/zero"),
    ("transform", "DARTS_V2", "--policy", "/dev/zero"),
    ("transform", "-", "--policy", "missing"),
]
ALONE = """
import json, sys
from nat_plugin.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["nat", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert ended.code == 2, (arguments, ended.code)
    assert "torch" not in sys.modules, arguments
"""


def test_a_file_that_is_wrong_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    """Which takes longer than all the rest."""
    (tmp_path / "endless.py").symlink_to("/dev/zero")
    call = [sys.executable, "-c", ALONE, json.dumps(EARLY)]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == len(EARLY)


def test_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, "show", "pipe")
    assert "not a regular file" in refused(tmp_path, "transform", "DARTS_V2", "--policy", "pipe", "--device", "cpu")


def table(folder: Path, lines: Iterator[str]) -> str:
    with gzip.open(folder / "table.csv.gz", "wt") as file:
        file.writelines(lines)
    assert (folder / "table.csv.gz").stat().st_size < 2**20
    return recipe(folder, {"name": "table", "path": str(folder / "table.csv.gz"), "dataset": "cifar10"})


@pytest.mark.parametrize(
    "line", ["\n", ",\n", "," * 2**20, '"\n', "x" * 2**20], ids=["blank", "short", "fields", "quotes", "long"]
)
def test_a_packed_table(tmp_path: Path, line: str) -> None:
    count = 60 * 2**20 // len(line)
    said = refused(tmp_path, "run", table(tmp_path, (line * (count // 16) for _ in range(16))))
    assert "table.csv.gz" in said


def test_packed_arrays(tmp_path: Path) -> None:
    header = io.BytesIO()
    shape = (100 * 1024, 32, 32, 3)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    labels = io.BytesIO()
    np.save(labels, np.arange(shape[0]) % 10)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("y_train.npy", labels.getvalue())
        with archive.open("x_train.npy", "w") as file:
            file.write(header.getvalue())
            for _ in range(300):
                file.write(bytes(2**20))
    said = refused(tmp_path, "run", recipe(tmp_path, {"data": {"name": "npz", "path": str(tmp_path / "a.npz")}}))
    assert "a.npz: unpacks to" in said


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (7 * 2**10, 2**10, 2**10), (2**31, 2**31, 2)])
def test_an_idx_header(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for name in names:
        (tmp_path / name).write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape))
    said = refused(tmp_path, "run", recipe(tmp_path, {"data": {"name": "fashion_mnist", "path": str(tmp_path)}}))
    assert names[0] in said


def test_packed_images(tmp_path: Path) -> None:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    with gzip.open(tmp_path / f"{names[0]}.gz", "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", 7 * 2**10, 2**10, 2**10))
        for _ in range(200):
            file.write(bytes(2**20))
    for name in names[1:]:
        (tmp_path / name).write_bytes(b"")
    said = refused(tmp_path, "run", recipe(tmp_path, {"data": {"name": "fashion_mnist", "path": str(tmp_path)}}))
    assert "too large for images" in said


@pytest.mark.parametrize("value", ["n", "printf('%.*c', 1000000000, 'x')"], ids=["rows", "text"])
def test_a_database_that_never_ends(tmp_path: Path, value: str) -> None:
    path = nni_database(tmp_path / "endless.db")
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE nb201trialconfig")
        database.execute(
            "CREATE VIEW nb201trialconfig AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "
            f"SELECT n AS id, {value} AS arch, 'cifar10' AS dataset, 200 AS num_epochs FROM t"
        )
    said = refused(
        tmp_path, "run", recipe(tmp_path, {"name": "table", "path": str(path), "dataset": "cifar10", "format": "nni"})
    )
    assert "endless.db" in said


def test_a_long_recipe(tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text("".join(f"k{number}: 1\n" for number in range(10**5)))
    assert "more than a recipe can have" in refused(tmp_path, "run", "many.yaml")
    (tmp_path / "keys.yaml").write_text("".join(f"k{number}: 1\n" for number in range(15_000)) + "k0: 2")
    assert "key 'k0' is duplicated" in refused(tmp_path, "run", "keys.yaml")


ROOMS = {"nat_plugin/files.py", "nat_plugin/tensors.py"}
"""Where files are opened, those of safetensors by the library."""
ALLOWED = {
    "nat_darts/adapter.py: read_text": "its own resource",
    "nat_enas/published.py: read_text": "its own resource",
    "nat_nni/adapter.py: read_text": "its own resource",
    "nat_timm/saving/folders.py: read_text": "what it has just had written",
    "nat_timm/saving/folders.py: read_bytes": "what it has just had written",
    "nat_timm/saving/exporting.py: read_bytes": "what it has just had written",
    "nat_plugin/cli/__init__.py: open": "the null device",
    "nat_plugin/cli/__init__.py: os.open": "the null device, to be written",
    "nat_plugin/execution/carrying.py: open": "the null device, to be written",
    "nat_plugin/execution/submitit.py: path.open": "what jobs print, to be written",
    "nat_plugin/runs/reading.py: yaml.load": "a text",
    "nat_plugin/data/loaders/image_folder.py: Image.open": "an opened file",
    "nat_plugin/data/loaders/npz.py: zipfile.ZipFile": "an opened file",
    "nat_plugin/data/loaders/shard_pictures.py: tarfile.open": "an opened file, of which headers alone are kept",
    "nat_plugin/data/loaders/npz.py: archive.open": "an array of that, of a size that was checked",
}
READS = re.compile(
    r"open|(?!walk|self).*\.open|read_text|read_bytes|.*(ZipFile|TarFile|fromfile|loadtxt|genfromtxt|memmap|safe_open)|"
    r"(json|yaml|np|numpy|torch|pickle)\.load|load_file"
)
"""Calls that read a file, as ``calls`` names them."""


def test_files_are_read_in_one_place_only() -> None:
    found = set()
    for folder in ("nat_plugin", "adapters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix().removeprefix("adapters/")
            if name not in ROOMS:
                found |= {f"{name}: {call}" for call in calls(path) if READS.fullmatch(call)}
    assert found == set(ALLOWED)


def calls(path: Path) -> Iterator[str]:
    """What a module calls; a method of a path, which takes no limit, by its name alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            short = called.rpartition(".")[2]
            if short not in ("read_text", "read_bytes"):
                yield called
            elif not node.args:
                yield short
