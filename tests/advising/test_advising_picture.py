"""The picture of advice: moves are named, combinations numbered as in the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from nat_plugin.advising.advice import Advice, Combination, Effect, Move, Replacement
from nat_plugin.advising.picture import draw
from nat_plugin.errors import NATError
from nat_plugin.ir import Cost

PLACES = (Replacement("blocks.1", "mbconv", "skip"), Replacement("blocks.2", "mbconv", "fit_conv_3x3"))


def advice(*combinations: Combination) -> Advice:
    effects = Effect(0.2, 0.01, 0.9, 32), Effect(0.4, 0.01, 0.8, 32)
    moves = [
        Move(place.at, place.before, place.after, 1, 1, 0.1, 0.05 * number, effect, residual)
        for number, (place, effect, residual) in enumerate(zip(PLACES, effects, (None, 0.1), strict=True), start=1)
    ]
    return Advice("a model", Cost(10, 20), 2.0, "cpu", 64, (), tuple(moves), combinations)


def test_moves_are_named_and_combinations_numbered(tmp_path: Path) -> None:
    expected = Combination(2, 2, 0.2, 0.15, PLACES, 0.5, 0.4, 0.6, 0.7)
    measured = Combination(2, 2, 0.2, 0.2, PLACES, 0.5, 0.4, 0.6, 0.7, Effect(0.55, 0.01, 0.6, 32))
    drawn = []
    for _ in range(2):
        draw(advice(expected, measured), tmp_path / "advice.svg")
        drawn.append((tmp_path / "advice.svg").read_text())
    assert drawn[0] == drawn[1]
    for words in ("blocks.1 skip", "blocks.2 fit_conv_3x3", ">1<", ">2<", "combinations, measured", "left out, alone"):
        assert words in drawn[0]


def test_without_combinations_there_are_moves_alone(tmp_path: Path) -> None:
    draw(advice(), tmp_path / "advice.svg")
    assert "combinations" not in (tmp_path / "advice.svg").read_text()


def test_what_is_no_svg_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NATError, match=r"pictures are written as \.svg"):
        draw(advice(), tmp_path / "advice.pdf")
