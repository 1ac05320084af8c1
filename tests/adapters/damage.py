"""Texts that are a little wrong, and what every adapter owes them."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize

PIECES = st.text(max_size=3) | st.sampled_from("()[]{},:'\"|~+\\#\n1")


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A text with something put in, left out or cut off."""
    text = draw(texts)
    at = draw(st.integers(0, len(text) - 1))
    return draw(st.sampled_from([text[:at], text[:at] + text[at + 1 :], text[:at] + draw(PIECES) + text[at:]]))


def check_one_line_or_the_same_text(adapter: Adapter, text: str, size: NetworkSize | None = None) -> None:
    """Whatever a text is, nothing but a NATError of one line is raised; what is read is written to the letter."""
    adapter.recognises(text)
    message = adapter.near(text) or ""
    try:
        found = size or adapter.natural_size(text)
        assert adapter.write(adapter.read(text, found)) == text
    except NATError as error:
        message += str(error)
    assert "\n" not in message


def check_any(adapter: Adapter, text: str, size: NetworkSize | None = None) -> None:
    """Whatever a text is, the adapter reads it, or refuses it in one line."""
    message = ""
    try:
        adapter.read(text, size or NetworkSize())
    except NATError as error:
        message = str(error)
    assert "\n" not in message


def check_refused(adapter: Adapter, text: str, message: str) -> None:
    """A text that the adapter does not take for its own, and refuses in one line that has ``message`` in it."""
    with pytest.raises(NATError) as caught:
        adapter.read(text, NetworkSize())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not adapter.recognises(text)
