"""What a recipe says of devices."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pydantic import Field, model_validator

from nat_plugin.search.base import Settings

PRECISIONS = {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16", "64-true": "float64"}
"""Fabric's names of what ``precision`` of a recipe may be."""


class FabricSettings(Settings):
    """Devices that train the same weights, by the names of Lightning Fabric."""

    devices: int | list[int] | Literal["auto"] = Field(
        default=1, description="on each node: how many, the numbers of GPUs, or auto for all GPUs"
    )
    nodes: int = Field(default=1, ge=1, le=100_000, description="machines")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] | None = Field(
        default=None, description="of forward passes, as `precision` of the recipe, which it stands for"
    )
    strategy: Literal["auto", "ddp"] = Field(
        default="auto",
        description="ddp, which auto is too: whole weights on every device, so that any number of devices resumes",
    )

    @model_validator(mode="after")
    def _possible(self) -> FabricSettings:
        if isinstance(self.devices, list):
            if not self.devices or min(self.devices) < 0 or len(set(self.devices)) < len(self.devices):
                raise ValueError(f"devices are {self.devices}: give different numbers of GPUs, from 0")
        elif self.devices != "auto" and not 1 <= self.devices <= 100_000:
            raise ValueError(f"devices is {self.devices}: it is 1 or more")
        if self.devices != 1 or self.nodes > 1:
            check_installed()
        return self

    def count(self, kind: str) -> int:
        """Devices of all nodes, where those are of a kind."""
        import torch

        if self.devices == "auto":
            return self.nodes * (torch.cuda.device_count() if kind == "cuda" else 1)
        return self.nodes * (self.devices if isinstance(self.devices, int) else len(self.devices))


def check_installed() -> None:
    """ValueError where several devices cannot be used."""
    if find_spec("lightning_fabric") is None:
        raise ValueError("several devices need Lightning Fabric: pip install 'nat-plugin[fabric]'")
