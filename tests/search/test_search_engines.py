"""Two engines take turns: the better one leads, the other one stays in use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nat_plugin.search.nat.engines import FIRST, Engines


def turns(engines: Engines, count: int, standing: Callable[[bool, int], float], late: int = 0) -> list[bool]:
    """Whether each of so many proposals was the policy's; told so many proposals later."""
    asked: list[bool] = []
    for number in range(count + late):
        if number < count:
            asked.append(engines.policy_is_next())
        if number >= late:
            engines.tell(asked[number - late], standing(asked[number - late], number))
    return asked


def test_the_acquisition_begins() -> None:
    assert not any(turns(Engines(), FIRST, lambda by_policy, _: float(by_policy)))


def test_a_policy_that_is_worse_costs_little_and_is_tried_again() -> None:
    for late in (0, 5):
        asked = turns(Engines(), 400, lambda by_policy, number: 0.1 if by_policy else 0.3 + number % 2 / 2, late)
        assert sum(asked[:40]) <= 3
        assert sum(asked[:120]) <= 6
        assert 8 <= sum(asked) <= 20
        assert sum(asked[300:]) >= 2


def test_a_policy_that_becomes_better_comes_to_lead_and_one_that_fails_loses_the_lead() -> None:
    for late in (0, 5):
        asked = turns(
            Engines(), 600, lambda by_policy, number: 0.5 if not by_policy else 0.9 if 100 < number < 400 else 0.0, late
        )
        assert np.mean(asked[:100]) < 0.1
        assert np.mean(asked[250:400]) > 0.8
        assert not all(asked[250:400])
        assert np.mean(asked[450:]) < 0.15


def test_what_is_restored_goes_on_alike() -> None:
    whole, again = Engines(), Engines()
    turns(whole, 50, lambda by_policy, number: number % 7 / 7 if by_policy else 0.4)
    state = whole.state()
    again.restore(state)
    rest = [turns(each, 80, lambda by_policy, number: number % 5 / 5) for each in (whole, again)]
    assert rest[0] == rest[1]
    assert state != whole.state()
