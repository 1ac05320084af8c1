"""What a training ends with, beside the policy: figures (``result.json``), a report to read, facts in the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nat_plugin import __version__
from nat_plugin.policy.files import Fact
from nat_plugin.policy.training.heldout import held_out_figures
from nat_plugin.policy.training.proxies import TaskProxies
from nat_plugin.policy.training.tasks import TrainingTask
from nat_plugin.policy.training.trainer import Trainer


def summary(trainer: Trainer) -> dict[str, Any]:
    """All figures, plain values."""
    held_out = held_out_figures(trainer)
    return {
        "version": __version__,
        "name": trainer.recipe.name,
        "seed": trainer.recipe.seed,
        "rules": list(trainer.recipe.rules),
        "objective": trainer.recipe.policy.objective,
        "inputs": len(trainer.inputs),
        "updates": trainer.steps,
        "tasks": {task.name: _read(task, trainer.proxies) | held_out[task.name] for task in trainer.tasks},
    }


def _read(task: TrainingTask, proxies: TaskProxies | None) -> dict[str, Any]:
    kinds, _ = task.measured
    unscored = [] if proxies is None else proxies.left_out(task)
    return {
        "what": task.pool.what,
        "space": task.pool.space,
        "networks": len(task.pool.networks),
        "held_out": int(task.held.sum()),
        "evaluations": len(task.scores),
        "failed": len(task.scores) - len(kinds),
        "distinct": len(set(kinds.tolist())),
        "left_out": [*task.pool.left_out, *unscored],
    }


def facts_of(trainer: Trainer) -> dict[str, Fact]:
    """What a policy says of its training."""
    recipe, tasks = trainer.recipe, trainer.tasks
    kinds = [number for task in tasks for number in task.measured[0].tolist()]
    return {
        "name": recipe.name,
        "space": _named(task.pool.space for task in tasks),
        "trained_on": _named(f"{task.name}: {task.pool.what}" for task in tasks),
        "rules": " ".join(recipe.rules),
        "seed": recipe.seed,
        "split": recipe.split,
        "evaluations": sum(len(task.scores) for task in tasks),
        "distinct_by_key": len(set(kinds)),
        "objective": recipe.policy.objective,
        "nat_plugin": __version__,
    }


def _named(texts: Any) -> str:
    return "; ".join(dict.fromkeys(texts))


def markdown(result: dict[str, Any]) -> str:
    """The report."""
    lines = [f"# Training {result['name']}", ""]
    lines += [
        f"- objective {result['objective']}, {result['updates']:,} updates on {result['inputs']:,} inputs, rules "
        f"{', '.join(result['rules'])}, seed {result['seed']}",
        f"- {result['seconds']:,.0f} seconds, nat-plugin {result['version']}",
        "",
        "## What was read",
        "",
        *_table(
            ("task", "what", "networks", "held out", "read", "failed", "different networks read"),
            [
                (name, f"{task['space']}: {task['what']}", task["networks"], task["held_out"], task["evaluations"],
                 task["failed"], task["distinct"])
                for name, task in result["tasks"].items()
            ],
        ),
        "",
        *[f"- {name}: left out: {line}" for name, task in result["tasks"].items() for line in task["left_out"]],
        "",
        "## Gain on inputs held out, without any query",
        "",
        "What the policy makes of a network at once, in the unit of the score, in the mean over those whose result has "
        "a score; `worse`: how many of these end below their input; the best reachable, where all scores are known.",
        "",
        *_table(
            ("task", "rules", "limits", "inputs", "with a score", "gain", "worse", "best reachable", "share of it"),
            [_gain(name, row) for name, task in result["tasks"].items() for row in task["gains"]],
        ),
        "",
        "## The critic, on networks held out",
        "",
        "Rank correlation with their scores; and of pairs of them how likely the critic held the other to be better "
        "than the first (said), and how often it was (true), by tenths; `error`: how much these differ in the mean.",
        "",
        *_table(
            ("task", "networks", "Spearman", "pairs", "reachable by moves", "error"),
            [_critic(name, task["critic"]) for name, task in result["tasks"].items()],
        ),
        "",
        *_table(
            ("task", "pairs", "said", "true"),
            [
                (name, row["pairs"], f"{row['said']:.2f}", f"{row['true']:.2f}")
                for name, task in result["tasks"].items()
                for row in task["critic"].get("bins", ())
            ],
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _gain(name: str, row: dict[str, Any]) -> tuple[object, ...]:
    limits = " ".join(f"{metric} {limit}" for metric, limit in row["limits"].items()) or "none"
    share = row.get("share")
    return (
        name,
        row["rules"],
        limits,
        row["inputs"],
        row["known"],
        f"{row['gain']:+.4g}" if "gain" in row else "–",
        f"{row['worse']:.1%}" if "worse" in row else "–",
        f"{row['best']:+.4g}" if "best" in row else "–",
        "–" if share is None else f"{share:.1%}",
    )


def _critic(name: str, row: dict[str, Any]) -> tuple[object, ...]:
    rank, error = row.get("spearman"), row.get("error")
    return (
        name,
        row["networks"],
        "–" if rank is None else f"{rank:.2f}",
        row.get("pairs", 0),
        row.get("reachable", 0),
        "–" if error is None else f"{error:.2f}",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{each:,}" if isinstance(each, int) else str(each).replace("|", "\\|") for each in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
