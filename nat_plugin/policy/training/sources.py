"""From the sources of a recipe to pools of networks: tables, journals of runs, networks that an evaluator scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nat_plugin.adapter import Adapter
from nat_plugin.checksums import check, is_done
from nat_plugin.data import load
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Bench, Evaluator
from nat_plugin.ir import Frame, Moves, Network, Op, find_rule, from_json, is_connected, key
from nat_plugin.outside import Outside
from nat_plugin.plugins import Plugins
from nat_plugin.policy.training.recipe import SourcePlan, SourceSettings, TrainingRecipe
from nat_plugin.policy.training.tables import pool_of_table
from nat_plugin.policy.training.tasks import Pool
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.loading import NETWORK
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.record import RUN_FILE, Record
from nat_plugin.search.base import Proposal
from nat_plugin.sources import find_adapter, find_source, read_text
from nat_plugin.training.seeds import derive
from nat_plugin.writing import extended

JOURNAL = "journal.jsonl"


def read_pool(name: str, source: SourceSettings, part: SourcePlan, recipe: TrainingRecipe, plugins: Plugins) -> Pool:
    """The networks of a source. NATError, naming it, for anything that is wrong."""
    try:
        if source.table is not None:
            return pool_of_table(part.evaluator)
        if source.runs is not None:
            return _of_runs(source.runs, plugins)
        return _of_evaluator(source, part, recipe, plugins)
    except NATError as error:
        raise NATError(f"sources.{name}: {error}") from error


@dataclass(frozen=True)
class _Value:
    """The mean of what was measured of a network, over so many times."""

    network: Network
    total: float
    count: int = 1

    @property
    def mean(self) -> float:
        return self.total / self.count


def _of_runs(folders: Sequence[Path], plugins: Plugins) -> Pool:
    known: dict[str, _Value] = {}
    passed, formats = 0, set[str]()
    for folder in folders:
        record = Record.read(folder)
        if is_done(folder):
            check(folder, record.run, (JOURNAL, NETWORK))
        formats.add(record.origin.adapter)
        passed += _read_run(folder, record, plugins, known)
    if not known:
        raise NATError(f"{folders[0]}: the journal has no evaluation that says which network it is of")
    values = [known[name] for name in sorted(known)]
    left_out = (f"{passed:,} lines of networks that cannot be told from their operations",) if passed else ()
    return Pool(
        tuple(value.network for value in values),
        lambda numbers: [values[number].mean for number in numbers],
        known=True,
        what=f"measurements of {len(folders)} run{'s' * (len(folders) > 1)}",
        space=", ".join(sorted(formats)),
        left_out=left_out,
        outside=tuple(
            outside
            for folder in folders
            for outside in (Outside.all_of(folder / RUN_FILE), Outside.all_of(folder / JOURNAL))
        ),
    )


def _read_run(folder: Path, record: Record, plugins: Plugins, known: dict[str, _Value]) -> int:
    """Add what a run measured to ``known``; how many lines are of networks that are not known.

    Shared weights change while a run goes on, so of those the gain over the run's own input counts, which was measured
    at the same moment; otherwise the score."""
    begun = plan(record.recipe, plugins)
    own = _input_of(folder, record, plugins)
    moving = plugins.find("evaluators", begun.recipe.evaluator_name).train is not Evaluator.train
    passed = 0
    for line in read_journal(folder / JOURNAL):
        if line.get("stage") != "search" or line.get("failed"):
            continue
        found = _network_of(own, line)
        if found is None or (moving and line["source"] != key(own)):
            passed += 1
            continue
        pairs = [(found, line["gain"] if moving else line["score"])]
        if line["source"] == key(own):
            pairs.append((own, 0.0 if moving else line["source_score"]))
        for network, value in pairs:
            before = known.get(key(network), _Value(network, 0.0, 0))
            known[key(network)] = replace(before, total=before.total + float(value), count=before.count + 1)
    return passed


def _input_of(folder: Path, record: Record, plugins: Plugins) -> Network:
    """The input of a run at the size of its search."""
    begun = plan(record.recipe, plugins)
    adapter = find_adapter(begun.recipe.adapter or record.origin.adapter, plugins)
    kind = plugins.find("evaluators", begun.recipe.evaluator_name)
    if begun.data is None:
        bare = kind.frame(begun.evaluator)
    elif (folder / NETWORK).is_file():
        final = from_json(read_text(folder / NETWORK))
        bare = Frame(input=final.input, classes=final.head.classes)
    else:
        data = load(begun.data, find_compute("cpu").device, plugins.datasets)
        bare = Frame(input=data.shape, classes=data.classes)
    size = begun.recipe.network
    network = adapter.read(record.origin.text, replace(bare, channels=size.channels, cells=size.cells))
    return extended(network) if begun.recipe.extended else network


def _network_of(own: Network, line: Mapping[str, Any]) -> Network | None:
    """The network of a line of a journal, if it differs from the run's input in ops only."""
    ops = [Op.parse(text) for text in line["ops"]]
    if len(ops) != len(own.slots):
        return None
    network = own.with_ops(ops)
    return network if is_connected(network) and key(network) == line["network"] else None


def _of_evaluator(source: SourceSettings, part: SourcePlan, recipe: TrainingRecipe, plugins: Plugins) -> Pool:
    assert source.evaluator is not None
    compute = find_compute(recipe.device)
    kind: type[Evaluator] = plugins.find("evaluators", str(source.evaluator["name"]))
    data = load(part.data, compute.device, plugins.datasets) if part.data is not None else None
    bare = kind.frame(part.evaluator) if data is None else Frame(input=data.shape, classes=data.classes)
    frame = replace(bare, channels=source.network.channels, cells=source.network.cells)
    adapter, inputs = _networks(source, frame, plugins)
    networks = _moved(inputs, source.moves, recipe)
    bench = Bench(tuple(inputs), find_rule(recipe.rules[0]), data, compute, recipe.seed, True, adapter.module)
    evaluator = kind(bench, part.evaluator)
    outside = (*(data.outside if data is not None else ()), *evaluator.outside)
    if isinstance(source.networks, Path):
        outside = (*outside, Outside.all_of(source.networks))
    return Pool(
        tuple(networks),
        _measuring(evaluator, networks),
        known=False,
        what=f"scores of evaluator {source.evaluator['name']}",
        space=adapter.name,
        outside=outside,
    )


def _networks(source: SourceSettings, frame: Frame, plugins: Plugins) -> tuple[Adapter, list[Network]]:
    """The networks of a source as they are given. NATError names the line of a file that is wrong."""
    label = ""
    if isinstance(source.networks, Path):
        lines = enumerate(read_text(source.networks).splitlines(), start=1)
        texts = [(f"{source.networks}, line {number}: ", line.strip()) for number, line in lines if line.strip()]
    else:
        texts = [("", text) for text in source.networks or ()]
    adapter: Adapter | None = None
    found = []
    for label, text in texts:
        try:
            each = find_source(text, source.adapter, plugins)
            adapter = adapter or each.adapter
            if each.adapter.name != adapter.name:
                raise NATError(f"this is in format '{each.adapter.name}', those before in '{adapter.name}'")
            found.append(each.adapter.read(each.text, frame))
        except NATError as error:
            raise NATError(f"{label}{error}") from None
    if adapter is None:
        raise NATError(f"{source.networks}: there is no architecture in it")
    return adapter, found


def _moved(inputs: Sequence[Network], count: int, recipe: TrainingRecipe) -> list[Network]:
    """The inputs, and so many different networks by random legal moves of them, in turn under the rules."""
    rng = np.random.default_rng(derive(recipe.seed, "moves"))
    found = {key(network): network for network in inputs if is_connected(network)}
    wanted, tries = len(found) + count, 0
    while len(found) < wanted and tries < 20 * count:
        network = inputs[tries % len(inputs)]
        rule = find_rule(recipe.rules[tries // len(inputs) % len(recipe.rules)])
        moves = Moves(network, rule)
        moved = moves.apply(moves.sample(rng))
        found.setdefault(key(moved), moved)
        tries += 1
    return list(found.values())


def _measuring(evaluator: Evaluator, networks: Sequence[Network]) -> Callable[[Sequence[int]], list[float | None]]:
    def scores(numbers: Sequence[int]) -> list[float | None]:
        proposals = [Proposal(number, networks[number], networks[number]) for number in numbers]
        return [None if each is None else _finite(each.score) for each in evaluator.measure(proposals)]

    return scores


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None


def outside_of(pools: Iterable[Pool]) -> tuple[Outside, ...]:
    """Everything that was read of paths in a recipe."""
    return tuple(dict.fromkeys(outside for pool in pools for outside in pool.outside))
