"""Latency of networks that the core builds: by the settings that a user names, op by op and as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from policy.samples import ladder
from pydantic import ValidationError
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Budget, Choice, Moves, Network, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.measuring import runtimes
from nat_plugin.measuring.cells import CellLatency
from nat_plugin.measuring.latency import TimeShare
from nat_plugin.measuring.latency_limits import LEAST_USE, Keeper, Untimed, find_keeper
from nat_plugin.measuring.measure import device_name, measure_table, ops_to_measure, settings_of
from nat_plugin.measuring.runtimes import check_runtime, place, runner
from nat_plugin.measuring.settings import LatencySettings
from nat_plugin.measuring.tables import Figure, TableMetric, TableSubject, fingerprint, read_table
from nat_plugin.nets import build
from nat_plugin.search.neighbourhood import neighbours
from nat_plugin.timing import Clock
from tests.clocks import Turned

NETWORK = ladder([3, 2, 3, 3, 1, 3])
RULE = find_rule("nat++")
SETTINGS = LatencySettings(device="cpu", threads=1)


@pytest.fixture(scope="module")
def latency(turned: Turned) -> CellLatency:
    return CellLatency(NETWORK, SETTINGS, clock=turned.clock)


def walks(limit: float = 1.0, count: int = 4) -> list[Network]:
    moves = Moves(NETWORK, RULE, Budget.parse({"macs": f"{limit}x"}).resolve(NETWORK))
    return [moves.apply(moves.sample(np.random.default_rng(seed))) for seed in range(count)]


def test_where_costs_add_up_the_estimate_is_what_the_whole_takes(latency: CellLatency) -> None:
    assert latency(NETWORK) == latency.whole > 0
    for network in walks():
        assert latency.measured(network).ms == pytest.approx(latency(network), rel=1e-3)


def test_networks_that_an_adapter_builds_are_timed_as_a_whole(turned: Turned, latency: CellLatency) -> None:
    """An op is what it changes, and what nothing changes is nothing."""
    opaque = CellLatency(NETWORK, SETTINGS, build, turned.clock)
    alone = NETWORK.slots[3]  # from the input to the output: nothing else dies with it
    own = NETWORK.edge(alone).op
    assert opaque.share(alone, own).value == pytest.approx(latency.share(alone, own).value, rel=1e-3)
    assert opaque.share(alone, SKIP).value == pytest.approx(0, abs=1e-6)


def test_a_table_says_what_was_timed_and_is_used_without_timing(latency: CellLatency, tmp_path: Path) -> None:
    done: list[int] = []
    table = measure_table(latency, TableSubject(fingerprint(NETWORK), "a ladder"), done.append)
    assert done == list(range(1, len(ops_to_measure(NETWORK)) + 1))
    assert (table.metric, table.unit, table.measured["device"]) == ("latency", "ms", device_name(torch.device("cpu")))
    assert table.measured["setting"] == latency.setting.plain()
    table.write(tmp_path / "latency.json")
    metric = TableMetric(read_table(tmp_path / "latency.json", "latency"), "latency.json")
    metric.check(NETWORK, RULE)
    for network in [NETWORK, *walks()]:
        assert metric(network) == pytest.approx(latency(network), rel=1e-4)
    other = ladder([3, 3, 2, 3, 3, 3])  # of the same slots
    metric.check(other, RULE)
    assert metric(other) > metric(NETWORK)
    assert settings_of(table) == SETTINGS.model_copy(update={"layout": "channels_last", "precision": "float32"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "a telephone"}, "latency.json was measured on 'a telephone', this is '"),
        ({"setting": None}, "latency.json does not say how it was measured"),
        ({"setting": "eager"}, "latency.json does not say how it was measured"),
        ({"setting": {"batch": -1}}, "has invalid settings of its measurement: Input should be greater"),
        ({"setting": {"batch": 1, "runtime": "eager", "device": "cuda:99", "precision": "auto"}}, "cuda"),
    ],
)
def test_a_table_that_cannot_be_measured_again_here_holds_by_itself(
    latency: CellLatency, change: dict[str, object], said: str
) -> None:
    table = measure_table(latency, TableSubject(None))
    elsewhere = TableMetric(replace(table, measured={**table.measured, **change}), "latency.json")
    budget = Budget.parse({"latency": "0.8x"}, {**METRICS, "latency": elsewhere})

    def never(*_: object) -> CellLatency:
        raise AssertionError

    found = find_keeper(NETWORK, RULE, budget, never)
    assert isinstance(found, Untimed)
    assert said in str(found)
    assert "\n" not in str(found)
    assert find_keeper(NETWORK, RULE, Budget.parse({"macs": "0.8x"}, budget.metrics), never) is None


def test_a_relative_limit_is_on_shares_whatever_the_table_took_when_it_was_made(latency: CellLatency) -> None:
    """The machine had been half as fast."""
    found = measure_table(latency, TableSubject(None))
    costs = {slot: {op: Figure(2 * each.value) for op, each in costs.items()} for slot, costs in found.costs.items()}
    table = TableMetric(replace(found, fixed=Figure(2 * found.fixed.value), costs=costs), "latency.json")
    for given, most in (("0.7x", 0.7 * latency.whole), (f"{0.6 * latency.whole}", 0.6 * latency.whole)):
        budget = Budget.parse({"latency": given}, {**METRICS, "latency": table})
        keeper = find_keeper(NETWORK, RULE, budget, lambda *_: latency)
        assert isinstance(keeper, Keeper)
        assert keeper.most == pytest.approx(most)
        moves = Moves(NETWORK, RULE, Budget.parse({"latency": "0.7x"}, budget.metrics).resolve(NETWORK))
        kept = keeper.kept(moves.apply(moves.sample(np.random.default_rng(0))))
        assert kept is not None
        assert LEAST_USE * most <= latency(kept) <= most


def test_a_limit_that_the_original_keeps_asks_for_nothing_to_be_used(latency: CellLatency) -> None:
    keeper = Keeper(NETWORK, RULE, latency, Budget.parse({"latency": "1.0x"}, {**METRICS, "latency": latency}))
    [lean, *_] = walks(0.6)
    assert list(keeper.within([lean, NETWORK, lean])) == [lean, NETWORK]


@pytest.mark.parametrize(("limit", "belief"), [(0.5, 1.25), (0.7, 0.8), (0.85, 1.0)])
def test_what_is_kept_is_within_the_limit_as_a_whole_and_uses_it(
    latency: CellLatency, limit: float, belief: float
) -> None:
    """From whatever a search ended with, also where the estimate believes in more or less of what is saved."""

    def estimate(network: Network) -> float:
        return latency.whole - belief * (latency.whole - latency(network))

    most = limit * latency.whole
    budget = Budget.parse({"latency": f"{limit}x"}, {**METRICS, "latency": estimate})
    moves = Moves(NETWORK, RULE, budget.resolve(NETWORK))
    found = [moves.apply(moves.sample(np.random.default_rng(seed))) for seed in range(4)]
    kept = list(Keeper(NETWORK, RULE, latency, budget).within(found))
    assert kept
    assert all(LEAST_USE * most <= latency(each) <= most for each in kept)
    assert len(set(kept)) == len(kept)


@pytest.mark.parametrize("belief", [1.25, 0.8])
def test_what_a_ranking_has_next_takes_the_place_of_what_is_over_the_limit_or_leaves_much_of_it(
    latency: CellLatency, belief: float
) -> None:
    """Not whatever is near to it: a limit that is corrected is asked about anew."""
    keeper, limited = believing(latency, belief)
    finalists = [limited.apply(choice) for choice in by_harm(limited)[:2]]
    found = list(keeper.within(finalists, by_harm))
    assert len(set(found)) == len(found) > 0
    free = Moves(NETWORK, RULE)
    enough = [each for each in free.all() if LEAST_USE * keeper.most <= latency(free.apply(each)) <= keeper.most]
    assert {free.choice(each) for each in found} == set(sorted(enough, key=harm)[: len(found)])


def test_where_all_that_a_ranking_has_is_over_the_limit_something_near_is_kept(latency: CellLatency) -> None:
    keeper, limited = believing(latency, 1.25)

    def over(_: Moves) -> list[Choice]:
        choices = sorted(limited.all(), key=harm)
        return [choice for choice in choices if latency(limited.apply(choice)) > keeper.most]

    kept = keeper.kept(limited.apply(over(limited)[0]), over)
    assert kept is not None
    assert LEAST_USE * keeper.most <= latency(kept) <= keeper.most


def test_what_follows_in_a_ranking_heeds_all_that_were_over_the_limit(latency: CellLatency) -> None:
    """Not just the last of them, whose estimate may be nearer to what it takes."""
    free, whole = Moves(NETWORK, RULE), latency.whole
    single = filter(free.admits, neighbours(free, free.identity))
    over = [choice for choice in single if 0.75 < latency(free.apply(choice)) / whole < 0.95][:3]
    far, near, next_one = map(free.apply, over)
    beliefs = {far: 1.4, near: 1.15}

    def estimate(network: Network) -> float:
        return whole - beliefs.get(network, 1.0) * (whole - latency(network))

    asked: list[float] = []

    def ranking(moves: Moves) -> list[Choice]:
        asked.append(float(dict(moves.limits.values)["latency"]))
        return over[1:]

    keeper = Keeper(NETWORK, RULE, latency, Budget.parse({"latency": "0.7x"}, {**METRICS, "latency": estimate}))
    keeper.kept(far, ranking)
    corrected = [(1 - 0.3 * belief) * whole for belief in (1.4, 1.15)]
    assert asked[:2] == pytest.approx([min(corrected)] * 2, rel=0.02)
    assert not any(map(keeper.fits, (far, near, next_one)))


def test_what_leaves_much_of_a_limit_is_followed_by_less_than_what_was_over_it(latency: CellLatency) -> None:
    """Whatever its own estimate makes of the rest."""
    free, whole = Moves(NETWORK, RULE), latency.whole
    single = filter(free.admits, neighbours(free, free.identity))
    over = next(free.apply(choice) for choice in single if 0.75 < latency(free.apply(choice)) / whole < 0.85)
    lean = next(free.apply(each) for each in free.all() if 0.4 < latency(free.apply(each)) / whole < 0.55)
    beliefs = {over: 1.6, lean: 0.85}

    def estimate(network: Network) -> float:
        return whole - beliefs.get(network, 1.0) * (whole - latency(network))

    asked: list[float] = []

    def ranking(moves: Moves) -> list[Choice]:
        asked.append(float(dict(moves.limits.values)["latency"]))
        return [free.choice(lean)] if len(asked) == 1 else []

    keeper = Keeper(NETWORK, RULE, latency, Budget.parse({"latency": "0.7x"}, {**METRICS, "latency": estimate}))
    assert estimate(lean) < estimate(over) < (1 - 0.3 * 0.85) * whole
    keeper.kept(over, ranking)
    assert asked[1] == pytest.approx((estimate(lean) + estimate(over)) / 2, rel=0.02)


def believing(latency: CellLatency, belief: float) -> tuple[Keeper, Moves]:
    """A limit of 0.7x by an estimate that believes in so many times what is saved; and the moves within it."""

    def estimate(network: Network) -> float:
        return latency.whole - belief * (latency.whole - latency(network))

    budget = Budget.parse({"latency": "0.7x"}, {**METRICS, "latency": estimate})
    return Keeper(NETWORK, RULE, latency, budget), Moves(NETWORK, RULE, budget.resolve(NETWORK))


HARMS = np.random.default_rng(0).random((len(NETWORK.slots), 16))


def harm(choice: Choice) -> float:
    return float(sum(HARMS[slot, index] for slot, index in enumerate(choice)))


def by_harm(moves: Moves) -> list[Choice]:
    return sorted(filter(moves.admits, moves.all()), key=harm)


def test_an_interval_of_a_difference_is_that_of_both() -> None:
    assert TimeShare(0.5, 0.47, 0.54).less(TimeShare(0.2, 0.16, 0.23)) == TimeShare(
        pytest.approx(0.3), pytest.approx(0.3 - 0.03 * 2**0.5), pytest.approx(0.3 + 0.04 * 2**0.5)
    )


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3)  # more would have to be compiled by a compiler of C++, for seconds


IMAGES = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def outcome(settings: LatencySettings) -> torch.Tensor:
    run = runner(place(small(), settings.compute), IMAGES, settings)
    found = run()
    return torch.as_tensor(found[0] if isinstance(found, list) else found)


@pytest.mark.parametrize("runtime", ["compile", "onnxruntime"])
def test_every_runtime_computes_the_same(runtime: str) -> None:
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    expected = outcome(LatencySettings(device="cpu", layout="contiguous"))
    torch.testing.assert_close(outcome(LatencySettings(device="cpu", runtime=runtime)), expected, rtol=1e-4, atol=1e-5)


def test_precision_and_layout_are_those_that_are_named() -> None:
    settings = LatencySettings(device="cpu", precision="bfloat16", layout="contiguous", batch=2)
    assert outcome(settings).dtype == torch.bfloat16
    assert next(place(small(), settings.compute).parameters()).is_contiguous()


def test_threads_are_those_that_are_named_and_come_back_after(turned: Turned) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    class Seen(CellLatency):
        def module(self, network: Network) -> nn.Module:
            seen.append(torch.get_num_threads())
            return super().module(network)

    found = Seen(NETWORK, LatencySettings(device="cpu", threads=2), clock=turned.clock)
    assert found.setting.threads == 2
    found.measured(walks(count=1)[0])
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


def test_a_missing_runtime_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda _: None)
    with pytest.raises(NATError, match=r"needs onnx and onnxruntime, not installed here: pip install"):
        check_runtime(LatencySettings(runtime="onnxruntime"))
    check_runtime(LatencySettings(runtime="compile"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"runtime": "onnxruntime", "layout": "contiguous"},
        {"runtime": "onnxruntime", "precision": "bfloat16"},
        {"runtime": "onnxruntime", "device": "cuda"},
        {"batch": 0},
        {"threads": True},
        {"layout": "rows"},
        {"runtime": "tensorrt"},
        {"batches": 1},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LatencySettings.model_validate(wrong)


def test_null_takes_nothing_and_is_not_timed(latency: CellLatency) -> None:
    assert latency.share(NETWORK.slots[0], NULL).value == 0
    assert Clock.of(torch.device("cpu")).name == "CPU time"
