"""The critic of combinations: exact sums where there is nothing to learn, and intervals that measurements narrow."""

from __future__ import annotations

import math

import pytest
import torch

from nat_plugin.advising.critic import EffectModel
from nat_plugin.advising.effects import Outputs, added, together

ORIGINAL = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def outputs(scale: float, seed: int) -> Outputs:
    noise = torch.randn(40, 6, generator=torch.Generator().manual_seed(seed))
    return Outputs(ORIGINAL + scale * noise, ORIGINAL)


def test_what_two_changes_do_in_the_same_direction_counts_twice_and_opposite_ones_cancel() -> None:
    one = outputs(0.1, 1)
    opposite = Outputs(ORIGINAL - one.difference, ORIGINAL)
    assert added([one, one]).effect.change == pytest.approx(2 * one.effect.change, rel=1e-4)
    assert added([one, opposite]).effect.change == pytest.approx(0, abs=1e-6)
    assert added([one, outputs(0.1, 2)]).effect.change == pytest.approx(math.sqrt(2) * one.effect.change, rel=0.15)


def test_the_effect_of_parts_is_that_of_all_pictures() -> None:
    whole = outputs(0.5, 3)
    parts = [Outputs(whole.changed[a:b], whole.original[a:b]) for a, b in ((0, 13), (13, 40))]
    assert together(parts).effect == whole.effect


def test_one_change_alone_is_expected_as_it_was_measured() -> None:
    one = outputs(0.2, 1)
    critic = EffectModel()
    critic.observe(added([one, outputs(0.2, 2)]), 2, 1.0)
    expected, low, high = critic.expected(one, 1)
    assert expected == pytest.approx(one.effect.change)
    assert low < expected < high


def test_combinations_that_were_measured_teach_the_power_of_their_number_and_narrow_the_interval() -> None:
    sums = {number: added([outputs(0.05, 10 * number + i) for i in range(number)]) for number in (2, 3, 4, 6, 8)}
    fresh, taught = EffectModel(), EffectModel()
    for number in (2, 3, 4, 6):
        taught.observe(sums[number], number, sums[number].effect.change * number**0.4)
    before, after = fresh.expected(sums[8], 8), taught.expected(sums[8], 8)
    assert before[0] == pytest.approx(sums[8].effect.change)
    assert after[0] == pytest.approx(sums[8].effect.change * 8**0.4, rel=0.05)
    assert after[2] / after[1] < 0.7 * before[2] / before[1]
    assert after[1] < sums[8].effect.change * 8**0.4 < after[2]


def test_what_changes_nothing_has_a_finite_interval() -> None:
    nothing = Outputs(ORIGINAL, ORIGINAL)
    assert all(math.isfinite(each) for each in EffectModel().expected(added([nothing, nothing]), 2))
