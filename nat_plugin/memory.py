"""Memory of large tensors, reused."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Names of settings of ``mallopt`` in glibc."""
_USUAL = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM: 64 * 2**20}
"""What glibc itself comes to in a process that frees large blocks."""
_KEPT = {_MMAP_MAX: 0, _TRIM: -1}
_inside = 0


def _is_told() -> bool:
    """Whether the user has said how glibc is to keep memory: by variables that it reads when a process begins."""
    return any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )


@contextmanager
def memory_kept() -> Iterator[None]:
    """Memory that is freed stays with the process, where the C library is glibc. A pass of many pictures on the CPU
    asks for large blocks again and again; given back to the system in between, each page of them costs a fault, which
    takes up to three times as long as the pass itself. Not for what is timed: who deploys a model has none of this."""
    global _inside
    if _inside == 0:
        _set(_KEPT)
    _inside += 1
    try:
        yield
    finally:
        _inside -= 1
        if _inside == 0:
            _set(_USUAL)


def usual_memory() -> None:
    """Memory that is freed goes back to the system as in a process that has freed large blocks before, if nobody keeps
    it. In one that has just begun glibc returns smaller blocks, too, and a pass of the same network takes longer: what
    is timed would depend on what was done before. Where the environment tells glibc otherwise, that stays."""
    if _inside == 0:
        _set(_USUAL)


def _set(values: dict[int, int]) -> None:
    mallopt = _mallopt()
    if mallopt is not None:
        for name, value in values.items():
            mallopt(name, value)


def _mallopt() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux") or _is_told():
        return None
    found: ctypes._NamedFuncPointer | None = getattr(ctypes.CDLL(None), "mallopt", None)
    return found
