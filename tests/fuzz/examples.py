"""Valid inputs, few and small, from which the others are made."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from nat_plugin.checksums import write_checksums
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import NetworkSize, to_json
from nat_plugin.json_checksums import unseal
from nat_plugin.measuring.tables import TableSubject, blank_table, fingerprint
from nat_plugin.plugins import plugins
from tests.adapters.texts import TEXTS as FORMS
from tests.pictures import write_shard

GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 2), ('none', 0)], "
    "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 2), "
    "('avg_pool_3x3', 1)], reduce_concat=[2, 3])"
)
TEXTS = {
    "darts": [GENOTYPE, '{"normal": [["sep_conv_3x3", 0], ["skip_connect", 1]], "normal_concat": [2], '
              '"reduce": [["sep_conv_3x3", 0], ["none", 1]], "reduce_concat": [2]}'],
    "darts-compact": ["(((0, 3), (1, 5), (0, 0), (2, 4)), ((1, 0), (0, 2), (1, 1), (2, 6)))"],
    "nasbench201": ["(4, 0, 3, 1, 4, 3)"],
    "nasbench-macro": ["01221100"],
    "enas-macro": ["0\n3 0\n0 1 0\n2 0 0 1"],
    "timm": ["resnet18", '{"architecture": "resnet18", "model_args": {"num_classes": 7}, "edits": '
             '[{"op": "hidden", "at": ["layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2"], "value": 32}]}'],
}  # fmt: skip
"""Beside what ships with each adapter."""


def texts(name: str) -> list[bytes]:
    adapter = plugins().adapters[name]
    found = [each.text for each in adapter.published().values()]
    if name == "network":
        darts = plugins().adapters["darts"]
        found = [to_json(darts.read(GENOTYPE, NetworkSize(channels=4, cells=2)), None)]
    if name == "nni":  # those of other spaces need NNI, and seconds to build
        found = [text for text in found if '"DARTS"' in text]
    own = [*TEXTS.get(name, []), *(FORMS.get(name, []) if name not in ("nni", "timm") else [])]
    return [text.encode() for text in [*sorted(found, key=len)[:6], *own]]


def sources() -> list[bytes]:
    return [text for name in plugins().adapters for text in texts(name)[:2] if name != "timm"]


def arguments() -> list[bytes]:
    return [
        b"show\nDARTS_V2\n--channels\n4\n--cells\n2\n--input\n32\n--classes\n10\n--json",
        b"convert\nDARTS_V2\n--from\ndarts\n--to\nnetwork\n--channels\n4\n--cells\n2",
        b"show\n" + GENOTYPE.encode() + b"\n--adapter\ndarts",
        b"show\n-\n--keep-going",
    ]


def lists() -> list[bytes]:
    return [b"DARTS_V2\n\nNB201_ResNet\n  ENAS_micro\n" + GENOTYPE.encode() + b"\n"]


def python_files() -> list[bytes]:
    return [f"from collections import namedtuple\nDARTS = {GENOTYPE}\nBEST: object = DARTS\nX = '0 1 0 2'\n".encode()]


def budgets() -> list[bytes]:
    return [b"0.9x", b"60%", b"2.5M", b"300000", b"1 G"]


@cache
def recipes() -> list[bytes]:
    return [path.read_bytes() for path in plugins().recipes.values()]


def overrides() -> list[bytes]:
    return [
        *(b"seed=3", b"strategy.name=random", b"strategy={name: nat, hidden: 8}", b"budget.macs=0.9x"),
        *(
            b"budget={macs: 0.9x, params: 2.5M}",
            b"evaluator.data={name: digits, limit: 100}",
            b"adapter={name: nni, space: DARTS}",
        ),
        *(b"final.seeds=2", b"network.cells=3", b"search.rounds=2", b"rules=nat++", b"threads=1", b"source=DARTS_V2"),
        *(b"strategies={nat: {}, r: {name: random}}", b"sources={names: [DARTS_V2]}", b"evaluator.batch=16"),
        b"final.schedule={epochs: 2, batch: 8}",
    ]


def op_maps() -> list[bytes]:
    return [b'{"0->1": {"null": "skip", "avg_pool_*": "skip"}, "normal/*": {"sep_conv_3x3": "conv_1x1"}}']


@cache
def policies() -> list[bytes]:
    from nat_plugin.policy.files import save_policy
    from nat_plugin.policy.network import PolicyConfig, new_policy

    with tempfile.TemporaryDirectory() as folder:
        save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), Path(folder) / "policy")
        return [(Path(folder) / "policy").read_bytes()]


@cache
def checkpoints() -> list[bytes]:
    from nat_plugin.runs.state import save_state

    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder) / "state", {"round": 3, "weights": {"a": torch.ones(2, 3)}, "list": [None, "x", 1.5]})
        return [(Path(folder) / "state").read_bytes()]


TABLE = "idx,ops,c10_val200_s1,c10_val200_s2,c10_val200_s3,c10_test200\n0,333333,90,,91,93.5\n1,333334,81.5,82,,84\n"


TABLES = (
    TABLE,
    "ops,class_object,jigsaw\n102333,44,93\n000000,26,0\n",
    "matrix,ops,val_accuracy\n" + "0110000" + "0010000" + "0" * 35 + ",021,90\n",
    'arch,val_accuracy_surrogate\n"[[(0, 0), (1, 5)], [(1, 0), (0, 2)]]",93\n',
    "normal,reduce,acc_last\nnone<0;skip_connect<1,sep_conv_5x5<1;skip_connect<0,97\n",
)


OWNER, RESULT = "0" * 64, b"Genotype"
"""Which run or comparison what is sealed is of, and a result of it."""


def _sealed(path: Path, write: Callable[[Path], None]) -> bytes:
    """What is written into a folder, without its checksum: an example of what is in it."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return json.dumps(unseal((Path(folder) / path).read_text())).encode()


@cache
def run_records() -> list[bytes]:
    from nat_plugin.runs.recipe import load_recipe
    from nat_plugin.runs.record import RunRecord, RunSource

    origin = RunSource(GENOTYPE, "darts", "mine")
    recipe = load_recipe("quickstart", (), plugins()).resolved()
    return [_sealed(Path("run.json"), RunRecord.of(recipe, origin, [Outside.all_of(Path(__file__))]).write)]


@cache
def comparison_records() -> list[bytes]:
    from nat_plugin.comparisons.recipe import load_comparison
    from nat_plugin.comparisons.record import ComparisonRecord
    from nat_plugin.runs.record import RunSource

    origins = [RunSource(GENOTYPE, "darts", "mine"), RunSource("DARTS_V2", "darts", "DARTS_V2")]
    recipe = load_comparison("compare-digits", (), plugins()).resolved()
    return [_sealed(Path("compare.json"), ComparisonRecord.of(recipe, origins, 0, []).write)]


def search_records() -> list[bytes]:
    from nat_plugin.comparisons.search import HeldOutInput, Improvement, SearchTrace

    trace = SearchTrace(
        (Improvement(0, "a" * 32, 0.0, 0.0), Improvement(2, "b" * 32, 0.5, -0.25)), 3, True, HeldOutInput(0.5, 100, 0.1)
    )
    return [json.dumps({"comparison": OWNER, "search": "strategy0-input0-seed0", **trace.to_json()}).encode()]


def checksum_lists() -> list[bytes]:
    def write(folder: Path) -> None:
        (folder / "architecture.txt").write_bytes(RESULT)
        write_checksums(folder, OWNER, [folder / "architecture.txt"])

    return [_sealed(Path("checksums.json"), write)]


CIFAR_IMAGES, CIFAR_CLASSES = 20, 2


def cifar_files() -> list[bytes]:
    return [b"".join(bytes([number % CIFAR_CLASSES]) + bytes([number]) * 3072 for number in range(CIFAR_IMAGES))]


def tables() -> list[bytes]:
    return [text.encode() for text in TABLES]


def own_tables() -> list[bytes]:
    from tests.evaluators.table.tables import combinations, genotype

    rows = [f'"{genotype(ops)}",{90 + at},' for at, ops in enumerate(combinations(3))]
    return ["\n".join(["architecture,accuracy,note", *rows, ""]).encode()]


def packed_tables() -> list[bytes]:
    return [gzip.compress(text, mtime=0) for text in tables()]


CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"


def costs() -> list[bytes]:
    network = plugins().find("adapters", "nasbench201").read(CELL, NetworkSize())
    blank = blank_table(network, "energy", "mJ", TableSubject(fingerprint(network), "a cell"))
    text = blank.render().replace("null,", "1,").replace("null}", "1}")
    return [text.replace('"fixed": 1', '"fixed": [2.5, 2, 3.5]').encode()]


def latencies() -> list[bytes]:
    return [b"idx,raspi4,pixel3\n0,3.5,1\n1,,2\n"]


@cache
def databases() -> list[bytes]:
    from tests.adapters.nasbench.files import nni_database

    with tempfile.TemporaryDirectory() as folder:
        return [nni_database(Path(folder) / "nasbench.db").read_bytes()]


def idx_files() -> list[bytes]:
    plain = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4) + bytes(range(24))
    return [plain, gzip.compress(plain, mtime=0)]


@cache
def npz_files() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, x_train=np.zeros((4, 3, 3, 3), np.uint8), y_train=np.arange(4), names=np.array(["a", "b", "c", "d"]))
        found.append(file.getvalue())
    return found


@cache
def shards() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        first, other, *_ = images()
        samples = {"one": {"png": first, "cls": b"0"}, "other": {"jpg": other, "cls": b"1\n"}}
        return [write_shard(Path(folder) / "shard.tar", samples).read_bytes()]


@cache
def images() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "BMP", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3)).save(file, kind)
        found.append(file.getvalue())
    return found


def timm_configs() -> list[bytes]:
    stock = {
        "architecture": "resnet18",
        "num_classes": 7,
        "num_features": 512,
        "pretrained_cfg": {"input_size": [3, 224, 224]},
    }
    args = {
        "base": "resnet18",
        "edits": [{"op": "stride", "at": "conv1", "value": 1}, {"op": "null", "at": ["layer1.0"]}],
    }
    return [json.dumps(each).encode() for each in (stock, {**stock, "architecture": "nat_edited", "model_args": args})]


def nni_samples() -> list[bytes]:
    return [b'{"a": 1, "b": "x"}', b'[{"a": [1, 2]}, {"sample": {"a": null}, "metric": 0.5}]']


def nni_checkpoints() -> list[bytes]:
    from nat_nni.experiment.state import to_plain, write_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        trials = to_plain({"best": 0.5, "weights": torch.ones(2)})
        write_checkpoint(Path(folder) / "search", {"trials": trials, "started": [1, 2]})
        return [(Path(folder) / "search").read_bytes()]
