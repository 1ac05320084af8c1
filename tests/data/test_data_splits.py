"""Splitting: disjoint, every class alike, exact in number, and a function of the seed only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nat_plugin.data import DataSettings, SplitSettings
from nat_plugin.data.splits import balanced_order, divide, split_sizes
from nat_plugin.errors import NATError


def of(classes: list[int], seed: int = 0) -> np.ndarray:
    """Shuffled labels with so many images of each class."""
    return np.random.RandomState(seed).permutation(np.repeat(np.arange(len(classes)), classes)).astype(np.int64)


def parts_of(
    labels: np.ndarray, setting: SplitSettings, own_test: bool = False, limit: int | None = None
) -> dict[str, np.ndarray]:
    names = [f"c{i}" for i in range(int(labels.max()) + 1)]
    data = DataSettings(name="npz", splits=setting, limit=limit)
    return divide(labels, names, data, own={"test"} if own_test else (), where="here")


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(12, 60), min_size=2, max_size=12),
    shares=st.tuples(*[st.floats(0.2, 0.4, exclude_max=True)] * 2),
    test=st.floats(0.1, 0.4),
    own_test=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_disjoint_stratified_and_deterministic(
    counts: list[int], shares: tuple[float, float], test: float, own_test: bool, seed: int
) -> None:
    weights, reward = shares
    selection = 1 - weights - reward
    setting = SplitSettings(
        weights=weights, reward=reward, selection=selection, test=None if own_test else test, seed=seed
    )
    labels = of(counts)
    parts = parts_of(labels, setting, own_test)
    assert set(parts) == {"weights", "reward", "selection"} | ({"test"} - {"test" if own_test else ""})

    everything = np.concatenate(list(parts.values()))
    assert sorted(everything) == list(range(len(labels)))  # disjoint, and the shares add up to all

    train = len(labels) - (0 if own_test else len(parts["test"]))
    for name, share in (("weights", weights), ("reward", reward), ("selection", selection)):
        assert abs(len(parts[name]) - share * train) <= 1
    for part in parts.values():
        found = np.bincount(labels[part], minlength=len(counts))
        assert np.all(np.abs(found - np.array(counts) * len(part) / len(labels)) < 4)
        assert found.min() >= 1

    np.random.seed(1)  # the global state must not matter
    again = parts_of(labels, setting, own_test)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_equal_classes_are_divided_equally() -> None:
    parts = parts_of(of([100] * 10), SplitSettings(weights=600, reward=100, selection=100, test=200))
    labels = of([100] * 10)
    found = {name: set(np.bincount(labels[part]).tolist()) for name, part in parts.items()}
    assert found == {"weights": {60}, "reward": {10}, "selection": {10}, "test": {20}}


def test_the_test_split_does_not_depend_on_the_other_settings() -> None:
    labels = of([50] * 4)
    one = parts_of(labels, SplitSettings())
    other = parts_of(labels, SplitSettings(weights=40, reward=0.5, selection=0.1))
    assert np.array_equal(one["test"], other["test"])


def test_another_seed_gives_other_splits() -> None:
    labels = of([50] * 4)
    assert not np.array_equal(
        np.sort(parts_of(labels, SplitSettings(seed=0))["weights"]),
        np.sort(parts_of(labels, SplitSettings(seed=1))["weights"]),
    )


def test_the_stream_of_a_seed_is_the_same_everywhere() -> None:
    parts = parts_of(of([6, 6]), SplitSettings(seed=7))
    assert {name: part.tolist() for name, part in parts.items()} == {
        "test": [9, 7],
        "weights": [2, 8, 5, 11, 3],
        "reward": [4, 6, 1],
        "selection": [0, 10],
    }


def test_shares_use_every_image_and_counts_are_exact() -> None:
    assert split_sizes(7, {"a": 0.5, "b": 0.25, "c": 0.25}, "here") == {"a": 4, "b": 1, "c": 2}
    assert split_sizes(10, {"a": 0.35, "b": 3, "c": 0.35}, "here") == {"a": 4, "b": 3, "c": 3}
    assert split_sizes(10, {"a": 2, "b": 3, "c": 1}, "here") == {"a": 2, "b": 3, "c": 1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=8), st.integers(0, 2**32 - 1))
def test_every_beginning_of_the_balanced_order_is_balanced(counts: list[int], seed: int) -> None:
    labels = of(counts)
    order = balanced_order(labels, np.random.RandomState(seed))
    assert sorted(order) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        found = np.bincount(labels[order[:n]], minlength=len(counts))
        assert np.all((found == counts) | (found >= found.max() - 1))


def test_limit_keeps_as_many_of_each_class() -> None:
    labels = of([100, 20, 50])
    kept = np.concatenate(list(parts_of(labels, SplitSettings(), limit=60).values()))
    assert np.bincount(labels[kept]).tolist() == [20, 20, 20]
    assert sum(map(len, parts_of(labels, SplitSettings(), limit=10_000).values())) == 170


@pytest.mark.parametrize(
    ("labels", "setting", "options", "message"),
    [
        (of([10, 10]), SplitSettings(weights=30), {}, "ask for 38 images of 16"),
        (of([10, 10]), SplitSettings(test=21), {}, "test 21.* ask for 21 images of 20"),
        (of([10, 10]), SplitSettings(test=20), {}, "leave no image of 0 for weights"),
        (of([10, 10]), SplitSettings(reward=0.01), {}, "leave no image of 16 for reward"),
        (of([500, 2]), SplitSettings(), {}, "class 'c1' has 2 of 502 images, too few"),
        (of([50, 50]), SplitSettings(), {"limit": 4}, "leave no image|too few"),
        (of([50, 50]), SplitSettings(test=0.2), {"own_test": True}, "test part of its own.*remove splits.test"),
    ],
)
def test_impossible_splits(labels: np.ndarray, setting: SplitSettings, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NATError, match=f"^here: .*({message})"):
        parts_of(labels, setting, **options)
