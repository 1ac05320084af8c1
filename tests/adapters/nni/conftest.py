"""What tests of NNI share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def nni_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for NNI's list of experiments in place of the user's own, here and in subprocesses."""
    from nni.tools.nnictl.config_utils import Experiments

    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / "nni-experiments"
    monkeypatch.setattr(Experiments.__init__, "__defaults__", (str(home),))
    return home
