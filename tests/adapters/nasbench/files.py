"""Small files of every layout, with accuracies that a function of cell and seed gives."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from nat_nasbench.nb201 import from_digits

CELLS = ("333333", "111111", "303101", "133131", "000000")
SEEDS = (777, 888)
NNI_OPS = ("none", "skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3")
# As peewee makes them from nni/nas/benchmark/nasbench201/schema.py of microsoft/nni 3.0.
NNI_TABLES = """
CREATE TABLE "nb201trialconfig" ("id" INTEGER NOT NULL PRIMARY KEY, "arch" JSON NOT NULL,
  "num_epochs" INTEGER NOT NULL, "num_channels" INTEGER NOT NULL, "num_cells" INTEGER NOT NULL,
  "dataset" VARCHAR(20) NOT NULL);
CREATE TABLE "nb201trialstats" ("id" INTEGER NOT NULL PRIMARY KEY, "config_id" INTEGER NOT NULL,
  "seed" INTEGER NOT NULL, "train_acc" REAL NOT NULL, "valid_acc" REAL NOT NULL, "test_acc" REAL NOT NULL,
  "ori_test_acc" REAL NOT NULL, "train_loss" REAL, "valid_loss" REAL, "test_loss" REAL, "ori_test_loss" REAL,
  "parameters" REAL NOT NULL, "latency" REAL NOT NULL, "flops" REAL NOT NULL, "training_time" REAL NOT NULL,
  "valid_evaluation_time" REAL NOT NULL, "test_evaluation_time" REAL NOT NULL,
  "ori_test_evaluation_time" REAL NOT NULL, FOREIGN KEY ("config_id") REFERENCES "nb201trialconfig" ("id"));
CREATE INDEX "nb201trialstats_config_id" ON "nb201trialstats" ("config_id");
"""
DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")


def percent(digits: str, trained_on: str, epochs: int, seed: int, part: str) -> float:
    """An accuracy, different for everything that it depends on."""
    known = DATASETS.index(trained_on) * 10 + epochs / 100 + seed / 1000 + {"valid": 0.0, "test": 0.5}[part]
    return 30 + sum(map(int, digits)) + known


def nni_database(path: Path) -> Path:
    """Cells of 12 and 200 epochs on all data sets."""
    with sqlite3.connect(path) as database:
        database.executescript(NNI_TABLES)
        for digits in CELLS:
            ops = [NNI_OPS[int(digit)] for digit in digits]
            pairs = zip(("0_1", "0_2", "1_2", "0_3", "1_3", "2_3"), ops, strict=True)
            arch = "{" + ",".join(f'"{pair}":"{op}"' for pair, op in sorted(pairs)) + "}"
            for epochs in (12, 200):
                for name in DATASETS:
                    row = (arch, epochs, 16, 5, name.lower())
                    made = database.execute("INSERT INTO nb201trialconfig VALUES (NULL, ?, ?, ?, ?, ?)", row)
                    for seed in SEEDS:
                        accuracies = [percent(digits, name, epochs, seed, part) for part in ("valid", "test")]
                        values = [made.lastrowid, seed, 99.0, *accuracies, accuracies[1], *[1.0] * 4]
                        values += [1.0, 0.001 * sum(map(int, digits)), 1.0, *[1.0] * 4]
                        database.execute(f"INSERT INTO nb201trialstats VALUES (NULL{', ?' * len(values)})", values)
    return path


def nats_bench_archive(folder: Path, whole: bool) -> Path:
    """Made by the package itself: one file, or a folder with a file for each cell."""
    from nats_bench import ArchResults, ResultsCount, pickle_save

    def trained(digits: str, name: str, epochs: int, seed: int) -> Any:
        config = {"arch_str": from_digits(digits), "channel": 16, "num_cells": 5, "class_num": 10}
        curve = dict.fromkeys(range(epochs), 50.0)
        latency = [0.001 * sum(map(int, digits))]
        result = ResultsCount(name, None, curve, curve, 1.0, 1.0, config, seed, epochs, latency)
        result.update_train_info(curve, curve, curve, curve)
        parts = {
            "cifar10-valid": {"x-valid": "valid", "ori-test": "test"},
            "cifar10": {"ori-test": "test"},
        }.get(name, {"x-valid": "valid", "x-test": "test", "ori-test": "test"})
        for own, part in parts.items():
            last = {f"{own}@{epochs - 1}": percent(digits, name, epochs, seed, part)}
            every = {f"{own}@{epoch}": 10.0 for epoch in range(epochs)} | last
            result.update_eval(every, every, every)
        return result

    infos: dict[int, dict[str, Any]] = {}
    for number, digits in enumerate(CELLS):
        infos[number] = {}
        for epochs in (12, 200):
            found = ArchResults(number, from_digits(digits))
            for name in DATASETS:
                for seed in SEEDS:
                    found.update(name, seed, trained(digits, name, epochs, seed))
            infos[number][str(epochs)] = found.state_dict()
    archs = [from_digits(digits) for digits in CELLS]
    folder.mkdir(exist_ok=True)
    if whole:
        meta = {"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": list(infos)}
        pickle_save(meta, folder / "NATS-tss-v1_0-3ffb9.pickle")
        return folder / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    pickle_save({"meta_archs": archs}, folder / "meta.pickle")
    for number, info in infos.items():
        pickle_save(info, folder / f"{number:06d}.pickle")
    return folder
