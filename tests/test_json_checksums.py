"""A sealed document comes back, however it is laid out, and tells when it was changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.json_checksums import seal, unseal

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
values = st.dictionaries(st.text(max_size=5), plain | st.lists(plain, max_size=3), max_size=4)


@given(values)
def test_values_come_back(document: dict[str, Any]) -> None:
    document.pop("checksum", None)
    assert unseal(seal(document)) == document
    assert unseal(json.dumps(json.loads(seal(document)), indent=3)) == document


@given(values, st.text(max_size=5), plain)
def test_a_change_is_seen(document: dict[str, Any], key: str, value: Any) -> None:
    document.pop("checksum", None)
    sealed = json.loads(seal(document))
    if key == "checksum" or (key in sealed and json.dumps(sealed[key]) == json.dumps(value)):
        return
    with pytest.raises(ValueError, match="checksum does not match"):
        unseal(json.dumps({**sealed, key: value}))


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"a": 1}', "[" * 100])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"checksum|Expecting"):
        unseal(text)
