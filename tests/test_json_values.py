"""What any file can hold, and nothing else, comes out of JSON, YAML and Python literals."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from nat_plugin.errors import NATError
from nat_plugin.ir.serial import strict_json
from nat_plugin.json_values import LARGEST, as_plain, check_plain
from nat_plugin.literals import parse_literal
from nat_plugin.runs.reading import parse_yaml


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [None, True, 0, LARGEST - 1, -LARGEST, 1.5, 1e308, "", "ü😀\0", [], {}, {"a": [1, {"b": None}]}, deep(99)]
)
def test_what_files_can_hold(value: Any) -> None:
    check_plain(value, "it")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (LARGEST, "it: a whole number of 64 bits is too large"),
        pytest.param(10**400_000, "it: a whole number of 1328772 bits is too large", id="many digits"),
        ({"a": [0, float("inf")]}, "it: a[1]: inf is not a finite number"),
        ([float("nan")], "it[0]: nan is not a finite number"),
        ("x\ud800y", r"it: '\ud800y' is not valid text: it has half of a surrogate pair"),
        ({"\udcff": 1}, r"it: '\udcff' is not valid text: it has half of a surrogate pair"),
        ({1: 2}, "it: the key 1 is not a string"),
        pytest.param(
            {10**9999: 2}, "it: the key a whole number of 33216 bits is not a string", id="a key of many digits"
        ),
        ({"a": {1, 2}}, "it: a: a set is neither number, text, list nor mapping"),
        ((1,), "it: a tuple is neither number, text, list nor mapping"),
        (deep(101), "nested more than 100 deep"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(NATError) as caught:
        check_plain(value, "it")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["1e400", "-1e400", "9" * 20, "1" + "0" * 4000, "9" * 400 + ".5", r'"\ud800"', r'{"\udC00": 1}', '"\udcff"']
)
def test_json(text: str) -> None:
    with pytest.raises(NATError):
        strict_json(text)
    with pytest.raises(NATError):
        strict_json(f'{{"a": [{text}]}}')


def test_json_that_only_looks_unusual() -> None:
    value = {"id": "9" * 60, "rate": 1e-300, "large": 1e300, "text": "\\ud800 😀", "count": 2**62}
    assert strict_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        *(".inf", "-.inf", ".nan", "1.0e+999", "0x" + "f" * 5000, "0b" + "1" * 90, "1:" * 50 + "1", "9" * 5000),
        *("2001-01-01", "2001-12-14t21:59:43.10-05:00", "!!set {a, b}", "!!binary aGVsbG8=", "!!omap [a: 1]"),
        *("!!pairs [a: 1]", '"\\ud800"', "{1: 2}", "{null: 1}", "{[a]: 1}", "{{a: b}: 1}", "[&a x, *a]"),
    ],
)
def test_yaml(text: str) -> None:
    for whole in (text, f"{{a: [{text}]}}"):
        with pytest.raises(NATError) as caught:
            parse_yaml(whole, "it")
        assert str(caught.value).startswith("it: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["0x" + "f" * 9000, "-0x" + "f" * 9000, r"'\ud800'", "9" * 30, "{0x" + "f" * 9000 + ": 1}"]
)
def test_python_literals(text: str) -> None:
    with pytest.raises(NATError, match="line 1"):
        parse_literal(f"[{text}]")


def test_values_of_a_script_become_those_of_a_file() -> None:
    given = {"a": (np.int64(3), np.float32(0.5), True, None), "b": MappingProxyType({"c": Path("x") / "y"}), "d": "e"}
    found = as_plain(given)
    assert found == {"a": [3, 0.5, True, None], "b": {"c": "x/y"}, "d": "e"}
    assert [type(each) for each in found["a"]] == [int, float, bool, type(None)]  # type: ignore[index]
    check_plain(found, "it")
    odd = object()
    assert as_plain([odd]) == [odd]
