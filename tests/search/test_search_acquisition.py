"""The process grows row by row, costs no more late than early, and lets go of a prior that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from policy.samples import ladder, random_darts
from search.landscapes import Score, landscape

from nat_plugin.ir import Choice, Moves, find_rule
from nat_plugin.search.surrogate import acquisition as acquisition_module
from nat_plugin.search.surrogate.acquisition import Acquisition, AcquisitionSettings
from nat_plugin.search.surrogate.gaussian_process import GaussianProcess, Kernel, Points
from nat_plugin.search.surrogate.observations import Observation, Observations

NAT, NAT_PLUS = find_rule("nat"), find_rule("nat++")
NETWORK = random_darts(np.random.default_rng(0))
MOVES = Moves(NETWORK, NAT_PLUS)
SCORE = landscape(NETWORK, NAT_PLUS, 0)


def gain(choice: Choice, score: Score = SCORE) -> float:
    return score(MOVES.apply(choice)) - score(NETWORK)


def points(count: int, features: int = 2) -> Points:
    rng = np.random.default_rng(1)
    return Points(rng.normal(size=(count, 30)), rng.normal(size=(count, features)))


def test_the_factor_is_that_of_the_covariances() -> None:
    some, kernel = points(40), Kernel(2.0, 0.1, 0.5)
    process = GaussianProcess(kernel)
    process.hold(range(40), lambda first: some.part(first, 40))
    covariances = kernel.between(some, some) + 0.1 * np.eye(40)
    np.testing.assert_allclose(process.factor, np.linalg.inv(np.linalg.cholesky(covariances)), atol=1e-9)


def test_each_point_is_expected_of_all_the_others() -> None:
    some, kernel = points(12), Kernel(2.0, 0.1, 0.5)
    values = np.random.default_rng(2).normal(size=12)
    values = (values - values.mean()) / values.std()
    process = GaussianProcess(kernel)
    process.hold(range(12), lambda first: some.part(first, 12))
    covariances = kernel.between(some, some)
    for left, expected in enumerate(process.fit(values).left_out_mean()):
        rest = np.delete(np.arange(12), left)
        known = covariances[np.ix_(rest, rest)] + 0.1 * np.eye(11)
        assert expected == pytest.approx(covariances[left, rest] @ np.linalg.solve(known, values[rest]))


def test_it_says_how_well_it_ranks_what_it_leaves_out_once_it_has_a_belief() -> None:
    """Of a smooth landscape far better than of noise."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=60)
    found = []
    for score in (lambda choice, _: gain(choice), lambda _, number: float(noise[number])):
        acquisition = Acquisition([MOVES], np.random.default_rng(0), AcquisitionSettings(20, 100))
        assert acquisition.left_out_rank is None
        for number in range(60):
            choice = MOVES.sample(rng)
            acquisition.observations.add(Observation(0, choice, score(choice, number), 0.0))
        acquisition.belief(0)
        assert acquisition.left_out_rank is not None
        found.append(acquisition.left_out_rank)
    assert found[0] > 0.3 + found[1]


def test_the_factor_is_the_same_to_the_bit_however_it_came_about() -> None:
    """A run that is resumed makes at once what the other made row by row, with points that were waiting in between."""
    some = points(150)
    at_once, grown = GaussianProcess(Kernel(2.0, 0.03, 1.0)), GaussianProcess(Kernel(2.0, 0.03, 1.0))
    at_once.hold(range(150), lambda first: some.part(first, 150))
    for count in range(1, 151):
        names = [*range(count), "waiting", "too"]
        grown.hold(names, lambda first, count=count: Points(*(  # type: ignore[misc]
            np.concatenate([each[:count], each[140:142]])[first:] for each in (some.rows, some.features)
        )))  # fmt: skip
    grown.hold(range(150), lambda first: some.part(first, 150))
    assert np.array_equal(at_once.factor, grown.factor)


def test_a_proposal_costs_no_more_late_than_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the factor that are worked out, factors that are made anew to choose a kernel, and what these hold."""
    counts = {"rows": 0, "most": 0, "chosen": 0}
    add, likeliest = GaussianProcess._add, acquisition_module.likeliest

    def counted(self: GaussianProcess, n: int, row: np.ndarray, features: np.ndarray) -> None:
        counts["rows"] += 1
        counts["most"] = max(counts["most"], n + 1)
        add(self, n, row, features)

    def chosen(*args: object) -> int:
        counts["chosen"] += 1
        return likeliest(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(GaussianProcess, "_add", counted)
    monkeypatch.setattr(acquisition_module, "likeliest", chosen)
    rng = np.random.default_rng(0)
    acquisition = Acquisition([MOVES], rng, AcquisitionSettings(20, 40))
    rows = []
    for _ in range(20):  # 60 proposals, and as many from elsewhere
        counts["rows"] = 0
        for _ in range(3):
            choice = next(acquisition.order(0, [MOVES.sample(rng)]))
            for each in (choice, MOVES.sample(rng)):
                acquisition.observations.add(Observation(0, each, gain(each), 0.0))
        rows.append(counts["rows"] / 3)
    assert counts["most"] <= 40 + 2  # the input, and what is waiting
    assert max(rows[-10:]) < 1.5 * 40 / 5 + 3
    assert counts["chosen"] < 25


def test_the_training_set_is_the_latest_and_the_best_and_grows_at_its_end() -> None:
    observations = Observations([MOVES, Moves(NETWORK, NAT)])
    rng, before, kept = np.random.default_rng(0), [], []
    for number in range(300):
        source = int(number % 3 == 0)
        value = 9.0 if number == 1 else float(rng.normal())
        observations.add(Observation(source, MOVES.identity if source else MOVES.sample(rng), value, 0.0))
        names = observations.training_set(0, 40).names
        told = [name for name in names if name >= 0]
        assert len(told) <= 40
        assert number in told or source
        assert names.count(-1) == 1
        kept.append(names[: len(before)] == before)
        before = names
    assert sum(kept) > 0.85 * len(kept)
    assert 1 in before, "the best of all is not forgotten"
    own = observations.by_source[0]
    assert set(own[-20:]) < set(before)


class _Given:
    """A prior that scores networks by a function for its mean, and by others for its features."""

    is_slow = False

    def __init__(self, mean: Sequence[Score] = (), features: Sequence[Score] = (), sure: bool = True) -> None:
        self._mean, self._features, self.sure = mean, features, sure

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        del source
        found: np.ndarray = self._by(self._mean, choices).sum(axis=1)
        return found

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        del source
        return self._by(self._features, choices)

    def _by(self, scores: Sequence[Score], choices: Sequence[Choice]) -> np.ndarray:
        return np.array([[gain(choice, score) / 4 for score in scores] for choice in choices]).reshape(len(choices), -1)


@pytest.mark.parametrize("part", ["mean", "features"])
def test_a_prior_counts_as_long_as_it_is_right(part: str) -> None:
    """One that says what is true here makes predictions better; of one that says what is true elsewhere nothing is left
    after 60 measurements: what is thought then is what it is without."""
    rng, elsewhere = np.random.default_rng(3), [landscape(NETWORK, NAT_PLUS, seed) for seed in range(7, 17)]
    told, asked = ([MOVES.sample(rng) for _ in range(count)] for count in (60, 100))
    means = {}
    for name, scores in {"right": [SCORE], "wrong": elsewhere, "none": []}.items():
        acquisition = Acquisition(
            [MOVES], np.random.default_rng(0), AcquisitionSettings(100, 250), _Given(**{part: scores})
        )
        for choice in told:
            acquisition.observations.add(Observation(0, choice, gain(choice), 0.0))
        means[name] = acquisition.belief(0).mean(asked)
        assert acquisition.model is not None
        counts = acquisition.model.share if part == "mean" else acquisition.model.kernel.scale
        assert name == "none" or (counts > 0) == (name == "right")
    truth = [gain(choice) for choice in asked]
    right, none = (np.corrcoef(means[name], truth)[0, 1] for name in ("right", "none"))
    assert right > none + 0.05
    np.testing.assert_allclose(means["wrong"], means["none"])


def test_before_anything_is_told_the_order_is_nearly_that_of_the_prior() -> None:
    acquisition = Acquisition([MOVES], np.random.default_rng(0), AcquisitionSettings(100, 250), _Given([SCORE]))
    gains = [gain(choice) for choice in acquisition.order(0, ())]
    assert gains[0] == max(gains)
    assert np.corrcoef(gains, -np.arange(len(gains)))[0, 1] > 0.9


def test_where_a_prior_is_not_sure_it_orders_what_is_one_change_away_from_the_input() -> None:
    acquisition = Acquisition(
        [MOVES], np.random.default_rng(0), AcquisitionSettings(1000, 250, first=3), _Given([SCORE], sure=False)
    )
    first, *others = acquisition.order(0, ())
    assert first == MOVES.identity
    gains = [gain(choice) for choice in others]
    assert all(sum(a != b for a, b in zip(choice, first, strict=True)) == 1 for choice in others)
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize("part", ["mean", "features"])
def test_a_prior_that_is_not_sure_counts_once_the_measurements_speak_for_it(part: str) -> None:
    rng = np.random.default_rng(3)
    told = [MOVES.sample(rng) for _ in range(60)]
    shares = {}
    for sure in (True, False):
        for count in (2, 60):
            prior = _Given(**{part: [SCORE]}, sure=sure)
            acquisition = Acquisition([MOVES], np.random.default_rng(0), AcquisitionSettings(100, 250), prior)
            for choice in told[:count]:
                acquisition.observations.add(Observation(0, choice, gain(choice), 0.0))
            acquisition.belief(0)
            assert acquisition.model is not None
            kernel = acquisition.model.kernel
            shares[sure, count] = acquisition.model.share if part == "mean" else kernel.scale
    assert shares[True, 2] > 0 == shares[False, 2]
    assert shares[False, 60] > 0


@pytest.mark.parametrize(("is_slow", "most"), [(False, 0.8), (True, 0.3)])
def test_a_slow_prior_is_asked_of_fewer_new_candidates(is_slow: bool, most: float) -> None:
    prior = _Given([SCORE])
    prior.is_slow = is_slow
    acquisition = Acquisition([MOVES], np.random.default_rng(0), AcquisitionSettings(100, 250), prior)
    known: set[Choice] = set()
    new = []
    for _ in range(6):
        ordered = list(acquisition.order(0, ()))
        new.append(len(set(ordered) - known))
        known |= set(ordered)
        acquisition.observations.add(Observation(0, ordered[0], gain(ordered[0]), 0.0))
        acquisition._pool(0).keep(ordered[1:])
    assert new[0] == 100
    assert max(new[1:]) <= 100 * most
    assert min(new[1:]) >= 10


def test_networks_waiting_of_one_input_are_none_of_another() -> None:
    """Inputs of one kind share a process as long as all that was told is learned from."""
    small = ladder([3, 2, 4, 3, 1, 3])
    moves = [Moves(small, NAT), Moves(ladder([4, 2, 4, 3, 1, 4]), NAT)]
    acquisition = Acquisition(moves, np.random.default_rng(0), AcquisitionSettings(50, 250))
    for number, each in enumerate(moves):
        acquisition.observations.add(Observation(number, each.sample(np.random.default_rng(number)), 1.0, 0.0))
    choice = (1, 0, 0, 0, 0, 0)
    deviations = [acquisition.belief(n).distribution([choice], [choice])[1][0] for n in (0, 1, 0)]
    alone = [Acquisition(moves, np.random.default_rng(0), AcquisitionSettings(50, 250)) for _ in moves]
    for number, each in enumerate(alone):
        each.observations.restore(acquisition.observations.state())
        each.model = acquisition.model
        assert deviations[number] == each.belief(number).distribution([choice], [choice])[1][0]
    assert deviations[2] == deviations[0]
