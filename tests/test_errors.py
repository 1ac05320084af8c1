"""Errors are short lines, whatever was given, and say on demand where they come from."""

from __future__ import annotations

import pickle

import pytest

from nat_plugin.errors import MAX_CHARS, MAX_LINES, NATError, NATErrors, traced


def test_an_error_is_one_line() -> None:
    assert str(NATError("a\n  b\tc ")) == "a b c"


def test_of_what_is_too_long_the_ends_stand() -> None:
    said = str(NATError("unknown op '" + "x" * 100_000 + "'; allowed: a, b"))
    assert len(said) == MAX_CHARS
    assert said.startswith("unknown op 'xxx")
    assert said.endswith("xxx'; allowed: a, b")


def test_many_mistakes_are_counted() -> None:
    lines = str(NATErrors([f"mistake {number}" for number in range(15_000)])).splitlines()
    assert lines[:2] == ["mistake 0", "mistake 1"]
    assert lines[MAX_LINES:] == ["and 14,950 more"]
    assert str(NATErrors(["x" * 10_000, "y"])).splitlines()[1] == "y"


@pytest.mark.parametrize("error", [NATError("one"), NATErrors(["one", "two"]), NATErrors(["x"] * 99)])
def test_another_process_gets_the_same_error(error: NATError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_causes_are_shown_also_where_a_line_hides_them() -> None:
    def fail() -> None:
        try:
            try:
                {}["key of the first"]
            except KeyError as error:
                raise ValueError("the second") from error
        except ValueError:
            raise NATError("the third") from None

    with pytest.raises(NATError) as caught:
        fail()
    said = traced(caught.value)
    for part in ("KeyError: 'key of the first'", "ValueError: the second", "NATError: the third"):
        assert part in said
