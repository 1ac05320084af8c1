"""No text is taken by two adapters, whatever form it has; and every text that an adapter ships is taken by that one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.ir import to_json
from nat_plugin.plugins import plugins
from tests.adapters.texts import TEXTS

ADAPTERS = plugins().adapters


def takers(text: str) -> list[str]:
    return [name for name, adapter in ADAPTERS.items() if adapter.recognises(text)]


@pytest.mark.parametrize("name", TEXTS)
def test_every_form_is_taken_by_one_adapter(name: str) -> None:
    for text in TEXTS[name]:
        assert takers(text) == [name], text


def test_every_published_architecture_is_taken_by_its_adapter() -> None:
    for name, adapter in ADAPTERS.items():
        if name != "timm":  # names of models
            for published in adapter.published().values():
                assert takers(published.text) == [name]


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("nni", "timm")])
def test_networks_as_json_are_no_text_of_the_format_that_they_came_from(name: str) -> None:
    for text in TEXTS[name]:
        network = ADAPTERS[name].read(text, ADAPTERS[name].natural_size(text))
        for indent in (None, 2):
            assert takers(to_json(network, indent=indent)) == ["network"]


def test_all_adapters_have_a_text_here() -> None:
    assert {*TEXTS, "network"} == {*ADAPTERS}


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.sampled_from(["[{}]", "({})", "{}", "'({})'"]),
    st.sampled_from([" ", ", ", ","]),
)
def test_no_integers_are_taken_by_two(values: list[int], around: str, between: str) -> None:
    assert len(takers(around.format(between.join(map(str, values))))) <= 1


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=20), st.booleans())
def test_no_pairs_are_taken_by_two(pairs: list[tuple[int, int]], twice: bool) -> None:
    for kinds in product((tuple, list), repeat=2):
        text = repr(kinds[0]([kinds[1](pairs), kinds[1](pairs)]) if twice else kinds[0](pairs))
        assert len(takers(text)) <= 1


def test_all_rows_of_six_in_brackets_are_cells_of_nas_bench_201() -> None:
    rows = product(range(2), range(2), range(2), range(5), range(2), range(2))
    assert all(takers(repr(row)) == ["nasbench201"] for row in rows)
