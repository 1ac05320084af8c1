"""Data files of archives that a person has to fetch: in their formats, small, and in the digits of the data files."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from nat_nasbench.transnas import from_ops

from benchmarks.common.files import NB201, TRANSNAS
from benchmarks.data.__main__ import main
from benchmarks.data.archives import TASKS, CellResults, nats_bench_cells, nb201_csv, transnas_csv
from benchmarks.data.sources import SOURCES
from nat_plugin.errors import NATError
from tests.adapters.nasbench.files import CELLS, SEEDS, nats_bench_archive, percent


@pytest.mark.parametrize("whole", [True, False])
def test_cells_are_read_of_an_archive_that_the_package_of_nats_bench_made(whole: bool, tmp_path: Path) -> None:
    pytest.importorskip("nats_bench")
    found = list(nats_bench_cells(nats_bench_archive(tmp_path / "archive", whole)))
    assert [each.ops for each in found] == list(CELLS)

    def mean(name: str, epochs: int, part: str) -> Any:
        return pytest.approx(sum(percent(CELLS[2], name, epochs, seed, part) for seed in SEEDS) / len(SEEDS))

    cell = found[2]
    assert cell.c10_val == [percent(CELLS[2], "cifar10-valid", 200, seed, "valid") for seed in SEEDS]
    assert cell.c100_valtest == [percent(CELLS[2], "cifar100", 200, seed, "test") for seed in SEEDS]
    assert (cell.c10_test, cell.c100_test) == (mean("cifar10", 200, "test"), mean("cifar100", 200, "test"))
    assert cell.after_12 == (
        mean("cifar10-valid", 12, "valid"),
        mean("cifar10", 12, "test"),
        mean("cifar100", 12, "valid"),
        mean("cifar100", 12, "test"),
    )
    assert cell.seconds == 200 * 50.0


def rows_of(path: Path) -> tuple[bytes, list[dict[str, str]]]:
    whole = gzip.decompress(path.read_bytes())
    return whole, list(csv.DictReader(io.StringIO(whole.decode())))


def test_rows_of_nas_bench_201_have_the_digits_of_the_data_file(shared_data: Path) -> None:
    whole, rows = rows_of(shared_data / NB201)

    def cell(row: Mapping[str, str]) -> CellResults:
        def seeds(name: str) -> list[float]:
            return [float(value) for number in (1, 2, 3) if (value := row[f"{name}_s{number}"])]

        first, second, third, fourth = (
            float(row[name]) for name in ("c10_val12", "c10_test12", "c100_val12", "c100_test12")
        )
        valtest, val = seeds("c100_valtest200"), float(row["c100_val200"])
        test = 2 * sum(valtest) / len(valtest) - val
        assert test == pytest.approx(float(row["c100_test200"]), abs=0.002), "rounded apart"
        return CellResults(
            row["ops"],
            seeds("c10_val200"),
            float(row["c10_test200"]),
            valtest,
            float(row["c100_test200"]),
            (first, second, third, fourth),
            float(row["c10_train200_s"]),
        )

    made = nb201_csv(map(cell, rows)).splitlines()
    wanted = whole.splitlines()
    apart = [number for number, pair in enumerate(zip(made, wanted, strict=True)) if pair[0] != pair[1]]
    at = wanted[0].decode().split(",").index("c100_val200")
    for number in apart:
        one, other = (line.decode().split(",") for line in (made[number], wanted[number]))
        assert float(one.pop(at)) == pytest.approx(float(other.pop(at)), abs=0.002), "of rounded values"
        assert one == other


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_rows_of_transnas_are_those_of_the_data_file_to_the_byte(shared_data: Path) -> None:
    whole, rows = rows_of(shared_data / TRANSNAS)
    cells = {
        from_ops(row["ops"]): {
            task: {"metrics": {metric: [0.0, float(row[task])]}, "total_epochs": 2} for task, metric in TASKS.items()
        }
        for row in rows
    }
    assert transnas_csv(saved({"data": {"macro": {}, "micro": cells}})) == whole


class Loud:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_what_is_no_archive_is_one_line_and_not_executed(tmp_path: Path) -> None:
    for wrong in (b"", b"x" * 99, saved([]), saved({"data": {"micro": {}}}), saved(Loud(tmp_path / "here"))):
        with pytest.raises(NATError, match=r"no TransNAS-Bench-101: \w+"):
            transnas_csv(wrong)
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("nats_bench")
    (tmp_path / "meta.pickle.pbz2").write_bytes(b"x" * 99)
    for path in (tmp_path, tmp_path / "meta.pickle.pbz2", tmp_path / "nowhere"):
        with pytest.raises(NATError, match="no archive of NATS-Bench: "):
            list(nats_bench_cells(path))


def test_an_archive_is_asked_for_by_its_name_and_its_page_and_what_it_gives_is_held_to_the_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (NB201, TRANSNAS):
        archive = SOURCES[name].archive
        assert archive is not None
        assert main([name, "--folder", str(tmp_path / "made"), "--archives", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {name}: not built: it needs {archive.names[0]}")
        assert archive.page in said
    pytest.importorskip("nats_bench")
    nats_bench_archive(tmp_path / "NATS-tss-v1_0-3ffb9-simple", whole=False)
    assert main([NB201, "--folder", str(tmp_path / "made"), "--archives", str(tmp_path)]) == 2
    assert "has another sha256" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
