"""Tables of trained networks in all their layouts; what is missing or damaged is said in one line."""

from __future__ import annotations

import csv
import gzip
import sqlite3
import sys
from pathlib import Path

import pytest
from nat_nasbench import NASBenchMacroAdapter, NB201Adapter
from nat_nasbench.nb201 import from_digits

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import CsvTable, LookupTable, TableSettings, Trained, read_latencies
from nat_plugin.evaluators.table import open_table as open_by_settings
from nat_plugin.ir import Network, NetworkSize
from tests.adapters.nasbench.files import CELLS, SEEDS, nats_bench_archive, nni_database, percent


def open_table(path: Path, layout: str, dataset: str | None, epochs: int | None) -> LookupTable:
    return open_by_settings(TableSettings(path=path, format=layout, dataset=dataset, epochs=epochs))


def cell(digits: str) -> Network:
    return NB201Adapter().read(from_digits(digits), NetworkSize())


def found_in(table: LookupTable, digits: str) -> Trained:
    network = NB201Adapter().read(from_digits(digits), table.network_size)
    found = table.find(network)
    assert found is not None
    return found


def test_the_compact_table_of_nas_bench_201(shared_data: Path) -> None:
    path = shared_data / "nasbench201.csv.gz"
    table = open_table(path, "csv", "cifar10", None)
    assert isinstance(table, CsvTable)
    assert (len(table.measured), table.results.epochs, table.results.single) == (15_625, 200, True)
    found = found_in(table, "421211")
    assert found.validation == pytest.approx({1: 0.82092, 2: 0.81616, 3: 0.8224})
    assert found.mean == pytest.approx((0.82092 + 0.81616 + 0.8224) / 3)
    assert found.test == pytest.approx(0.85863)
    assert table.number(cell("421211")) == 0
    with gzip.open(path, "rt") as file:
        every = [row["ops"] for row in csv.DictReader(file)]
    assert max(found_in(table, digits).mean for digits in every) == pytest.approx(0.91607, abs=5e-6)
    assert max(found_in(table, digits).test for digits in every) == pytest.approx(0.94373, abs=5e-6)
    assert {len(found_in(table, digits).validation) for digits in every} == {2, 3}
    short = open_table(path, "csv", "cifar100", 12)
    assert (short.results.single, found_in(short, "421211").mean, found_in(short, "421211").test) == (
        False,
        pytest.approx(0.3184),
        pytest.approx(0.3126),
    )


def test_the_compact_table_of_nas_bench_macro(shared_data: Path) -> None:
    table = open_table(shared_data / "nasbench_macro.csv.gz", "csv", "cifar10", None)
    assert table.results.epochs == 50
    network = NASBenchMacroAdapter().read("00000000", NetworkSize())
    found = table.find(network)
    assert found is not None
    assert found.validation == {1: 0.4532}
    assert found.test == pytest.approx((0.4533 + 0.4544) / 2)
    assert table.number(network) is None
    with pytest.raises(NATError, match=r"NAS-Bench-Macro has no cifar100 here; it has cifar10 after 50"):
        open_table(shared_data / "nasbench_macro.csv.gz", "csv", "cifar100", None)


def test_a_failed_measurement_is_no_latency(shared_data: Path) -> None:
    path = shared_data / "nasbench201_latency_ms.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    for device in ("1080ti_1", "pixel3", "raspi4", "gold_6226", "titan_rtx_32"):
        found = read_latencies(path, device)
        assert min(found.values()) > 0.1
        failed = {int(row["idx"]) for row in rows if float(row[device]) <= 0.1}
        assert failed.isdisjoint(found)
        assert len(failed) + len(found) == 15_625
    assert read_latencies(path, "pixel3")[1] == 17.238
    with pytest.raises(NATError, match="there is no device 'abacus'; it has 1080ti_1, pixel3, raspi4"):
        read_latencies(path, "abacus")


def official(kind: str, folder: Path) -> Path:
    if kind == "nni":
        return nni_database(folder / "nasbench201.db")
    pytest.importorskip("nats_bench")
    return nats_bench_archive(folder / "archive", whole=kind == "file")


@pytest.fixture(scope="module", params=["nni", "file", "folder"])
def official_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    kind = str(request.param)
    path = official(kind, tmp_path_factory.mktemp(kind))
    return ("nni" if kind == "nni" else "nats_bench"), path


@pytest.mark.parametrize("epochs", [None, 12])
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "imagenet16-120"])
def test_official_layouts_say_the_same(official_file: tuple[str, Path], dataset: str, epochs: int | None) -> None:
    layout, path = official_file
    table = open_table(path, layout, dataset, epochs)
    names = {"cifar10": ("cifar10-valid", "cifar10"), "imagenet16-120": ("ImageNet16-120",) * 2}
    choose, test = names.get(dataset, (dataset, dataset))
    for digits in CELLS:
        found = found_in(table, digits)
        expected = {seed: percent(digits, choose, epochs or 200, seed, "valid") / 100 for seed in SEEDS}
        assert found.validation == pytest.approx(expected)
        tests = [percent(digits, test, epochs or 200, seed, "test") / 100 for seed in SEEDS]
        assert found.test == pytest.approx(sum(tests) / 2)
        assert table.latency(cell(digits)) == (
            pytest.approx(sum(map(int, digits))) if digits != "000000" else float("inf")
        )
    with pytest.raises(NATError, match="network '444444' is not in this table") as caught:
        found_in(table, "444444")
    assert "\n" not in str(caught.value)


def test_official_numbers(official_file: tuple[str, Path]) -> None:
    layout, path = official_file
    table = open_table(path, layout, "cifar10", None)
    assert [table.number(cell(digits)) for digits in CELLS] == ([None] * 5 if layout == "nni" else [0, 1, 2, 3, 4])


def test_a_schedule_that_is_not_there_is_named(official_file: tuple[str, Path]) -> None:
    layout, path = official_file
    with pytest.raises(NATError, match="no cifar100 after 90 epochs; it has "):
        open_table(path, layout, "cifar100", 90)


def test_the_package_of_nats_bench_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(NATError, match=r"needs the package of NATS-Bench: pip install nats-bench"):
        open_table(tmp_path, "nats_bench", "cifar10", None)


def test_a_database_with_gaps_says_so(tmp_path: Path) -> None:
    path = nni_database(tmp_path / "gaps.db")
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM nb201trialconfig WHERE dataset = 'cifar10' AND num_epochs = 12")
        database.execute("DELETE FROM nb201trialconfig WHERE dataset = 'cifar100'")
    with pytest.raises(NATError, match="it has no cifar100 after 200 epochs; it has cifar10 after 200, cifar10-valid"):
        open_table(path, "nni", "cifar100", None)
    with pytest.raises(NATError, match=r"network '333333' is not in this table for cifar10$"):
        found_in(open_table(path, "nni", "cifar10", 12), "333333")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE nb201trialstats SET valid_acc = 'much'")
    with pytest.raises(NATError, match="network '333333' has 'much' as an accuracy in percent"):
        found_in(open_table(path, "nni", "cifar10", None), "333333")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE nb201trialconfig SET arch = '[[[' || arch")
    with pytest.raises(NATError, match="is not a cell of NAS-Bench-201"):
        open_table(path, "nni", "cifar10", None)


@pytest.mark.parametrize("name", ["nb201trialconfig", "num_epochs", "cifar10-valid", "conv_3x3", "TABLE"])
def test_a_database_with_bytes_that_are_no_utf8_ends_in_one_line(tmp_path: Path, name: str) -> None:
    whole = nni_database(tmp_path / "whole.db").read_bytes()
    path = tmp_path / "broken.db"
    for at in range(len(name)):
        text = name.encode()
        path.write_bytes(whole.replace(text, text[:at] + b"\xff" + text[at + 1 :]))
        with pytest.raises(NATError) as caught:
            found_in(open_table(path, "nni", "cifar10", None), "333333")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["csv", "nni", "nats_bench"])
def test_what_is_no_such_file_ends_in_one_line(tmp_path: Path, layout: str) -> None:
    if layout == "nats_bench":
        pytest.importorskip("nats_bench")
    empty, wrong = tmp_path / "empty", tmp_path / "wrong"
    empty.write_bytes(b"")
    wrong.write_bytes(bytes(range(256)) * 8)
    for path in (tmp_path / "none", tmp_path, empty, wrong):
        with pytest.raises(NATError) as caught:
            found_in(open_table(path, layout, "cifar10", None), "333333")
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


HEADER = "idx,ops,c10_val200_s1,c10_val200_s2,c10_val200_s3,c10_test200,in16_val200,in16_test200"
ROW = "0,333333,90,,91,93.5,40,41"


def written(folder: Path, *lines: str, name: str = "table.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def opened(path: Path, dataset: str | None = "cifar10") -> LookupTable:
    return open_table(path, "csv", dataset, None)


def test_a_table_of_a_few_cells(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, ROW)
    found = found_in(opened(path), "333333")
    assert (found.validation, found.test) == ({1: 0.9, 3: 0.91}, 0.935)
    assert found_in(opened(path, "imagenet16-120"), "333333").test == 0.41
    assert opened(path, None).results.dataset == "cifar10"
    with pytest.raises(NATError, match=r"has no cifar100 here; it has cifar10 after 200, imagenet16-120 after 200"):
        opened(path, "cifar100")
    assert opened(path).find(cell("111111")) is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b", "1,2"], "no known layout has these columns (NAS-Bench-201: ops; NAS-Bench-Macro: arch; "),
        (["idx,ops", "0,333333"], "fit several layouts: choose one with layout: nasbench201 or layout: transnas"),
        (["ops,jigsaw", "00030,1"], "line 2: ops: not an architecture in the encoding of TransNAS-Bench-101"),
        (["ops,jigsaw", "000040,1"], "line 2: ops: not an architecture in the encoding of TransNAS-Bench-101"),
        (
            ["matrix,ops,val_accuracy", "1,0,90"],
            "line 2: matrix, ops: not an architecture in the encoding of NAS-Bench-101",
        ),
        ([HEADER, ROW.replace("93.5", "")], "line 2: c10_test200 is missing"),
        ([HEADER, ROW.replace("90,,91", ",,")], "line 2: c10_val200_s1 is missing"),
        (
            [HEADER, ROW, ROW.replace("90", "much").replace("333333", "333331")],
            "line 3: c10_val200_s1 is 'much', not a n",
        ),
        ([HEADER, ROW.replace("90", "nan")], "line 2: c10_val200_s1 is nan, not a finite number"),
        ([HEADER, ROW.replace("90", "190")], "line 2: c10_val200_s1 is 190, no accuracy in percent"),
        ([HEADER, ROW, ROW], "line 3: this architecture is also in line 2"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(NATError) as caught:
        opened(written(tmp_path, *lines), None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
