"""A network as JSON, with a schema version that later versions can refuse or upgrade."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import LAYERS, Layer
from nat_plugin.ir.network import Cell, Edge, Head, Network, Node, Origin, Placement
from nat_plugin.ir.ops import Op

SCHEMA = 1
MAX_BYTES = 16 * 2**20

_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older schema version to the next."""

_Count = Annotated[int, Field(ge=0, le=10**6)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Node(_Strict):
    level: Annotated[int, Field(ge=0, le=16)] = 0
    channels: Annotated[int, Field(ge=1, le=10**6)] | None = None
    norm: bool = False


class _Edge(_Strict):
    source: _Count
    target: _Count
    op: str
    key: str = ""
    choices: list[str] = []


class _Cell(_Strict):
    inputs: Annotated[int, Field(ge=1, le=1000)]
    nodes: Annotated[list[_Node], Field(max_length=10_000)]
    edges: Annotated[list[_Edge], Field(max_length=100_000)]
    output: list[_Count]
    project: bool = False


class _Placement(_Strict):
    cell: str
    channels: Annotated[int, Field(ge=1, le=10**6)]
    sources: list[_Count]


class _Head(_Strict):
    classes: Annotated[int, Field(ge=1, le=10**6)]
    layers: list[dict[str, Any]] = []


class _Origin(_Strict):
    format: str
    version: str
    payload: str


class _Document(_Strict):
    schema_: Literal[1] = Field(alias="schema")
    format: Literal["nat-network"] = "nat-network"
    input: tuple[int, int, int] = Field(strict=False)
    stem: list[list[dict[str, Any]]]
    cells: dict[str, _Cell]
    placements: Annotated[list[_Placement], Field(max_length=10_000)]
    head: _Head
    origin: _Origin | None = None


_LAYER_TYPES: dict[str, TypeAdapter[Layer]] = {tag: TypeAdapter(kind) for tag, kind in LAYERS.items()}


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
        "placements": [asdict(placement) for placement in network.placements],
        "head": {"classes": network.head.classes, "layers": _layers_out(network.head.layers)},
        "origin": asdict(network.origin) if network.origin else None,
    }
    return json.dumps(document, indent=indent)


def from_json(text: str) -> Network:
    """Raises NATError, naming the place, for anything that is not a network of a known schema version."""
    document = strict_json(text)
    if not isinstance(document, dict) or document.get("format") != "nat-network":
        raise NATError("this JSON is not a network: it has no 'format': 'nat-network'")
    version = document.get("schema")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise NATError(f"network JSON: schema version {str(version)[:40]!r} is not a number from 1 to {SCHEMA}")
    if version > SCHEMA:
        raise NATError(f"network JSON has schema {version}, newer than {SCHEMA}: install a newer nat-plugin to read it")
    while version < SCHEMA:
        document = _UPGRADES[version](document)
        version += 1
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NATError(f"network JSON: {where}: {first['msg']}") from None
    cells = tuple((name, _cell(cell)) for name, cell in parsed.cells.items())
    return Network(
        cells,
        tuple(Placement(each.cell, each.channels, tuple(each.sources)) for each in parsed.placements),
        tuple(_layers_in(stage) for stage in parsed.stem),
        Head(parsed.head.classes, _layers_in(parsed.head.layers)),
        parsed.input,
        Origin(**parsed.origin.model_dump()) if parsed.origin else None,
    )


def strict_json(text: str) -> Any:
    """JSON without NaN or infinities, of bounded size and depth, without repeated keys. Raises NATError."""

    def refuse(constant: str) -> None:
        raise NATError(f"JSON: {constant} is not a number that JSON allows")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise NATError("JSON: a key stands twice in one object")
        return found

    if len(text) > MAX_BYTES:
        raise NATError(f"JSON of {len(text):,} characters is larger than the {MAX_BYTES:,} allowed")
    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except RecursionError:
        raise NATError("JSON is nested too deeply") from None
    except ValueError as error:
        raise NATError(f"not valid JSON: {error}") from None


def _cell(cell: _Cell) -> Cell:
    edges = tuple(
        Edge(edge.source, edge.target, Op.parse(edge.op), edge.key, tuple(map(Op.parse, edge.choices)))
        for edge in cell.edges
    )
    nodes = tuple(Node(node.level, node.channels, node.norm) for node in cell.nodes)
    return Cell(cell.inputs, nodes, edges, tuple(cell.output), cell.project)


def _layers_out(layers: tuple[Layer, ...]) -> list[dict[str, Any]]:
    return [{"layer": layer.tag, **asdict(layer)} for layer in layers]


def _layers_in(layers: list[dict[str, Any]]) -> tuple[Layer, ...]:
    found = []
    for layer in layers:
        values = dict(layer)
        tag = values.pop("layer", None)
        if tag not in _LAYER_TYPES:
            raise NATError(f"network JSON: unknown layer {str(tag)[:40]!r}; known: {', '.join(_LAYER_TYPES)}")
        try:
            found.append(_LAYER_TYPES[tag].validate_python(values))
        except ValidationError as error:
            first = error.errors()[0]
            raise NATError(f"network JSON: layer {tag}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return tuple(found)
