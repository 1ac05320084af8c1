"""From archives that are downloaded by hand to data files: NATS-Bench and TransNAS-Bench-101."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from nat_nasbench import NB201Adapter, TransNASAdapter
from nat_nasbench.nb201 import digits_of
from nat_nasbench.transnas import SIZE, from_ops

from benchmarks.data.conversions import load_saved, table
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, NetworkSize, layout
from nat_plugin.ir.costs import total_as_built

SEEDS = 3
"""Trainings at most of a cell of NAS-Bench-201 for 200 epochs."""
NB201_COLUMNS = (
    *("idx", "ops", "n_seeds"),
    *(f"c10_val200_s{number + 1}" for number in range(SEEDS)),
    "c10_test200",
    *(f"c100_valtest200_s{number + 1}" for number in range(SEEDS)),
    *("c100_val200", "c100_test200", "c10_val12", "c10_test12", "c100_val12", "c100_test12"),
    *("c10_train200_s", "params_M", "flops_M"),
)
TASKS = {"class_object": "valid_top1", "jigsaw": "valid_top1", "autoencoder": "valid_ssim"}
"""Of TransNAS-Bench-101, with the metric of each."""
STEM_FLOPS = 2_138_624
"""Of the classifier of scenes, what its FLOPs have beside MACs and the layers of cells."""


@dataclass(frozen=True)
class CellResults:
    """Of a cell of NAS-Bench-201: percent after 200 epochs by training, their means, the same after 12 epochs, and the
    seconds of training for 200 epochs on CIFAR-10."""

    ops: str
    c10_val: Sequence[float]
    c10_test: float
    c100_valtest: Sequence[float]
    c100_test: float
    after_12: tuple[float, float, float, float]
    seconds: float


def nb201_csv(cells: Iterable[CellResults]) -> bytes:
    """The rows of all cells, in the order of the benchmark."""

    def rows() -> Iterator[Sequence[object]]:
        for number, cell in enumerate(cells):
            c100_val = 2 * sum(cell.c100_valtest) / len(cell.c100_valtest) - cell.c100_test  # halves of the same images
            ones, threes = cell.ops.count("2"), cell.ops.count("3")
            yield (
                *(number, cell.ops, len(cell.c10_val)),
                *_trainings(cell.c10_val),
                _percent(cell.c10_test),
                *_trainings(cell.c100_valtest),
                *map(_percent, (c100_val, cell.c100_test, *cell.after_12)),
                f"{cell.seconds:.1f}",
                f"{0.073306 + 0.028 * ones + 0.24304 * threes:.6f}",
                f"{7.78305 + 3.93216 * (ones + 9 * threes):.5f}",
            )

    return table("NATS-Bench", NB201_COLUMNS, rows()).replace(b"\r\n", b"\n")


def nats_bench_cells(path: Path) -> Iterator[CellResults]:
    """Of ``NATS-tss-v1_0-3ffb9-simple``, a folder of pickles, or of the one pickle of all cells: the authors' package
    loads them, so they have to be theirs."""
    try:
        import nats_bench
    except ImportError as error:
        raise NATError("NATS-Bench is read by its package: pip install 'nat-plugin[nats]'") from error
    try:
        api = nats_bench.create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)
        for number, arch in enumerate(api.meta_archs):
            long, short = (api.query_meta_info_by_index(number, hp) for hp in ("200", "12"))
            yield CellResults(
                digits_of(NB201Adapter().read(arch, NetworkSize())),
                _by_seed(long, "cifar10-valid", "x-valid"),
                _mean(long, "cifar10", "ori-test"),
                _by_seed(long, "cifar100", "ori-test"),
                _mean(long, "cifar100", "x-test"),
                (
                    _mean(short, "cifar10-valid", "x-valid"),
                    _mean(short, "cifar10", "ori-test"),
                    _mean(short, "cifar100", "x-valid"),
                    _mean(short, "cifar100", "x-test"),
                ),
                long.get_metrics("cifar10-valid", "train")["all_time"],
            )
            api.arch2infos_dict.pop(number, None)  # all cells together take gigabytes
    except NATError:
        raise
    except Exception as error:  # pickles of any kind raise whatever is in them
        raise NATError(f"{path}: no archive of NATS-Bench: {type(error).__name__}: {error}") from error


def _mean(found: Any, dataset: str, part: str) -> float:
    return float(found.get_metrics(dataset, part)["accuracy"])


def _by_seed(found: Any, dataset: str, part: str) -> list[float]:
    seeds = sorted(found.get_dataset_seeds(dataset))
    return [float(found.get_metrics(dataset, part, is_random=seed)["accuracy"]) for seed in seeds]


def _trainings(found: Sequence[float]) -> list[str]:
    if not 0 < len(found) <= SEEDS:
        raise ValueError(f"{len(found)} trainings of a cell")
    return [*map(_percent, found), *[""] * (SEEDS - len(found))]


def _percent(value: float) -> str:
    return f"{round(value, 3):g}"


def transnas_csv(published: bytes) -> bytes:
    """The rows of all cells of ``transnas-bench_v10141024.pth``: validation at the last epoch. Costs are those of the
    classifier of scenes, as it is built. What is no plain data in the file is refused, not executed."""

    def rows() -> Iterator[Sequence[object]]:
        cells = load_saved(published)["data"]["micro"]
        for digits in map("".join, product("0123", repeat=6)):
            found = cells[from_ops(digits)]
            network = TransNASAdapter().read(from_ops(digits), SIZE)
            built = total_as_built(network)
            flops = built.macs + STEM_FLOPS + other_flops(network)
            measured = (found[task]["metrics"][metric][-1] for task, metric in TASKS.items())
            yield (
                digits,
                *(f"{float(each):.6g}" for each in measured),
                f"{flops / 1e6:.8g}",
                f"{built.params / 1e6:.6f}",
            )

    return table("TransNAS-Bench-101", ("ops", *TASKS, "flops_M", "params_M"), rows())


def other_flops(network: Network) -> int:
    """What the benchmark counts beside MACs: two for every value of a norm of the cells, one of an activation."""
    total = 0
    for placed in layout(network).placed:
        for edge, site in zip(placed.cell.edges, placed.sites, strict=True):
            if edge.op.layers(site):
                before = site.c_in * site.height * site.width
                total += before + 2 * site.c_out * (site.height // site.stride) * (site.width // site.stride)
    return total
