"""The data files that experiments read, by their names in the folder of ``--data``; ``benchmarks.data`` builds them."""

from __future__ import annotations

from pathlib import Path

from nat_plugin.errors import NATError

FOLDER = Path("../shared/data")
"""Where tests and recipes look for them, too."""
NB201 = "nasbench201.csv.gz"
NB201_LATENCY = "nasbench201_latency_ms.csv.gz"
MACRO = "nasbench_macro.csv.gz"
TRANSNAS = "transnas_micro.csv.gz"
NB101 = "nasbench101_500.csv.gz"
NB301 = "nasbench301_surrogate_725.csv.gz"
DARTS214 = "darts214.csv.gz"
SUITE_ZERO = "suite_zero_svhn.csv.gz"
GENOTYPES = "named_genotypes.json.gz"
CIFAR10 = "cifar10_small.npz"
MOBILENETV2 = "mobilenetv2_100_imagenet.safetensors"
PICTURES = "imagenet_classes_1000.zip"


def find_file(folder: Path, name: str) -> Path:
    """A data file. NATError that says how it is built, where it is not in the folder."""
    path = folder / name
    if not path.is_file():
        raise NATError(f"{path}: no such file; build it by `python -m benchmarks.data {name}`, or give --data FOLDER")
    return path
