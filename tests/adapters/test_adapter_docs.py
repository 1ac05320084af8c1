"""The example of ``docs/how-to/adapter.md`` runs, and prints what the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

from nat_plugin.adapter import Adapter
from nat_plugin.ir import Moves, NetworkSize, canonical, cost, find_rule, key

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "adapter.md").read_text(encoding="utf-8")


def example() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "nat_chain"}
    exec(compile(code, "docs/how-to/adapter.md", "exec"), names)
    return names


def test_the_session_prints_what_the_page_says() -> None:
    (session,) = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    test = doctest.DocTestParser().get_doctest(session, example(), "docs/how-to/adapter.md", None, 0)
    runner = doctest.DocTestRunner()
    assert runner.run(test) == (0, len(test.examples))
    assert len(test.examples) >= 6


def test_the_example_keeps_the_contract() -> None:
    found: list[Adapter] = []
    example()["register_adapters"](found.append)
    (adapter,) = found
    for published in adapter.published().values():
        assert adapter.recognises(published.text)
        network = adapter.read(published.text, NetworkSize(channels=4))
        assert adapter.write(network) == published.text
        moves = Moves(network, find_rule("nat++"))
        for choice in moves.all():
            moved = moves.apply(choice)
            written = adapter.read(adapter.write(canonical(moved)), NetworkSize(channels=4))
            assert (key(written), cost(written)) == (key(moved), cost(moved))
