"""Cells of NAS-Bench-101: matrix and ops, with the parameters that the benchmark has of them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nat_nasbench import NB101Adapter, NB201Adapter
from nat_nasbench.forms101 import spelled

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    NULL,
    Budget,
    Cost,
    Moves,
    Network,
    NetworkSize,
    Op,
    canonical,
    cost,
    find_rule,
    from_json,
    key,
    to_json,
)
from nat_plugin.ir.vertices import KERNELS, alive, vertex_channels
from nat_plugin.writing import write_back
from tests.adapters.damage import check_one_line_or_the_same_text, damaged

ADAPTER = NB101Adapter()
INCEPTION = ADAPTER.published()["NB101_Inception"].text
NUMBERED = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
MATRIX = [[0, 1, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
VERTICES = ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3", "output"]
SMALL = NetworkSize(channels=8, cells=3, input=(3, 8, 8))


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or SMALL)


def test_the_example_of_the_benchmark_has_its_parameters() -> None:
    """``trainable_parameters`` in the README of google-research/nasbench."""
    assert cost(read(INCEPTION, NetworkSize())) == Cost(2_694_282, 402_002_944)
    assert ADAPTER.write(read(INCEPTION)) == INCEPTION


def test_parameters_of_500_cells(shared_data: Path) -> None:
    with gzip.open(shared_data / "nasbench101_500.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 500
    for row in rows:
        matrix = [[int(row["matrix"][7 * at + column]) for column in range(7)] for at in range(7)]
        text = repr((matrix, [NUMBERED[int(digit)] for digit in row["ops"]]))
        assert f"{cost(read(text, NetworkSize())).params / 1e6:.6g}" == row["params"].rstrip("0").rstrip("."), text


ARRAY = "array([[0, 1, 1, 1, 0],\n       [0, 0, 1, 0, 1],\n       [0, 0, 0, 1, 0],\n       [0, 0, 0, 0, 1],\n"
ARRAY += "       [0, 0, 0, 0, 0]], dtype=int8)"
FORMS = [
    spelled(tuple(map(tuple, MATRIX)), VERTICES),
    f"spec = api.ModelSpec({MATRIX}, {VERTICES})  # (found)\n",
    f"cell = ModelSpec(\n    ops={VERTICES},  # top to bottom\n    matrix={MATRIX})\nprint(cell)\n",
    repr((MATRIX, VERTICES)),
    repr([MATRIX, VERTICES]).replace("], [", "],\n ["),
    json.dumps({"matrix": MATRIX, "ops": VERTICES}, indent=1),
    json.dumps({"acc": 0.94, "module_adjacency": MATRIX, "module_operations": VERTICES, "done": True}),
    f"{{'module_adjacency': {ARRAY}, 'module_operations': {VERTICES}, 'trainable_parameters': 2694282}}",
    f"best after 90: {{'module_adjacency': {ARRAY}, 'module_operations': {VERTICES}}} 0.94",
    f"({ARRAY}, {VERTICES})\n",
]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_comes_back_as_it_was_and_with_what_moved(text: str) -> None:
    assert ADAPTER.recognises(text)
    network = read(text)
    assert network == read(FORMS[0])
    assert ADAPTER.write(network) == text
    assert from_json(to_json(network)) == network
    (slot,) = [slot for slot in network.slots if network.edge(slot).key == "1"]
    number = network.slots.index(slot)
    pool = next(op for op in network.edge(slot).choices if "maxpool" in str(op))
    moved = network.with_ops([*network.ops[:number], pool, *network.ops[number + 1 :]])
    assert ADAPTER.write(moved) == text.replace("conv3x3-bn-relu", "maxpool3x3", 1)
    assert read(ADAPTER.write(moved)) == moved


def test_an_edge_that_goes_is_a_zero_in_the_matrix() -> None:
    network = read(FORMS[2])
    edges = {edge.key: edge for edge in map(network.edge, network.slots)}
    assert set(edges) == {"1", "2", "3", "2<0", "3<0"}, "those to the output, and those that feed alone, stay"
    moved = network.with_ops([NULL if edge.key == "3<0" else edge.op for edge in edges.values()])
    assert ADAPTER.write(moved) == FORMS[2].replace("[0, 1, 1, 1, 0]", "[0, 1, 1, 0, 0]")
    assert cost(read(ADAPTER.write(moved))) == cost(moved)
    less = cost(network).params - cost(moved).params
    assert less == sum(c_in * c_out + 2 * c_out for c_in, c_out in ((8, 4), (8, 8), (16, 16)))


@st.composite
def specs(draw: st.DrawFn, most: int = 7) -> tuple[tuple[tuple[int, ...], ...], list[str]]:
    count = draw(st.integers(2, most))
    bits = draw(st.lists(st.integers(0, 1), min_size=count * count, max_size=count * count))
    matrix = tuple(tuple(bits[row * count + at] if at > row else 0 for at in range(count)) for row in range(count))
    assume(alive(matrix))
    inner = draw(st.lists(st.sampled_from(sorted(KERNELS)), min_size=count - 2, max_size=count - 2))
    return matrix, ["input", *inner, "output"]


@given(specs(), st.sampled_from(["nat", "nat++"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_moved_cells_are_written_and_read_back(spec: tuple, rule: str, seed: int) -> None:  # type: ignore[type-arg]
    text = f"a = 1; spec = ModelSpec(matrix={list(map(list, spec[0]))}, ops={spec[1]})  # x"
    network = read(text)
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule(rule), Budget.parse({"params": "1.0x"}).resolve(network))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    written = write_back(ADAPTER, moves, moved, SMALL)
    assert (key(read(written)), cost(read(written))) == (key(moved), cost(moved))
    assert written.startswith("a = 1; spec = ModelSpec(")
    assert written.endswith(")  # x")


@given(specs())
@settings(max_examples=25)
def test_costs_are_those_of_the_module(spec: tuple) -> None:  # type: ignore[type-arg]
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import count

    size = NetworkSize(channels=6, cells=3, input=(3, 9, 7), classes=5)
    network = read(spelled(*spec), size)
    with torch.device("meta"):
        module = ADAPTER.module(network)
    assert count(module, network.input) == cost(network)


def test_a_moved_network_is_built_and_learns_from_all_of_its_weights() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import count

    network = read(INCEPTION)
    moves = Moves(network, find_rule("nat++"))
    moved = moves.apply(moves.sample(np.random.default_rng(0)))
    module = ADAPTER.module(moved)
    assert count(module, moved.input) == cost(moved)
    module(torch.randn(2, *moved.input)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_channels_are_those_of_the_authors() -> None:
    """NNI ported their function."""
    module = pytest.importorskip("nni.nas.hub.pytorch.modules.nasbench101")
    generator = np.random.default_rng(0)
    for _ in range(200):
        count = int(generator.integers(3, 8))
        matrix = np.triu(generator.integers(0, 2, (count, count)), 1)
        kept = alive(tuple(map(tuple, matrix)))
        if len(kept) == count and matrix[1:, -1].any():
            wanted = module.compute_vertex_channels(128, 256, matrix)
            assert vertex_channels(128, 256, tuple(map(tuple, matrix))) == tuple(map(int, wanted))


def test_vertices_that_lead_nowhere_are_not_built() -> None:
    text = spelled(((0, 1, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0)), [*VERTICES[:3], "output"])
    assert cost(read(text)) == cost(read(spelled(((0, 1, 0), (0, 0, 1), (0, 0, 0)), [*VERTICES[:2], "output"])))
    assert ADAPTER.write(read(text)) == text


def fails(text: str, size: NetworkSize | None = None) -> str:
    with pytest.raises(NATError) as caught:
        read(text, size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no matrix of NAS-Bench-101"),
        ("ModelSpec(matrix=[[0]], ops=['input'])", "matrix: expected 2 to 7 rows"),
        (repr(([[0] * 8] * 8, VERTICES)), "matrix: expected 2 to 7 rows"),
        ("ModelSpec(matrix=[[0, 1], [0]], ops=['input', 'output'])", "matrix row 1: expected 2 numbers"),
        ("ModelSpec(matrix=[[0, 2], [0, 0]], ops=['input', 'output'])", "matrix row 0: an edge is 0 or 1, not 2"),
        ("ModelSpec(matrix=[[0, 1], [1, 0]], ops=['input', 'output'])", "row 1: an edge leads to vertex 0"),
        ("ModelSpec(matrix=[[0, 0], [0, 0]], ops=['input', 'output'])", "no edges lead from the input to the output"),
        ("ModelSpec(matrix=[[0, 1], [0, 0]], ops=['output'])", "ops: expected 2 names"),
        ("ModelSpec(matrix=[[0, 1], [0, 0]], ops=['output', 'input'])", "ops, vertex 0: 'output' is not known"),
        (FORMS[0].replace("maxpool3x3", "avgpool"), "ops, vertex 3: 'avgpool' is not known; allowed: conv3x3-bn-relu"),
        ("ModelSpec(matrix=[[0, 1], [0, 0]])", "a cell of NAS-Bench-101 is ModelSpec("),
        (f"{FORMS[0]}\n{FORMS[0]}", "several cells"),
        ("ModelSpec(matrix=[[" + "0," * 60_000, "has 120,019 characters"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    assert message in fails(text)


def test_sizes_that_cannot_be() -> None:
    assert "the same number in each of its 3 stacks, up to 27; not 4" in fails(FORMS[0], NetworkSize(cells=4))
    assert "not 30" in fails(FORMS[0], NetworkSize(cells=30))


@given(damaged(st.sampled_from(FORMS)))
@settings(max_examples=120)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    check_one_line_or_the_same_text(ADAPTER, text, SMALL)


def test_networks_of_other_formats_are_refused() -> None:
    other = NB201Adapter()
    with pytest.raises(NATError, match="can only be written for a network that was read from one"):
        ADAPTER.write(other.read(other.published()["NB201_ResNet"].text, NetworkSize()))
    network = read(FORMS[0])
    cell = network.by_name["cell"]
    strange = network.with_cells([("cell", cell.with_ops({1: Op.parse("conv_3x3")}))])
    with pytest.raises(NATError, match="cannot represent 'conv_3x3' at vertex 1"):
        ADAPTER.write(strange)
    assert key(canonical(network)) == key(network)
