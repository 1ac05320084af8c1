"""A function with many parameters takes an object where that says more; what is left is listed, and does not grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FEW = 5
LEFT: dict[str, list[str]] = {
    "nat_plugin/advising/cells.py": ["__init__"],
    "nat_plugin/advising/inheriting.py": ["_take_over"],
    "nat_plugin/api/architectures.py": ["read"],
    "nat_plugin/api/recipes.py": ["compare", "run"],
    "nat_plugin/api/transforming.py": ["transform"],
    "nat_plugin/data/batches.py": ["_batches", "eval_batches", "train_batches"],
    "nat_plugin/data/splits.py": ["divide"],
    "nat_plugin/evaluators/proxies/features.py": ["proxy_features"],
    "nat_plugin/fitting/sampling.py": ["add"],
    "nat_plugin/fitting/solving.py": ["_score", "solve"],
    "nat_plugin/ir/skeletons.py": ["cell_stack"],
    "nat_plugin/ir/vertices.py": ["conv_op"],
    "nat_plugin/parallel/batch_norm.py": ["forward"],
    "nat_plugin/policy/apply.py": ["transform"],
    "nat_plugin/policy/reinforce.py": ["learn", "surrogate"],
    "nat_plugin/policy/training/critic_based.py": ["critic_based_step"],
    "nat_plugin/policy/training/sampled.py": ["sampled_step"],
    "nat_plugin/policy/training/tasks.py": ["of"],
    "nat_plugin/runs/checking.py": ["check_part"],
    "nat_plugin/runs/report.py": ["_side"],
    "nat_plugin/search/nat/local_search.py": ["__init__"],
    "nat_plugin/search/rules/fitting.py": ["fit_rule"],
    "nat_plugin/search/surrogate/acquisition.py": ["__init__"],
    "nat_plugin/training/statistics.py": ["_difference"],
    "nat_plugin/training/trainer.py": ["__init__"],
    "adapters/nat_nasbench/module101.py": ["__init__"],
    "adapters/nat_nni/experiment/strategy.py": ["__init__"],
    "adapters/nat_nni/export/text.py": ["export_text"],
    "adapters/nat_ofa/plan.py": ["conv_layers"],
    "adapters/nat_timm/advising/advise.py": ["advise"],
    "adapters/nat_timm/advising/subject.py": ["__init__"],
    "adapters/nat_timm/compacting/compact.py": ["compact"],
    "adapters/nat_timm/compacting/session.py": ["__init__"],
    "adapters/nat_timm/fitting/fit.py": ["_fit", "fit"],
    "adapters/nat_timm/moves/chains.py": ["_add_component"],
    "adapters/nat_timm/training/tuning.py": ["fine_tune", "objective"],
    "benchmarks/experiments/nni/nasbench201.py": ["curve"],
    "benchmarks/experiments/policy/leave_one_out.py": ["_search"],
    "benchmarks/experiments/policy/leave_one_out_tables.py": ["_rows"],
    "benchmarks/experiments/proxies/ranks.py": ["measured"],
    "benchmarks/experiments/proxies/trained.py": ["summary"],
    "benchmarks/experiments/search/few_queries.py": ["inputs"],
    "benchmarks/experiments/speed/supernet.py": ["measure"],
    "benchmarks/experiments/supernet/policy.py": ["learn_from"],
    "benchmarks/experiments/supernet/rewards.py": ["__init__"],
    "benchmarks/experiments/timm/pretrained/peers.py": ["_refit"],
}
"""By file: functions whose values belong together nowhere else (keywords that a user types, tensors of one equation,
what a constructor keeps)."""


def with_many(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)} - {"self", "cls"}
            if len(names) > FEW:
                yield node.name


def test_no_other_function_has_more_than_five_parameters() -> None:
    found: dict[str, list[str]] = {}
    for folder in ("nat_plugin", "adapters", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ROOT / "nat_plugin" / "cli" in path.parents:  # click gives a command its options as arguments
                continue
            names = sorted(with_many(ast.parse(path.read_text(encoding="utf-8"))))
            if names:
                found[path.relative_to(ROOT).as_posix()] = names
    assert found == LEFT
