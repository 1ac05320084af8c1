"""Stand-ins for the data files: whole tables whose accuracies and latencies are made up and follow what cells hold,
images of noise, weights that have learned nothing. ``--quick`` and tests read them; no figure of them means anything.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
from nat_nasbench.forms201 import ENDS
from nat_nasbench.nb201 import spell

from benchmarks.common.files import CIFAR10, MACRO, MOBILENETV2, NB201, NB201_LATENCY, PICTURES, TRANSNAS

RECIPE = "made_up.yaml"
"""Of `nat train`, with tables beside it."""
CELLS = tuple(map("".join, itertools.product("01234", repeat=6)))
"""Every cell of NAS-Bench-201, a digit for each op."""
WORTH = (0.0, 3.0, 4.0, 5.0, 1.0)
MILLISECONDS = (0.0, 1.0, 5.0, 10.0, 3.0)


def alive(cell: str) -> list[int]:
    """The digits on a path from the input of a cell to its output."""
    edges = [(*ends, int(digit)) for ends, digit in zip(ENDS, cell, strict=True) if digit != "0"]
    fed, wanted = {0}, {3}
    for source, target, _ in sorted(edges, key=lambda edge: edge[1]):
        fed |= {target} if source in fed else set()
    for source, target, _ in sorted(edges, key=lambda edge: -edge[0]):
        wanted |= {source} if target in wanted else set()
    return [digit for source, target, digit in edges if source in fed and target in wanted and 3 in fed]


def percent(cell: str, of: str, worst: float = 60.0) -> float:
    """The accuracy of a cell; ``of`` says which, and adds up to a point of noise."""
    noise = zlib.crc32(f"{cell} {of}".encode()) / 2**32
    kept = alive(cell)
    return round(worst + sum(WORTH[digit] for digit in kept) + noise if kept else 10 + noise, 3)


def milliseconds(cell: str) -> float:
    """The latency of a cell; one that computes nothing has none."""
    return sum(MILLISECONDS[digit] for digit in alive(cell))


def _writing(path: Path) -> TextIO:
    return gzip.open(path, "wt", compresslevel=1) if path.suffix == ".gz" else path.open("w")


def nb201_table(path: Path, worst: float = 60.0) -> Path:
    """All cells, packed; a seventh of them were trained with two seeds of three."""
    singles = ("c10_val200_s1", "c10_val200_s2", "c10_val200_s3")
    parts = (*singles, "c10_test200", "c100_val200", "c100_test200", "c10_val12", "c100_val12")
    with _writing(path) as file:
        print("idx", "ops", *parts, sep=",", file=file)
        for number, cell in enumerate(CELLS):
            row = ["" if part == singles[2] and number % 7 == 0 else percent(cell, part, worst) for part in parts]
            print(number, cell, *row, sep=",", file=file)
    return path


def latency_table(path: Path) -> Path:
    """All cells on two devices, of which one is twice as fast."""
    with _writing(path) as file:
        print("idx,raspi4,1080ti_1", file=file)
        for number, cell in enumerate(CELLS):
            print(number, milliseconds(cell), milliseconds(cell) / 2, sep=",", file=file)
    return path


def macro_table(path: Path) -> Path:
    """All networks of NAS-Bench-Macro."""
    with _writing(path) as file:
        print("arch,acc_s1,acc_s2,acc_s3", file=file)
        for digits in map("".join, itertools.product("012", repeat=8)):
            print(digits, *(70 + sum(map(int, digits)) + seed for seed in (0.1, 0.2, 0.3)), sep=",", file=file)
    return path


def transnas_table(path: Path) -> Path:
    """The cells of TransNAS-Bench-101 micro, on three tasks."""
    tasks = ("class_object", "jigsaw", "autoencoder")
    with _writing(path) as file:
        print("ops", *tasks, "flops_M,params_M", sep=",", file=file)
        for cell in map("".join, itertools.product("0123", repeat=6)):
            print(cell, *(percent(cell, task) for task in tasks), 1.0, 1.0, sep=",", file=file)
    return path


def images(path: Path, train: int = 400, test: int = 100) -> Path:
    """In the layout of CIFAR-10: pixels at random, a little brighter for every class."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for part, count in (("train", train), ("test", test)):
        labels = rng.permutation(np.arange(count) % 10)
        pixels = rng.integers(0, 166, (count, 32, 32, 3)) + 10 * labels[:, None, None, None]
        found |= {f"x_{part}": pixels.astype(np.uint8), f"y_{part}": labels}
    found["names"] = np.array([f"shade {number}" for number in range(10)])
    np.savez(path, **found)  # type: ignore[arg-type]  # its stub has a flag among the arrays
    return path


def pictures(path: Path, count: int = 24) -> Path:
    """An archive of pictures by class number."""
    from PIL import Image  # timm brings it

    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8)).save(file, "JPEG")
            archive.writestr(f"{number}/{number:04}.jpg", file.getvalue())
    return path


def weights(path: Path) -> Path:
    """Of a MobileNetV2 as timm begins it."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model("mobilenetv2_100").state_dict(), path)
    return path


def recipe(path: Path) -> Path:
    """Of a training on two tasks of a few cells, and one that has the reverse of their scores."""
    cells = itertools.product(*["013"] * 4, "3", "1")
    names = {"0": "none", "1": "skip_connect", "3": "nor_conv_3x3"}
    texts = [spell([names[digit] for digit in cell]) for cell in cells]
    lines = ["name: made up", "sources:"]
    for task, sign in (("one", 1), ("two", 1), ("three", -1)):
        rows = [f"{text},{50 + sign * number / 10}" for number, text in enumerate(texts)]
        path.with_name(f"{task}.csv").write_text("\n".join(["architecture,accuracy", *rows]) + "\n")
        lines.append(f"  {task}: {{table: {{path: {task}.csv, adapter: nasbench201, metric: accuracy}}}}")
    path.write_text("\n".join(lines) + "\n")
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    NB201: partial(nb201_table, worst=66.0),  # so that some are good by any measure
    NB201_LATENCY: latency_table,
    MACRO: macro_table,
    TRANSNAS: transnas_table,
    CIFAR10: images,
    PICTURES: pictures,
    MOBILENETV2: weights,
    RECIPE: recipe,
}


def make(name: str, folder: Path) -> None:
    """A stand-in for a data file, where there is none yet."""
    if name in MAKERS and not (folder / name).exists():
        MAKERS[name](folder / name)
