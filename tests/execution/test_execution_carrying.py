"""What a worker says of itself: its process, and its GPU by number and name."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from nat_plugin.execution.carrying import this_process, worker_name


@pytest.mark.parametrize(
    ("visible", "current", "said"),
    [
        (None, None, ""),
        ("2", None, " on GPU 2"),
        (None, 1, " on GPU 1 (NVIDIA H200)"),
        ("2,5", 1, " on GPU 5 (NVIDIA H200)"),
    ],
)
def test_a_worker_says_which_gpu_it_has_and_what_that_is_once_it_was_used(
    visible: str | None, current: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = SimpleNamespace(
        is_initialized=lambda: current is not None,
        current_device=lambda: current,
        get_device_name=lambda: "NVIDIA H200",
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert worker_name() == this_process() + said
