"""Latency as a budget: estimated by parts, measured as a whole. No test knows how fast this machine is: most turn the
clock themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nat_timm.adapter import TimmAdapter
from nat_timm.measuring.latency import TimmLatency

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Budget, Moves, Network, NetworkSize, Op, Slot, find_rule
from nat_plugin.measuring.latency import MeasuredLatency, TimeShare
from nat_plugin.measuring.latency_limits import Keeper, find_keeper
from nat_plugin.measuring.measure import measure_table
from nat_plugin.measuring.settings import LatencySettings
from nat_plugin.measuring.tables import TableMetric, TableSubject, fingerprint
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import load_recipe
from nat_plugin.runs.setup import find_origin, set_up
from tests.clocks import Turned

NETWORK = TimmAdapter().read("test_efficientnet", NetworkSize(input=(3, 32, 32), classes=10))
HERE = LatencySettings(device="cpu")


@pytest.fixture(scope="module")
def latency(turned: Turned) -> TimmLatency:
    return TimmLatency(NETWORK, HERE, turned.clock)


def walks(network: Network, count: int = 4) -> list[Network]:
    moves = Moves(network, find_rule("nat++"), Budget.parse({"macs": "0.7x"}).resolve(network))
    return [moves.apply(moves.sample(np.random.default_rng(seed))) for seed in range(100, 100 + count)]


def test_where_costs_add_up_the_estimate_is_what_the_whole_takes(latency: TimmLatency) -> None:
    assert latency(latency.network) == latency.whole > 0
    assert latency.factor == pytest.approx(1, abs=1e-3)
    for network in walks(latency.network):
        found = latency.measured(network)
        assert found.ms == pytest.approx(latency(network), rel=1e-3)
        assert found.ms == pytest.approx(latency.whole * found.share)
        assert (found.low, found.high, found.estimate) == pytest.approx((found.ms, found.ms, latency(network)))


def test_a_sum_of_changes_that_says_too_little_is_corrected(turned: Turned) -> None:
    class Low(TimmLatency):
        def change(self, slot: Slot, op: Op) -> TimeShare:
            return super().change(slot, op).times(1 / 1.5)

    found = Low(NETWORK, HERE, turned.clock)
    assert found.factor == pytest.approx(1.5, abs=0.01)
    for network in walks(found.network, 2):
        assert found(network) == pytest.approx(found.measured(network).ms, rel=0.01)


def test_it_says_what_it_is_of(latency: TimmLatency) -> None:
    assert str(latency.setting) == "1 image, cpu, float32, 1 thread, channels_last, eager, fake"
    assert str(MeasuredLatency(8.123, 8.0, 8.25, 8.5, 0.8123)) == "8.12 ms [8, 8.25] (0.81x, estimated 8.5)"


def test_every_op_can_be_asked_for(latency: TimmLatency) -> None:
    """Of layers in no block, too, whose norms stand elsewhere."""
    base = latency.network
    for place, slot in enumerate(base.slots[:4]):
        for op in base.edge(slot).choices[-1:]:
            ops = list(base.ops)
            ops[place] = op
            assert math.isfinite(latency(base.with_ops(ops)))


def test_changes_of_several_parts_are_timed_in_the_same_passes_and_are_those_of_each_alone(
    turned: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, alone = (TimmLatency(NETWORK, HERE, turned.clock) for _ in range(2))
    wanted = [(slot, op) for slot in NETWORK.slots for op in NETWORK.edge(slot).choices if op != NETWORK.edge(slot).op]
    measured = found.together(wanted)
    assert len(measured) > 0.8 * len(wanted)
    for change, share in measured.items():
        assert share.value == pytest.approx(alone.change(*change).value, abs=1e-6)
    found.prepare(wanted)
    monkeypatch.setattr(TimmLatency, "change", None)
    for change, share in measured.items():
        assert found._change(*change).value == pytest.approx(share.value, abs=1e-9)


def test_two_changes_of_the_same_part_are_not_made_at_once(
    latency: TimmLatency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that is timed, every part has one of its own changes."""
    slot = next(slot for slot in NETWORK.slots if len(NETWORK.edge(slot).choices) > 3)
    wanted = [(slot, op) for op in NETWORK.edge(slot).choices if op != NETWORK.edge(slot).op]
    paths: list[list[str]] = []
    monkeypatch.setattr(latency, "_changed_parts", lambda _, chosen: paths.append(chosen) or [TimeShare(0.0, 0.0, 0.0)])
    assert len(latency.together(wanted)) == len(paths) == len(wanted)


def test_of_modules_in_a_list_the_block_that_calls_them_is_timed(turned: Turned) -> None:
    """MobileOne has its branches in lists, which nobody calls."""
    text = '{"architecture": "mobileone_s0", "fits": true}'
    found = TimmLatency(TimmAdapter().read(text, NetworkSize(input=(3, 32, 32), classes=10)), HERE, turned.clock)
    slot = next(slot for slot in found.network.slots if slot.cell == "stages.0.1")
    choices = found.network.edge(slot).choices
    op = next(op for op in choices if str(op).startswith("timm:mobileone_k1.1.0.0"))
    ops = [op if at == slot else own for at, own in zip(found.network.slots, found.network.ops, strict=True)]
    share = found.measured(found.network.with_ops(ops), 0.0).share
    assert share < 1
    assert found.change(slot, op).value == pytest.approx(share - 1, rel=0.05)
    assert found.together([(slot, op)])[slot, op].value == pytest.approx(share - 1, rel=0.05)


def test_on_the_clock_of_the_machine_a_model_without_most_blocks_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nat_plugin.measuring.latency.SAMPLES", 1)
    found = TimmLatency(TimmAdapter().read("test_resnet", NetworkSize(input=(3, 64, 64), classes=10)), HERE)
    base = found.network
    lean = base.with_ops(
        [NULL if NULL in base.edge(s).choices else op for s, op in zip(base.slots, base.ops, strict=True)]
    )
    assert found.setting.clock == "CPU time"
    assert found.measured(lean).share < 1


LIMITED = [
    "source=test_efficientnet",
    "evaluator.data={name: digits, limit: 400, resolution: 32}",
    "evaluator.train=null",
    "rules=nat",
    "strategy.name=random",
    "threads=1",
    "evaluator.latency_batch=2",
]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured fewer times: what a limit does does not depend on how well it was measured."""
    for name in ("SAMPLES", "BLOCKS"):
        monkeypatch.setattr(f"nat_plugin.measuring.latency.{name}", 1)


@pytest.mark.usefixtures("clock")
def test_a_recipe_may_limit_it() -> None:
    """And what it ends with is held to that as a whole."""
    plan = load_recipe("mobilenetv2-digits", [*LIMITED, "rules=nat++", "budget={latency: 0.9x}"], plugins())
    setup = set_up(plan, find_origin(plan, plugins()), plugins())
    [proposal] = setup.strategy.ask(1)
    [(name, limit)] = setup.search.moves.limits.values
    assert name == "latency"
    assert setup.search.moves.limits.metrics[name](proposal.network) <= limit
    keeper = find_keeper(setup.final.network, setup.final.moves.rule, setup.final.budget, setup.adapter.latency)
    assert isinstance(keeper, Keeper)
    kept = keeper.kept(proposal.network)
    assert kept is not None
    assert keeper.measured(kept).high <= limit


def test_without_saying_how_it_is_measured_it_cannot_be_limited() -> None:
    plan = load_recipe("mobilenetv2-digits", [*LIMITED[:-1], "budget={latency: 0.9x}"], plugins())
    with pytest.raises(NATError, match=r"budget\.latency: it is measured only where the settings of evaluator 'timm'"):
        set_up(plan, find_origin(plan, plugins()), plugins())


@pytest.mark.usefixtures("quick")
def test_a_limit_that_nothing_keeps_is_one_line() -> None:
    plan = load_recipe("mobilenetv2-digits", [*LIMITED, "budget={latency: 0.0001x}"], plugins())
    with pytest.raises(NATError, match="latency") as caught:
        set_up(plan, find_origin(plan, plugins()), plugins())
    assert "\n" not in str(caught.value)


def test_a_table_is_of_the_model_before_any_move(latency: TimmLatency) -> None:
    """Whatever was moved in it, but of no other with the same costs."""
    adapter = TimmAdapter()
    own = fingerprint(NETWORK, adapter.identity(NETWORK))
    table = TableMetric(measure_table(latency, TableSubject(own, "test_efficientnet")), "latency.json")
    for network in walks(latency.network, 3):
        assert table(network) == pytest.approx(latency(network), rel=1e-4)
        moved = adapter.read(adapter.write(network), NetworkSize(input=(3, 32, 32), classes=10))
        table.check(moved, find_rule("nat"), adapter.identity(moved))
        assert table(moved) == pytest.approx(latency(network), rel=1e-4)
    text = '{"architecture": "test_efficientnet", "model_args": {"act_layer": "relu"}}'
    other = adapter.read(text, NetworkSize(input=(3, 32, 32), classes=10))
    assert fingerprint(other) == fingerprint(NETWORK)
    with pytest.raises(NATError, match="this table is of 'test_efficientnet'"):
        table.check(other, find_rule("nat"), adapter.identity(other))


@pytest.mark.parametrize("runtime", ["onnxruntime"])
def test_other_runtimes_time_parts_by_themselves(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    monkeypatch.setattr("nat_timm.measuring.latency.PART_INTERVAL", 1.0)
    found = TimmLatency(NETWORK, LatencySettings(runtime=runtime, threads=1))
    slot = NETWORK.slots[0]
    assert found.setting.runtime == runtime
    assert -1 < found.share(slot, NETWORK.edge(slot).choices[-1]).value < 1
    assert found.whole > 0
