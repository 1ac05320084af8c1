"""Genotypes as people have them: in logs, in quotes, with the fields and members that descendants of DARTS added."""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import DartsAdapter

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Cost, Moves, Network, NetworkSize, canonical, cost, find_rule, same
from tests.adapters.damage import check_one_line_or_the_same_text, damaged

ADAPTER = DartsAdapter()
V2 = ADAPTER.published()["DARTS_V2"].text
SMALL = NetworkSize(channels=4, cells=3)
OPS = ("skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
LIST = "[2, 3, 4, 5]"


def read(text: str, size: NetworkSize = SMALL) -> Network:
    return ADAPTER.read(text, size)


def with_members(text: str, member: str) -> str:
    """Every entry with one more member."""
    return re.sub(r"', (\d+)\)", rf"', \1, {member})", text)


def as_dict(text: str) -> str:
    """A call as a dict in one line."""
    fields = re.sub(r"\b(normal|normal_concat|reduce|reduce_concat)=", r"'\1': ", text.removeprefix("Genotype("))
    return f"{{{fields[:-1]}}}"


WEIGHED = {
    "normal": [["sep_conv_3x3", 0, 0.5], ["skip_connect", 1, 1.0]],
    "normal_concat": [2],
    "reduce": [["max_pool_3x3", 0, 1e-3], ["skip_connect", 1, 0.0]],
    "reduce_concat": [2],
}
FORMS = {
    "a line of a search log": f"2019-05-03 12:00:01,123 genotype = {V2}",
    "a line of a search log, with a time of twelve hours": f"05/03 12:00:01 PM genotype = {V2}\n",
    "a logger's name before it": f"INFO:root:{V2} [0.3]\n",
    "in quotes": f"'{V2}'".replace("'", '"', 1)[:-1] + '"',
    "a string of JSON": json.dumps(V2),
    "a string within YAML": f"arch: \"{V2}\"\nepoch: 3\n",
    "an object of JSON that holds one": json.dumps({"epoch": 49, "genotype": V2, "best": True}),
    "JSON in JSON": f'{{"epoch": 49, "arch": {json.dumps(WEIGHED)}, "best": true}}',
    "a dict in a log": f"<<<--->>> The 3-th epoch : {as_dict(V2)}\n",
    "a file with comments": f"# found with seed 2\nimport os\n\nDARTS = {V2}  # 97.24 %\nLAST = DARTS\n",
    "a file with lines of Windows": f"DARTS = {V2}\r\n".replace("), (", "),\r\n    ("),
    "a comment in the list": V2.replace("('sep_conv_3x3', 1), ", "('sep_conv_3x3', 1),  # node 2 (\n   ", 1),
    "a byte order mark": f"\ufeff{V2}\n",
    "the fields of GDAS": f"{V2[:-1]}, connectN=None, connects=None)",
    "the field of sharpDARTS": f"{V2[:-1]}, layout='cell')",
    "fields for a bottleneck that is not there": f"{V2[:-1]}, normal_bottleneck='', reduce_bottleneck='')",
    "weights": with_members(V2, "0.13017432391643524"),
    "weights of NumPy": with_members(V2, "np.float32(0.25)"),
    "weights in JSON": json.dumps(WEIGHED),
    "weights in lists for each node": re.sub(r"\((\('.*?\)), (\('.*?\))\)", r"(\1, \2)", with_members(V2, "1e-3")),
    "room for an attention that is not there": with_members(V2, "''"),
    "NumPy numbers": re.sub(r"', (\d)\)", r"', np.int64(\1))", V2).replace(
        LIST, "[np.int64(2), np.int64(3), numpy.int64(4), 5]"
    ),
    "a list of a range": V2.replace(LIST, "list(range(2, 6))"),
    "a tuple of a range": V2.replace(LIST, "tuple(range(2, 6))"),
    "an array": V2.replace(LIST, "array([2, 3, 4, 5])"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_what_stands_around_what_moved_stays_to_the_letter(name: str) -> None:
    text = FORMS[name]
    assert ADAPTER.recognises(text)
    network = read(text)
    assert ADAPTER.write(network) == text
    first = network.with_ops([SKIP, *network.ops[1:]])
    written = ADAPTER.write(first)
    assert written == re.sub(r"\bsep_conv_3x3\b", "skip_connect", text, count=1)
    assert same(read(written), first)


@pytest.mark.parametrize("name", [name for name in FORMS if "JSON in" not in name and "in JSON" not in name])
def test_they_are_the_network_of_the_plain_genotype(name: str) -> None:
    assert same(read(FORMS[name]), read(V2))


@pytest.mark.parametrize(
    ("concat", "left"),
    [
        (LIST, "[3, 5]"),
        ("(2, 3, 4, 5)", "(3, 5)"),
        ("[2,  3,4 , 5,]", "[3 , 5,]"),
        ("[np.int64(2), np.int64(3), np.int64(4), np.int64(5)]", "[np.int64(3), np.int64(5)]"),
        ("range(2, 6)", "[3, 5]"),
        ("list(range(2, 6))", "[3, 5]"),
        ("tuple(range(2, 6))", "(3, 5)"),
    ],
)
def test_nodes_leave_the_concat_in_its_own_form(concat: str, left: str) -> None:
    text = V2.replace(LIST, concat)
    network = read(text)
    gone = {"normal/0", "normal/1", "normal/4", "normal/5"}
    ops = [NULL if network.edge(slot).key in gone else network.edge(slot).op for slot in network.slots]
    moved = canonical(network.with_ops(ops))
    written = ADAPTER.write(moved)
    assert f"normal_concat={left}, " in written
    assert same(read(written), moved)


def test_a_range_stays_one_while_it_can() -> None:
    network = read(V2.replace(LIST, "list(range(2, 6))"))
    moved = canonical(network.with_ops([NULL, NULL, *network.ops[2:]]))
    assert "normal_concat=list(range(3, 6)), " in ADAPTER.write(moved)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A genotype in any form, with something around it."""
    member = draw(st.sampled_from(["", ", 0.25", ", ''", ", np.float64(0.5)"]))
    number = draw(st.sampled_from(["{}", "np.int64({})"]))
    nested, quote = draw(st.booleans()), draw(st.sampled_from("'\""))
    fields = []
    for name in ("normal", "reduce"):
        nodes = draw(st.integers(1, 4))
        entries: list[list[str]] = []
        for node in range(2, 2 + nodes):
            pairs = [(draw(st.sampled_from(OPS)), draw(st.integers(0, node - 1))) for _ in range(2)]
            entries.append([f"({quote}{op}{quote}, {number.format(source)}{member})" for op, source in pairs])
        flat = ", ".join(entry for pair in entries for entry in pair)
        grouped = ", ".join(f"[{', '.join(pair)}]" for pair in entries)
        concat = draw(st.sampled_from(["list(range(2, {}))", "range(2, {})", "[*]", "(*,)"])).format(nodes + 2)
        listed = ", ".join(number.format(node) for node in range(2, nodes + 2))
        fields += [f"{name}=[{grouped if nested else flat}]", f"{name}_concat={concat.replace('*', listed)}"]
    extra = draw(st.sampled_from(["", ", connectN=None, connects=None", ", layout='cell'"]))
    before = draw(st.sampled_from(["", "genotype = ", "2020-01-01 11:12:13,456 | arch: ", "INFO it's (best) = ", "é"]))
    after = draw(st.sampled_from(["", "\n", " # kept", "\nvalid acc 0.97\n", "'"]))
    return f"{before if before != 'é' else 'é: '}Genotype({', '.join(fields)}{extra}){after}"


@given(texts(), st.sampled_from(["nat", "nat++"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_any_form_comes_back_to_the_letter_and_moved_with_what_is_around_it(text: str, rule: str, seed: int) -> None:
    network = read(text)
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule(rule))
    moved = canonical(moves.apply(moves.sample(np.random.default_rng(seed))))
    written = ADAPTER.write(moved)
    assert same(read(written), moved)
    assert cost(read(written)) == cost(moved)
    first, last = text.index("Genotype"), text.rindex(")") + 1
    assert written.startswith(text[:first])
    assert written.endswith(text[last:])


@given(damaged(texts()))
@settings(max_examples=200)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    check_one_line_or_the_same_text(ADAPTER, text, SMALL)


def test_triples_and_weights_are_told_apart() -> None:
    triples = "[('sep_conv_3x3', 0, 2), ('sep_conv_3x3', 1, 2)]"
    weights = triples.replace(", 2)", ", 2.0)")
    pairs = re.sub(r", 2\)", ")", triples)
    form = "Genotype(normal={}, normal_concat=[2], reduce={}, reduce_concat=[2])"
    assert same(read(form.format(weights, weights)), read(form.format(pairs, pairs)))
    assert read(form.format(triples, triples)).by_name["normal"].edges[0].target == 2
    wide = {str(op) for op in read(form.format(triples, triples)).by_name["normal"].edges[0].choices}
    assert "conv_1x1" in wide, "triples are NAT's dialect"
    stock = {str(op) for op in read(form.format(weights, weights)).by_name["normal"].edges[0].choices}
    assert "conv_1x1" not in stock
    mixed = weights.replace("1, 2.0", "1, 2")
    with pytest.raises(NATError, match="normal entry 1: pairs and triples are mixed"):
        read(form.format(mixed, pairs))


def fails(text: str) -> str:
    with pytest.raises(NATError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CELL = "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], normal_concat=[2]"
BOTH = f"{CELL}, {CELL.replace('normal', 'reduce')}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"Genotype({CELL})", "has no field 'reduce': it is of one cell"),
        (f"Genotype({CELL.replace('normal', 'reduce')})", "has no field 'normal': it is of one cell"),
        ("Genotype(recurrent=[('tanh', 0)], concat=range(1, 9))", "the cell of a recurrent network"),
        (f"Genotype({BOTH}, connectN=3, connects=None)", "field 'connectN' is 3; only None is read"),
        (f"Genotype({BOTH}, layout='raw_weights')", "field 'layout' is 'raw_weights'; only 'cell' is read"),
        (f"Genotype({BOTH}, normal_bottleneck='SE')", "field 'normal_bottleneck' is 'SE'; only None or '' is read"),
        (f"Genotype({BOTH}, up=[1])", "unknown field 'up'"),
        (f"Genotype({BOTH.replace(', 0)', ', 0, chr(83))')})".replace("chr(83)", "'SE'"), "is a second operation"),
        (
            f"Genotype({BOTH.replace('sep_conv_3x3', 'shuffle_conv_5x5')})",
            "a plugin can add it with its layers (docs/how-to/own-op.md",
        ),
        (f"Genotype({BOTH}", "never closed"),
        (f"1: Genotype({BOTH})\n\n3: Genotype({BOTH})\n", "the text has 2 genotypes, on lines 1, 3; give one of these"),
        (f"Genotype({BOTH})\n" * 200, "the text has more than 100 genotypes, on lines 1, 2,"),
        (f"genotype = Genotype(normal=gene, normal_concat=concat)\nx = {'(1)'}", "a name is not allowed"),
    ],
)
def test_what_is_another_thing_is_said_to_be_that(text: str, message: str) -> None:
    assert message in fails(text)


def test_code_around_the_one_literal_is_passed_over() -> None:
    code = "def genotype(self):\n    return Genotype(normal=self.a[0], normal_concat=c)\n"
    text = f"{code}FOUND = {V2}\n"
    assert ADAPTER.write(read(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(" * 100_000,
        "genotype" * 120_000,
        "genotype " * 100_000,
        "genotype(" + "'\\" * 200_000,
        "{'normal':" * 90_000,
        "Genotype(normal=[1])\n" * 40_000,
        "Genotype(normal=" + "[" * 90_000,
        "Genotype(normal=" + "('a', 0, " * 40_000,
        "Genotype(normal=list(range(9999)))",
        "Genotype(normal=[" + "list(range(100))," * 12_000 + "])",
    ],
    ids=lambda text: text[:24],
)
def test_hostile_text_is_refused_quickly(text: str) -> None:
    began = time.process_time()
    ADAPTER.recognises(text)
    assert len(fails(text)) < 700
    assert time.process_time() - began < 6


def test_images_of_imagenet_stand_in_the_network_in_which_its_cells_are_trained() -> None:
    """The parameters are those that the log of DARTS prints, 4.718752 M."""
    large = NetworkSize(input=(3, 224, 224), classes=1000)
    network = read(V2, large)
    assert (len(network.placements), network.placements[0].channels) == (14, 48)
    assert cost(network) == Cost(4_718_752, 529_911_552)
    image = read(ADAPTER.published()["PC_DARTS_image"].text, large)
    assert round(cost(image).macs / 1e6) == 582
    assert len(read(V2, NetworkSize(cells=8, input=(3, 224, 224))).placements) == 8
    assert len(read(V2, NetworkSize()).placements) == 20
