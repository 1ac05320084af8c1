"""The curve of a critic's fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from policy.training.conftest import CRITICS, small, train

from nat_plugin.policy.training.learn_critic import CURVE, learning_curve
from nat_plugin.runs.folder import read_journal


@pytest.mark.parametrize("count", [1, 3, CURVE, CURVE + 1, 1500])
def test_every_step_counts_once_and_no_curve_is_long(count: int) -> None:
    losses = torch.rand(count).tolist()
    found = learning_curve(losses)
    assert len(found) == min(count, CURVE)
    assert [step for step, _ in found] == sorted({step for step, _ in found})
    assert found[-1][0] == count
    before, total = 0, 0.0
    for step, loss in found:
        total += (step - before) * loss
        before = step
    assert total == pytest.approx(sum(losses), rel=1e-4)


def test_nothing_was_learned_in_no_steps() -> None:
    assert learning_curve([]) == []


@pytest.mark.parametrize("kind", CRITICS)
def test_the_journal_has_the_curve_of_every_fit(kind: str, small_table: Path, tmp_path: Path) -> None:
    train(tmp_path / "t", small(small_table, kind=kind))
    lines = [line for line in read_journal(tmp_path / "t" / "journal.jsonl") if "critic_loss" in line]
    assert {line["stage"] for line in lines} == {0, 1}
    assert all(line["critic_step"] > 0 for line in lines)
    assert len(lines) > 2
