"""Modules import each other in one direction, and the core imports no adapter."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"nni", "timm", "ofa", "nats_bench"}


def modules(folders: list[Path]) -> dict[str, Path]:
    """The file of each module of packages, by its name."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every import, in functions too, as a module and a name in it (or ""); not those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from ((node.module or "", each.name) for each in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(ast.Module(node.orelse, []))
        else:
            yield from imports(node)


def graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which of these modules each of them imports."""
    found = {}
    for name, path in files.items():
        pairs = list(imports(ast.parse(path.read_text(encoding="utf-8"))))
        wanted = {f"{module}.{each}" if f"{module}.{each}" in files else module for module, each in pairs}
        found[name] = (wanted & files.keys()) - {name}
    return found


def circle(files: Mapping[str, Path]) -> list[str]:
    """The modules of one circle, or nothing."""
    try:
        TopologicalSorter(graph(files)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


CORE = modules([ROOT / "nat_plugin"])
ALL = modules([ROOT / "nat_plugin", *(ROOT / "adapters").glob("nat_*")])


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert len(ALL) > 400
    assert circle(ALL) == []


def test_the_core_imports_neither_an_adapter_nor_a_framework() -> None:
    adapters = {path.name for path in (ROOT / "adapters").glob("nat_*")}
    assert len(adapters) >= 6
    for name, path in CORE.items():
        found = {module.partition(".")[0] for module, _ in imports(ast.parse(path.read_text(encoding="utf-8")))}
        assert found.isdisjoint(adapters | FRAMEWORKS), name


@pytest.mark.parametrize(
    ("back", "found"),
    [
        ("from own import first", True),
        ("import own.first", True),
        ("def late():\n    from own.first import name", True),
        ("if TYPE_CHECKING:\n    from own.first import name\nelse:\n    import own.first", True),
        ("if TYPE_CHECKING:\n    from own.first import name", False),
        ("import first", False),
    ],
)
def test_a_circle_is_seen_wherever_the_import_stands(back: str, found: bool, tmp_path: Path) -> None:
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text("from own.second import name")
    (package / "second.py").write_text(back)
    assert bool(circle(modules([package]))) == found
