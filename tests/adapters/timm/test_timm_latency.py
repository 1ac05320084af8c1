"""Latency as a budget: estimated by parts, measured as a whole. No test knows how fast this machine is."""

from __future__ import annotations

import json
import math

import pytest
from nat_timm import inherit
from nat_timm.document import parse
from nat_timm.latency import Latency

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Network
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import load_recipe
from nat_plugin.runs.setup import find_origin, set_up

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def latency() -> Latency:
    document = parse(json.dumps({"architecture": "resnet18", "edits": [{"op": "kernel", "at": ["conv1"], "value": 3}]}))
    return Latency(document, (3, 64, 64), 10, find_compute("cpu"))


def without(network: Network, *cells: str) -> Network:
    ops = [
        NULL if slot.cell in cells and NULL in network.edge(slot).choices else op
        for slot, op in zip(network.slots, network.ops, strict=True)
    ]
    return network.with_ops(ops)


def test_what_is_changed_is_added_up_slot_by_slot(latency: Latency) -> None:
    base = latency.network
    assert latency(base) == latency.whole > 0
    first, second = without(base, "layer1.0"), without(base, "layer4.1")
    assert latency(first) < latency.whole
    assert latency(second) < latency.whole
    both = latency(without(base, "layer1.0", "layer4.1"))
    assert both == pytest.approx(latency(first) + latency(second) - latency.whole)
    assert latency(first) == latency(first)  # measured once


def test_what_leaves_out_most_blocks_is_measured_as_faster(latency: Latency) -> None:
    lean = without(latency.network, *(f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)))
    model = inherit(latency._model, lean).eval()
    assert latency.measured(model) < latency.whole
    assert latency(lean) < latency.whole


def test_every_op_can_be_asked_for() -> None:
    """Of layers in no block, too, whose norms stand elsewhere."""
    found = Latency(parse('{"architecture": "mobilenetv2_035"}'), (3, 32, 32), 10, find_compute("cpu"))
    base = found.network
    for place, slot in enumerate(base.slots[:4]):
        for op in base.edge(slot).choices[-1:]:
            ops = list(base.ops)
            ops[place] = op
            assert math.isfinite(found(base.with_ops(ops)))


LIMITED = [
    "evaluator.data.limit=400",
    "evaluator.train=null",
    "rules=nat",
    "strategy.name=random",
    "threads=1",
    "evaluator.latency_batch=2",
]


def test_a_recipe_may_limit_it() -> None:
    plan = load_recipe("mobilenetv2-digits", [*LIMITED, "budget={latency: 0.9x}"], plugins())
    setup = set_up(plan, find_origin(plan, plugins()), plugins())
    [proposal] = setup.strategy.ask(1)
    [(name, limit)] = setup.search.moves.limits.values
    assert name == "latency"
    assert setup.search.moves.limits.metrics[name](proposal.network) <= limit


def test_without_saying_how_it_is_measured_it_cannot_be_limited() -> None:
    plan = load_recipe("mobilenetv2-digits", [*LIMITED[:-1], "budget={latency: 0.9x}"], plugins())
    with pytest.raises(NATError, match=r"budget\.latency: it is measured only where the settings of evaluator 'timm'"):
        set_up(plan, find_origin(plan, plugins()), plugins())


def test_a_limit_that_nothing_keeps_is_one_line() -> None:
    plan = load_recipe("mobilenetv2-digits", [*LIMITED, "budget={latency: 0.0001x}"], plugins())
    with pytest.raises(NATError, match="latency") as caught:
        set_up(plan, find_origin(plan, plugins()), plugins())
    assert "\n" not in str(caught.value)
