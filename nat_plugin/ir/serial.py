"""A network as JSON, with a schema version that later versions can refuse or upgrade."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import Field, ValidationError

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import LAYERS, Conv, Layer
from nat_plugin.ir.network import MAX_LEVEL, Cell, Edge, Head, Network, Node, Origin, Placement
from nat_plugin.ir.ops import Op
from nat_plugin.ir.shapes import layout
from nat_plugin.json_values import check_plain
from nat_plugin.settings import StrictDocument

SCHEMA = 1
MAX_BYTES = 16 * 2**20

_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older schema version to the next."""

_Count = Annotated[int, Field(ge=0, le=10**6)]
_Size = Annotated[int, Field(ge=1, le=10**5)]
_Text = Annotated[str, Field(max_length=1000)]
_LARGEST = 10**6
"""Of any number in a layer."""
_UNUSUAL = re.compile(r"\d{20}|\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""In the text of a JSON document whose values have to be looked at one by one."""
_FUNCTIONS = {"act": ("relu", "relu6", "hardswish", "silu"), "pool": ("max", "avg")}


class _Node(StrictDocument):
    level: Annotated[int, Field(ge=0, le=MAX_LEVEL)] = 0
    channels: Annotated[int, Field(ge=1, le=10**6)] | None = None
    norm: bool = False


class _Edge(StrictDocument):
    source: _Count
    target: _Count
    op: _Text
    key: _Text = ""
    choices: Annotated[list[_Text], Field(max_length=10_000)] = Field(default_factory=list)


class _Cell(StrictDocument):
    inputs: Annotated[int, Field(ge=1, le=1000)]
    nodes: Annotated[list[_Node], Field(max_length=2_000)]
    edges: Annotated[list[_Edge], Field(max_length=20_000)]
    output: Annotated[list[_Count], Field(max_length=2_000)]
    project: bool = False


class _Placement(StrictDocument):
    cell: str
    channels: Annotated[int, Field(ge=1, le=10**6)]
    sources: Annotated[list[_Count], Field(max_length=1000)]
    level: Annotated[int, Field(ge=0, le=MAX_LEVEL)] = 0


class _Head(StrictDocument):
    classes: Annotated[int, Field(ge=0, le=10**6)]
    layers: list[dict[str, Any]] = Field(default_factory=list)


class _Origin(StrictDocument):
    format: str
    version: str
    payload: str


class _NetworkDocument(StrictDocument):
    schema_: Literal[1] = Field(alias="schema")
    format: Literal["nat-network"] = "nat-network"
    input: Annotated[list[_Size], Field(min_length=3, max_length=3)]
    stem: Annotated[list[list[dict[str, Any]]], Field(min_length=1, max_length=1000)]
    cells: Annotated[dict[_Text, _Cell], Field(max_length=10_000)]
    placements: Annotated[list[_Placement], Field(max_length=10_000)]
    head: _Head
    origin: _Origin | None = None


def to_json(network: Network, indent: int | None = 1) -> str:
    """Reading it back gives an equal network with the same origin."""
    cells = {
        name: {
            "inputs": cell.inputs,
            "nodes": [asdict(node) for node in cell.nodes],
            "edges": [
                {
                    "source": edge.source,
                    "target": edge.target,
                    "op": str(edge.op),
                    "key": edge.key,
                    "choices": [str(op) for op in edge.choices],
                }
                for edge in cell.edges
            ],
            "output": list(cell.output),
            "project": cell.project,
        }
        for name, cell in network.cells
    }
    document = {
        "format": "nat-network",
        "schema": SCHEMA,
        "input": network.input,
        "stem": [_layers_out(stage) for stage in network.stem],
        "cells": cells,
        "placements": [_placement_out(placement) for placement in network.placements],
        "head": {"classes": network.head.classes, "layers": _layers_out(network.head.layers)},
        "origin": asdict(network.origin) if network.origin else None,
    }
    return json.dumps(document, indent=indent)


def from_json(text: str) -> Network:
    """Raises NATError, naming the place, for anything that is not a network of a known schema version, and for networks
    whose shapes do not fit."""
    document = strict_json(text)
    if not isinstance(document, dict) or document.get("format") != "nat-network":
        raise NATError("this JSON is not a network: it has no 'format': 'nat-network'")
    version = document.get("schema")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise NATError(f"network JSON: schema version {str(version)[:40]!r} is not a number from 1 to {SCHEMA}")
    if version > SCHEMA:
        raise NATError(f"network JSON has schema {str(version)[:40]}, newer than {SCHEMA}: install a newer nat-plugin")
    while version < SCHEMA:
        document = _UPGRADES[version](document)
        version += 1
    try:
        parsed = _NetworkDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NATError(f"network JSON: {where[:200]}: {first['msg']}") from None
    cells = tuple((name, _cell(cell)) for name, cell in parsed.cells.items())
    network = Network(
        cells,
        tuple(Placement(each.cell, each.channels, tuple(each.sources), each.level) for each in parsed.placements),
        tuple(_layers_in(stage) for stage in parsed.stem),
        Head(parsed.head.classes, _layers_in(parsed.head.layers)),
        (parsed.input[0], parsed.input[1], parsed.input[2]),
        Origin(**parsed.origin.model_dump()) if parsed.origin else None,
    )
    layout(network)
    return network


def strict_json(text: str) -> Any:
    """JSON of bounded size and depth, without repeated keys and without what no file can hold (NaN, infinities, whole
    numbers of more than 64 bits, halves of surrogate pairs). Raises NATError."""

    def refuse(constant: str) -> None:
        raise NATError(f"JSON: {constant} is not a number that JSON allows")

    def finite(number: str) -> float:
        if math.isinf(found := float(number)):
            raise NATError(f"JSON: {number[:40]} is too large a number")
        return found

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise NATError("JSON: a key is duplicated in one object")
        return found

    if len(text) > MAX_BYTES:
        raise NATError(f"JSON of {len(text):,} characters is larger than the {MAX_BYTES:,} allowed")
    try:
        value = json.loads(text, parse_float=finite, parse_constant=refuse, object_pairs_hook=unique)
    except RecursionError:
        raise NATError("JSON is nested too deeply") from None
    except ValueError as error:
        raise NATError(f"not valid JSON: {error}") from None
    if _UNUSUAL.search(text):
        check_plain(value, "JSON")
    return value


def _cell(cell: _Cell) -> Cell:
    edges = tuple(
        Edge(edge.source, edge.target, Op.parse(edge.op), edge.key, tuple(map(Op.parse, edge.choices)))
        for edge in cell.edges
    )
    nodes = tuple(Node(node.level, node.channels, node.norm) for node in cell.nodes)
    return Cell(cell.inputs, nodes, edges, tuple(cell.output), cell.project)


def _placement_out(placement: Placement) -> dict[str, Any]:
    """Without a level of 0, so that earlier versions read whatever does not need one."""
    return {name: value for name, value in asdict(placement).items() if name != "level" or value}


def _layers_out(layers: tuple[Layer, ...]) -> list[dict[str, Any]]:
    return [{"layer": layer.tag, **asdict(layer)} for layer in layers]


def _layers_in(layers: list[dict[str, Any]]) -> tuple[Layer, ...]:
    return tuple(map(_layer_in, layers))


def _layer_in(document: dict[str, Any]) -> Layer:
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in document.items() if name != "layer"}
    tag = document.get("layer")
    kind = LAYERS.get(tag) if isinstance(tag, str) else None
    if kind is None:
        raise NATError(f"network JSON: unknown layer {str(tag)[:40]!r}; known: {', '.join(LAYERS)}")
    known = {each.name: each for each in fields(kind)}
    for name in values.keys() - known.keys():
        raise NATError(f"network JSON: layer {tag} has no '{name[:40]}'; it has {', '.join(known)}")
    for name, each in known.items():
        if name not in values:
            if each.default is MISSING:
                raise NATError(f"network JSON: layer {tag} lacks '{name}'")
        elif not _fits(str(tag), name, str(each.type), values[name]):
            raise NATError(f"network JSON: layer {tag}: '{name}' cannot be {str(document[name])[:40]!r}")
    layer: Layer = kind(**values)  # type: ignore[arg-type]  # checked field by field above
    if isinstance(layer, Conv) and (layer.c_in % layer.groups or layer.c_out % layer.groups):
        raise NATError(f"network JSON: layer conv: {layer.groups} groups do not divide the channels")
    return layer


def _fits(tag: str, name: str, wanted: str, value: object) -> bool:
    """Whether a value has the declared type and a sensible size."""
    if wanted == "Pair" or wanted.startswith("tuple"):
        least, most = (0, 10**15) if name == "cost" else (1, _LARGEST)
        return isinstance(value, tuple) and len(value) == 2 and all(_is_int(v) and least <= v <= most for v in value)
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "str":
        allowed = _FUNCTIONS.get(tag)
        return value in allowed if allowed else isinstance(value, str) and len(value) <= 1000
    return _is_int(value) and 1 <= value <= _LARGEST


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
