"""A name means one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = [path for folder in ("nat_plugin", "adapters") for path in sorted((ROOT / folder).rglob("*.py"))]


def types(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Names of all classes, and of type aliases; whether each is a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, True
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield ast.unparse(node.target), False


def test_no_other_type_has_the_name_of_a_class() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    classes = set()
    for path in CODE:
        for name, is_class in types(ast.parse(path.read_text(encoding="utf-8"))):
            places[name].append(str(path.relative_to(ROOT)))
            if is_class:
                classes.add(name)
    assert len(classes) > 400, "they are found"
    assert {name: found for name, found in places.items() if name in classes and len(found) > 1} == {}
