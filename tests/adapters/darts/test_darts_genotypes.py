"""Genotypes come back as they were; what a network is, and what it costs, is what was published."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import DartsAdapter

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Network, NetworkSize, Op, canonical, cost, from_json, key, to_json
from tests.adapters.damage import check_any
from tests.networks import published

ADAPTER = DartsAdapter()
STOCK = ("skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
WIDE = (*STOCK, "conv_1x1", "conv_3x3", "conv_5x5", "max_pool_5x5", "avg_pool_5x5", "conv_1x3_3x1", "sep_conv_7x7")

COUNTS = {  # parameters, MACs at 36 channels and 20 cells, counted on the built networks
    "NASNet": (3.831, 603.5),
    "AmoebaNet": (3.145, 488.9),
    "DARTS_V1": (3.169, 501.0),
    "DARTS_V2": (3.349, 528.4),
    "NAT_DARTS": (2.682, 424.2),
    "NATv2_DARTS": (2.476, 394.2),
    "ENAS": (3.860, 605.7),
    "NAT_ENAS": (3.860, 605.7),
    "NATv2_ENAS": (3.691, 580.8),
    "PC_DARTS_cifar": (3.635, 556.7),
    "PDARTS": (3.434, 532.2),
    "FairDARTS_b": (3.408, 536.5),
    "GDAS_V1": (3.369, 519.4),
    "SNAS": (2.661, 422.2),
}


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or NetworkSize())


def fails(text: str) -> str:
    with pytest.raises(NATError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def genotype(normal: object, concat: object = (2,), reduce: object = (("skip_connect", 0), ("skip_connect", 1))) -> str:
    return f"Genotype(normal={normal!r}, normal_concat={concat!r}, reduce={reduce!r}, reduce_concat=[2])"


@pytest.mark.parametrize("name", ADAPTER.published())
def test_published_genotypes_round_trip(name: str) -> None:
    published = ADAPTER.published()[name]
    assert ADAPTER.recognises(published.text)
    network = read(published.text)
    assert ADAPTER.write(network) == published.text
    assert from_json(to_json(network)) == network
    assert len(published.origin.split()) == 3  # repository, commit, path
    written = ADAPTER.write(canonical(network))
    assert key(read(written)) == key(network)
    assert cost(read(written)) == cost(network)


@pytest.mark.parametrize("name", COUNTS)
def test_published_genotypes_cost_what_they_should(name: str) -> None:
    counted = cost(read(ADAPTER.published()[name].text))
    assert (round(counted.params / 1e6, 3), round(counted.macs / 1e6, 1)) == COUNTS[name]


def test_costs_are_those_of_the_built_network() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    for name in ("DARTS_V2", "NAT_R3", "FairDARTS_a", "AmoebaNet"):
        network = read(ADAPTER.published()[name].text, NetworkSize(channels=8, cells=6))
        with torch.device("meta"):
            module = build(canonical(network))
        assert count(module, network.input) == cost(network)


def test_the_same_cell_in_every_form_is_the_same_network() -> None:
    reference = read(ADAPTER.published()["DARTS_V2"].text)
    assert key(read(ADAPTER.published()["DARTS"].text)) == key(reference)  # NAT's triples
    fair: dict[str, list[object]] = {}
    pairs: dict[str, list[object]] = {}
    for name, cell in reference.cells:
        named = [(str(edge.op).replace("skip", "skip_connect"), edge) for edge in cell.edges]
        fair[name] = [(op, edge.target, edge.source) for op, edge in named]
        pairs[name] = [(op, edge.source) for op, edge in named]
        fair[f"{name}_concat"] = pairs[f"{name}_concat"] = list(cell.output)
    nested = {
        field: value if "_" in field else [value[i : i + 2] for i in range(0, 8, 2)] for field, value in pairs.items()
    }
    fields = ", ".join(f"{field}={value!r}" for field, value in fair.items())
    for text in (
        f"Genotype({fields})",
        json.dumps(pairs),
        json.dumps(pairs, indent=2),
        repr(pairs),
        repr(nested),
        json.dumps(nested),
        f"gt.Genotype({', '.join(map(repr, pairs.values()))})",
        f"DARTS = Genotype({fields})",
        f"import x\n# y\nA = Genotype({fields})\nB = 1\n",
    ):
        network = read(text)
        assert key(network) == key(reference)
        written = ADAPTER.write(network)
        assert read(written) == network
        assert ADAPTER.write(read(written)) == written
        if "\n" not in text:
            assert written == text


def test_named_genotypes_round_trip_as_triples_and_as_pairs() -> None:
    for name, cell in published().items():
        fields = ("normal", "normal_concat", "reduce", "reduce_concat")
        triples = {f: cell[f] for f in fields}
        texts = [f"Genotype({', '.join(f'{f}={v!r}' for f, v in triples.items())})", json.dumps(triples)]
        used = {entry[0] for f in ("normal", "reduce") for entry in cell[f]}
        two_each = all(
            [e[2] for e in cell[f]] == [2 + at // 2 for at in range(len(cell[f]))] for f in ("normal", "reduce")
        )
        if two_each and used <= {*STOCK, "sep_conv_7x7", "conv_7x1_1x7", "null"}:
            named = {"null": "none"}
            pairs = {f: [(named.get(e[0], e[0]), e[1]) for e in v] if "_" not in f else v for f, v in triples.items()}
            texts += [f"Genotype({', '.join(f'{f}={v!r}' for f, v in pairs.items())})", json.dumps(pairs)]
        networks = [read(text) for text in texts]
        assert [ADAPTER.write(network) for network in networks] == texts, name
        assert {key(network) for network in networks} == {key(networks[0])}


def test_the_214_random_cells_round_trip(shared_data: Path) -> None:
    rows = list(csv.DictReader(gzip.decompress((shared_data / "darts214.csv.gz").read_bytes()).decode().splitlines()))
    assert len(rows) == 214
    for row in rows:
        fields = {}
        for name in ("normal", "reduce"):
            entries = [entry.split("<") for node in row[name].split("|") for entry in node.split(";")]
            fields[name] = [(op, int(source)) for op, source in entries]
        normal, reduce = fields["normal"], fields["reduce"]
        text = f"Genotype(normal={normal}, normal_concat=range(2, 6), reduce={reduce}, reduce_concat=range(2, 6))"
        assert ADAPTER.write(read(text)) == text


@st.composite
def genotypes(draw: st.DrawFn) -> tuple[str, str]:
    """A form, and a genotype in it."""
    form = draw(st.sampled_from(["pairs", "triples", "fair", "nested"]))
    ops = st.sampled_from((*WIDE, "null") if form == "triples" else (*STOCK, "none"))
    parts = []
    for name in ("normal", "reduce"):
        nodes = draw(st.integers(1, 5))
        entries = []
        for node in range(2, 2 + nodes):
            many = 2 if form == "pairs" else draw(st.integers(1, 3))
            entries.append([(draw(ops), draw(st.integers(0, node - 1)), node) for _ in range(many)])
        entries[-1][0] = ("skip_connect", 0, nodes + 1)
        flat = [entry for node in entries for entry in node]
        value = {
            "pairs": [entry[:2] for entry in flat],
            "triples": draw(st.permutations(flat)),
            "fair": [(op, node, source) for op, source, node in flat],
            "nested": [tuple(entry[:2] for entry in node) for node in entries],
        }[form]
        concat = [*draw(st.sets(st.integers(2, nodes + 1), max_size=nodes)) - {nodes + 1}, nodes + 1]
        parts.append(f"{name}={value!r}, {name}_concat={draw(st.sampled_from([concat, tuple(concat)]))!r}")
    return form, f"Genotype({', '.join(parts)})"


@given(genotypes(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_random_genotypes_round_trip_and_so_do_their_transformations(made: tuple[str, str], random: object) -> None:
    form, text = made
    size = NetworkSize(channels=4, cells=3)
    network = read(text, size)
    assert ADAPTER.write(network) == text
    ops = [random.choice([edge.op, NULL, Op("skip")]) for edge in map(network.edge, network.slots)]  # type: ignore[attr-defined]
    moved = network.with_ops(ops)
    try:
        whole = canonical(moved)
    except NATError:
        return
    again = read(ADAPTER.write(whole), size)
    assert key(again) == key(moved)
    assert cost(again) == cost(moved)
    if form != "fair" or "none" in text:  # FairDARTS leaves missing edges out
        assert again.ops == whole.ops
        assert [edge.key for edge in map(again.edge, again.slots)] == [
            edge.key for edge in map(whole.edge, whole.slots)
        ]


@given(st.text(max_size=80) | st.text("Genotype(normal=[('null', 0)])_concreduce{}\"", max_size=120))
def test_random_text_raises_nothing_but_one_line(text: str) -> None:
    ADAPTER.recognises(text)
    check_any(ADAPTER, text)


def test_what_edges_may_become() -> None:
    stock = read(ADAPTER.published()["DARTS_V2"].text)
    assert {str(op) for op in stock.edge(stock.slots[0]).choices} == {"null", "skip", *STOCK[1:]}
    large = read(ADAPTER.published()["AmoebaNet"].text)
    extra = {str(op) for op in large.edge(large.slots[0]).choices} - {"null", "skip", *STOCK[1:]}
    assert extra == {"sep_conv_7x7", "conv_7x1_1x7"}
    wide = read(ADAPTER.published()["NAT_DARTS"].text)
    assert "conv_5x5" in map(str, wide.edge(wide.slots[0]).choices)
    pools = read(ADAPTER.published()["NAONet"].text)
    strided = {pools.edge(slot).source < 2 and slot.cell == "reduce" for slot in pools.slots}
    assert strided == {True, False}
    for slot in pools.slots:
        halves = slot.cell == "reduce" and pools.edge(slot).source < 2
        assert ("avg_pool_2x2" in map(str, pools.edge(slot).choices)) == halves  # 2x2 without padding needs stride 2
    assert [pools.edge(slot).key for slot in pools.slots[:2]] == ["normal/0", "normal/1"]


def test_a_node_without_inputs_leaves_the_concat() -> None:
    network = read(ADAPTER.published()["PC_DARTS_cifar"].text)
    null = {"normal/2", "normal/3", "reduce/6", "reduce/7"}
    moved = network.with_ops([NULL if e.key in null else e.op for e in map(network.edge, network.slots)])
    written = ADAPTER.write(canonical(moved))
    assert "('none', 0), ('none', 1), ('sep_conv_5x5', 0)" in written
    assert "normal_concat=[2, 4, 5]" in written
    assert "reduce_concat=range(2, 5)" in written
    assert cost(read(written)) == cost(moved)
    assert ADAPTER.write(network.with_ops(network.ops)) == ADAPTER.published()["PC_DARTS_cifar"].text


def test_fair_darts_leaves_missing_edges_out() -> None:
    text = ADAPTER.published()["FairDARTS_a"].text
    network = read(text)
    assert [edge.target for edge in network.by_name["normal"].edges] == [2, 2, 4, 5]
    first = network.with_ops([NULL if e.key == "normal/0" else e.op for e in map(network.edge, network.slots)])
    assert ADAPTER.write(first) == text.replace("('sep_conv_3x3', 2, 0), ", "", 1)


def test_pairs_that_could_be_miscounted_become_triples() -> None:
    one_each = genotype([("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_5x5", 2)], [2, 3, 4])
    network = read(one_each)
    assert [edge.target for edge in network.by_name["normal"].edges] == [2, 3, 4]
    moved = canonical(network.with_ops([NULL, *network.ops[1:]]))
    assert ADAPTER.write(moved) == one_each.replace("('sep_conv_3x3', 0)", "('none', 0)").replace(
        "('sep_conv_5x5', 2)", "('none', 2)"
    ).replace("[2, 3, 4]", "[3]").replace("('none', 0)", "('none', 0, 2)").replace(
        "('sep_conv_3x3', 1)", "('sep_conv_3x3', 1, 3)"
    ).replace("('none', 2)", "('none', 2, 4)").replace(
        "(('skip_connect', 0), ('skip_connect', 1))", "[('skip_connect', 0, 2), ('skip_connect', 1, 2)]"
    )


def test_a_network_from_elsewhere_is_written_as_pairs_or_triples() -> None:
    network = from_json(to_json(read(ADAPTER.published()["DARTS_V2"].text)).replace('"darts"', '"x"'))
    assert ADAPTER.write(network) == ADAPTER.published()["DARTS_V2"].text
    network = from_json(to_json(read(ADAPTER.published()["ResBlock"].text)).replace('"darts"', '"x"'))
    assert ADAPTER.write(network) == ADAPTER.published()["ResBlock"].text
    other = network.with_cells([("normal", network.by_name["reduce"])])
    with pytest.raises(NATError, match="no plain cell 'normal'"):
        ADAPTER.write(other)


S, N = "sep_conv_3x3", "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("Genotype()", "has no field 'normal'"),
        ("Genotype(1, 2, 3, 4, 5)", "takes 4 fields, not 5"),
        ("Genotype([], normal=[])", "given by position and by name"),
        ("System(normal=[])", "expected Genotype(...), not a call of 'System'"),
        ("[1]", "not a list"),
        ('{"normal": [NaN]}', "NaN is not a number that JSON allows"),
        ('{"normal": [], "normal": []}', "a key is duplicated"),
        ('{"normal": [' + "[" * 100_000, "nested too deeply"),
        ('{"a": 1}', "unknown field 'a'"),
        ("a = 1", "assigns nothing that looks like"),
        ("a = Genotype([1])\nb = Genotype([2])", "has 2 architectures, name one: a, b"),
        (genotype([(S, 0), (S, 1)]).replace("reduce=", "up=1, reduce="), "unknown field 'up' in the genotype"),
        (genotype([]), "normal is empty"),
        (genotype([(S, 0), (S, 1)], []), "normal_concat is empty"),
        (genotype([(S, 0), ("warp", 1)]), "normal entry 1: unknown op 'warp'; allowed: none, null, skip_connect"),
        (genotype([(S, 0), (1, 1)]), "normal entry 1: unknown op 1"),
        (genotype([(S, 0), S]), "normal entry 1: expected"),
        (genotype([(S, 0), (S, 1.5)]), "normal entry 1: 1.5 is not the number of a node"),
        (genotype([(S, 0), (S, True)]), "normal entry 1: True is not the number of a node"),
        (genotype([(S, 0), (S, -1)]), "normal entry 1: node 2 cannot read node -1"),
        (genotype([(S, 0), (S, 2)]), "normal entry 1: node 2 cannot read node 2; it has 0 to 1 before it"),
        (genotype([(S, 0, 2), (S, 3, 3)]), "normal entry 1: node 3 cannot read node 3"),
        (genotype([(S, 0, 2), (S, 1, 3), (S, 4, 3)]), "normal entry 2: node 3 cannot read node 4"),
        (genotype([(S, 0, 1), (S, 0, 2)]), "normal entry 0: node 1 is not one of the inner nodes"),
        (genotype([(S, 0, 2), (S, 0, 2000)]), "normal entry 1: node 2000 is not one of the inner nodes"),
        (genotype([(S, 0, 2), (S, 0)]), "normal entry 1: pairs and triples are mixed"),
        (genotype([(S, 0), (S, 1)], [2, 2]), "normal_concat item 1: node 2 is listed twice"),
        (genotype([(S, 0), (S, 1)], [1]), "normal_concat item 0: node 1 is not one of the inner nodes"),
        (genotype([(S, 0), (S, 1)], ["2"]), "normal_concat item 0: '2' is not the number of a node"),
        (genotype([(S, 0), (S, 1)], range(2, 2000)), "normal_concat item 64: node 66 is not one of the inner nodes"),
        (genotype([(S, 0), (S, 1)], 7), "normal_concat: expected a list of nodes"),
        (genotype([(S, 0), (S, 1), (S, 0)], [2, 3]), "3 entries are neither two for each node nor the same number"),
        (genotype([(S, 0)] * 8, [2, 3]), "8 entries can be two for each of 4 nodes or 4 for each of the 2 nodes"),
        (genotype([[(S, 0)], [(S, 1, 2)]], [3]), "within a node's own list expected (op, source)"),
        (genotype([[(S, 0)], []], [4]), "normal lists 2 nodes, but normal_concat names node 4"),
        (genotype([[], []], [3]), "normal has no entries"),
        (genotype([[]] * 65, [3]), "normal has 65 nodes; at most 64"),
        (genotype([(S, 0)] * 2000, [3]), "normal has 2,000 entries; at most 1,024"),
        (genotype([(N, 0), (N, 1)]), "normal: no operation leads from an input of the cell to a node of normal_concat"),
        (genotype([(N, 0, 2), (S, 1, 2)], [2], [("null", 0, 2), (S, 1, 2)]), "writes both 'none' and 'null'"),
        (genotype([(S, 0, 2)], [2], [(S, 2, 0)]), "write one order in both"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    assert message in fails(text)


def test_the_size_is_kept() -> None:
    network = read(ADAPTER.published()["DARTS_V2"].text, NetworkSize(channels=16, cells=8, classes=100))
    assert (len(network.placements), network.placements[0].channels, network.head.classes) == (8, 16, 100)
    assert len(read(ADAPTER.published()["DARTS_V2"].text).placements) == 20


def test_ambiguity_with_other_formats() -> None:
    network = read(ADAPTER.published()["DARTS_V2"].text)
    assert not ADAPTER.recognises(to_json(network))  # its payload holds the genotype
    assert ADAPTER.recognises(' {"normal": [], "reduce": []}')
    assert not ADAPTER.recognises("0 1 0 1")
