"""A limit on latency in a run: it holds for the result when that is timed as a whole, and is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.ir import Moves, Network, key
from nat_plugin.measuring.latency_limits import LEAST_USE, Keeper, Ranking
from nat_plugin.plugins import plugins
from nat_plugin.runs.choice import FinalSelection
from nat_plugin.runs.progress import Lines, Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import CHECKPOINT, start
from nat_plugin.runs.setup import find_origin, set_up
from nat_plugin.runs.state import load_state
from tests.timed_cells import SIZE, SOURCE, table

pytestmark = pytest.mark.usefixtures("clock")

RECIPE: dict[str, Any] = {
    "source": SOURCE,
    "adapter": "nasbench201",
    "network": SIZE,
    "rules": "nat++",
    "budget": {"latency": "0.7x"},
    "strategy": {"name": "random"},
    "evaluator": {"name": "proxies", "proxies": {"params": 1.0}},
    "search": {"rounds": 1, "proposals": 4, "steps": 0},
    "threads": 1,
    "device": "cpu",
}


@pytest.mark.parametrize("saved", [0.8, 1.3])
def test_the_result_is_within_the_limit_as_a_whole_and_uses_it(saved: float, tmp_path: Path) -> None:
    """Also where the table says that less, or more, is saved than is."""
    recipe = {**RECIPE, "costs": {"latency": str(table(tmp_path / "latency.json", saved))}}
    result = start(plan(recipe, plugins()), tmp_path / "run", plugins(), Silent())
    own, its, most = result["input"]["timed"], result["result"]["timed"], result["budget"]["latency"]
    assert most == pytest.approx(0.7 * own["ms"])
    assert result["changed"]
    assert LEAST_USE * most <= its["ms"] <= its["high"] <= most
    assert its["share"] == pytest.approx(its["ms"] / own["ms"])
    assert its["estimate"] != pytest.approx(its["ms"], rel=0.01)
    assert result["timed_as"]["clock"] == "fake"
    assert "| latency as a whole, ms | " in (tmp_path / "run" / "report.md").read_text()
    assert not result["input_fits"]

    chosen = plan(recipe, plugins())
    setup = set_up(chosen, find_origin(chosen, plugins()), plugins())
    again = FinalSelection.restored(setup, tmp_path, load_state(tmp_path / "run" / CHECKPOINT)["choice"])
    assert [again.timing.plain(0), again.timing.most] == [own, most]  # nothing is timed anew


def test_where_a_finalist_does_not_keep_the_limit_what_was_measured_next_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked: list[str] = []
    within = Keeper.within

    def heard(self: Keeper, networks: Sequence[Network], ranking: Ranking | None = None) -> Iterator[Network]:
        assert ranking is not None
        moves = Moves(self._network, self._rule)
        ranked.extend(key(moves.apply(choice)) for choice in ranking(moves))
        return within(self, networks, ranking)

    monkeypatch.setattr(Keeper, "within", heard)
    recipe = {**RECIPE, "costs": {"latency": str(table(tmp_path / "latency.json"))}}
    recipe["search"] = {"rounds": 1, "proposals": 24, "steps": 0}
    start(plan(recipe, plugins()), tmp_path / "run", plugins(), Silent())
    lines = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    gains = [line["gain"] for line in lines if line["stage"] == "search"]
    assert len(ranked) == len(set(ranked)) == len(gains) > 20


def test_what_is_not_timed_as_a_whole_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = {**RECIPE, "costs": {"latency": str(table(tmp_path / "latency.json", device="a telephone"))}}
    result = start(plan(recipe, plugins()), tmp_path / "run", plugins(), Lines())
    [note] = [each for each in result["notes"] if "nothing was timed as a whole" in each]
    assert "was measured on 'a telephone', this is '" in note
    assert note in capsys.readouterr().err
    assert note in (tmp_path / "run" / "report.md").read_text()
    assert result["result"]["timed"] is None
    assert result["result"]["measured"]["latency"] <= result["budget"]["latency"]
    json.dumps(result)
