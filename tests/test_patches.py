"""A few values of a literal change, everything around them stays to the letter."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.literals import parse_literal
from nat_plugin.patches import Patches, closing, literal_spans

ITEMS = st.lists(st.sampled_from(["1", "'é'", "(2, 3)", "[]", "'a,)'", "range(2)"]), max_size=6)


@given(ITEMS, st.sampled_from(["[]", "()"]), st.sampled_from([", ", ",", " ,\n  "]), st.booleans(), st.data())
def test_items_of_a_list_are_removed(
    items: list[str], ends: str, comma: str, trailing: bool, data: st.DataObject
) -> None:
    inside = comma.join(items) + ("," if items and (trailing or len(items) == 1) else "")
    text = f"é = {ends[0]}{inside}{ends[1]}  # end"
    kept = data.draw(st.sets(st.sampled_from(range(len(items))))) if items else set()
    patches = Patches(text, 4, closing(text, 4))
    patches.keep((), kept)
    result = patches.render()
    assert result.startswith("é = ")
    assert result.endswith("  # end")
    found = parse_literal(result[4:-7])
    wanted = [parse_literal(item) for number, item in enumerate(items) if number in kept]
    assert found == (wanted if ends == "[]" else tuple(wanted))
    if kept == set(range(len(items))):
        assert result == text


def test_values_are_put_in_their_places_whatever_the_lines_and_letters() -> None:
    text = "x = G(['é', ('b', np.int64(0))],\r\n  k={'ключ': [1, 2]})\n"
    patches = Patches(text, 4, closing(text, 5))
    patches.put((0, 0), "'new'")
    patches.put((0, 1, 1), "7")
    patches.put(("k", "ключ", 1), "3")
    assert patches.source((0, 1, 1)) == "np.int64(0)"
    assert patches.render() == "x = G(['new', ('b', 7)],\r\n  k={'ключ': [1, 3]})\n"


def test_json_has_places_too() -> None:
    text = '{"a": [true, null, {"b": false}], "c": -1.5e3}'
    spans = literal_spans(text)
    assert {text[slice(*spans[path])] for path in (("a", 0), ("a", 1), ("a", 2, "b"), ("c",))} == {
        *("true", "null", "false", "-1.5e3"),
    }


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("(a)", 3),
        ("([{)]}x", 6),  # kinds of brackets are the parser's business
        ("(')', \")\", '\\')')", 17),
        ("(1 # )\n)", 8),
        ("(", None),
        ("('", None),
        ("('\n')", None),
        ("(#)", None),
    ],
)
def test_where_a_bracket_is_closed(text: str, end: int | None) -> None:
    assert closing(text, 0) == end


@pytest.mark.parametrize("text", ["(" * 500_000, "('" + "\\'" * 400_000, "(" + '"\\' * 300_000, "(" + "#\n" * 400_000])
def test_hostile_brackets_are_given_up_quickly(text: str) -> None:
    began = time.process_time()
    assert closing(text, 0) is None
    assert time.process_time() - began < 6


@given(st.recursive(st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=12))
def test_every_place_holds_its_value(value: object) -> None:
    text = repr(value)
    for path, (first, end) in literal_spans(text).items():
        inner = value
        for step in path:
            inner = inner[step]  # type: ignore[index]
        assert ast.literal_eval(text[first:end]) == inner
