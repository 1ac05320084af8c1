"""Networks as JSON: there and back, and documents that are broken or hostile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Cell, Edge, Head, Network, Node, Op, Origin, Placement, from_json, to_json
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Norm, Opaque, Pool, SqueezeExcite
from nat_plugin.ir.serial import MAX_BYTES, strict_json
from tests.networks import networks


def example() -> Network:
    """One of everything."""
    op = Op.parse("mbconv_k3_e6_se0.25")
    edges = (Edge(0, 2, op, "blocks.0", (op, SKIP, NULL)), Edge(1, 2, Op.parse("opaque:mine:5,6:7"), 'ключ "2"'))
    cell = Cell(2, (Node(1, 8, True),), edges, (2,), project=True)
    stem = (
        (Conv(3, 4, (3, 3), (2, 2), bias=True), Norm(4), Act("relu6"), Pool("max", 3, 2)),
        (SqueezeExcite(4, 2), Act(), FactorizedReduce(4, 8), Opaque("theirs", (0, 9), 8)),
    )
    head = Head(10, (Conv(8, 16), Norm(16), Act("hardswish")))
    placements = (Placement("a", 8, (0, 1)), Placement("a", 8, (1, 2), level=1))
    return Network((("a", cell),), placements, stem, head, (3, 64, 48), Origin("mine", "2.1", '{"x": "\\u2603"}'))


@given(networks())
@settings(max_examples=50)
def test_there_and_back(network: Network) -> None:
    assert from_json(to_json(network)) == network
    assert from_json(to_json(network, indent=None)) == network


def test_there_and_back_with_everything() -> None:
    network = example()
    back = from_json(to_json(network))
    assert back == network
    assert back.origin == network.origin
    assert hash(back) == hash(network)
    assert json.loads(to_json(network))["schema"] == 1


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(to_json(example()))
    change(document)
    return json.dumps(document)


def put(*path: str | int) -> Callable[[object], str]:
    """The example with another value at a place."""

    def text(value: object) -> str:
        document = json.loads(to_json(example()))
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return json.dumps(document)

    return text


LAYER = put("stem", 0, 0)
EDGE = ("cells", "a", "edges", 0)
CONV = {"layer": "conv", "c_in": 3, "c_out": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (put("schema")(0), "schema version '0' is not a number from 1 to 1"),
        (put("schema")(2), "has schema 2, newer than 1"),
        (put("schema")(10**15), "newer than 1"),
        (put("schema")(10**30), "JSON: schema: a whole number of 100 bits is too large"),
        (put("schema")("1"), "schema version '1' is not a number"),
        (put("schema")(True), "schema version 'True' is not a number"),
        (put("schema")(1.0), "schema version '1.0' is not a number"),
        (put("format")("other"), "this JSON is not a network"),
        (put("extra")(1), "extra: Extra inputs are not permitted"),
        (put(*EDGE, "extra")(1), "cells.a.edges.0.extra: Extra inputs"),
        (put(*EDGE, "op")("sep_conv_4"), "unknown op 'sep_conv_4'"),
        (put(*EDGE, "op")(3), "cells.a.edges.0.op: Input should be a valid string"),
        (put(*EDGE, "choices")(["skip", "no"]), "unknown op 'no'"),
        (put(*EDGE, "choices")("skip"), "choices: Input should be a valid list"),
        (put(*EDGE, "source")(-1), "source: Input should be greater than or equal to 0"),
        (put(*EDGE, "source")(2), "edge 2->2"),
        (put(*EDGE, "source")("0"), "source: Input should be a valid integer"),
        (put(*EDGE, "source")(0.0), "source: Input should be a valid integer"),
        (put(*EDGE, "source")(True), "source: Input should be a valid integer"),
        (put(*EDGE, "target")(10**100), "target: "),
        (put("cells", "a", "nodes", 0, "level")(17), "level: Input should be less than or equal to 16"),
        (put("cells", "a", "nodes", 0, "channels")(0), "channels: Input should be greater"),
        (put("cells", "a", "output")([]), "a cell's output lists nodes from 0 to 2"),
        (put("cells", "a", "output")([3]), "a cell's output lists nodes from 0 to 2"),
        (put("cells", "a", "project")(1), "project: Input should be a valid boolean"),
        (put("cells")({}), "names cell 'a', which the network does not have"),
        (put("placements", 0, "sources")([0]), "placement 2 reads 1 tensors"),
        (put("placements", 0, "sources")([0, 2]), "reads a tensor that does not come before it"),
        (put("placements", 0, "channels")(-8), "channels: Input should be greater"),
        (put("head", "classes")(-1), "classes: Input should be greater"),
        (put("head", "layers")([{"layer": "norm", "channels": 9}]), "a layer 'norm' for 9 channels gets 8"),
        (put("input")([3, 32]), "input: List should have at least 3 items"),
        (put("input")([3, 32, 32, 1]), "input: List should have at most 3 items"),
        (put("input")([3, 0, 32]), "input.1: Input should be greater"),
        (put("input")([3, 32, "32"]), "input.2: Input should be a valid integer"),
        (put("input")([3, 10**6, 32]), "input.1: Input should be less"),
        (put("stem")([]), "stem: List should have at least 1 item"),
        (LAYER({"layer": "dense"}), "unknown layer 'dense'; known: conv, norm"),
        (LAYER({"layer": ["conv"]}), "unknown layer"),
        (LAYER({}), "unknown layer 'None'"),
        (LAYER({"layer": "conv", "c_in": 3}), "layer conv lacks 'c_out'"),
        (LAYER({**CONV, "padding": 1}), "layer conv has no 'padding'"),
        (LAYER({**CONV, "c_in": -3}), "layer conv: 'c_in' cannot be '-3'"),
        (LAYER({**CONV, "c_in": 0}), "layer conv: 'c_in' cannot be '0'"),
        (LAYER({**CONV, "c_out": 10**7}), "layer conv: 'c_out' cannot be '10000000'"),
        (LAYER({**CONV, "c_out": 4.0}), "layer conv: 'c_out' cannot be '4.0'"),
        (LAYER({**CONV, "c_out": "4"}), "layer conv: 'c_out' cannot be '4'"),
        (LAYER({**CONV, "c_out": True}), "layer conv: 'c_out' cannot be 'True'"),
        (LAYER({**CONV, "c_out": None}), "layer conv: 'c_out' cannot be 'None'"),
        (LAYER({**CONV, "kernel": [3]}), "layer conv: 'kernel' cannot be"),
        (LAYER({**CONV, "kernel": [3, 0]}), "layer conv: 'kernel' cannot be"),
        (LAYER({**CONV, "kernel": 3}), "layer conv: 'kernel' cannot be"),
        (LAYER({**CONV, "bias": 1}), "layer conv: 'bias' cannot be"),
        (LAYER({**CONV, "groups": 2}), "2 groups do not divide the channels"),
        (LAYER({"layer": "act", "function": "exec"}), "layer act: 'function' cannot be 'exec'"),
        (LAYER({"layer": "pool", "function": "min", "kernel": 3}), "layer pool: 'function' cannot be 'min'"),
        (LAYER({"layer": "opaque", "name": "x", "cost": [-1, 0], "c_out": 4}), "layer opaque: 'cost' cannot be"),
        (LAYER({"layer": "opaque", "name": "x", "cost": [1, 10**16], "c_out": 4}), "layer opaque: 'cost' cannot be"),
        (put("origin")({"format": "x"}), "origin.version: Field required"),
        (put("origin")([]), "origin: "),
        ("[]", "this JSON is not a network"),
        ("{}", "this JSON is not a network"),
        ("3", "this JSON is not a network"),
        ("", "not valid JSON"),
        ("{'format': 1}", "not valid JSON"),
        ('{"format": "nat-network"', "not valid JSON"),
        ('{"format": NaN}', "NaN is not a number that JSON allows"),
        ('{"a": [Infinity]}', "Infinity is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "a key is duplicated in one object"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 10_000, "not valid JSON"),
        ("\x00", "not valid JSON"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(NATError) as error:
        from_json(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_floats_too_large_for_a_number_are_no_sizes() -> None:
    with pytest.raises(NATError, match="1e999 is too large a number"):
        from_json(put("input")([3, 1, 1]).replace("[3, 1, 1]", "[3, 1e999, 1]"))


@pytest.mark.parametrize(
    "text",
    [
        "[" + "0," * MAX_BYTES + "0]",
        put("cells", "a", "edges")([{"source": 0, "target": 2, "op": "skip"}] * 200_000),
        put("cells", "a", "nodes")([{}] * 1_000_000),
        put("placements")([{"cell": "a", "channels": 8, "sources": [0, 1]}] * 100_000),
        put(*EDGE, "choices")(["skip"] * 1_000_000),
        put(*EDGE, "key")("x" * 10_000_000),
    ],
    ids=["bytes", "edges", "nodes", "placements", "choices", "key"],
)
def test_a_million_entries_are_refused_quickly(text: str) -> None:
    start = time.process_time()
    with pytest.raises(NATError) as error:
        from_json(text)
    assert time.process_time() - start < 3
    assert len(str(error.value)) < 300


def test_the_largest_allowed_network_is_read() -> None:
    cell = Cell(1, (Node(),) * 1000, tuple(Edge(n, n + 1, SKIP) for n in range(1000)), (1000,))
    network = Network((("c", cell),), (Placement("c", 4, (0,)),), ((Conv(3, 4),),), Head(2), (3, 8, 8))
    assert from_json(to_json(network)) == network


def test_strict_json_gives_plain_values() -> None:
    assert strict_json('{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}


def test_a_network_without_origin() -> None:
    assert from_json(to_json(replace(example(), origin=None))).origin is None
