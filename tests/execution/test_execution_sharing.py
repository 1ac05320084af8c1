"""A state that workers share is the one that they were given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nat_plugin.errors import NATError
from nat_plugin.execution import sharing
from nat_plugin.execution.sharing import StateFile


def test_a_state_that_another_command_has_replaced_is_refused(tmp_path: Path) -> None:
    first = StateFile.of(tmp_path, {"x": torch.ones(3)})
    assert float(first.get()["x"].sum()) == 3
    StateFile.of(tmp_path, {"x": torch.zeros(3)})
    sharing._read.cache_clear()
    with pytest.raises(NATError, match="changed since workers were given it"):
        first.get()
