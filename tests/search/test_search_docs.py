"""The strategy of docs/how-to/strategy.md runs, and goes on where it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nat_plugin import Strategy
from nat_plugin.extending import Measurement, Task
from nat_plugin.ir import Budget, NetworkSize, cost, find_rule
from nat_plugin.plugins import plugins

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "strategy.md"


def test_it_proposes_what_saves_most_first_and_goes_on_where_it_was() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "nat_dearest"}
    exec(compile(code, "docs/how-to/strategy.md", "exec"), names)
    found: dict[str, type[Strategy]] = {}
    names["register_strategies"](lambda name, kind: found.update({name: kind}))
    kind = found["dearest_first"]
    darts = plugins().adapters["darts"]
    source = darts.read(darts.published()["DARTS_V2"].text, NetworkSize(channels=4, cells=3))
    task = Task((source,), find_rule("nat"), Budget.parse({"macs": "1.0x"}))
    strategy = kind(task, kind.Settings())
    proposals = strategy.ask(3)
    macs = [cost(each.network).macs for each in proposals]
    assert macs == sorted(macs)
    assert macs[0] < cost(source).macs
    for proposal, score in zip(proposals, (0.1, 0.3, None), strict=True):
        strategy.tell(proposal, None if score is None else Measurement(score, 0.2))
    again = kind(task, kind.Settings())
    again.restore(strategy.state())
    assert again.finalists(source, 5) == [proposals[1].network, proposals[0].network]
    assert [each.number for each in again.ask(2)] == [3, 4]
