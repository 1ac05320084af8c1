"""The plugin of ``docs/how-to/own-op.md`` that adds operations runs, and prints what the page says."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from nat_darts import DartsAdapter, ops, register_op_name
from nat_darts.ops import OPS

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Moves, NetworkSize, Op, canonical, cost, find_rule, same
from nat_plugin.ir import ops as registry
from nat_plugin.plugins import Plugins

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "how-to" / "own-op.md").read_text(encoding="utf-8")
ADAPTER = DartsAdapter()
SMALL = NetworkSize(channels=8, cells=3)
V2 = ADAPTER.published()["DARTS_V2"].text


@pytest.fixture(autouse=True, scope="module")
def _names() -> Iterator[None]:
    """The operations of the page's plugin, forgotten afterwards: other tests share the process."""
    tables: tuple[Any, ...] = (registry._KINDS, ops.OPS, ops._NAMES)
    known, added = [dict(table) for table in tables], list(ops._ADDED)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    module = ModuleType("nat_own_ops")
    exec(compile(code, "docs/how-to/own-op.md", "exec"), module.__dict__)
    complaints: list[str] = []
    Plugins([("own", module)], complaints.append)
    assert not complaints
    yield
    for table, before in zip(tables, known, strict=True):
        table.clear()
        table.update(before)
    ops._ADDED[:] = added
    registry._parse.cache_clear()


def test_the_session_prints_what_the_page_says() -> None:
    (session,) = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    test = doctest.DocTestParser().get_doctest(session, {}, "docs/how-to/own-op.md", None, 0)
    assert doctest.DocTestRunner().run(test) == (0, len(test.examples))
    assert len(test.examples) >= 6


def test_own_operations_are_counted_built_moved_and_written() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    text = V2.replace("sep_conv_3x3", "std_conv_5x5").replace("dil_conv_3x3", "conv_3x1_1x3")
    network = ADAPTER.read(text, SMALL)
    assert ADAPTER.write(network) == text
    with torch.device("meta"):
        assert count(build(network), network.input) == cost(network)
    moves = Moves(network, find_rule("nat++"))
    generator = np.random.default_rng(0)
    for _ in range(10):
        moved = moves.apply(moves.sample(generator))
        written = ADAPTER.write(canonical(moved))
        assert same(ADAPTER.read(written, SMALL), moved)


def test_an_operation_without_layers_of_the_ir_is_moved_too() -> None:
    text = V2.replace("dil_conv_3x3", "noise")
    network = ADAPTER.read(text, SMALL)
    (slot,) = [slot for slot in network.slots if str(network.edge(slot).op) == "noise"]
    candidates = Moves(network, find_rule("nat++")).candidates[network.slots.index(slot)]
    assert set(candidates) == {Op.parse("noise"), SKIP, NULL}
    assert cost(network).params < cost(ADAPTER.read(V2, SMALL)).params
    assert ADAPTER.write(network) == text


def test_own_names_are_offered_only_where_they_are_used_and_leave_the_dialect_as_it_is() -> None:
    choices = ADAPTER.read(V2.replace("dil_conv_3x3", "noise"), SMALL).edge(ADAPTER.read(V2, SMALL).slots[0]).choices
    assert Op.parse("noise") in choices
    assert Op.parse("conv_3x1_1x3") not in choices
    assert Op.parse("conv_1x1") not in choices, "still stock"
    assert Op.parse("noise") not in ADAPTER.read(V2, SMALL).edge(ADAPTER.read(V2, SMALL).slots[0]).choices


def test_the_refusal_of_an_unknown_name_says_how() -> None:
    with pytest.raises(
        NATError, match=r"unknown op 'shuffle_conv_3x3'; allowed: .*noise.*; a plugin can add it"
    ) as caught:
        ADAPTER.read(V2.replace("dil_conv_3x3", "shuffle_conv_3x3"), SMALL)
    (page,) = re.findall(r"\((docs/\S*)\)", str(caught.value))
    assert (ROOT / page).read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(
    ("name", "op", "message"),
    [
        ("sep_conv_3x3", "noise", "op name 'sep_conv_3x3' of genotypes is taken"),
        ("none", "noise", "op name 'none' of genotypes is taken"),
        ("mine", "sep_conv_3x3", "op 'sep_conv_3x3' has a name in genotypes: 'sep_conv_3x3'"),
        ("mine", "null", "op 'null' has a name in genotypes: 'none'"),
        ("it's", "std_conv_7x7", "is not a valid name of an op"),
        ("", "std_conv_7x7", "is not a valid name of an op"),
    ],
)
def test_names_that_cannot_be(name: str, op: str, message: str) -> None:
    before = dict(OPS)
    with pytest.raises(NATError, match=message):
        register_op_name(name, Op.parse(op))
    register_op_name("noise", Op.parse("noise"))  # twice the same is harmless
    assert before == OPS
