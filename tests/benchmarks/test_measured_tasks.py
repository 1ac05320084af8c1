"""Tasks of measured networks: what can be reached, what is best, which inputs are good."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from nat_nasbench.nb201 import spell

from benchmarks.spaces.measured import MeasuredTask, Setting, good_half
from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import TableSettings, read_table
from nat_plugin.ir import Role, is_connected, key

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")


def _score(ops: tuple[str, ...]) -> float:
    """Different for all cells, higher for more convolutions."""
    return sum((place + 2) ** 1.5 * OPS.index(op) for place, op in enumerate(ops)) / 10


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells whose first three edges are 3x3 convolutions, or what these may become under `nat`."""
    found = tmp_path_factory.mktemp("tables") / "cells.csv"
    cells = product(*[("none", "skip_connect", "nor_conv_3x3")] * 3, *[("skip_connect", "nor_conv_3x3")] * 3)
    lines = [f"{spell(list(ops))},{50 + _score(ops):.4f},{50 - _score(ops):.4f}" for ops in cells]
    found.write_text("\n".join(["architecture,accuracy,other", *lines]) + "\n")
    return found


@pytest.fixture(scope="module")
def task(path: Path) -> MeasuredTask:
    return MeasuredTask(TableSettings(path=path, adapter="nasbench201", metric="accuracy"))


def _full(task: MeasuredTask) -> int:
    """The row of the cell of convolutions alone."""
    return int(np.argmax(task.table.scores))


def test_what_can_be_reached_is_what_moves_lead_to_as_far_as_the_table_has_it(task: MeasuredTask) -> None:
    for row in (_full(task), 100):
        moves = task.moves(row, Setting("nat"))
        led = {key(moves.apply(choice)) for choice in moves.all()}
        there = [kind for each, kind in zip(task.table.networks, task.kinds, strict=True)
                 if is_connected(each) and key(each) in led]  # fmt: skip
        assert set(task.reachable(row, moves).tolist()) == set(there)


def test_under_a_limit_only_what_is_within_is_reached(task: MeasuredTask) -> None:
    row = _full(task)
    moves = task.moves(row, Setting("nat", "macs=0.8x"))
    within = task.reachable(row, moves)
    assert task.kinds[row] not in within
    assert 0 < len(within) < len(task.reachable(row, task.moves(row, Setting("nat"))))
    assert task.best(row, moves) < 0


def test_the_best_of_the_best_is_itself(task: MeasuredTask) -> None:
    assert task.best(_full(task), task.moves(_full(task), Setting("nat"))) == 0


def test_a_gain_is_the_difference_as_written_in_points(task: MeasuredTask) -> None:
    row = _full(task)
    moves = task.moves(row, Setting("nat"))
    skip = next(op for op in moves.candidates[5] if op.role is Role.SKIP)
    found = moves.network.with_ops([*moves.network.ops[:5], skip])
    expected = 100 * (
        task.table.scores[[each.ops for each in task.table.networks].index(found.ops)] - task.table.scores[row]
    )
    assert task.gain(row, task.kind_of(row, found)) == pytest.approx(expected)
    assert task.gain(row, int(task.kinds[row])) == 0


def test_an_unknown_limit_is_named(task: MeasuredTask) -> None:
    with pytest.raises(NATError, match=r"write macs=0\.8x"):
        task.moves(_full(task), Setting("nat", "latency=0.8x"))


def test_good_inputs_are_good_by_another_task_not_by_what_is_reported(task: MeasuredTask, path: Path) -> None:
    assert good_half(task, [])[0] is None  # a user's own table may have any columns beside
    copy = path.with_name("other.csv")
    copy.write_text(path.read_text())
    other = read_table(TableSettings(path=copy, adapter="nasbench201", metric="other"))
    good, by = good_half(task, [other])
    assert good is not None
    assert "other" in by
    there = task.kinds >= 0
    assert task.table.scores[there & good].mean() < task.table.scores[there & ~good].mean()
