"""A critic learns ranks from few examples, whatever the scale of scores, and the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from policy.samples import distinct_ladders
from scipy.stats import spearmanr

from nat_plugin.ir import Network, canonical
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.policy.training.ensemble import RankEnsemble, RankEnsembleConfig

FAST = RankEnsembleConfig(members=2, hidden=16, epochs=10, least_steps=100, batch=32)


def score(network: Network) -> float:
    """Counts kinds of ops, and where they stand."""
    texts = list(map(str, canonical(network).ops))
    worth = {"null": 0.0, "skip": 0.5, "conv_1x1": 1.0, "conv_3x3": 2.0, "avg_pool_3x3": -0.5}
    return sum(worth[text] * (1 + 0.2 * edge) for edge, text in enumerate(texts))


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=50))
def test_ranks_do_not_depend_on_the_scale(values: list[int]) -> None:
    scores = np.array(values, float)
    ranks = normal_ranks(scores)
    assert np.isfinite(ranks).all()
    assert np.allclose(ranks, normal_ranks(scores**3 * 7 - 5))
    assert np.allclose(ranks, -normal_ranks(-scores))
    order = np.argsort(scores)
    assert (np.diff(ranks[order]) >= 0).all()
    assert ((np.diff(ranks[order]) == 0) == (np.diff(scores[order]) == 0)).all()


def test_it_predicts_what_it_has_not_seen(device: torch.device) -> None:
    networks = distinct_ladders(260, 0)
    graphs, scores = [build_graph(network) for network in networks], np.array(list(map(score, networks)))
    critic = RankEnsemble(FAST, 0, device)
    critic.fit(graphs[:160], scores[:160])
    predicted = critic.predict(graphs[160:])
    assert predicted.shape == (2, 100)
    assert spearmanr(predicted.mean(axis=0), scores[160:])[0] > 0.9


def test_the_same_seed_learns_the_same() -> None:
    networks = distinct_ladders(40, 1)
    graphs, scores = [build_graph(network) for network in networks], np.array(list(map(score, networks)))
    found = []
    for seed in (0, 0, 1):
        critic = RankEnsemble(
            RankEnsembleConfig(members=1, hidden=8, epochs=2, least_steps=4), seed, torch.device("cpu")
        )
        critic.fit(graphs, scores)
        found.append(critic.predict(graphs))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


@pytest.mark.parametrize("count", [1, 2, 33])
def test_any_number_of_examples_will_do(count: int) -> None:
    networks = distinct_ladders(count, 2)
    graphs = [build_graph(network) for network in networks]
    critic = RankEnsemble(
        RankEnsembleConfig(members=1, hidden=8, epochs=1, least_steps=3, batch=32), 0, torch.device("cpu")
    )
    critic.fit(graphs, np.arange(count, dtype=float))
    assert np.isfinite(critic.predict(graphs)).all()
