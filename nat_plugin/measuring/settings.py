"""What latency is of: what a user names, and what that came to on the machine at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from nat_plugin.device import Compute, find_compute
from nat_plugin.settings import Settings

EAGER, COMPILE, ONNX = "eager", "compile", "onnxruntime"
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class LatencySettings(Settings):
    """What is timed: a forward pass without gradients, in evaluation mode."""

    batch: int = Field(default=1, ge=1, le=65_536, description="images in a pass")
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="that compute on the CPU; left out: as torch has it"
    )
    layout: Literal["channels_last", "contiguous"] | None = Field(
        default=None, description="of images and weights in memory; left out: channels_last"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: bfloat16 on CUDA, else float32"
    )
    runtime: Literal["eager", "compile", "onnxruntime"] = Field(
        default="eager", description="what runs the model: torch as it is, torch.compile, or onnxruntime (its extra)"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")

    @model_validator(mode="after")
    def _possible(self) -> LatencySettings:
        if self.runtime == ONNX and self.layout is not None:
            raise ValueError("onnxruntime has a layout of its own; leave layout out")
        if self.runtime == ONNX and self.precision not in ("auto", "float32"):
            raise ValueError(f"onnxruntime is timed in float32, not in {self.precision}")
        if self.runtime == ONNX and self.device not in ("auto", "cpu"):
            raise ValueError(f"onnxruntime is timed on the CPU, not on {self.device}")
        return self

    @property
    def compute(self) -> Compute:
        """NATError for a device that is not there."""
        device = "cpu" if self.runtime == ONNX else self.device
        precision = "float32" if self.runtime == ONNX else self.precision
        found = find_compute(device, precision)
        layout = "contiguous" if self.runtime == ONNX else self.layout or "channels_last"
        return Compute(found.device, found.autocast, LAYOUTS[layout])

    @contextmanager
    def on_threads(self) -> Iterator[None]:
        """Within, torch computes on as many threads as these settings say."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@dataclass(frozen=True)
class LatencySetting:
    """What latency was of, and how it was measured."""

    batch: int
    device: str
    precision: str
    threads: int
    layout: str
    runtime: str
    clock: str

    @staticmethod
    def of(settings: LatencySettings, clock: str) -> LatencySetting:
        """What settings come to here and now."""
        compute = settings.compute
        return LatencySetting(
            settings.batch,
            str(compute.device),
            compute.precision_name,
            settings.threads or torch.get_num_threads(),
            "its own layout" if settings.runtime == ONNX else str(compute.memory_format).removeprefix("torch."),
            settings.runtime,
            clock,
        )

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        images = f"{self.batch} image{'s' * (self.batch != 1)}"
        return ", ".join([images, self.device, self.precision, threads, self.layout, self.runtime, self.clock])
