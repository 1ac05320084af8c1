"""report.html of a run: made of its folder alone, the same twice, and safe whoever wrote the folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.errors import NATError
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.reporting import plots
from nat_plugin.reporting.report_file import write_report, write_side_by_side
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.report import rows, verdict_text
from tests.command_line import Nat
from tests.reporting.pages import Page, read

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&${x}{{ 7*7 }}$\\frac{a}$]]>\x00\ud800"


def silent(line: str) -> None:
    raise AssertionError(line)


def made(folder: Path) -> Page:
    return read(write_report(folder, silent))


@pytest.fixture(scope="module")
def page(ended: Path) -> Page:
    return made(ended)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_it_says_the_answer_first_and_in_the_words_of_the_result(ended: Path, page: Page) -> None:
    result = json.loads((ended / "result.json").read_text())
    assert page.text.index(verdict_text(result)) < page.text.index("What changed")
    for row in rows(result):
        assert all(each in page.text for each in row)
    for side in ("input", "result"):
        assert result[side]["architecture"] in page.text
    assert page.text.index("nat run recipe.yaml") < page.text.index("nat export . -o model")
    assert f"seed{result['seed']}" in "".join(page.text.split())
    assert result["made_with"]["torch"] in page.text


def test_every_network_that_was_measured_is_there_and_every_point_leads_to_one(ended: Path, page: Page) -> None:
    lines = [line for line in read_journal(ended / "journal.jsonl") if line["stage"] == "search"]
    listed = [each["id"] for each in page.all("tr") if each.get("id", "").startswith("network-")]
    assert len(listed) == len({line["network"] for line in lines})
    linked = [each["href"][1:] for each in page.all("a") if each.get("tabindex") == "-1"]
    assert sorted(set(linked)) == sorted(listed)
    assert len(linked) == 2 * len(listed)  # against MACs and against parameters
    assert f"{max(line['gain'] for line in lines):+.4g}" in page.text


def test_one_drawing_is_filled_in_for_every_network_that_was_measured(ended: Path, page: Page) -> None:
    """The script puts ops into their places by these numbers."""
    result = json.loads((ended / "result.json").read_text())
    shared = {each["data-edge"]: json.loads(each["data-ops"]) for each in page.all("g") if "data-edge" in each}
    rows = {each["id"]: each["data-changes"] for each in page.all("tr") if "data-changes" in each}
    assert len(rows) > 1
    for changes in rows.values():
        assert changes
        for number, chosen in (each.split(":") for each in changes.split()):
            lines = shared[number]["lines"][int(chosen)]
            assert len(lines) == 2
            assert lines[0] in result["input"]["ops"]
            assert (int(chosen) in shared[number]["null"]) is (lines[1] == "→ null")
    assert len(set(rows.values())) == len(rows)


def test_drawings_mark_changes_and_every_operation_can_be_focused(page: Page) -> None:
    focused = [each for each in page.all("g") if each.get("tabindex") == "0"]
    assert focused
    assert [each for each in focused if each.get("class") == "changed"]
    titles = page.source.count("<title>") - 1  # that of the page
    assert titles == len(focused)
    assert "in all its places" in page.source


def test_it_shows_how_shared_weights_and_the_final_trainings_learned(page: Page) -> None:
    for caption in ("Shared weights: loss", "Final training: accuracy", "Best so far", "Gain against MACs"):
        assert caption in page.text
    assert "the input, training 2" in page.source
    assert "the result, training 1" in page.source


def test_a_search_is_drawn_with_its_input_and_its_limit(ended: Path, page: Page) -> None:
    own = json.loads((ended / "result.json").read_text())["input"]["in_search"]
    assert own["limits"]["macs"] == pytest.approx(0.9 * own["costs"]["macs"])
    plot = page.source.partition("Gain against MACs")[2].partition("</figure>")[0]
    assert "> the input</text>" in plot
    assert "> limit</text>" in plot
    assert "> limit</text>" not in page.source.partition("Gain against parameters")[2].partition("</figure>")[0]


def test_what_counts_something_is_named_by_whole_numbers(page: Page) -> None:
    plot = page.source.partition("Final training: loss")[2].partition("</figure>")[0]
    axis = plot.partition('id="plot')[2].partition("matplotlib.axis_2")[0]
    assert re.findall(r">(\d+)</text>", axis) == ["1", "2"]


def test_it_says_how_long_each_stage_took(ended: Path, run: Path, page: Page) -> None:
    stages = json.loads((ended / "stages.json").read_text())
    assert list(stages) == ["warm-up", "search", "final training"]
    table = page.text.partition("Time of each stage")[2].partition("How to make it again")[0]
    for name, spent in stages.items():
        assert spent["wall"] > 0
        assert name in table
        assert f"{spent['wall']:,.1f}" in table
    (run / "stages.json").unlink()
    assert "Time of each stage" not in made(run).text  # of an older version


def test_it_is_made_again_to_the_same_bytes_and_no_result_is_touched(run: Path, nat: Nat, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    said = nat("report", str(run))
    assert (said.status, said.out, said.err) == (0, f"{run / 'report.html'}\n", "")
    content = (run / "report.html").read_bytes()
    moved = Path(shutil.move(run, tmp_path / "elsewhere"))
    (moved / "report.html").unlink()
    assert nat("report", str(moved), "-o", str(tmp_path / "mine.html")).out == f"{tmp_path / 'mine.html'}\n"
    assert (tmp_path / "mine.html").read_bytes() == content
    assert {path: (moved / path.relative_to(run)).read_bytes() for path in before} == before


def test_resume_of_a_run_that_is_done_writes_it_where_it_is_missing(run: Path, nat: Nat) -> None:
    said = nat("resume", str(run))
    assert f"report        {run / 'report.html'}" in said.out
    assert made(run).source == (run / "report.html").read_text()


def test_texts_of_others_are_text(run: Path) -> None:
    for name in ("checksums.json", "checkpoint.safetensors"):
        (run / name).unlink()
    record = unseal((run / "run.json").read_text())
    record["origin"]["label"] = EVIL
    record["recipe"][EVIL] = EVIL
    (run / "run.json").write_text(seal(record))

    def edit(values: dict[str, Any]) -> None:
        for side in ("input", "result"):
            values[side]["architecture"] = EVIL
            values[side]["measured"] = {EVIL: 1.0}
        values["notes"] = values["made_with"]["torch"] = EVIL
        values["notes"] = [EVIL]
        values["data"]["name"] = values["format"] = values["strategy"] = values["scale"]["name"] = EVIL
        values["interval_covers"] = values["verdict_reason"] = EVIL

    change(run / "result.json", edit)
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        if line["stage"] == "search":
            line["ops"] = [EVIL]
        for part in ("shared_weights", "strategy"):
            if part in line:
                line[part] = {EVIL: 1.0}
    lines.append({"stage": "search", "round": 9, "source": EVIL, "network": EVIL, "ops": [EVIL], "params": 1, "macs": 1,
                  "gain": 9.0})  # fmt: skip
    (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = made(run)
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "49" not in page.all("title")
    assert "{{ 7*7 }}" in page.text


def test_of_a_long_search_it_says_what_it_leaves_out(run: Path) -> None:
    (run / "checksums.json").unlink()
    lines = [line for line in read_journal(run / "journal.jsonl") if line["stage"] == "search"]
    many = [{**lines[number % len(lines)], "network": f"{number:032}", "round": number} for number in range(2500)]
    (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in many))
    page = made(run)
    assert "2,500 evaluations of 2,500 proposals" in page.text
    assert "1,925 more networks are in journal.jsonl." in page.text
    assert "Of the 2,500 networks, the best 300 and every 8th of the others are shown here." in page.text
    assert len([each for each in page.all("tr") if each.get("id", "").startswith("network-")]) == 575
    assert "Printed: the first 40 of 575 rows." in page.text


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run": (
        lambda run: (run / "run.json").unlink(),
        "no folder of a run, comparison, training or compaction: it has no run.json",
    ),
    "not ended": (lambda run: (run / "result.json").unlink(), "the run has not ended: `nat resume"),
    "no object": (lambda run: (run / "result.json").write_text("[]"), "not a JSON object"),
    "no number": (lambda run: (run / "result.json").write_text('{"a": NaN}'), "NaN is not a JSON number"),
    "deep": (lambda run: (run / "result.json").write_text("[" * 100_000), "damaged"),
    "a key": (lambda run: change(run / "result.json", lambda values: values.pop("verdict")), "verdict: Field required"),
    "huge": (
        lambda run: change(run / "result.json", lambda values: values["input"].update(params=10**400)),
        "input.params: ",
    ),
    "no ops": (
        lambda run: change(run / "result.json", lambda values: values["input"].update(ops=["x"])),
        "input.ops: ",
    ),
    "a line": (lambda run: (run / "journal.jsonl").write_text('{"stage": "search"}\n'), "line 1: source: Field"),
    "no network": (lambda run: (run / "network.json").write_text("{}"), ""),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_damaged_is_one_line(what: str, run: Path, nat: Nat) -> None:
    (run / "checksums.json").unlink()
    damage, message = DAMAGES[what]
    damage(run)
    said = nat("report", str(run))
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1), said.err
    assert message in said.err
    assert not (run / "report.html").exists()


def test_a_result_that_was_changed_is_not_reported(run: Path) -> None:
    change(run / "result.json", lambda values: values.update(verdict="better"))
    with pytest.raises(NATError, match=r"result\.json: changed since this folder was finished"):
        write_report(run, silent)


def test_without_matplotlib_all_but_the_plots_is_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    said: list[str] = []
    page = read(write_report(run, said.append))
    assert said == [plots.MISSING]
    assert "\n" not in plots.MISSING
    assert "Gain against" not in page.text
    assert "What was measured, the best first" in page.text


def test_runs_side_by_side(run: Path, ended: Path, nat: Nat, tmp_path: Path) -> None:
    said = nat("report", str(run), str(ended), "-o", str(tmp_path / "both.html"))
    assert (said.status, said.out) == (0, f"{tmp_path / 'both.html'}\n")
    page = read(tmp_path / "both.html")
    result = json.loads((ended / "result.json").read_text())
    assert page.text.count(verdict_text(result)) == 2
    assert page.text.count(result["result"]["architecture"]) == 2
    assert {"run", "ended"} <= set(page.text.split())
    assert page.text.rstrip().endswith("from the folders of these runs. To make it again: nat report run ended")
    assert page.source.count("> the inputs</text>") == 2
    columns = page.text.partition("Results side by side")[2].split()[0]
    assert columns.startswith("rundifferenceverdict")  # on a telephone these are seen without scrolling
    with pytest.raises(NATError, match="at most 8 runs"):
        write_side_by_side([run] * 9, silent, tmp_path / "x.html")
    assert (
        nat("report", str(run), str(tmp_path)).err
        == f"nat: {tmp_path}: this is not the folder of a run: it has no run.json\n"
    )
