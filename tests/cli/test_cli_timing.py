"""A limit on latency in ``nat transform``: it holds for the result when that is timed as a whole, and is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import nat_plugin
from nat_plugin.api import applying
from nat_plugin.ir import Network
from nat_plugin.measuring.latency_limits import LEAST_USE
from tests.command_line import Nat
from tests.timed_cells import SIZE, SOURCE, table

pytestmark = pytest.mark.usefixtures("clock")

GIVEN = (
    *("--adapter", "nasbench201", "--rules", "nat++", "--device", "cpu"),
    *("--channels", str(SIZE["channels"]), "--cells", str(SIZE["cells"])),
)


@pytest.mark.parametrize(("policy", "saved"), [("nasbench201", 0.8), ("general", 1.3)])
def test_the_result_is_within_the_limit_as_a_whole_and_uses_it(
    policy: str, saved: float, nat: Nat, tmp_path: Path
) -> None:
    """Also where the table says that less, or more, is saved than is; also of a stream."""
    path = table(tmp_path / "latency.json", saved)
    limited = ("--policy", policy, "--cost", f"latency={path}", "--budget", "latency=0.7x", *GIVEN)
    done = nat("transform", "-", *limited, "--json", stdin=f"{SOURCE}\n{SOURCE.replace('1x1~2', '3x3~2')}\n")
    assert done.status == 0, done.err
    rows = json.loads(done.out)["results"]
    assert len(rows) == 2
    for row in rows:
        timed = row["timed"]
        assert LEAST_USE * 0.7 <= timed["share"] <= 0.7
        assert timed["estimate"] != pytest.approx(timed["ms"], rel=0.01)
        assert row["changed"]
    alone = nat("transform", SOURCE, *limited)
    assert alone.out.strip() == rows[0]["architecture"]
    assert "timed as a whole: " in alone.err
    assert alone.err.count("\n") <= 2


def test_where_a_proposal_is_over_the_limit_as_a_whole_the_policy_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a limit that is corrected by how far the table was off."""
    asked: list[tuple[float, Network]] = []
    own = applying.Transformation._transformed

    def heard(self: applying.Transformation, begun: Sequence[Any]) -> list[Any]:
        found = own(self, begun)
        asked.extend(
            (float(dict(each.moves.limits.values)["latency"]), network)
            for each, (network, _) in zip(begun, found, strict=True)
        )
        return found

    monkeypatch.setattr(applying.Transformation, "_transformed", heard)
    path = table(tmp_path / "latency.json", 1.5)
    given = {"budget": {"latency": "0.7x"}, "costs": {"latency": path}, "rules": "nat++", "device": "cpu"}
    lean = nat_plugin.transform(nat_plugin.read(SOURCE, adapter="nasbench201", **SIZE), **given)
    (first, proposed), (second, _), *_ = asked
    assert second < first
    assert lean.network != proposed
    assert lean.network in [network for _, network in asked[1:]]


def test_what_is_not_timed_as_a_whole_is_said_in_a_line(nat: Nat, tmp_path: Path) -> None:
    path = table(tmp_path / "latency.json", device="a telephone")
    done = nat(
        "transform", SOURCE, "--policy", "nasbench201", "--cost", f"latency={path}", *GIVEN, "--budget", "latency=0.7x"
    )
    assert done.status == 0
    assert "nothing was timed as a whole" in done.err
    assert "was measured on 'a telephone', this is '" in done.err
    assert done.err.count("\n") <= 2
    free = nat("transform", SOURCE, "--policy", "nasbench201", "--cost", f"latency={path}", *GIVEN)
    assert "as a whole" not in free.err


def test_a_limit_that_nothing_keeps_as_a_whole_is_one_line(nat: Nat, tmp_path: Path) -> None:
    """By the table the stem and the residual blocks take nothing."""
    path = table(tmp_path / "latency.json", 1.5)
    limited = ("--cost", f"latency={path}", "--budget", "latency=0.2x", *GIVEN)
    done = nat("transform", SOURCE, "--policy", "nasbench201", *limited)
    assert done.status == 2
    assert "no network near it keeps the limit" in done.err
    assert done.err.strip().count("\n") <= 1
