"""Every place that takes text or files from a user, with what failed so far and with inputs that are nearly right."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.fuzz.harnesses import CORPUS, corpus, harnesses
from tests.fuzz.mutating import near

QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@pytest.mark.parametrize("name", harnesses())
def test_what_is_valid_is_taken(name: str) -> None:
    for data in harnesses()[name].examples():
        harnesses()[name].run(data)


@pytest.mark.parametrize("name", harnesses())
def test_what_failed_so_far(name: str) -> None:
    for path in corpus(name):
        harnesses()[name].check(path.read_bytes())


def test_no_case_of_the_corpus_is_without_a_harness() -> None:
    assert {path.parent.name for path in CORPUS.glob("*/*")} <= {*harnesses(), "text"}


@pytest.mark.parametrize("name", harnesses())
def test_nothing_but_an_error_of_one_line(name: str) -> None:
    harness = harnesses()[name]
    examples = harness.examples()

    @hypothesis.settings(max_examples=harness.count, suppress_health_check=QUIET)
    @given(st.binary(max_size=31))
    def run(instructions: bytes) -> None:
        harness.check(near(instructions, examples, harness.text))

    run()
