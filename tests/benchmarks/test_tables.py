"""Tables of the documentation are those of the results that are kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.answers import Answer, At, Figure, Percent, Said, Total, table
from benchmarks.common.results import RESULTS, ROOT
from benchmarks.questions import ALONE, FINAL, LEANER, TRAINED, lost
from benchmarks.registry import EXPERIMENTS
from benchmarks.tables import NOTHING, PRINTED, SINCE, Table, all_texts, markdown, pages, put_tables, tables_on
from nat_plugin.errors import NATError


def test_every_table_on_every_page_is_that_of_the_results() -> None:
    tables = all_texts()
    found = {name: text.partition(SINCE)[0] for page in pages() for name, text in tables_on(page).items()}
    assert len(found) > 15
    assert {name: text for name, text in found.items() if text != tables.get(name, NOTHING)} == {}
    assert sorted(tables.keys() - found.keys()) == []  # nothing is kept that no page says


QUOTED: dict[str, tuple[tuple[str, dict[str, Figure]], ...]] = {
    "explanation/shared-weights.md": (
        (
            "worse* than a good input, by {less_best:.2f} points",
            {"less_best": At("supernet-gains", ("best of all by the critic",), "≥ 93", of=lost)},
        ),
        ("by {share:.0f} % of what can be reached", TRAINED),
        ("and those of 93 % and more by {final:.2f} points", {"final": At("supernet-gains", (FINAL,), "≥ 93")}),
        ("without it the latter get worse by {alone:.2f}.", {"alone": At("supernet-gains", (ALONE,), "≥ 93", of=lost)}),
    ),
    "tutorials/pretrained.md": (
        (
            "lost {lost:.2f} ± {half8:.2f} points at {macs8:.2f} of its MACs",
            LEANER | {"lost": At("timm_compact-mnasnet_050", ("0.8x nat",), "against the input", of=lost)},
        ),
    ),
}
"""What pages outside of evidence say of its figures."""


def test_figures_that_other_pages_quote_are_those_of_the_tables() -> None:
    texts = all_texts()
    for page, quotes in QUOTED.items():
        text = " ".join((ROOT / "docs" / page).read_text().split())
        for says, figures in quotes:
            assert says.format(**{name: each.read(texts) for name, each in figures.items()}) in text, page


def test_no_table_of_evidence_is_written_by_hand() -> None:
    texts = {page.name: page.read_text() for page in (ROOT / "docs" / "evidence").glob("*.md")}
    texts["README.md"] = (ROOT / "README.md").read_text().partition("## How good it is")[2]
    for name, text in texts.items():
        rest = re.sub(r"<!-- table \S+ -->\n.*?<!-- end -->", "", text, flags=re.DOTALL)
        assert re.findall(r"^\|.*", rest, re.MULTILINE) == [], name


def test_every_kept_result_is_of_an_experiment() -> None:
    kept = set(RESULTS.glob("*.json"))
    assert kept <= {each.place(name) for name, each in EXPERIMENTS.items()}


def test_a_table_goes_to_its_place_on_a_page_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Before.\n\n<!-- table one -->\n<!-- end -->\n\nBetween.\n\n<!-- table two -->\nold\n<!-- end -->\n"
    )
    put_tables(page, {"one": "| a |\n|---|\n| 1 |", "three": "| c |"})
    assert tables_on(page) == {"one": "| a |\n|---|\n| 1 |", "two": "old"}
    put_tables(page, {"one": "| b |"})
    assert tables_on(page)["one"] == "| b |"
    assert page.read_text().startswith("Before.\n\n<!-- table one -->\n\n| b |\n\n<!-- end -->\n\nBetween.\n")


def test_a_table_says_which_runs_it_came_from(request: pytest.FixtureRequest) -> None:
    run = {"command": "python -m benchmarks some --save", "commit": "abc", "date": "2026-01-02", "machine": "a core"}
    path = request.config.rootpath / "benchmarks/results/some.json"
    table = Table("some", "| a |", path, {"one": run, "two": run, "three": run | {"commit": "def"}})
    assert str(table) == (
        "| a |\n\nExperiment `some`, `benchmarks/results/some.json`: `python -m benchmarks some --save`, commit abc, "
        "2026-01-02; `python -m benchmarks some --save`, commit def, 2026-01-02; a core."
    )


def test_a_table_that_was_copied_says_so(request: pytest.FixtureRequest) -> None:
    run = {"command": "some", "commit": "abc", "date": "2026-01-02", "machine": "a core", PRINTED: {}}
    path = request.config.rootpath / "benchmarks/results/some.json"
    text = markdown(["", "gain"], [["---", "1"], ["b", "2"]])
    assert text == "|  | gain |\n|---|---|\n| --- | 1 |\n| b | 2 |"
    assert "the run's own file was not kept." in str(Table("some", text, path, {"one": run}))


SOME = {
    "some": "3 of 4 places\n\n| task | rules | gain |\n|---|---|---|\n| a (20) | nat | -1.50 [-2, 1,000] |\n"
    "| b | nat | +3 |\n\n| Q | ahead |\n|---|---|\n| 1 | 5 |\n| 3 | 7 |\n"
}


def test_an_answer_has_the_figures_of_its_tables() -> None:
    gain = At("some", ("a", "nat"), "gain")
    figures = {
        "gain": gain,
        "most": At("some", ("a",), "gain", 2),
        "largest": At("some", ({"a", "b"}, "nat"), "gain", of=max),
        "ahead": At("some", (), "ahead", block=1, of=sum),
        "share": Percent(gain, At("some", ("b",), "gain")),
        "both": Total([gain, gain]),
        "places": Said("some", r"of (\d+) places"),
    }
    says = "{gain:+.1f} {most:,.0f} {largest:.0f} {ahead:.0f} {share:.0f} {both:.0f} {places:.0f}"
    rows = table([Answer("why?", says, {"one": "a", "two": "b"}, figures)], SOME, "docs/").splitlines()
    assert rows[2] == "| why? | -1.5 1,000 3 12 -50 -3 4 | [one](docs/a.md), [two](docs/b.md) |"


@pytest.mark.parametrize(
    "figure",
    [
        At("other", (), "gain"),
        At("some", ("c",), "gain"),
        At("some", ("a",), "loss"),
        At("some", ("a",), "gain", 3),
        At("some", (), "gain"),
        At("some", ("a",), "gain", block=2),
        Said("some", "of (x)"),
    ],
)
def test_a_figure_that_no_table_has_is_one_line(figure: At | Said) -> None:
    with pytest.raises(NATError) as caught:
        figure.read(SOME)
    assert "\n" not in str(caught.value)


def test_the_list_has_a_line_for_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [name for name in EXPERIMENTS if not any(line.startswith(f"{name} ") for line in lines)] == []


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timm-ofers"]) == 2
    assert capsys.readouterr().err == (
        "error: 'timm-ofers' is no experiment; did you mean timm-offers? `python -m benchmarks` lists them\n"
    )
