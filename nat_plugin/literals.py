"""Python literals as data: read through ``ast``, never executed, never ``eval``.

Formats of architecture search live in Python files (``genotypes.py``) or as literals in logs. Here is what adapters
share: the value of one literal, and the text of what a file assigns to a name. Size and count are checked before
parsing, so that a hostile file ends in one line, quickly and in little memory.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.serial import strict_json
from nat_plugin.json_values import check_plain

MAX_CHARS = 1_000_000
MAX_TOKENS = 100_000
"""A token becomes about one node of the syntax tree (half a kilobyte)."""
MAX_DEPTH = 32
MAX_RANGE = 10_000
MAX_ALIASES = 100
MAX_LISTED = 100
"""Numbers of a range that is made a list."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_CONTAINERS = ("list", "tuple", "array", "np.array", "numpy.array")
_NUMPY = re.compile(r"(?:np|numpy)\.(?P<kind>u?int|float|str|bool)(?:\d+|_|p|c)?")
_INTEGERS = re.compile(r"[\s+,\[\]]*\d+(?:[\s+,\[\]]+\d+)+[\s+,\[\]]*")

_BARS = re.compile(r"\|[\w~|+]*~[\w~|+]*\|")


@dataclass(frozen=True)
class Call:
    """A call that a literal consists of, ``Genotype(normal=[...])``: what was called, and with which values."""

    name: str
    args: tuple[Literal, ...]
    kwargs: tuple[tuple[str, Literal], ...]


Scalar: TypeAlias = str | int | float | bool | None
Literal: TypeAlias = "Scalar | list[Literal] | tuple[Literal, ...] | dict[Scalar, Literal] | range | Call"
LiteralPath: TypeAlias = tuple[Scalar, ...]
"""How a value within a literal is reached: positions of items, keys of dicts, names or positions in a call."""
CharSpan: TypeAlias = tuple[int, int]
"""The first character of something in a text, and the one behind its last."""


def parse_literal(text: str) -> Literal:
    """The value of a literal: numbers, strings, lists, tuples, dicts, ``range`` with small bounds, ``list`` or
    ``tuple`` of one of those, and what NumPy prints (``np.int64(0)``; ``array([0, 1])``, as a list); the whole may be
    one call of a constructor. Raises NATError that says what else it is, and where."""
    tree = syntax_tree(text.strip(), "eval")
    assert isinstance(tree, ast.Expression)
    if isinstance(tree.body, ast.Call) and _converter(tree.body) is None:
        return _call(tree.body)
    return _value(tree.body, 0)


def is_json(text: str) -> bool:
    """Whether a text that is an object of JSON or a dict of Python is to be taken for JSON."""
    return text.lstrip().startswith("{") and "'" not in text


def parse_value(text: str) -> Any:
    """The value of an object of JSON, or else of a literal of Python. Raises NATError as their readers do."""
    if is_json(text):
        return strict_json(text)
    try:
        return parse_literal(text)
    except NATError as error:
        try:
            return strict_json(text)  # an apostrophe in a string
        except NATError:
            raise error from None


def inner_nodes(node: ast.expr) -> list[tuple[Scalar, ast.expr]]:
    """What a literal's node holds, each with the last step of its path."""
    if isinstance(node, ast.List | ast.Tuple):
        return list(enumerate(node.elts))
    if isinstance(node, ast.Dict):
        keyed = zip(node.keys, node.values, strict=True)
        return [(key.value, value) for key, value in keyed if isinstance(key, ast.Constant)]  # type: ignore[misc]
    if isinstance(node, ast.Call) and _converter(node) is None:
        return [*enumerate(node.args), *((word.arg, word.value) for word in node.keywords)]
    if isinstance(node, ast.Call) and _converter(node) is _converted and node.args:
        return inner_nodes(node.args[0])
    return []


def assigned_names(text: str) -> list[str]:
    """The names to which a Python file assigns what may be an architecture, at module level, in order: calls with
    containers in them (``Genotype(normal=[...])``), dicts, tuples in tuples, strings of integers or with bars
    (``|op~0|``), and aliases of those."""
    return _architectures(_assignments(text))


def assigned(text: str, name: str) -> str:
    """The source of the value that a Python file assigns to ``name`` at module level (the last one counts; a name
    assigned to it is followed). Raises NATError if there is none, listing what looks like an architecture."""
    values = _assignments(text)
    if name not in values:
        found = _architectures(values)
        listed = ", ".join(found[:50]) + (", …" if len(found) > 50 else "") if found else "none"
        raise NATError(f"no architecture named '{name[:80]}' in this file; it has: {listed}")
    seen = [name]
    value = values[name]
    while isinstance(value, ast.Name):
        chain = " = ".join([*seen[:10], value.id])
        if value.id in seen:
            raise NATError(f"'{name}' never gets a value: {chain}")
        if value.id not in values:
            raise NATError(f"'{name}' is assigned the name '{value.id}', which this file does not assign")
        if len(seen) > MAX_ALIASES:
            raise NATError(f"'{name}' leads through more than {MAX_ALIASES} names: {chain} …")
        seen.append(value.id)
        value = values[value.id]
    return _segment(text, value)


def syntax_tree(text: str, mode: str) -> ast.AST:
    """The tree of an expression (``eval``) or a file (``exec``), within the limits. NATError for anything else."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    if next(islice(_TOKEN.finditer(text), MAX_TOKENS, None), None) is not None:
        raise NATError(f"the text has more than {MAX_TOKENS:,} names, numbers and signs; that many are not read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes in strings that are none of our business
            return ast.parse(text, mode=mode)
    except SyntaxError as error:
        where = "" if error.lineno is None else f" (line {error.lineno})"
        raise NATError(f"not valid Python: {error.msg}{where}") from None
    except (RecursionError, MemoryError):
        raise NATError("not readable: the text is nested too deeply") from None
    except ValueError as error:
        raise NATError(f"not valid Python: {error}") from None


def _refuse(node: ast.AST, what: str) -> NoReturn:
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    raise NATError(
        f"line {line}, column {column}: {what} is not allowed in an architecture; it is read, never executed, and may "
        "hold numbers, strings, lists, tuples, dicts and range(first, end)"
    )


def _value(node: ast.expr, depth: int) -> Literal:
    if depth > MAX_DEPTH:
        raise NATError(f"line {node.lineno}: nested more than {MAX_DEPTH} deep")
    reader = _READERS.get(type(node))
    if reader is None:
        _refuse(node, _ARTICLES.get(type(node).__name__, f"'{type(node).__name__}'"))
    return reader(node, depth)


def _constant(node: ast.expr, _depth: int) -> Literal:
    assert isinstance(node, ast.Constant)
    value = node.value
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(node, "a number that is not finite")
    if value is None or isinstance(value, str | bool | int | float):
        check_plain(value, f"line {node.lineno}")
        return value
    _refuse(node, f"a value of type {type(value).__name__}")


def _list(node: ast.expr, depth: int) -> Literal:
    assert isinstance(node, ast.List)
    return [_value(item, depth + 1) for item in node.elts]


def _tuple(node: ast.expr, depth: int) -> Literal:
    assert isinstance(node, ast.Tuple)
    return tuple(_value(item, depth + 1) for item in node.elts)


def _dict(node: ast.expr, depth: int) -> Literal:
    assert isinstance(node, ast.Dict)
    found: dict[Scalar, Literal] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not (key.value is None or isinstance(key.value, str | int | float)):
            _refuse(key or node, "a key that is neither string nor number")
        check_plain(key.value, f"line {key.lineno}")
        if key.value in found:
            raise NATError(f"line {key.lineno}: the key {str(key.value)[:40]!r} is duplicated in one dict")
        found[key.value] = _value(item, depth + 1)
    return found


def _signed(node: ast.expr, depth: int) -> Literal:
    assert isinstance(node, ast.UnaryOp)
    value = _value(node.operand, depth + 1) if isinstance(node.operand, ast.Constant) else None
    if not isinstance(node.op, ast.USub | ast.UAdd) or not isinstance(value, int | float) or isinstance(value, bool):
        _refuse(node, "an expression")
    return -value if isinstance(node.op, ast.USub) else value


def _converter(node: ast.Call) -> Callable[[ast.Call, int], Literal] | None:
    """Who reads a call that is part of a value."""
    if isinstance(node.func, ast.Name):
        name = node.func.id
    elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        name = f"{node.func.value.id}.{node.func.attr}"
    else:
        return None
    if name == "range":
        return _range
    if name in _CONTAINERS:
        return _converted
    return _numpy if _NUMPY.fullmatch(name) else None


def _inner_call(node: ast.expr, depth: int) -> Literal:
    assert isinstance(node, ast.Call)
    reader = _converter(node)
    if reader is None:
        _refuse(node, f"a call of '{_dotted(node.func)[:80]}' inside the value")
    return reader(node, depth)


def _converted(node: ast.Call, depth: int) -> Literal:
    """``list(range(2, 6))``, ``array([0, 1], dtype=int8)`` and the like. The type of an array says nothing here."""
    values = [_value(item, depth + 1) for item in node.args]
    others = [word.arg for word in node.keywords if word.arg != "dtype"]
    if others or len(values) != 1 or not isinstance(values[0], list | tuple | range):
        _refuse(node, f"{_dotted(node.func)}() of anything but one list, tuple or range")
    if isinstance(values[0], range) and len(values[0]) > MAX_LISTED:
        _refuse(node, f"a list of more than {MAX_LISTED} numbers of a range")
    return tuple(values[0]) if _dotted(node.func) == "tuple" else list(values[0])


_NUMPY_KINDS: Mapping[str, type] = {"int": int, "uint": int, "float": float, "str": str, "bool": bool}


def _numpy(node: ast.Call, depth: int) -> Literal:
    """``np.int64(0)``: what NumPy 2 prints for its numbers."""
    match = _NUMPY.fullmatch(_dotted(node.func))
    values = [_value(item, depth + 1) for item in node.args]
    kind = _NUMPY_KINDS[match["kind"]] if match else None
    fits = len(values) == 1 and (type(values[0]) is kind or (kind is float and type(values[0]) is int))
    if node.keywords or kind is None or not fits:
        _refuse(node, f"{_dotted(node.func)}() of anything else than its own kind of value")
    return float(values[0]) if kind is float else values[0]  # type: ignore[arg-type]


def _range(node: ast.Call, depth: int) -> Literal:
    bounds = [_value(item, depth + 1) for item in node.args]
    numbers = [value for value in bounds if isinstance(value, int) and not isinstance(value, bool)]
    if (
        node.keywords
        or len(numbers) != len(bounds)
        or not 1 <= len(bounds) <= 3
        or (len(bounds) == 3 and not bounds[2])
    ):
        _refuse(node, "a range of anything but one to three whole numbers")
    if any(abs(value) > MAX_RANGE for value in numbers):
        _refuse(node, f"a range with numbers beyond {MAX_RANGE:,}")
    return range(*numbers)


def _call(node: ast.Call) -> Call:
    if any(isinstance(item, ast.Starred) for item in node.args) or any(word.arg is None for word in node.keywords):
        _refuse(node, "a call with * or **")
    words = [word.arg for word in node.keywords]
    if len(set(words)) != len(words):
        _refuse(node, f"a call that gives '{next(word for word in words if words.count(word) > 1)}' twice")
    args = tuple(_value(item, 1) for item in node.args)
    return Call(_dotted(node.func), args, tuple((str(word.arg), _value(word.value, 1)) for word in node.keywords))


def _dotted(node: ast.expr) -> str:
    """``Genotype`` or ``genotypes.Genotype``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < 4:
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        _refuse(node, "a call of anything but a plain name")
    return ".".join([node.id, *parts])


_READERS: Mapping[type[ast.expr], Callable[[ast.expr, int], Literal]] = {
    ast.Constant: _constant,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Dict: _dict,
    ast.UnaryOp: _signed,
    ast.Call: _inner_call,
}
_ARTICLES = {
    "Attribute": "an attribute",
    "BinOp": "an expression",
    "Lambda": "a lambda",
    "ListComp": "a comprehension",
    "Name": "a name",
    "Set": "a set",
    "Subscript": "a subscript",
}


def _assignments(text: str) -> dict[str, ast.expr]:
    """What a file assigns at module level, the last value of each name."""
    tree = syntax_tree(text, "exec")
    assert isinstance(tree, ast.Module)
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        else:
            continue
        assert statement.value is not None
        found.update({target.id: statement.value for target in targets if isinstance(target, ast.Name)})
    return found


def _architectures(values: Mapping[str, ast.expr]) -> list[str]:
    """The names whose value, behind aliases, looks like an architecture."""
    known: dict[str, bool] = {}
    for name in values:
        chain: dict[str, None] = {}
        end = name
        while end in values and end not in known and end not in chain:
            chain[end] = None
            value = values[end]
            if not isinstance(value, ast.Name):
                known[end] = _looks_like_architecture(value)
                break
            end = value.id
        known.update(dict.fromkeys(chain, known.get(end, False)))
    return [name for name in values if known[name]]


def _looks_like_architecture(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        given = [*node.args, *(word.value for word in node.keywords)]
        return any(isinstance(value, ast.List | ast.Tuple | ast.Dict) for value in given)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _INTEGERS.fullmatch(node.value) is not None or _BARS.fullmatch(node.value) is not None
    if isinstance(node, ast.List | ast.Tuple):
        return any(isinstance(value, ast.List | ast.Tuple) for value in node.elts)
    return isinstance(node, ast.Dict) and any(isinstance(value, ast.List | ast.Tuple) for value in node.values)


def _segment(text: str, node: ast.expr) -> str:
    """The source of a node (``ast.get_source_segment`` walks the text character by character)."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode().split(b"\n")[node.lineno - 1 : node.end_lineno]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return b"\n".join(lines).decode()
