"""A function with many parameters takes an object where that says more; what is left is listed, and does not grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FEW = 5
LEFT: dict[str, list[str]] = {
    "nat_plugin/advising": ["__init__", "_take_over"],
    "nat_plugin/api": ["compare", "read", "run", "transform"],
    "nat_plugin/data": ["eval_batches", "train_batches"],
    "nat_plugin/evaluators": ["proxy_features"],
    "nat_plugin/fitting": ["_score", "add_batch", "solve"],
    "nat_plugin/ir": ["cell_stack"],
    "nat_plugin/parallel": ["forward"],
    "nat_plugin/policy": ["critic_based_step", "learn", "of", "sampled_step", "surrogate", "transform"],
    "nat_plugin/runs": ["check_part"],
    "nat_plugin/search": ["__init__", "fit_rule"],
    "nat_plugin/training": ["__init__", "_difference"],
    "adapters/nat_nni": ["__init__"],
    "adapters/nat_timm": [
        "__init__",
        "_add_component",
        "_fit",
        "advise",
        "compact",
        "fine_tune",
        "fit",
    ],
    "benchmarks/experiments": ["__init__", "_search", "inputs", "measured"],
}
"""By package. What is left is of three kinds: public functions whose keywords a user types (``compact`` with 25,
``transform``, ``run``, ``advise``, …: a settings object would only add a name to import), tensors of one equation
(``surrogate``, ``solve``, ``forward``, …), and constructors that keep what they are given."""


def with_many(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)} - {"self", "cls"}
            if len(names) > FEW:
                yield node.name


def left() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in ("nat_plugin", "adapters", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            package = "/".join(path.relative_to(ROOT).parts[:2])
            if package == "nat_plugin/cli":  # click gives a command its options as arguments
                continue
            for name in with_many(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(package, []).append(name)
    return {package: sorted(names) for package, names in found.items()}


def test_no_other_function_has_more_than_five_parameters() -> None:
    assert left() == LEFT
