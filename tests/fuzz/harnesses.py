"""What takes text or files from a user, each as a function of bytes: nothing but a NATError may come out of it.

``harnesses`` are made of what is registered, so that an adapter is covered from the day it is there.
"""

from __future__ import annotations

import atexit
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import click
import numpy as np

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Limits, NetworkSize, canonical, cost, is_connected, key
from nat_plugin.json_checksums import KEY, seal
from nat_plugin.literals import assigned, assigned_names
from nat_plugin.plugins import plugins
from nat_plugin.sources import find_source
from tests.fuzz import examples as valid

CORPUS = Path(__file__).parent / "corpus"
SECONDS, CHARACTERS = 20, 4000
"""Processor seconds that one input may take, and characters that an error may have."""

Run: TypeAlias = Callable[[bytes], object]


@dataclass(frozen=True)
class Harness:
    """``run`` takes any bytes; ``examples`` are valid ones; ``count`` inputs are tried in the suite."""

    run: Run
    examples: Callable[[], list[bytes]]
    text: bool = True
    count: int = 150

    def check(self, data: bytes) -> None:
        """Anything but a NATError of a few short lines, soon, is a fault."""
        start = time.process_time()
        try:
            self.run(data)
        except NATError as error:
            lines = str(error).splitlines()
            assert lines, "an error without a word"
            assert all(len(line) <= CHARACTERS for line in lines), f"{max(map(len, lines))} characters"
        assert time.process_time() - start < SECONDS


def decoded(data: bytes) -> str:
    """As arguments of a command line come to Python."""
    return data.decode("utf-8", "surrogateescape")


@cache
def scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nat-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def in_file(read: Callable[[Path], object], name: str) -> Run:
    """``read`` a file of that name which holds the bytes."""

    def run(data: bytes) -> object:
        path = scratch() / name
        path.write_bytes(data)
        return read(path)

    return run


def of_adapter(adapter: Adapter) -> Run:
    """Whatever is read is also counted, written, and read again as the same."""

    def run(data: bytes) -> None:
        text = decoded(data)
        assert isinstance(adapter.recognises(text), bool)
        reason = adapter.near(text)
        assert reason is None or reason.splitlines() == [reason]
        size = adapter.natural_size(text)
        network = adapter.read(text, size)
        if is_connected(network):
            cost(canonical(network))
        written = adapter.write(network)
        assert key(adapter.read(written, size)) == key(network)

    return run


def source(data: bytes) -> None:
    found = find_source(decoded(data), None, plugins())
    found.adapter.read(found.text, NetworkSize())


def python_file(data: bytes) -> None:
    text = decoded(data)
    names = assigned_names(text)
    for name in [*names[:3], "DARTS"]:
        with suppress(NATError):
            assigned(text, name)
    assigned_names(text)


def budget(data: bytes) -> None:
    network = (
        plugins()
        .adapters["darts"]
        .read(plugins().adapters["darts"].published()["DARTS_V2"].text, NetworkSize(channels=4, cells=3))
    )
    parsed = Budget.parse({"macs": decoded(data)})
    limits = parsed.resolve(network)
    assert isinstance(limits, Limits)
    limits.broken(network)
    assert Budget.parse({"macs": str(parsed.limits[0])}).resolve(network) == limits
    parsed.relative_to(network).resolve(network)


def recipe(path: Path) -> None:
    from nat_plugin.comparisons.recipe import load_comparison
    from nat_plugin.policy.training.recipe import load_training
    from nat_plugin.runs.recipe import load_recipe

    for load in (load_recipe, load_comparison):
        with suppress(NATError):
            load(str(path), (), plugins()).resolved()  # type: ignore[operator]
            return
    load_training(str(path), (), plugins()).resolved()


def arguments(data: bytes) -> None:
    """Of ``nat show`` and ``nat convert``, one a line."""
    from nat_plugin.cli import nat

    command, *given = decoded(data).split("\n")
    nothing = io.TextIOWrapper(io.BytesIO())  # for SOURCE -
    with suppress(click.ClickException), redirect_stdout(io.StringIO()), patch.object(sys, "stdin", nothing):
        nat.main([command if command in ("show", "convert") else "show", *given], "nat", standalone_mode=False)


def listed(path: Path) -> None:
    from nat_plugin.comparisons.inputs import read_inputs
    from nat_plugin.comparisons.recipe import plan_comparison

    values = {"sources": {"file": str(path)}, "strategies": {"random": {}}}
    read_inputs(plan_comparison(values, plugins()), plugins())


def override(data: bytes) -> None:
    from nat_plugin.comparisons.recipe import load_comparison
    from nat_plugin.runs.recipe import load_recipe

    try:
        load_recipe("quickstart", (decoded(data),), plugins()).resolved()
    except NATError:
        load_comparison("compare-digits", (decoded(data),), plugins()).resolved()


def policy(path: Path) -> object:
    from nat_plugin.policy.files import load_policy

    return load_policy(path)


def checkpoint(path: Path) -> object:
    from nat_plugin.runs.state import load_state

    return load_state(path)


def sealed(read: Callable[[Path], object], name: str) -> Run:
    """``read`` the folder of a document as it is, and with a checksum that fits: without one nothing comes further."""

    def run(data: bytes) -> object:
        path = scratch() / name
        path.write_bytes(data)
        try:
            return read(scratch())
        except NATError:
            with suppress(ValueError, RecursionError):  # bytes of which no document can be made
                values = json.loads(data)
                if isinstance(values, dict):
                    path.write_text(seal({key: value for key, value in values.items() if key != KEY}))
            return read(scratch())
        finally:
            path.unlink()

    return run


def run_record(folder: Path) -> None:
    """What a resume reads before it trains anything."""
    from nat_plugin.runs.recipe import plan
    from nat_plugin.runs.record import RunRecord

    record = RunRecord.read(folder)
    for path in list(record.files)[:2]:
        record.moved(dict([record.pair(f"{path}={folder}")]))
    plan(record.recipe, plugins()).resolved()
    record.check_there(folder)


def comparison_record(folder: Path) -> None:
    from nat_plugin.comparisons.recipe import plan_comparison
    from nat_plugin.comparisons.record import ComparisonRecord

    record = ComparisonRecord.read(folder)
    recipe = plan_comparison(record.recipe, plugins()).resolved()
    if record.is_of(recipe):
        record.check(recipe, (), folder)


def trace(folder: Path) -> object:
    from nat_plugin.comparisons.units import SearchUnit, Work, path_of, read_trace

    work = Work({"strategies": {"a": {}}}, (), folder, valid.OWNER)
    path = path_of(work, "a", SearchUnit(0, 0))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((folder / "search.json").read_bytes())
    return read_trace(work, "a", SearchUnit(0, 0)).curve(3)


def checksum_list(folder: Path) -> None:
    from nat_plugin.checksums import check, check_file

    (folder / "architecture.txt").write_bytes(valid.RESULT)
    with suppress(NATError):
        check_file(folder / "architecture.txt")
    check(folder, valid.OWNER)


def cifar(path: Path) -> object:
    """One small file as each of those of a data set."""
    from nat_plugin.data import DataSettings, load
    from nat_plugin.data.loaders.cifar import CifarFiles, load_cifar

    names = tuple(str(number) for number in range(valid.CIFAR_CLASSES))
    layout = CifarFiles("CIFAR10", "small", (path.name,), (path.name,), (valid.CIFAR_IMAGES,) * 2, 1, names)
    settings = DataSettings(name="small", path=path.parent)
    return load(settings, "cpu", {"small": lambda settings: load_cifar(settings, layout)})


def op_map(path: Path) -> object:
    from nat_plugin.search.rules.op_map import read_op_map

    return read_op_map(path)


def table(path: Path) -> None:
    """Read by a known layout, and as a table of the user's own; what is read is as long as it says."""
    from nat_plugin.evaluators.table import TableSettings, read_table

    own = {"adapter": "nasbench201", "architecture": "ops", "metric": "c10_test200", "unusable": "leave_out"}
    for given in ({}, own, {**own, "duplicates": "mean"}):
        with suppress(NATError):
            found = read_table(TableSettings(path=path, **given))
            assert len(found) == len(found.texts) == len(found.lines) == len(found.scores) == len(found.test)
            assert np.isfinite([found.scores, found.test]).all()
            assert all(len(values) == len(found) for values in found.metrics.values())
    read_table(TableSettings(path=path))


def own_table(path: Path) -> None:
    """With an adapter, as a user has it."""
    from nat_plugin.evaluators.table import TableSettings, open_table

    given = {"adapter": "darts", "metric": "accuracy", "duplicates": "mean"}
    with suppress(NATError):
        open_table(TableSettings(path=path, unusable="leave_out", **given))
    open_table(TableSettings(path=path, lower_is_better=True, **given))


def costs(path: Path) -> object:
    from nat_plugin.measuring.tables import TableMetric, read_table

    network = plugins().find("adapters", "nasbench201").read(valid.CELL, NetworkSize())
    return TableMetric(read_table(path), path)(network)


def latencies(path: Path) -> object:
    from nat_plugin.evaluators.table import read_latencies

    return read_latencies(path, "raspi4")


def database(path: Path) -> object:
    from nat_plugin.evaluators.table import TableSettings, open_table

    adapter = plugins().adapters["nasbench201"]
    cell = adapter.read(adapter.published()["NB201_AllConv3x3"].text, NetworkSize())
    return open_table(TableSettings(path=path, format="nni")).find(cell)


def idx(path: Path) -> object:
    from nat_plugin.data.loaders.idx import read_idx

    return read_idx(path, 3)


def npz(path: Path) -> object:
    from nat_plugin.data.loaders.npz import read_arrays

    return read_arrays(path)


def image(data: bytes) -> None:
    from nat_plugin.data.loaders.image_folder import FORMATS, read_image

    for suffix in FORMATS:
        with suppress(NATError):
            in_file(lambda path: read_image(path, 8), f"image{suffix}")(data)


def shard(path: Path) -> object:
    from nat_plugin.data.loaders.shard_pictures import ShardPictures

    found = ShardPictures([path])
    return [found.read(number) for number in range(len(found.labels))]


def weights(path: Path) -> object:
    from nat_timm.saving.weights import read_weights

    return read_weights(path)


def timm_config(path: Path) -> object:
    """What stands in the config.json of a model folder, as far as no model is built of it."""
    from nat_timm.documents.document import parse

    return parse(path.read_bytes().decode("utf-8", "replace")).render()


def nni_checkpoint(path: Path) -> object:
    from nat_nni.experiment.state import read_checkpoint

    return read_checkpoint(path)


def nni_samples(path: Path) -> None:
    """The file of samples that a search in NNI starts from, as far as no space of the user's is needed."""
    from nat_nni.experiment.initial import _named

    for sample in _named(path):
        assert all(isinstance(label, str) for label in sample)


@cache
def harnesses() -> Mapping[str, Harness]:
    """By name."""
    adapters = {
        f"text-{name}": Harness(
            of_adapter(adapter), lambda name=name: valid.texts(name), count=40 if name == "timm" else 150
        )
        for name, adapter in plugins().adapters.items()
    }
    return {
        **adapters,
        "source": Harness(source, valid.sources),
        "arguments": Harness(arguments, valid.arguments, count=60),
        "list": Harness(in_file(listed, "list.txt"), valid.lists),
        "python-file": Harness(python_file, valid.python_files),
        "budget": Harness(budget, valid.budgets),
        "recipe": Harness(in_file(recipe, "recipe.yaml"), valid.recipes, count=40),
        "set": Harness(override, valid.overrides, count=60),
        "run-record": Harness(sealed(run_record, "run.json"), valid.run_records, count=60),
        "comparison-record": Harness(sealed(comparison_record, "compare.json"), valid.comparison_records, count=60),
        "search-record": Harness(sealed(trace, "search.json"), valid.search_records),
        "checksums": Harness(sealed(checksum_list, "checksums.json"), valid.checksum_lists),
        "op-map": Harness(in_file(op_map, "map.json"), valid.op_maps),
        "policy": Harness(in_file(policy, "policy.safetensors"), valid.policies, text=False, count=100),
        "checkpoint": Harness(in_file(checkpoint, "checkpoint.safetensors"), valid.checkpoints, text=False),
        "table": Harness(in_file(table, "table.csv"), valid.tables),
        "table-own": Harness(in_file(own_table, "own.csv"), valid.own_tables),
        "table-packed": Harness(in_file(table, "table.csv.gz"), valid.packed_tables, text=False),
        "costs": Harness(in_file(costs, "costs.json"), valid.costs),
        "latencies": Harness(in_file(latencies, "latencies.csv"), valid.latencies),
        "database": Harness(in_file(database, "nasbench.db"), valid.databases, text=False, count=60),
        "idx": Harness(in_file(idx, "images"), valid.idx_files, text=False),
        "cifar": Harness(in_file(cifar, "data.bin"), valid.cifar_files, text=False, count=60),
        "npz": Harness(in_file(npz, "arrays.npz"), valid.npz_files, text=False),
        "image": Harness(image, valid.images, text=False, count=60),
        "shard": Harness(in_file(shard, "train-0.tar"), valid.shards, text=False, count=60),
        "weights": Harness(in_file(weights, "model.safetensors"), valid.checkpoints, text=False),
        "timm-config": Harness(in_file(timm_config, "config.json"), valid.timm_configs),
        "nni-samples": Harness(in_file(nni_samples, "samples.json"), valid.nni_samples),
        "nni-checkpoint": Harness(in_file(nni_checkpoint, "search.json"), valid.nni_checkpoints),
    }


def corpus(name: str) -> list[Path]:
    """What failed so far in a harness, and what did in any of the texts of adapters for each of those."""
    own = sorted((CORPUS / name).glob("*"))
    return own + (sorted((CORPUS / "text").glob("*")) if name.startswith("text-") or name == "source" else [])
