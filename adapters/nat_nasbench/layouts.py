"""Tables of benchmarks whose columns are known: how a row gives the text that an adapter reads, and whose results stand
where.

Codings: D-X-Y/NATS-Bench and NAS-Bench-Macro by digits; TransNAS-Bench-101 by its six digits; NAS-Bench-101 by the bits
of its matrix; DARTS cells by pairs (``darts-compact``), or as antoyang/NAS-Benchmark writes them; NAS-Bench-Suite-Zero
has three spaces in one file, in the numbers of automl/NASLib.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nat_nasbench.forms101 import MAX_VERTICES, spelled
from nat_nasbench.forms201 import ENDS, NASLIB_ENDS
from nat_nasbench.nb201 import from_digits
from nat_nasbench.transnas import SIZE, from_ops
from nat_plugin.extending import MEAN, Results, TableLayout, Unit
from nat_plugin.ir import NetworkSize

CIFAR10, CIFAR100 = NetworkSize(), NetworkSize(classes=100)
IMAGENET16 = NetworkSize(input=(3, 16, 16), classes=120)
SMALL_DARTS = NetworkSize(channels=32, cells=8)
"""In which NAS-Bench-301 trains its cells."""
TASKS: Mapping[str, Unit] = {
    **dict.fromkeys(("class_object", "class_scene", "jigsaw"), "percent"),
    **dict.fromkeys(("autoencoder", "normal", "segmentsemantic", "room_layout"), "number"),
}
"""Of TransNAS-Bench-101, validation at the last epoch of one training each: accuracies; SSIM, mIoU and losses."""
VALIDATION = "val_accuracy"
"""The column of zero-cost-proxy tables of automl/NASLib, in percent."""
_NB101_OPS = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
_NASLIB_TRANSNAS = "1032"
"""The digits of TransNAS-Bench-101 in the order of NASLib's numbers."""
_PAIR = re.compile(r"(\w+)<(\d)")


def _whole(text: str, count: int, most: int) -> str:
    """So many digits from 0 to ``most``. ValueError for anything else."""
    text = text.strip()
    if len(text) != count or any(each not in "0123456789"[: most + 1] for each in text):
        raise ValueError("other digits")
    return text


def _nb201(row: Mapping[str, str]) -> str:
    return from_digits(_whole(row["ops"], 6, 4))


def _transnas(row: Mapping[str, str]) -> str:
    return from_ops(_whole(row["ops"], 6, 3))


def _nb101(row: Mapping[str, str]) -> str:
    """``matrix``: the bits of 7 rows, of which a smaller cell uses the first; ``ops``: a digit a vertex."""
    size = len(row["ops"].strip())
    bits = _whole(row["matrix"], MAX_VERTICES**2, 1)
    ops = [_NB101_OPS[int(digit)] for digit in _whole(row["ops"], size, len(_NB101_OPS) - 1)]
    rows = [bits[at : at + MAX_VERTICES] for at in range(0, len(bits), MAX_VERTICES)]
    matrix = tuple(tuple(map(int, each[:size])) for each in rows[:size])
    return spelled(matrix, ops)


def _arch(row: Mapping[str, str]) -> str:
    return row["arch"]


def _naslib_transnas(row: Mapping[str, str]) -> str:
    """``(0, 1, 2, 3, 0, 1)``: 0 skip, 1 none, 2 conv 3x3, 3 conv 1x1 on the edges in NASLib's order; in the network of
    three modules in which NAS-Bench-Suite-Zero trained them."""
    numbers = _whole("".join(re.findall(r"\d+", row["arch"])), 6, 3)
    ops = dict(zip(NASLIB_ENDS, (_NASLIB_TRANSNAS[int(number)] for number in numbers), strict=True))
    return from_ops("".join(ops[ends] for ends in ENDS), "414")


def _darts(row: Mapping[str, str]) -> str:
    """``op<source;op<source|…``, two entries for each node from 2 on."""
    cells = [_PAIR.findall(row[cell]) for cell in ("normal", "reduce")]
    if not all(cells) or [_entries(cell) for cell in cells] != [row["normal"], row["reduce"]]:
        raise ValueError("another form")
    normal, reduce = ([(op, int(source)) for op, source in cell] for cell in cells)
    inner = [list(range(2, 2 + len(cell) // 2)) for cell in (normal, reduce)]
    return f"Genotype(normal={normal}, normal_concat={inner[0]}, reduce={reduce}, reduce_concat={inner[1]})"


def _entries(pairs: Sequence[tuple[str, str]]) -> str:
    each = [f"{op}<{source}" for op, source in pairs]
    return "|".join(";".join(each[at : at + 2]) for at in range(0, len(each), 2))


def _means(short: str, dataset: str, epochs: int, network_size: NetworkSize, images: tuple[int, int]) -> Results:
    return Results(dataset, epochs, {MEAN: f"{short}_val{epochs}"}, (f"{short}_test{epochs}",), images, network_size)


def _one(column: str, network_size: NetworkSize, unit: Unit = "percent") -> Results:
    """Of one training, chosen and reported by the same images."""
    measured = "accuracy" if unit == "percent" else column
    return Results(column, None, {MEAN: column}, (column,), network_size=network_size, unit=unit, measured=measured)


_HALF, _HUNDRED, _SIXTEEN = (25_000, 10_000), (5_000, 5_000), (3_000, 3_000)
_SINGLES = {seed: f"c10_val200_s{seed}" for seed in (1, 2, 3)}
NB201 = TableLayout(
    "nasbench201",
    "NAS-Bench-201",
    "nasbench201",
    ("ops",),
    _nb201,
    (
        Results("cifar10", 200, _SINGLES, ("c10_test200",), _HALF, CIFAR10),
        _means("c10", "cifar10", 12, CIFAR10, _HALF),
        # c100_valtest200_s* are no columns to choose by: they have the test images in them.
        _means("c100", "cifar100", 200, CIFAR100, _HUNDRED),
        _means("c100", "cifar100", 12, CIFAR100, _HUNDRED),
        _means("in16", "imagenet16-120", 200, IMAGENET16, _SIXTEEN),
        _means("in16", "imagenet16-120", 12, IMAGENET16, _SIXTEEN),
    ),
    size=5**6,
    rewires=True,
)
LAYOUTS = (
    NB201,
    TableLayout(
        "nasbench-macro",
        "NAS-Bench-Macro",
        "nasbench-macro",
        ("arch",),
        _arch,
        # Three trainings, all assessed on the test images: the first is to choose by, the others to report.
        (Results("cifar10", 50, {1: "acc_s1"}, ("acc_s2", "acc_s3"), (10_000, 10_000), CIFAR10),),
        size=3**8,
    ),
    TableLayout(
        "transnas",
        "TransNAS-Bench-101",
        "transnas",
        ("ops",),
        _transnas,
        tuple(_one(task, SIZE, unit) for task, unit in TASKS.items()),
        size=4**6,
        rewires=True,
    ),
    TableLayout(
        "nasbench101",
        "NAS-Bench-101",
        "nasbench101",
        ("matrix", "ops"),
        _nb101,
        (_one(VALIDATION, CIFAR10),),
        duplicates="mean",  # cells that differ in what is never built are one network
    ),
    TableLayout(
        "nasbench301-surrogate",
        "NAS-Bench-301, predicted by its surrogate",
        "darts-compact",
        ("arch",),
        _arch,
        (_one("val_accuracy_surrogate", SMALL_DARTS),),
    ),
    TableLayout(
        "darts214",
        "214 DARTS cells of NAS-Benchmark",
        "darts",
        ("normal", "reduce"),
        _darts,
        (_one("acc_last", CIFAR10), _one("acc_best", CIFAR10)),
    ),
    *(
        TableLayout(
            f"suite-zero-{space}",
            f"NAS-Bench-Suite-Zero {space}",
            adapter,
            ("arch",),
            text,
            (_one(VALIDATION, network_size),),
            {"space": space},
        )
        for space, adapter, text, network_size in (
            ("nasbench201", "nasbench201", _arch, CIFAR10),
            ("nasbench301", "darts-compact", _arch, SMALL_DARTS),
            ("transbench101_micro", "transnas", _naslib_transnas, CIFAR10),
        )
    ),
)
