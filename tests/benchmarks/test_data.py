"""Data files: each has an origin and a hash, what is built is checked, what cannot be built says why."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import tarfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common.files import CIFAR10, GENOTYPES, MACRO, NB101, NB301, SUITE_ZERO
from benchmarks.data import cifar10, sources
from benchmarks.data.__main__ import main
from benchmarks.data.conversions import DEVICES, latency_csv, macro_csv, nb101_csv, nb301_csv
from benchmarks.data.genotypes import CHOSEN, darts214_csv, named_json
from benchmarks.data.pickles import read_plain
from benchmarks.data.sources import SOURCES, matches
from benchmarks.registry import EXPERIMENTS
from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins

PUBLISHED = {
    "00000001": {"test_acc": [64.34, 64.2, 64.12], "mean_acc": 64.2, "std": 0.1, "params": 791594, "flops": 14115328},
    "00000000": {"test_acc": [45.32, 45.33, 45.44], "mean_acc": 45.4, "std": 0.1, "params": 387882, "flops": 7713280},
}
ROWS = (
    b"arch,acc_s1,acc_s2,acc_s3,params,flops\r\n00000000,45.32,45.33,45.44,387882,7713280\r\n"
    b"00000001,64.34,64.20,64.12,791594,14115328\r\n"
)


MATRIX = (0, 1, 1, 1, 1, 0, 1, *[0] * 5, 1, 1, *[0] * 6, 1, *[0] * 4, 1, 1, *[0] * 6, 1, 1, *[0] * 14)
CELL_101 = {
    "flops": 624.55808,
    "params": 4.095778,
    "snip": 112.05493927001953,
    "jacov": -32.1920146137777,
    "grad_norm": 17.992109298706055,
    "plain": 0.030779460445046425,
    "epe_nas": 494.24246295487643,
    "fisher": 0.30068138241767883,
    "grasp": -8.815108299255371,
    "l2_norm": 1226.1436767578125,
    "synflow": 88.08498394991342,
    "val_accuracy": 92.578125,
}
"""The first of NASLib's file, as it stands there."""
NAME_301 = (
    "[[(0, 0), (1, 5), (1, 1), (0, 1), (1, 3), (0, 3), (1, 3), (3, 2)], "
    "[(1, 0), (0, 2), (1, 3), (0, 3), (3, 0), (0, 1), (2, 0), (3, 6)]]"
)
CELL_301 = {"idx": "534", "arch": NAME_301, "val_accuracy": 93.32119084207302} | {
    name: {"score": score, "time": 0.5}
    for name, score in {
        "flops": 153.499136,
        "params": 0.856298,
        "synflow": 52.796010658657906,
        "grasp": -2.9099960327148438,
        "fisher": 1.2235603332519531,
        "grad_norm": 88.77987670898438,
        "l2_norm": 623.076904296875,
        "plain": 0.19307900965213776,
        "nwot": 448.83994136418596,
        "epe_nas": 352.4744361936062,
        "jacov": -32.22197175315778,
        "snip": 229.9496612548828,
    }.items()
}


def cells_of_naslib() -> dict[str, bytes]:
    """By data file, what is made of one cell."""
    name = str((*MATRIX, 0, 2, 2, 4, 4, 4, 1))
    return {
        NB101: nb101_csv(json.dumps({"nasbench101": {"cifar10": {name: CELL_101}}}).encode()),
        NB301: nb301_csv(json.dumps({"cifar10": {NAME_301: CELL_301}}).encode()),
    }


def test_cells_of_naslib_keep_order_and_digits() -> None:
    found = {name: text.decode().splitlines() for name, text in cells_of_naslib().items()}
    assert found[NB101] == [
        "matrix,ops,val_accuracy,flops,params,synflow,nwot,jacov,snip,grasp,fisher,grad_norm,l2_norm,plain,epe_nas",
        "0111101000001100000010000110000001100000000000000,0224441,92.5781,624.558,4.09578,88.085,,-32.192,112.055,"
        "-8.81511,0.300681,17.9921,1226.14,0.0307795,494.242",
    ]
    assert found[NB301] == [
        "arch,val_accuracy_surrogate,flops,params,synflow,zen,nwot,jacov,snip,grasp,fisher,grad_norm,l2_norm,plain,epe_nas",
        f'"{NAME_301}",93.321191,153.499,0.856298,52.796,,448.84,-32.222,229.95,-2.91,1.22356,88.7799,623.077,0.193079,'
        "352.474",
    ]


def test_what_is_made_of_cells_stands_in_the_data_files(shared_data: Path) -> None:
    for name, made in cells_of_naslib().items():
        assert gzip.decompress((shared_data / name).read_bytes()).startswith(made)


def saved(values: object) -> bytes:
    file = io.BytesIO()
    torch.save(values, file)
    return file.getvalue()


def test_latencies_of_all_devices_are_rounded_to_microseconds() -> None:
    lists = {device: saved([number + 0.7541, 12.9, 13.0]) for number, device in enumerate(DEVICES)}
    assert latency_csv(lists).decode().splitlines() == [
        "idx,1080ti_1,pixel3,raspi4,gold_6226,titan_rtx_32",
        "0,0.754,1.754,2.754,3.754,4.754",
        "1,12.9,12.9,12.9,12.9,12.9",
        "2,13,13,13,13,13",
    ]
    tensors = {device: saved(torch.tensor([1.5, 2.25])) for device in DEVICES}
    assert latency_csv(tensors).decode().splitlines()[1:] == ["0,1.5,1.5,1.5,1.5,1.5", "1,2.25,2.25,2.25,2.25,2.25"]


class Loud:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_what_is_no_plain_list_of_latencies_is_refused_and_not_executed(tmp_path: Path) -> None:
    whole = saved([1.0])
    uneven = dict.fromkeys(DEVICES, whole) | {"pixel3": saved([1.0, 2.0])}
    for wrong in (uneven, {}, *(dict.fromkeys(DEVICES, file) for file in (b"", b"x" * 99, whole[:-9]))):
        with pytest.raises(NATError, match=r"no latency of HELP: \w+"):
            latency_csv(wrong)
    with pytest.raises(NATError, match=r"no latency of HELP: ValueError"):
        latency_csv(dict.fromkeys(DEVICES, saved(Loud(tmp_path / "here"))))
    assert list(tmp_path.iterdir()) == []


NAMED = [each["name"] for each in json.loads(CHOSEN.read_text())]
Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
NESTED = [
    [("max_pool_3x3", 0), ("skip_connect", 1)], [("sep_conv_3x3", 2), ("sep_conv_5x5", 0)],
    [("sep_conv_3x3", 1), ("max_pool_3x3", 0)], [("sep_conv_5x5", 0), ("max_pool_3x3", 2)],
]  # fmt: skip
FLAT = [entry for node in NESTED for entry in node]
NODES = (
    "max_pool_3x3<0;skip_connect<1|sep_conv_3x3<2;sep_conv_5x5<0|"
    "sep_conv_3x3<1;max_pool_3x3<0|sep_conv_5x5<0;max_pool_3x3<2"
)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cell", [NESTED, FLAT])
def test_random_cells_are_read_from_a_pickle_without_executing_it(cell: list[Any], protocol: int) -> None:
    genotypes = [Genotype(cell, range(2, 6), cell, [2, 3, 4, 5])] * 2
    curves = np.arange(1200.0).reshape(2, 600) / 12
    curves[0, 7] = 99.994
    file = io.BytesIO()
    np.save(file, curves)
    assert darts214_csv(pickle.dumps(genotypes, protocol), file.getvalue()).decode().splitlines() == [
        "id,normal,reduce,acc_best,acc_last,acc_e50,acc_e100,acc_e200,acc_e300,acc_e450",
        f"0,{NODES},{NODES},99.99,49.92,4.08,8.25,16.58,24.92,37.42",
        f"1,{NODES},{NODES},99.92,99.92,54.08,58.25,66.58,74.92,87.42",
    ]


def test_a_pickle_of_anything_but_plain_values_is_refused_and_not_executed(tmp_path: Path) -> None:
    assert read_plain(pickle.dumps({"a": [1, 2.5, None, ("b", b"c")]})) == {"a": [1, 2.5, None, ("b", b"c")]}
    build = b"c__builtin__\nxrange\n(dN\x86b."  # would change what `range` is taken for
    for wrong in (
        *(
            pickle.dumps(each)
            for each in (Loud(tmp_path / "here"), np.zeros(2), Path("x"), print, Genotype, range(10**9))
        ),
        *(build, b"", b"x", pickle.dumps([1])[:-1], b"c__builtin__\neval\n(S'1'\ntR."),
    ):
        with pytest.raises(ValueError, match="no pickle of plain values: ") as caught:
            read_plain(wrong)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    whole = pickle.dumps([Genotype(NESTED, range(2, 6), NESTED, range(2, 6))])
    for cells, curves in ((whole, b""), (whole, b"x" * 99), (b"", b""), (pickle.dumps([1]), saved([1.0]))):
        with pytest.raises(NATError, match=r"no random cells of NAS-Benchmark: \w+"):
            darts214_csv(cells, curves)


def published_genotypes() -> dict[str, str]:
    """By name, the text of those that ship."""
    return {name: each.text for name, each in plugins().find("adapters", "darts").published().items()}


def files_of(genotypes: dict[str, str]) -> bytes:
    """A file that assigns each to its name."""
    return "\n".join(f"{name} = {text}" for name, text in genotypes.items()).encode()


def test_named_cells_are_those_of_the_files_that_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = [
        {"name": "DARTS_V2", "repo": "a/b", "commit": "c", "path": "d.py", "also": ["e:f"], "cifar10_err": 2.76},
        {"name": "PDARTS", "repo": "a/b", "commit": "c", "path": "d.py"},
    ]
    (tmp_path / "chosen.json").write_text(json.dumps(chosen))
    monkeypatch.setattr("benchmarks.data.genotypes.CHOSEN", tmp_path / "chosen.json")
    asked: list[tuple[str, ...]] = []

    def download(*place: str) -> bytes:
        asked.append(place)
        return files_of(published_genotypes())

    first, second = json.loads(named_json(download))
    assert asked == [("a/b", "c", "d.py")]
    assert list(first) == [
        *(
            "name",
            "repo",
            "commit",
            "path",
            "normal",
            "normal_concat",
            "reduce",
            "reduce_concat",
            "also",
            "cifar10_err",
        ),
    ]
    assert first["normal"][:3] == [["sep_conv_3x3", 0, 2], ["sep_conv_3x3", 1, 2], ["sep_conv_3x3", 0, 3]]
    assert first["reduce_concat"] == second["normal_concat"] == [2, 3, 4, 5]
    with pytest.raises(NATError, match=r"^a/b/c/d\.py: .*PDARTS"):
        named_json(lambda *_: files_of({"DARTS_V2": published_genotypes()["DARTS_V2"]}))


def test_the_cells_of_the_data_file_are_made_of_genotypes_that_say_them(shared_data: Path) -> None:
    whole = gzip.decompress((shared_data / GENOTYPES).read_bytes())
    cells = json.loads(whole)

    def download(repository: str, commit: str, path: str) -> bytes:
        fields = ("normal", "normal_concat", "reduce", "reduce_concat")
        own = [each for each in cells if (each["repo"], each["commit"], each["path"]) == (repository, commit, path)]
        return files_of({each["name"]: f"Genotype({', '.join(f'{of}={each[of]}' for of in fields)})" for each in own})

    assert named_json(download) == whole


def archive_of(images: np.ndarray, labels: list[int], members: int = 2) -> bytes:
    """As CIFAR-10 is published: a label and an image's pixels, color by color, one after the other."""
    records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for image, label in zip(images, labels, strict=True)]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for member in range(members):
            data = b"".join(records[member::members])
            info = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{member}.bin")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def test_images_of_cifar10_are_picked_by_their_keys_in_their_order() -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8), [3, 1, 4, 1, 5, 9]
    keys = b"".join(cifar10.key_of(images[number].transpose(2, 0, 1).tobytes()) for number in (4, 0, 2))
    with np.load(io.BytesIO(cifar10.small_npz(archive_of(images, labels), keys, train=2))) as found:
        assert (found["x_train"] == images[[4, 0]]).all()
        assert (found["x_test"] == images[[2]]).all()
        assert (found["y_train"].tolist(), found["y_test"].tolist()) == ([5, 3], [4])
        assert found["names"][3] == "cat"
    with pytest.raises(NATError, match="lacks 1 of 3 images; it has 4"):
        cifar10.small_npz(archive_of(images[:4], labels[:4]), keys)
    for wrong in (b"", b"x" * 99, archive_of(images, labels)[:-99]):
        with pytest.raises(NATError, match=r"no archive of CIFAR-10: \w+"):
            cifar10.small_npz(wrong, keys)


def test_the_keys_are_those_of_the_images_in_the_data_file(shared_data: Path) -> None:
    """Whatever packs them."""
    with np.load(shared_data / CIFAR10) as known:
        whole = {name: known[name] for name in known.files}
    images = np.concatenate([whole["x_train"], whole["x_test"]])
    labels = [*whole["y_train"].tolist(), *whole["y_test"].tolist()]
    assert matches(CIFAR10, cifar10.small_npz(archive_of(images, labels), cifar10.CHOSEN.read_bytes()))
    assert not matches(CIFAR10, b"x")


@pytest.mark.parametrize("name", [name for name, each in SOURCES.items() if each.build is not None])
def test_each_that_is_built_is_downloaded_converted_and_held_to_its_hash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    npy = io.BytesIO()
    np.save(npy, np.zeros((1, 600)))
    genotype = pickle.dumps([Genotype(NESTED, range(2, 6), NESTED, range(2, 6))])
    small = json.dumps({"cifar10": {}, "nasbench101": {"cifar10": {}}}).encode()
    kinds = {".pt": saved([1.0]), ".pkl": genotype, ".npy": npy.getvalue(), "cifar10.json": b"{}", ".json": small}
    genotypes = dict.fromkeys(NAMED, published_genotypes()["DARTS_V2"])
    kinds |= {".py": files_of(genotypes), ".tar.gz": archive_of(np.zeros((1, 32, 32, 3), np.uint8), [0])}

    def download(addresses: list[str]) -> bytes:
        asked.extend(addresses)
        return next(content for end, content in kinds.items() if addresses[0].endswith(end))

    monkeypatch.setattr(sources, "download", download)
    key = tmp_path.with_suffix(".keys")
    key.write_bytes(cifar10.key_of(bytes(cifar10.PIXELS)))
    monkeypatch.setattr(cifar10, "CHOSEN", key)
    assert main([name, "--folder", str(tmp_path)]) == 2
    assert "has another sha256" in capsys.readouterr().err
    hosts = ("https://raw.githubusercontent.com/", "https://www.cs.toronto.edu/")
    assert asked
    assert all(address.startswith(hosts) for address in asked)
    assert list(tmp_path.iterdir()) == []


def test_every_file_that_an_experiment_reads_has_an_origin() -> None:
    assert {name for each in EXPERIMENTS.values() for name in each.reads} <= SOURCES.keys()
    ways = {
        name: (each.build is not None, each.archive is not None, bool(each.missing)) for name, each in SOURCES.items()
    }
    assert {sum(each) for each in ways.values()} == {1}


def test_what_is_built_is_checked_and_then_only_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "download", lambda _: json.dumps(PUBLISHED).encode())
    assert main([MACRO, "--folder", str(tmp_path)]) == 2  # two networks are not the whole benchmark
    assert "has another sha256" in capsys.readouterr().err
    assert not (tmp_path / MACRO).exists()
    right = replace(SOURCES[MACRO], sha256=hashlib.sha256(ROWS).hexdigest())
    monkeypatch.setitem(SOURCES, MACRO, right)
    assert main([MACRO, "--folder", str(tmp_path)]) == 0
    assert gzip.decompress((tmp_path / MACRO).read_bytes()) == ROWS
    monkeypatch.setattr(sources, "download", None)
    assert main([MACRO, "--folder", str(tmp_path)]) == 0
    assert [line.split(":")[1] for line in capsys.readouterr().out.splitlines()] == [" built", " right"]
    (tmp_path / MACRO).write_bytes(gzip.compress(b"other"))
    assert main([MACRO, "--folder", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err


def test_what_cannot_be_built_says_why_and_where_it_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([SUITE_ZERO, "--folder", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {SUITE_ZERO}: not built: ")
    assert "automl/NASLib" in said


@pytest.mark.parametrize("published", [b"", b"[]", b'{"00000000": {}}', b'{"00000000": {"test_acc": ["x"]}}'])
def test_a_download_of_something_else_is_one_line(published: bytes) -> None:
    with pytest.raises(NATError, match=r"no NAS-Bench-Macro: \w+"):
        macro_csv(published)


def test_the_files_beside_the_checkout_are_those_of_the_figures(shared_data: Path) -> None:
    assert main(["--folder", str(shared_data)]) == 0
