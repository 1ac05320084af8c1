"""The tutorials: every command runs, in order, and prints what the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from tests.command_line import Nat
from tests.sessions import play

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
USER = 2
"""The exit status of what is to be seen failing, too."""


@pytest.mark.parametrize("name", ["first-transform", "first-search"])
def test_every_command_prints_what_the_page_says(
    name: str, nat: Nat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(words: list[str]) -> str:
        done = nat(*words)
        assert done.status in (0, USER), done.err
        return done.out + done.err

    page = FOLDER / f"{name}.md"
    played = 0
    for command, printed in play(page, run):
        played += 1
        expected = command.printed
        if command.differs:  # between processors; what it wrote is listed by another command
            printed, expected = printed[:1], expected[:1]
        assert printed == expected, f"{command.line}\nrun: python -m tests.sessions docs/tutorials/{name}.md"
    assert played >= 4
    for session in re.findall(r"```pycon\n(.*?)```", page.read_text(), re.DOTALL):
        test = doctest.DocTestParser().get_doctest(session, {}, name, None, 0)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
