"""A cell of NAS-Bench-101 in a text: a matrix and the ops of its vertices, in a call, a dict, JSON or a tuple.

``ModelSpec(matrix=[[…]], ops=[…])`` and the keys ``module_adjacency`` and ``module_operations`` are those of
google-research/nasbench ``nasbench/lib/model_spec.py`` and ``nasbench/api.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nat_plugin import NATError
from nat_plugin.extending import Call, CharSpan, Literal, LiteralPath, Patches, closing, parse_value
from nat_plugin.ir.vertices import KERNELS, Matrix

MAX_VERTICES = 7
MAX_CHARS = 100_000
MATRICES = ("matrix", "module_adjacency", "adjacency", "adjacency_matrix", "original_matrix")
OPERATIONS = ("ops", "module_operations", "operations", "original_ops")
INPUT, OUTPUT = "input", "output"
_START = re.compile(
    rf"(?<![\w.])(?:\w+\.)*ModelSpec\s*\(|\{{\s*(['\"])(?:{'|'.join((*MATRICES, *OPERATIONS))})\1\s*:"
    r"|[(\[]\s*(?:(?:np\.|numpy\.)?array\()?\[\s*\["
)
_KEYS = re.compile(rf"(['\"])(?:{'|'.join(MATRICES)})\1\s*:")


@dataclass(frozen=True)
class Spec:
    """The whole matrix and the ops of all vertices, input and output too, and where both stand in the text."""

    matrix: Matrix
    ops: tuple[str, ...]
    text: str
    span: CharSpan
    matrix_path: LiteralPath
    ops_path: LiteralPath

    def rewritten(self, ops: Sequence[str], matrix: Matrix) -> str:
        """The text with other ops and fewer edges, everything else as it stands."""
        patches = Patches(self.text, *self.span)
        for vertex, (old, new) in enumerate(zip(self.ops, ops, strict=True)):
            if old != new:
                place = (*self.ops_path, vertex)
                patches.put(place, patches.source(place).replace(old, new))
        for row, (before, after) in enumerate(zip(self.matrix, matrix, strict=True)):
            for column, (edge, kept) in enumerate(zip(before, after, strict=True)):
                if edge != kept:
                    patches.put((*self.matrix_path, row, column), "0")
        return patches.render()


def spelled(matrix: Matrix, ops: Sequence[str]) -> str:
    """A cell in a form of its own."""
    return f"ModelSpec(matrix={[list(row) for row in matrix]!r}, ops={list(ops)!r})"


def looks_like_one(text: str) -> bool:
    """Whether a text has a matrix beside ops of this benchmark."""
    if len(text) > MAX_CHARS or not any(name in text for name in (*KERNELS, OUTPUT)):
        return False
    if text.lstrip()[:1] == "{":
        return _KEYS.search(text) is not None and _is_whole(text)
    return _START.search(text) is not None and (OUTPUT in text or "ModelSpec" in text)


def _is_whole(text: str) -> bool:
    """Whether the object that a text consists of has the fields itself: it may hold them in a string."""
    try:
        value = parse_value(text.strip())
    except NATError:
        return True
    return isinstance(value, dict) and any(key in value for key in MATRICES)


def find_spec(text: str) -> Spec:
    """The one cell in a text. Raises NATError that names the row or the vertex."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; a cell of NAS-Bench-101 is shorter")
    span = _span(text)
    value = parse_value(text[slice(*span)])
    fields: dict[object, tuple[Literal, LiteralPath]] = {}
    if isinstance(value, Call):
        given = (*zip(("matrix", "ops"), enumerate(value.args), strict=False),)
        fields = {name: (each, (position,)) for name, (position, each) in given}
        fields.update({name: (each, (name,)) for name, each in value.kwargs})
    elif isinstance(value, dict):
        fields = {name: (each, (name,)) for name, each in value.items()}
    elif isinstance(value, list | tuple) and len(value) == 2:
        fields = {"matrix": (value[0], (0,)), "ops": (value[1], (1,))}
    wiring = next((fields[name] for name in MATRICES if name in fields), None)
    named = next((fields[name] for name in OPERATIONS if name in fields), None)
    if wiring is None or named is None:
        raise NATError("a cell of NAS-Bench-101 is ModelSpec(matrix=[[0, 1], [0, 0]], ops=['input', …, 'output'])")
    matrix = _matrix(wiring[0])
    return Spec(matrix, _ops(named[0], len(matrix)), text, span, wiring[1], named[1])


def _span(text: str) -> CharSpan:
    bare = text.strip(" \t\r\n'\"")
    first = text.index(bare)
    if bare[:1] in ("{", "(", "["):
        return first, closing(text, first) or first + len(bare)
    starts = [match.start() for match in _START.finditer(text)]
    if not starts:
        raise NATError("the text has no matrix of NAS-Bench-101; it stands in ModelSpec(matrix=…, ops=…) or a dict")
    bracket = min(at for at in (text.find(sign, starts[0]) for sign in "({[") if at >= 0)
    end = closing(text, bracket) or len(text.rstrip())
    if any(start >= end for start in starts):
        raise NATError("the text has several cells of NAS-Bench-101; give one of them")
    return starts[0], end


def _matrix(value: Literal) -> Matrix:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= MAX_VERTICES:
        raise NATError(f"matrix: expected 2 to {MAX_VERTICES} rows, not {value!r:.60}")
    for number, row in enumerate(value):
        if not isinstance(row, list | tuple) or len(row) != len(value):
            raise NATError(f"matrix row {number}: expected {len(value)} numbers, as many as rows, not {row!r:.60}")
        for column, each in enumerate(row):
            if isinstance(each, float | str) or each not in (0, 1):
                raise NATError(f"matrix row {number}: an edge is 0 or 1, not {each!r:.40}")
            if each and column <= number:
                raise NATError(f"matrix row {number}: an edge leads to vertex {column}, which does not come after it")
    return tuple(tuple(int(bool(each)) for each in row) for row in value)  # type: ignore[union-attr]


def _ops(value: Literal, vertices: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) != vertices:
        raise NATError(f"ops: expected {vertices} names, one for each vertex, not {value!r:.60}")
    for vertex, name in enumerate(value):
        wanted = (INPUT,) if vertex == 0 else (OUTPUT,) if vertex == vertices - 1 else tuple(KERNELS)
        if not isinstance(name, str) or name not in wanted:
            raise NATError(f"ops, vertex {vertex}: {name!r:.40} is not known; allowed: {', '.join(wanted)}")
    return tuple(map(str, value))
