"""The architectures of a comparison, as texts that need no other file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nat_plugin.comparisons.recipe import ComparisonPlan
from nat_plugin.errors import NATError
from nat_plugin.plugins import Plugins
from nat_plugin.runs.record import RunSource
from nat_plugin.sources import Source, Wanted, find_source, read_text


def read_inputs(plan: ComparisonPlan, plugins: Plugins) -> list[RunSource]:
    """In the order of the recipe or of the drawing. NATError names the line of a file that is wrong."""
    sources = plan.recipe.sources
    if sources.names is not None:
        found = [find_source(name, plan.recipe.adapter, plugins) for name in sources.names]
    else:
        found = _lines(Path(str(sources.file)), plan.recipe.adapter, plugins)
    return [RunSource(source.text, source.adapter.name, source.label) for source in found]


def drawing(plan: ComparisonPlan, count: int) -> list[int]:
    """The order in which inputs are considered: that of the recipe, or drawn where there is a sample."""
    sources = plan.recipe.sources
    if sources.sample is None:
        return list(range(count))
    if sources.sample > count:
        raise NATError(f"{sources.file}: sample is {sources.sample:,}, the file has {count:,} architectures")
    return [int(each) for each in np.random.default_rng(sources.seed).permutation(count)]


def _lines(path: Path, adapter: Wanted | None, plugins: Plugins) -> list[Source]:
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            try:
                found.append(find_source(line.strip(), adapter, plugins))
            except NATError as error:
                raise NATError(f"{path}, line {number}: {error}") from None
    if not found:
        raise NATError(f"{path}: there is no architecture in it")
    return found
