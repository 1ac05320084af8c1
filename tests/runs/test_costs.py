"""Tables of costs in recipes: limits like any other, held to the architecture, noted with the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize
from nat_plugin.measuring.tables import Figure, TableSubject, blank_table, fingerprint
from nat_plugin.plugins import plugins
from nat_plugin.reporting.report_file import write_report
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from nat_plugin.runs.setup import find_origin, set_up

SOURCE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
VALUES = {
    "source": SOURCE,
    "adapter": "nasbench201",
    "rules": "nat++",
    "strategy": {"name": "random"},
    "evaluator": {"name": "proxies", "proxies": {"params": 1.0}},
    "budget": {"energy": "0.6x"},
}


def table(path: Path) -> Path:
    """Of the cell at the size that the proxies score it at."""
    network = plugins().find("adapters", "nasbench201").read(SOURCE, NetworkSize())
    blank = blank_table(network, "energy", "mJ", TableSubject(fingerprint(network), "a cell"))
    costs = {slot: {op: Figure(float(len(str(op)))) for op in ops} for slot, ops in blank.costs.items()}
    type(blank)("energy", "mJ", blank.of, Figure(2.0), costs, blank.keys, {}).write(path)
    return path


def test_a_table_limits_what_is_proposed(tmp_path: Path) -> None:
    path = table(tmp_path / "energy.json")
    chosen = plan({**VALUES, "costs": {"energy": str(path)}}, plugins())
    setup = set_up(chosen, find_origin(chosen, plugins()), plugins())
    [(name, limit)] = setup.search.moves.limits.values
    metric = setup.search.moves.limits.metrics[name]
    proposals = setup.strategy.ask(8)
    assert proposals
    assert all(metric(each.network) <= limit < metric(setup.search.network) for each in proposals)
    assert path in [each.path for each in setup.outside]
    assert plan(chosen.resolved(), plugins()).recipe.costs == {"energy": path}


def test_a_run_ends_within_a_table_and_says_what_its_result_takes(tmp_path: Path) -> None:
    path = table(tmp_path / "energy.json")
    changes = {"costs": {"energy": str(path)}, "search": {"rounds": 1, "proposals": 2, "steps": 0}, "device": "cpu"}
    result = start(plan({**VALUES, **changes}, plugins()), tmp_path / "run", plugins(), Silent())
    before, after = (result[side]["measured"]["energy"] for side in ("input", "result"))
    assert result["changed"]
    assert after <= result["budget"]["energy"] == pytest.approx(0.6 * before)
    assert "| energy | " in (tmp_path / "run" / "report.md").read_text()
    for side, value in (("input", before), ("result", after)):
        found = result[side]["by_cell"]["energy"]
        assert found["unit"] == "mJ"
        assert found["fixed"] + sum(found["cells"].values()) == pytest.approx(value)
    assert "energy before, mJ" in write_report(tmp_path / "run", pytest.fail).read_text()
    assert "Limits: energy ≤ " in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"costs": {}}, "budget: unknown metric 'energy'"),
        ({"costs": {"macs": "FILE", "energy": "FILE"}}, "costs: macs are counted, not looked up"),
        ({"costs": {"latency": "FILE"}, "budget": {}}, "this table is of 'energy', not of 'latency'"),
        ({"costs": {"energy": "missing.json"}}, "missing.json: No such file"),
        ({"costs": {"energy": 3}}, "costs.energy: "),
        ({"costs": "energy.json", "budget": {}}, "costs: Input should be a valid dictionary"),
        ({"costs": {"energy": "FILE"}, "source": SOURCE.replace("skip_connect~0", "none~0")}, None),
        ({"costs": {"energy": "FILE"}, "network": {"channels": 8}}, "this table is of 'a cell'"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, object], said: str | None, tmp_path: Path) -> None:
    path = table(tmp_path / "energy.json")
    values = json.loads(json.dumps({**VALUES, **change}).replace("FILE", str(path)))

    def begin() -> None:
        chosen = plan(values, plugins())
        set_up(chosen, find_origin(chosen, plugins()), plugins())

    if said is None:  # another cell of the same slots
        begin()
        return
    with pytest.raises(NATError) as caught:
        begin()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
