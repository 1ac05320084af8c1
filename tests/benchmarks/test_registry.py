"""The registry: experiments, and the methods and spaces that they name."""

from __future__ import annotations

import inspect
import re

import pytest

from benchmarks.methods import METHODS
from benchmarks.registry import EXPERIMENTS
from benchmarks.running import parser_of
from benchmarks.spaces import SPACES

OTHER_NAMES = {"NAT": "nat", "hill climbing": "hill_climb"}


def test_every_method_and_every_space_is_of_an_experiment_and_the_other_way_round() -> None:
    assert {name for each in EXPERIMENTS.values() for name in each.methods} == METHODS.keys()
    assert {name for each in EXPERIMENTS.values() for name in each.spaces} == SPACES.keys()
    assert [name for name, each in EXPERIMENTS.items() if not each.spaces] == []


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
