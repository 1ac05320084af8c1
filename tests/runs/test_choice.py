"""The choice looks at the selection split alone; the test split is read once, for the input and the winner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nat_plugin.evaluators.base import Assessment, Split
from nat_plugin.ir import Network, cost, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.choice import FinalSelection
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.setup import Setup, find_origin, set_up

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "evaluator": {"name": "supernet", "data": {"name": "digits", "limit": 300}},
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture
def setup() -> Setup:
    chosen = plan(RECIPE, plugins())
    return set_up(chosen, find_origin(chosen, plugins()), plugins())


def leaner(setup: Setup, slots: int) -> Network:
    """The input with the first ops made skips."""
    moves = setup.search.moves
    skips = [list(map(str, ops)).index("skip") for ops in moves.candidates[:slots]]
    return moves.apply([*skips, *[0] * (len(moves.slots) - slots)])


def carried_through(
    setup: Setup, folder: Path, accuracies: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> tuple[FinalSelection, list[tuple[str, Split]]]:
    """A finished choice among the networks of those keys, and what was asked of the evaluator."""
    asked: list[tuple[str, Split]] = []

    def assess(network: Network, split: Split) -> Assessment:
        asked.append((key(network), split))
        return Assessment(accuracies[key(network)], 100)

    monkeypatch.setattr(setup.evaluator, "assess", assess)
    choice = FinalSelection(setup, folder, [leaner(setup, 1), leaner(setup, 2)])
    while not choice.finished:
        choice.advance()
    return choice, asked


def keys(setup: Setup) -> list[str]:
    return [key(network) for network in (setup.search.network, leaner(setup, 1), leaner(setup, 2))]


def test_the_best_on_selection_wins_and_only_it_and_the_input_are_tested(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = keys(setup)
    choice, asked = carried_through(setup, tmp_path, dict(zip(names, (0.5, 0.7, 0.6), strict=True)), monkeypatch)
    assert asked == [(name, "selection") for name in names]
    verdict = choice.verdict()
    assert verdict.winner == 1
    assert asked[3:] == [(names[0], "test"), (names[1], "test")]
    assert verdict.difference.value == pytest.approx(0.2)


def test_the_input_wins_where_nothing_is_better_and_of_equals_the_leanest(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = keys(setup)
    choice, asked = carried_through(setup, tmp_path, dict(zip(names, (0.7, 0.6, 0.5), strict=True)), monkeypatch)
    assert choice.verdict().winner == 0
    assert asked[3:] == [(names[0], "test")]
    choice, _ = carried_through(setup, tmp_path, dict.fromkeys(names, 0.7), monkeypatch)
    winner = choice.verdict().winner
    assert cost(choice.candidates[winner]).macs == min(cost(network).macs for network in choice.candidates)
