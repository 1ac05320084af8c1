"""Schedules: the published defaults, their course over time, and what cannot be meant."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from nat_plugin.data import DataSet
from nat_plugin.errors import NATError
from nat_plugin.training.schedule import Schedule


def test_defaults_are_those_of_the_darts_evaluation() -> None:
    schedule = Schedule()
    assert (schedule.epochs, schedule.batch, schedule.lr, schedule.momentum) == (600, 96, 0.025, 0.9)
    assert (schedule.weight_decay, schedule.grad_clip, schedule.drop_path) == (3e-4, 5, 0.2)
    assert (schedule.auxiliary, schedule.cutout, schedule.min_lr) == (0.4, 16, 0)


def test_the_rate_warms_up_and_falls_along_a_cosine() -> None:
    schedule = Schedule(epochs=12, lr=0.1, min_lr=0.02, warmup=2)
    assert 0 < schedule.learning_rate(0) < 1e-3
    assert schedule.learning_rate(1) == pytest.approx(0.05)
    assert schedule.learning_rate(2) == pytest.approx(0.1)
    assert schedule.learning_rate(7) == pytest.approx(0.06)
    assert schedule.learning_rate(4.5) == pytest.approx(0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2)
    assert schedule.learning_rate(12) == pytest.approx(0.02)
    assert Schedule(epochs=12, lr=0.1, cosine=False).learning_rate(11) == 0.1


def test_without_a_cosine_the_rate_may_fall_by_a_factor_from_epoch_to_epoch() -> None:
    schedule = Schedule(epochs=12, lr=0.1, cosine=False, lr_decay=0.97, warmup=1)
    assert schedule.learning_rate(0.5) == pytest.approx(0.05)
    rates = [schedule.learning_rate(epoch) for epoch in (1, 1.9, 2, 11.5)]
    assert rates == pytest.approx([0.1, 0.1, 0.097, 0.1 * 0.97**10])


def test_drop_path_rises_from_zero() -> None:
    schedule = Schedule(epochs=10, drop_path=0.2)
    assert [schedule.drop_path_at(epoch) for epoch in (0, 5, 9)] == pytest.approx([0, 0.1, 0.18])


def test_every_field_is_described() -> None:
    assert [name for name, field in Schedule.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"lr": -1}, "greater than 0"),
        ({"min_lr": 1}, "may not be above lr"),
        ({"batch": 4, "accumulation": 8}, "a batch has only 4 images"),
        ({"learning_rate": 1}, "Extra inputs"),
        ({"lr_decay": 0.97}, "set cosine to false"),
        ({"lr": float("nan")}, "less than or equal to 100"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Schedule.model_validate(wrong)


def test_cutout_is_that_of_the_schedule_unless_it_says_null(digits: DataSet) -> None:
    assert Schedule(cutout=3).augmented(digits).augment.cutout == 3
    assert Schedule(cutout=3).augmented(digits).augment.crop == digits.augment.crop
    assert Schedule(cutout=None).augmented(digits) is digits
    with pytest.raises(NATError, match="cutout is 16, data set 'digits' has images of 8x8: set less than 8"):
        Schedule().augmented(digits)
