"""The public tables, each read as it is: networks, values, sizes, and what their own counts of parameters say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nat_nasbench.layouts import LAYOUTS

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import MeasuredTable, TableSettings, read_table
from nat_plugin.ir.costs import total_as_built
from nat_plugin.plugins import plugins

NB101 = "ModelSpec(matrix=[[0, 1, 1], [0, 0, 1], [0, 0, 0]], ops=['input', 'maxpool3x3', 'output'])"
BITS = "0110000" + "0010000" + "0" * 35
ROWS = {
    "nasbench201": ("ops,c10_val12,c10_test12", "303101,90,91", "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_conn"),
    "nasbench-macro": ("arch,acc_s1,acc_s2,acc_s3", "01201201,90,91,92", "01201201"),
    "transnas": ("ops,class_object", "102333,44", "64-41414-1_02_333"),
    "nasbench101": ("matrix,ops,val_accuracy", f"{BITS},021,90", NB101),
    "nasbench301-surrogate": (
        "arch,val_accuracy_surrogate",
        '"[[(0, 0), (1, 5)], [(1, 0), (0, 2)]]",93',
        "[[(0, 0), (1, 5)], [(1, 0), (0, 2)]]",
    ),
    "darts214": (
        "normal,reduce,acc_last",
        "max_pool_3x3<0;skip_connect<1|sep_conv_3x3<2;none<0,sep_conv_5x5<1;skip_connect<0|none<0;dil_conv_3x3<2,97",
        "Genotype(normal=[('max_pool_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 2), ('none', 0)], "
        "normal_concat=[2, 3], reduce=[('sep_conv_5x5', 1), ('skip_connect', 0), ('none', 0), ('dil_conv_3x3', 2)], "
        "reduce_concat=[2, 3])",
    ),
    "suite-zero-nasbench201": ("space,arch,val_accuracy", 'nasbench201,"(0, 1, 2, 3, 4, 0)",95', "(0, 1, 2, 3, 4, 0)"),
    "suite-zero-nasbench301": (
        "space,arch,val_accuracy",
        'nasbench301,"(((0, 0), (1, 3)), ((1, 5), (0, 3)))",97',
        "(((0, 0), (1, 3)), ((1, 5), (0, 3)))",
    ),
    "suite-zero-transbench101_micro": (
        "space,arch,val_accuracy",
        'transbench101_micro,"(0, 1, 2, 3, 0, 1)",95',
        "64-414-1_02_310",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_gives_the_text_that_its_adapter_reads(tmp_path: Path, name: str) -> None:
    header, row, text = ROWS[name]
    (tmp_path / "table.csv").write_text(f"{header}\n{row}\n")
    layout = next(each for each in LAYOUTS if each.name == name)
    table = read_table(TableSettings(path=tmp_path / "table.csv", where=layout.where))
    assert (table.title, len(table)) == (layout.title, 1)
    assert table.texts[0].startswith(text)
    assert table.scores[0] > 0
    assert read_table(TableSettings(path=tmp_path / "table.csv", layout=name)).texts == table.texts


def test_every_layout_has_a_row_here() -> None:
    assert {*ROWS} == {each.name for each in LAYOUTS} == {*plugins().table_layouts}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("nasbench201", "3031,90,91"),
        ("transnas", "10233x,44"),
        ("nasbench101", f"{BITS}0,021,90"),
        ("nasbench101", f"{BITS},029,90"),
        ("darts214", "max_pool_3x3<0;skip_connect|none<0,none<0;none<1,97"),
        ("darts214", ",,97"),
        ("suite-zero-transbench101_micro", 'transbench101_micro,"(0, 1, 2, 3, 0, 9)",95'),
    ],
)
def test_a_row_in_another_coding_is_named(tmp_path: Path, name: str, row: str) -> None:
    (tmp_path / "table.csv").write_text(f"{ROWS[name][0]}\n{row}\n")
    with pytest.raises(
        NATError, match=r"table.csv, line 2: [\w, ]+: not an architecture in the encoding of "
    ) as caught:
        read_table(TableSettings(path=tmp_path / "table.csv", layout=name))
    assert "\n" not in str(caught.value)


def opened(folder: Path, file: str, **given: Any) -> MeasuredTable:
    return read_table(TableSettings(path=folder / f"{file}.csv.gz", **given))


ZERO = "suite_zero_svhn"
PUBLISHED = [
    ("nasbench201", {}, 15_625, 0.91607, 1e-6, "params_M"),
    ("nasbench_macro", {}, 6_561, 0.9328, 0, "params"),
    ("nasbench101_500", {}, 301, 0.947115, 1e-4, "params"),
    ("nasbench301_surrogate_725", {}, 725, 0.94489, 0.02, "params"),
    ("darts214", {}, 214, 0.9741, None, ""),
    (ZERO, {"where": {"space": "nasbench201"}}, 199, 0.9675, 1e-5, "params"),
    (ZERO, {"where": {"space": "nasbench301"}}, 199, 0.97507, 0.02, "params"),
    (ZERO, {"where": {"space": "transbench101_micro"}}, 192, 0.96466, 0.003, "params"),
]


@pytest.mark.parametrize(("file", "given", "rows", "best", "off", "column"), PUBLISHED)
def test_published_tables_are_read_as_they_are(
    shared_data: Path, file: str, given: dict[str, Any], rows: int, best: float, off: float | None, column: str
) -> None:
    """Their own parameters (in millions) tell that codings and sizes are meant so: of those of NASLib, whose skeletons
    have norms without weights in places, to a hundredth."""
    table = opened(shared_data, file, **given)
    assert (len(table), table.unit) == (rows, "percent")
    assert table.scores.max() == pytest.approx(best, abs=1e-5)
    assert np.isfinite(table.test).all()
    if off is not None:
        some = range(0, rows, max(1, rows // 100))
        ours = np.array([total_as_built(table.networks[row]).params for row in some]) / 1e6
        theirs = table.metrics[column][list(some)] / (1e6 if file == "nasbench_macro" else 1)
        assert np.abs(ours - theirs).max() <= off


def test_a_table_of_three_spaces_has_to_be_told(shared_data: Path) -> None:
    with pytest.raises(NATError, match=r"choose one with where: \{space: nasbench201\} or where: "):
        opened(shared_data, ZERO)
    table = opened(shared_data, ZERO, layout="suite-zero-nasbench301")
    assert {each.why for each in table.left_out} == {"space is 'nasbench201'", "space is 'transbench101_micro'"}


def test_tasks_and_metrics_of_a_known_table(shared_data: Path) -> None:
    ssim = opened(shared_data, "transnas_micro", dataset="autoencoder")
    assert (ssim.unit, ssim.results.measured) == ("number", "autoencoder")
    assert ssim.scores.max() == pytest.approx(0.577231)
    proxy = opened(shared_data, "nasbench301_surrogate_725", metric="synflow", test_metric="val_accuracy_surrogate")
    assert proxy.name == "NAS-Bench-301, predicted by its surrogate, synflow"
