"""The one place where devices, precision and memory format are decided."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, read_text
from nat_plugin.memory import memory_kept as memory_kept
from nat_plugin.parallel.ranks import ALONE, Ranks
from nat_plugin.processes import GPU_OF_WORKER

__all__ = ["Compute", "find_compute", "made_with", "memory_kept"]


class BatchForm(TypedDict):
    """How images come to a network."""

    dtype: torch.dtype
    memory_format: torch.memory_format


@dataclass(frozen=True)
class Compute:
    """Where and how to compute. ``autocast`` is None where all is in the type of weights and images, ``dtype``.
    ``ranks``: the processes that train the same weights."""

    device: torch.device
    autocast: torch.dtype | None = None
    memory_format: torch.memory_format = torch.channels_last
    ranks: Ranks = ALONE
    dtype: torch.dtype = torch.float32

    @property
    def precision_name(self) -> str:
        """As a recipe says it."""
        return str(self.autocast or self.dtype).removeprefix("torch.")

    @property
    def form(self) -> BatchForm:
        """Of the images that networks compute on."""
        return {"dtype": self.dtype, "memory_format": self.memory_format}

    def precision(self) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)


def find_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``; precision ``auto`` (bfloat16 on CUDA, else float32), ``float32``,
    ``bfloat16`` or ``float16``. NATError for a device that is not there."""
    dtypes = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if device in ("auto", "cuda"):
        _take_own_gpu()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":") if isinstance(device, str) else (device, "", "")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise NATError(f"device '{device}' is not one of auto, cpu, cuda, cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise NATError(f"device '{device}': torch sees no CUDA device here; use --device cpu")
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise NATError(f"device '{device}': there are {torch.cuda.device_count()} CUDA devices")
    if precision == "auto":
        precision = "bfloat16" if kind == "cuda" else "float32"
    if precision not in dtypes:
        raise NATError(f"precision '{precision}' is not one of auto, {', '.join(dtypes)}")
    return Compute(torch.device(device), dtypes[precision])


def _take_own_gpu() -> None:
    """In a worker of this machine that has a GPU to itself: it sees that alone. For torch not to look at all of them,
    this is done before CUDA is asked for anything."""
    if (own := os.environ.get(GPU_OF_WORKER)) and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        os.environ["CUDA_VISIBLE_DEVICES"] = own


@contextmanager
def one_thread() -> Iterator[None]:
    """On the CPU, one thread within; as many as before behind it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def device_name(device: torch.device) -> str:
    """What computes, as its maker calls it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        lines = read_text(Path("/proc/cpuinfo"), 2**22, "a list of processors").splitlines()
    except ReadError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def made_with(device: torch.device) -> dict[str, str]:
    """What a result may depend on and no recipe says: versions, and what computed."""
    return {"python": platform.python_version(), "torch": torch.__version__, "processor": device_name(device)}
