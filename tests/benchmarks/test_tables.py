"""Tables of the documentation are those of the results that are kept."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.answer_figures import ALONE, FINAL, LEANER, TOOLS, TRAINED, lost
from benchmarks.answers import Answer, At, Beside, Figure, Percent, Said, Total, table
from benchmarks.common.results import RESULTS, ROOT, read_results
from benchmarks.methods import METHODS
from benchmarks.provenance import DIRTY, IN_REPOSITORY, LANDED, PRINTED, SINCE, TODAY, Run, commit_of, list_of, referred
from benchmarks.questions import PLACES_OF
from benchmarks.registry import EXPERIMENTS
from benchmarks.running import parser_of
from benchmarks.spaces import SPACES
from benchmarks.tables import RUNS, Table, all_texts, markdown, pages, put_tables, tables_on, texts_by_page
from nat_plugin.errors import NATError


def test_every_table_on_every_page_is_that_of_the_results() -> None:
    expected = texts_by_page(since=False)
    assert len(expected) > 15
    for page, texts in expected.items():
        found = {name: re.sub(f"{SINCE}.*", "", text) for name, text in tables_on(page).items()}
        assert found == texts, page
    assert sorted(all_texts().keys() - set().union(*expected.values())) == []  # nothing is kept that no page says


QUOTED: dict[str, tuple[tuple[str, dict[str, Figure]], ...]] = {
    "explanation/shared-weights.md": (
        (
            "worse* than a good input, by {less_best:.2f} points",
            {"less_best": At("supernet-gains", ("best of all by the critic",), "≥ 93", of=lost)},
        ),
        ("by {share:.0f} % of the best possible gain", TRAINED),
        ("and those of 93 % and more by {final:.2f} points", {"final": At("supernet-gains", (FINAL,), "≥ 93")}),
        ("without it the latter get worse by {alone:.2f}.", {"alone": At("supernet-gains", (ALONE,), "≥ 93", of=lost)}),
    ),
    "tutorials/pretrained.md": (
        (
            "lost {lost:.2f} ± {half8:.2f} points at {macs8:.2f} of its MACs",
            LEANER | {"lost": At("timm_compact-mnasnet_050", ("0.8x nat",), "against the input", of=lost)},
        ),
        (
            "has {latency:.0f} % top-1 at 0.8 of its latency and {macs:.0f} % at 0.8 of its MACs, before any "
            "fine-tuning, where the original has {original:.0f} %",
            TOOLS,
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


ANSWERS = [answer for answers, _ in PLACES_OF.values() for answer in answers]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.question)
def test_an_answer_has_intervals_or_says_why_not(answer: Answer) -> None:
    """Counts and largest differences need none."""
    means = re.search(r"\{\w+:[^}]*\.[1-9]f\}", answer.says)
    assert not means or re.search(r"±|\[\{|p [=≤]|interval", answer.says)


def test_no_table_of_evidence_is_written_by_hand() -> None:
    texts = {page.name: page.read_text() for page in (ROOT / "docs" / "evidence").glob("*.md")}
    texts["README.md"] = (ROOT / "README.md").read_text().partition("## How good it is")[2]
    for name, text in texts.items():
        rest = re.sub(r"<!-- table \S+ -->\n.*?<!-- end -->", "", text, flags=re.DOTALL)
        assert re.findall(r"^\|.*", rest, re.MULTILINE) == [], name


def test_every_kept_result_is_of_an_experiment() -> None:
    kept = set(RESULTS.glob("*.json"))
    assert kept <= {each.place(name) for name, each in EXPERIMENTS.items()}


ENTRIES = {
    (name, entry): figures
    for name, each in EXPERIMENTS.items()
    if each.place(name).exists()
    for entry, figures in read_results(each.place(name)).items()
}


def test_what_is_printed_as_the_command_of_a_table_is_one_that_is_understood_today() -> None:
    parsers = {
        name: parser_of(name, each, inspect.getdoc(module) or "")
        for name, each in EXPERIMENTS.items()
        if (module := each.load())
    }
    for name, parser in parsers.items():
        EXPERIMENTS[name].load().add_options(parser)
    for (_, entry), figures in ENTRIES.items():
        if PRINTED in figures and TODAY not in figures:
            continue  # a copied table, whose line says what was written down
        python, flag, package, name, *words = shlex.split(figures.get(TODAY, figures["command"]))
        assert (python, flag, package) == ("python", "-m", "benchmarks"), entry
        assert parsers[name].parse_args(words), entry


def test_every_commit_of_a_result_can_be_looked_up_or_is_said_to_be_missing() -> None:
    if _git("rev-parse", "--is-shallow-repository").stdout != "false\n":
        pytest.skip("no git repository with its whole history is here")
    for (name, entry), figures in ENTRIES.items():
        commit = commit_of(figures)
        written = figures["commit"].removesuffix(DIRTY)
        found = _git("merge-base", "--is-ancestor", commit or written, "HEAD").returncode == 0
        assert found == (commit is not None), f"{name}, {entry}: {commit or written}"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=ROOT)


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


RUN = {"command": "python some.py", "commit": "abc", "date": "2026-01-02", "machine": "a core"}


def runs_of(*entries: dict[str, object]) -> list[Run]:
    return Table("chaos", "| a |", RESULTS / "some.json", {str(each): each for each in entries}).runs


def test_the_runs_of_a_table_are_listed_once_each() -> None:
    first, second = runs_of(RUN, RUN | {"figures": 1}, RUN | {"commit": "def"})
    assert list_of([second, first], since=False) == (
        "On a core; `benchmarks/results/some.json`.\n\n"
        "1. `python some.py`, commit def, 2026-01-02.\n2. `python some.py`, commit abc, 2026-01-02."
    )
    (third,) = runs_of(RUN | {"machine": "two cores"})
    last = list_of([first, third], since=False).splitlines()[-1]
    assert last == "2. `python some.py`, commit abc, 2026-01-02. On two cores; `benchmarks/results/some.json`."
    assert referred([first], [second, first]) == "[Run 2](#runs)"
    assert referred([first, second, third], [second, first, third]) == "[Runs 2, 1 and 3](#runs)"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"commit": "abc-dirty"}, "`python some.py`, commit abc with uncommitted changes, "),
        ({TODAY: "python -m benchmarks some"}, "`python -m benchmarks some`, run as `python some.py`, commit abc, "),
        ({LANDED: "def"}, "commit abc, landed as def, "),
        ({IN_REPOSITORY: False}, "commit abc (not in this repository), "),
    ],
)
def test_a_run_says_what_is_to_be_run_today_and_where_its_code_is(more: dict[str, object], says: str) -> None:
    assert f"{says}2026-01-02" in str(*runs_of(RUN | more))


def test_a_table_that_was_copied_says_so() -> None:
    text = markdown(["", "gain"], [["---", "1"], ["b", "2"]])
    assert text == "|  | gain |\n|---|---|\n| --- | 1 |\n| b | 2 |"
    assert "the file of the run was not kept." in str(*runs_of(RUN | {PRINTED: {}}))


def test_a_run_of_an_unknown_commit_counts_as_older_than_the_code() -> None:
    (run,) = runs_of(RUN)
    assert run.since == f"{SINCE}{', '.join(f'`{path}`' for path in EXPERIMENTS['chaos'].measures)}."
    assert runs_of(RUN | {IN_REPOSITORY: False})[0].since == ""


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.parent.name == "evidence"], ids=lambda page: page.stem
)
def test_a_page_with_measured_tables_lists_their_runs(page: Path) -> None:
    assert page.stem == "index" or list(tables_on(page))[-1] == RUNS


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
    figures["end"] = Beside(At("some", ({"a", "b"}, "nat"), "gain", of=min), 1)
    says = "{end:.0f} {gain:+.1f} {most:,.0f} {largest:.0f} {ahead:.0f} {share:.0f} {both:.0f} {places:.0f}"
    rows = table([Answer("why?", says, {"one": "a", "two": "b"}, figures)], SOME, "docs/").splitlines()
    assert rows[2] == "| why? | -2 -1.5 1,000 3 12 -50 -3 4 | [one](docs/a.md), [two](docs/b.md) |"


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
        Beside(At("some", ("b",), "gain"), 1),
    ],
)
def test_a_figure_that_no_table_has_is_one_line(figure: At | Beside | Said) -> None:
    with pytest.raises(NATError) as caught:
        figure.read(SOME)
    assert "\n" not in str(caught.value)


def test_the_list_has_a_line_for_every_experiment_method_and_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    every = [*EXPERIMENTS, *METHODS, *SPACES]
    assert [name for name in every if not any(line.startswith(f"  {name} ") for line in lines)] == []


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timm-ofers"]) == 2
    assert capsys.readouterr().err == (
        "error: 'timm-ofers' is no experiment; did you mean timm-offers? `python -m benchmarks` lists them\n"
    )
