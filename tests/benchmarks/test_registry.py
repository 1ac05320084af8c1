"""The registry: experiments, and the methods and spaces that they name."""

from __future__ import annotations

import inspect
import re

import pytest

from benchmarks.common.experiment import EVIDENCE
from benchmarks.common.results import ROOT
from benchmarks.methods import METHODS
from benchmarks.registry import EXPERIMENTS
from benchmarks.running import parser_of
from benchmarks.spaces import SPACES
from benchmarks.tables import all_tables, tables_on

OTHER_NAMES = {"NAT": "nat", "hill climbing": "hill_climb"}


def test_every_method_and_every_space_is_of_an_experiment_and_the_other_way_round() -> None:
    assert {name for each in EXPERIMENTS.values() for name in each.methods} == METHODS.keys()
    assert {name for each in EXPERIMENTS.values() for name in each.spaces} == SPACES.keys()
    assert [name for name, each in EXPERIMENTS.items() if not each.spaces] == []


def test_every_experiment_has_a_page_of_its_own_or_is_a_part_of_one_that_has() -> None:
    own = [each.page(name) for name, each in EXPERIMENTS.items() if not each.part_of]
    assert sorted([*own, EVIDENCE / "index.md"]) == sorted(EVIDENCE.glob("*.md"))
    for name, each in EXPERIMENTS.items():
        if each.part_of:
            assert not EXPERIMENTS[each.part_of].part_of
            assert not each.place(name).exists()  # its figures are among those of the whole


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_page_begins_with_its_question_and_names_its_command(name: str) -> None:
    experiment = EXPERIMENTS[name]
    text = experiment.page(name).read_text()
    assert f"    python -m benchmarks {name}" in text
    if not experiment.part_of:
        _, question, command = text.split("\n\n")[:3]
        assert question == experiment.question
        assert re.search(rf"^    python -m benchmarks {name}( |$)", command, re.MULTILINE)


def test_the_tables_of_an_experiment_are_on_its_page_and_on_no_other() -> None:
    at = {table: page for page in EVIDENCE.glob("*.md") for table in tables_on(page)}
    tables = all_tables()
    assert {name: at[name] for name in tables} == {
        name: EXPERIMENTS[table.experiment].page(table.experiment) for name, table in tables.items()
    }
    measured = {each.page(name) for name, each in EXPERIMENTS.items() if each.place(name).exists()}
    assert measured == {at[name] for name in tables}


def test_every_page_of_evidence_is_in_the_site_and_answers_a_question() -> None:
    answers, site = (EVIDENCE / "index.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    for page in EVIDENCE.glob("*.md"):
        assert f"evidence/{page.name}\n" in site
        assert page.stem == "index" or f"]({page.name})" in answers, page.stem


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_reads_the_tables_of_its_spaces(name: str) -> None:
    experiment = EXPERIMENTS[name]
    looks_up = {SPACES[each].file for each in experiment.spaces} & set(experiment.reads)
    tables = {space.file for space in SPACES.values() if space.file}
    assert looks_up == set(experiment.reads) & tables


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_can_be_chosen_is_among_the_methods_of_an_experiment(name: str) -> None:
    experiment = EXPERIMENTS[name]
    module = experiment.load()
    parser = parser_of(name, experiment, inspect.getdoc(module) or "")
    module.add_options(parser)
    chosen = (each.choices or () for each in parser._actions if each.dest in ("strategies", "methods"))
    for choice in {choice for choices in chosen for choice in choices}:
        method = re.split(r", | without | L1$| Taylor$", choice)[0]
        assert OTHER_NAMES.get(method, method) in experiment.methods, choice
