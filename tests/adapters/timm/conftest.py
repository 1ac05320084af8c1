"""The command line, called in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest

from nat_plugin.cli import main


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Nat: TypeAlias = Callable[..., Outcome]


@pytest.fixture
def nat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nat:
    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["nat", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return call
