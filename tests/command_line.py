"""The command line, called in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest

from nat_plugin.cli import main


class Outcome(NamedTuple):
    """What a call printed, and its exit status."""

    status: int
    out: str
    err: str


Nat: TypeAlias = Callable[..., Outcome]
"""``nat("show", "DARTS_V2", stdin="")``."""


@pytest.fixture
def nat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nat:
    def call(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["nat", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return call
