"""Pictures of cells: well-formed, nothing on top of anything else, changes marked by more than a colour."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, assume, given, settings

import nat_plugin as api
from nat_plugin.ir import NULL, SKIP, Network, canonical, is_connected
from nat_plugin.picture.dot import network_dot
from nat_plugin.picture.placing import Item, NodeItem, OpItem, place
from nat_plugin.picture.svg import network_svg
from tests.command_line import Nat
from tests.networks import genotype_network, networks

NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(network: Network, before: Network | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(network_svg(network, before))


def overlap(first: Item, second: Item) -> bool:
    return (
        abs(first.x - second.x) < (first.width + second.width) / 2 - 0.01
        and abs(first.y - second.y) < (first.height + second.height) / 2 - 0.01
    )


@given(networks(most_nodes=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_nothing_of_any_cell_lies_on_anything_else(network: Network) -> None:
    assume(is_connected(network))
    for _, cell in canonical(network).cells:
        placed = place(cell)
        for first, second in combinations(placed.items, 2):
            assert not overlap(first, second)
        for item in placed.items:
            assert item.y - item.height / 2 >= 0
            assert item.y + item.height / 2 <= placed.height + 0.01
            assert item.x + item.width / 2 <= placed.width + 0.01
            assert all(each.column < item.column for each in item.before)
        shown = [item.edge for item in placed.items if isinstance(item, OpItem)]
        assert shown == [number for number, edge in enumerate(cell.edges) if not edge.op.is_null]
    assert drawn(network).tag == f"{NAMESPACE}svg"


def test_a_genotype_shows_its_nodes_ops_and_costs() -> None:
    network = genotype_network("DARTS_V2")
    names = [item.name for item in place(network.by_name["normal"]).items if isinstance(item, NodeItem)]
    assert names == ["in0", "in1", "2", "3", "4", "5", "out"]
    root = drawn(network)
    said = [each.text or "" for each in root.iter(f"{NAMESPACE}title")]
    assert len(said) == 16
    assert said[0].startswith("in0 to 2: sep_conv_3x3; ")
    assert said[0].endswith(" MACs in all its places")
    assert root.get("aria-label") == "2 cells of a network"
    assert not [each for each in root.iter() if "changed" in (each.get("class") or "")]


def test_what_was_changed_is_struck_through_and_named_anew() -> None:
    before = genotype_network("DARTS_V2")
    after = before.with_ops([SKIP, NULL, *before.ops[2:]])
    root = drawn(after, before)
    changed = [each for each in root.iter(f"{NAMESPACE}g") if each.get("class") == "changed"]
    assert [[line.text for line in each.iter(f"{NAMESPACE}text")] for each in changed] == [
        ["sep_conv_3x3", "→ skip"],
        ["sep_conv_3x3", "→ null"],
    ]
    assert [[line.get("class") for line in each.iter(f"{NAMESPACE}text")] for each in changed] == [["old", "new"]] * 2
    assert [each.get("class") for each in changed[1].iter(f"{NAMESPACE}rect")] == ["gone"]
    assert ", before: sep_conv_3x3; " in (changed[0].find(f"{NAMESPACE}title").text or "")  # type: ignore[union-attr]
    assert root.get("aria-label") == "2 cells of a network; operations changed: 2"


@pytest.mark.parametrize("name", ["<b>&\x00\ud800'\"\\", "x" * 300])
def test_any_name_makes_a_picture(name: str) -> None:
    network = genotype_network("DARTS_V2")
    placements = [replace(each, cell=name) if each.cell == "normal" else each for each in network.placements]
    odd = replace(network, cells=((name, network.cells[0][1]), network.cells[1]), placements=tuple(placements))
    assert drawn(odd).tag == f"{NAMESPACE}svg"
    [label] = [line for line in network_dot(odd).splitlines() if line.startswith("    label=") and "18 times" in line]
    assert re.fullmatch(r'    label="(?:[^"\\]|\\.)+";', label)
    label.encode()


def test_show_writes_the_picture_into_a_file(nat: Nat, tmp_path: Path) -> None:
    shown = nat("show", "DARTS_V2", "--svg", str(tmp_path / "cells.svg"))
    assert shown.out == nat("show", "DARTS_V2").out
    assert (tmp_path / "cells.svg").read_text() == network_svg(api.read("DARTS_V2").network, alone=True)
    nat("show", "DARTS_V2", "--dot", str(tmp_path / "cells.dot"))
    assert (tmp_path / "cells.dot").read_text() == network_dot(api.read("DARTS_V2").network)
    for option in ("--svg", "--dot"):
        refused = nat("show", "-", option, str(tmp_path / "other"), stdin="DARTS_V2\n")
        assert (refused.status, refused.out) == (2, "")
        assert refused.err.startswith(f"nat: {option}: a file holds the drawing of one architecture")
        assert not (tmp_path / "other").exists()
        assert nat("show", "DARTS_V2", option, str(tmp_path / "no" / "cells")).status == 2


LINE = re.compile(
    r'    ("[^"]+") \[label="[^"]+"\];|    ("[^"]+") -> ("[^"]+")(?: \[label="([^"]+)"(?:, style=(bold|dashed))?\])?;'
)


def statements(network: Network, before: Network | None = None) -> tuple[list[str], list[tuple[str, ...]]]:
    """Of Graphviz: the nodes, and the edges with their labels and styles; nothing else stands in a cluster."""
    nodes, edges = [], []
    for line in network_dot(network, before).splitlines():
        if line.startswith("    ") and not line.startswith("    label="):
            found = LINE.fullmatch(line)
            assert found, line
            nodes += [found[1]] if found[1] else []
            edges += [] if found[1] else [tuple(part or "" for part in found.groups()[1:])]
    assert {end for edge in edges for end in edge[:2]} <= set(nodes)
    return nodes, edges


def test_graphviz_gets_every_node_and_live_edge_and_what_was_changed() -> None:
    network = genotype_network("DARTS_V2")
    nodes, edges = statements(network)
    assert len(nodes) == len(set(nodes)) == 14
    assert [edge[2] for edge in edges].count("sep_conv_3x3") == 5
    assert len([edge for edge in edges if edge[1].endswith('/out"')]) == 8
    assert len(edges) == 16 + 8
    normal = network.by_name["normal"]
    after = network.with_cells([("normal", normal.with_ops({0: SKIP, 1: NULL}))])
    changed = [edge for edge in statements(after, network)[1] if edge[3]]
    assert changed == [
        ('"0/in0"', '"0/2"', "sep_conv_3x3 -> skip", "bold"),
        ('"0/in1"', '"0/2"', "sep_conv_3x3 -> null", "dashed"),
    ]


@given(networks(most_nodes=5))
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_graphviz_gets_statements_of_any_network(network: Network) -> None:
    assume(is_connected(network))
    statements(network)
