"""Tables of costs: written and read again, held to their network, and a limit like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policy.samples import ladder, random_darts

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Budget, Moves, Network, NetworkSize, Op, Slot, find_rule
from nat_plugin.ir.budget import METRICS, BySlot
from nat_plugin.measuring.tables import (
    CostTable,
    Figure,
    TableMetric,
    TableSubject,
    blank_table,
    fingerprint,
    keys_of,
    ops_of,
    read_table,
)
from nat_plugin.plugins import plugins
from nat_plugin.writing import extended
from tests.command_line import Nat

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ladder([3, 2, 3, 4, 3, 1])
RULE = find_rule("nat++")
CONV = Op.parse("conv_1x1")


def energy(network: Network, of: TableSubject | None = None) -> CostTable:
    """Made up: an op takes the length of its name in every slot, and the last slot twice that."""
    last = network.slots[-1]
    costs = {
        slot: {op: Figure(len(str(op)) * (1.0 + (slot == last))) for op in ops_of(network, slot)}
        for slot in network.slots
    }
    subject = of or TableSubject(fingerprint(network), "a ladder", "network", network.input, network.head.classes)
    return CostTable("energy", "mJ", subject, Figure(5.0, 4.5, 5.5), costs, keys_of(network), {"by": "hand"})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "energy.json"
    table = energy(NETWORK)
    table.write(path)
    assert read_table(path, "energy") == table


def test_a_network_costs_what_its_live_ops_cost() -> None:
    metric = TableMetric(energy(NETWORK), "energy.json")
    ops = list(NETWORK.ops)
    assert metric(NETWORK) == 5 + sum(len(str(op)) for op in ops) + len(str(ops[-1]))
    ops[0] = NULL  # from the input to node 1; what follows there is dead
    dead = NETWORK.with_ops(ops)
    assert metric(dead) == 5 + sum(len(str(ops[i])) for i in (1, 3, 5)) + len(str(ops[5]))


@pytest.mark.parametrize("limit", ["0.5x", "0.7x", "0.9x"])
@pytest.mark.parametrize("drawn", [NETWORK, random_darts(np.random.default_rng(0))])
def test_a_walk_keeps_a_limit_by_a_table(drawn: Network, limit: str) -> None:
    """Also one that leaves little, of which no cheap network by MACs knows."""
    budget = Budget.parse({"energy": limit}, {**METRICS, "energy": TableMetric(energy(drawn), "energy.json")})
    moves = Moves(drawn, RULE, budget.resolve(drawn))
    found = [moves.apply(moves.sample(np.random.default_rng(seed))) for seed in range(5)]
    for network in found:
        moves.verify(network)
    assert len(set(found)) > 1


class OpByOp(BySlot):
    """A table that is no sum to those who walk: what is measured when it is asked."""

    def __init__(self, table: TableMetric) -> None:
        self.table = table

    def __call__(self, network: Network) -> float:
        return self.table(network)

    def change(self, network: Network, slot: Slot, op: Op) -> float:
        return self.table.change(network, slot, op)


def test_a_walk_finds_what_is_cheap_by_a_metric_that_is_measured_op_by_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what has the fewest MACs, and without trying all."""
    monkeypatch.setattr("nat_plugin.ir.moves._TRIED", 0)
    cell = NETWORK.by_name["cell"]
    whole = replace(cell, edges=tuple(replace(edge, choices=edge.choices[1:]) for edge in cell.edges))  # without null
    network, made = NETWORK.with_cells([("cell", whole)]), energy(NETWORK)
    costs = {slot: dict.fromkeys(ops, Figure(9.0)) | {CONV: Figure(1.0)} for slot, ops in made.costs.items()}
    metric = OpByOp(TableMetric(replace(made, costs=costs), "energy.json"))
    budget = Budget.parse({"energy": "30"}, {**METRICS, "energy": metric})
    moves = Moves(network, RULE, budget.resolve(network))
    for seed in range(3):
        moves.verify(moves.apply(moves.sample(np.random.default_rng(seed))))


def test_what_no_network_can_keep_is_one_line() -> None:
    budget = Budget.parse({"energy": "1"}, {**METRICS, "energy": TableMetric(energy(NETWORK), "energy.json")})
    with pytest.raises(NATError, match="fits the budget; the cheapest has energy") as caught:
        Moves(NETWORK, RULE, budget.resolve(NETWORK))
    assert "\n" not in str(caught.value)


def test_the_fingerprint_is_of_slots_at_a_size_and_not_of_what_is_in_them() -> None:
    own = fingerprint(NETWORK)
    assert fingerprint(ladder([1, 1, 3, 3, 3, 3])) == own
    assert fingerprint(extended(NETWORK)) == own
    assert fingerprint(replace(NETWORK, input=(3, 16, 16))) != own
    assert fingerprint(NETWORK, "another activation") != own
    assert fingerprint(random_darts(np.random.default_rng(0))) != fingerprint(random_darts(np.random.default_rng(1)))


def test_a_table_of_another_network_is_refused_in_one_line() -> None:
    metric = TableMetric(energy(NETWORK), "energy.json")
    metric.check(NETWORK, RULE)
    for other in (replace(NETWORK, input=(3, 16, 16)), random_darts(np.random.default_rng(0))):
        with pytest.raises(NATError, match=r"energy.json: this table is of 'a ladder' for images of \(3, 8, 8\)"):
            metric.check(other, RULE)


def test_a_users_table_that_names_no_network_needs_every_op() -> None:
    table = energy(NETWORK, TableSubject(None))
    TableMetric(table, "mine.json").check(NETWORK, RULE)
    slot = NETWORK.slots[2]
    lacking = {**table.costs, slot: {op: each for op, each in table.costs[slot].items() if op != SKIP}}
    with pytest.raises(NATError, match=r"mine.json: there is no energy of 'skip' in slot 2 of cell 'cell'"):
        TableMetric(replace(table, costs=lacking), "mine.json").check(NETWORK, RULE)


def test_a_blank_table_has_to_be_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    blank_table(NETWORK, "memory", "MB", TableSubject(fingerprint(NETWORK))).write(path)
    with pytest.raises(NATError, match=r"slots\[0\]: 'conv_3x3': no cost is filled in"):
        read_table(path)
    value = json.loads(path.read_text())
    value["fixed"] = 1
    for slot in value["slots"]:
        slot["costs"] = dict.fromkeys(slot["costs"], 2)
    path.write_text(json.dumps(value))
    assert TableMetric(read_table(path, "memory"), path)(NETWORK) == 1 + 2 * 6


def changed(**values: Any) -> str:
    return json.dumps({**json.loads(energy(NETWORK).render()), **values})


SLOT = {"cell": "cell", "edge": 0, "costs": {"skip": 1}}
HOSTILE = {
    "no JSON": ("{", "not a table of costs"),
    "a list": ("[]", "not a table of costs"),
    "deep": ("[" * 100_000, "not a table of costs"),
    "another format": (changed(format="nat-policy"), "format"),
    "a later version": (changed(version=9), "version 9"),
    "unknown key": (changed(code="print()"), "code: Extra inputs"),
    "a name that is no name": (changed(metric="a b"), "metric"),
    "what is counted": (changed(metric="macs"), "macs are counted"),
    "no number": (changed(fixed="1"), "fixed"),
    "infinite": (changed().replace("[5.0", "[Infinity"), "not a table of costs"),
    "not a number": (changed(fixed=True), "fixed"),
    "too large": (changed(fixed=1e300), "fixed"),
    "outside its interval": (changed(fixed=[1, 2, 3]), "with the cost between low and high"),
    "two of three": (changed(fixed=[1, 2]), "fixed"),
    "a slot twice": (changed(slots=[SLOT, SLOT]), "is duplicated"),
    "a null that costs": (changed(slots=[{**SLOT, "costs": {"null": 1}}]), "null costs nothing"),
    "an op that is none": (changed(slots=[{**SLOT, "costs": {"no such op!": 1}}]), "no such op"),
    "a slot before the first": (changed(slots=[{**SLOT, "edge": -1}]), "edge"),
    "half of a pair": (changed(unit="\ud800"), "not a table of costs"),
    "many digits": (changed().replace("[5.0", "[" + "9" * 400), "not a table of costs"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bad_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    text, said = HOSTILE[name]
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(NATError) as caught:
        read_table(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_the_command_line_makes_a_blank_table_and_transforms_within_it(nat: Nat, tmp_path: Path) -> None:
    source, path = "DARTS_V2", tmp_path / "energy.json"
    sizes = ("--cells", "4", "--channels", "4", "--input", "8")
    done = nat("measure", source, *sizes, "--blank", "energy:mJ", "-o", str(path))
    assert done.status == 0
    value = json.loads(path.read_text())
    value["fixed"] = 3
    for slot in value["slots"]:
        slot["costs"] = {op: 0 if op == "skip" else len(op) for op in slot["costs"]}
    path.write_text(json.dumps(value))
    given = ("--cost", f"energy={path}", "--budget", "energy=0.6x", *sizes)
    found = nat("transform", source, "--rules", "nat++", *given, "--json")
    assert found.status == 0, found.err
    metric = TableMetric(read_table(path, "energy"), path)
    size = NetworkSize(channels=4, cells=4, input=(3, 8, 8))
    adapter = plugins().find("adapters", "darts")
    texts = adapter.published()[source].text, json.loads(found.out)["architecture"]
    before, after = (adapter.read(text, size) for text in texts)
    assert json.loads(found.out)["measured"]["energy"] == metric(after) <= 0.6 * metric(before)
    again = nat("transform", "DARTS_V1", *given)
    assert again.status == 2
    assert "this table is of 'DARTS_V2'" in again.err
    assert again.err.count("\n") == 1
    for wrong in ("energy", "macs:M", "energy:"):
        refused = nat("measure", source, "--blank", wrong, "-o", str(path))
        assert (refused.status, refused.err.count("\n")) == (2, 1)


def test_the_documents_say_the_form_of_a_table() -> None:
    schema = json.loads((ROOT / "docs/reference/costs.schema.json").read_text())
    value = json.loads(energy(NETWORK).render())
    assert set(schema["properties"]) == set(value)
    assert set(schema["$defs"]["_Slot"]["properties"]) == set(value["slots"][0])
    assert set(schema["$defs"]["_Of"]["properties"]) >= set(value["of"])
    assert schema["additionalProperties"] is False
