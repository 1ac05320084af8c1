"""What shared weights are trained on, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nat_plugin.ir import Network, key
from nat_plugin.plugins import plugins
from nat_plugin.runs.folder import Journal, read_journal
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.search import Search
from nat_plugin.runs.setup import find_origin, set_up

RECIPE = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 300}},
    "search": {"warmup": 100, "rounds": 3, "proposals": 4, "steps": 12},
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture
def search(tmp_path: Path) -> Search:
    chosen = plan(RECIPE, plugins())
    setup = set_up(chosen, find_origin(chosen, plugins()), plugins())
    journal = Journal(tmp_path / "journal.jsonl")
    return Search(setup.strategy, setup.evaluator, chosen.recipe.search, chosen.recipe.seed, journal)


def trained(search: Search, monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """Every network that the evaluator takes a step on from now on."""
    found: list[Network] = []
    train = search.evaluator.train

    def listen(networks: Sequence[Network]) -> dict[str, float]:
        found.extend(networks)
        return train(networks)

    monkeypatch.setattr(search.evaluator, "train", listen)
    return found


def test_the_warm_up_sees_inputs_and_many_of_their_moves(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = trained(search, monkeypatch)
    while search.warming:
        search.advance()
    assert len(seen) == 100
    assert set(search.strategy.task.inputs) <= set(seen)
    assert len({key(network) for network in seen}) > 50
    assert search.journal is not None
    search.journal.sync()
    lines = read_journal(search.journal.path)
    assert [(line["stage"], line["step"]) for line in lines] == [("warm-up", 50), ("warm-up", 100)]  # nothing measured
    assert all(line["shared_weights"]["loss"] > 0 for line in lines)


def test_every_round_trains_inputs_and_proposals_before_it_measures_them(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    while search.warming:
        search.advance()
    for number in range(3):
        seen = trained(search, monkeypatch)
        search.advance()
        assert search.journal is not None
        search.journal.sync()
        lines = read_journal(search.journal.path)
        assert (lines[-1]["stage"], lines[-1]["step"]) == ("round", number + 1)
        rows = [row for row in lines if row["stage"] == "search" and row["round"] == number]
        keys = [key(network) for network in seen]
        assert {row["network"] for row in rows} <= set(keys)
        assert {row["source"] for row in rows} <= set(keys)
        assert len(keys) == 12
        counts = [seen.count(network) for network in set(seen)]
        assert max(counts) - min(counts) <= 1
    assert search.finished
