"""Weights in files: by name, whole, and refused in one line where they are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.runs.weights import load_weights, save_weights


def test_what_is_written_is_read_whatever_its_layout(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shared = {**module.state_dict(), "again.weight": module.state_dict()["0.weight"]}
    save_weights(tmp_path / "w", shared)
    found = load_weights(tmp_path / "w")
    assert found.keys() == shared.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in shared.items()
    )


def test_what_are_no_weights_is_said_in_one_line(tmp_path: Path) -> None:
    for content in (None, b"", b"not weights", b"\xff" * 64):
        if content is not None:
            (tmp_path / "w").write_bytes(content)
        with pytest.raises(NATError, match="these are not the weights of a network") as caught:
            load_weights(tmp_path / "w")
        assert "\n" not in str(caught.value)
