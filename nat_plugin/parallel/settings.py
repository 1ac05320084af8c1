"""What a recipe says of devices."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from nat_plugin.errors import NATError
from nat_plugin.settings import Settings

PRECISIONS = {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16", "64-true": "float64"}
"""Fabric's names of what ``precision`` of a recipe may be."""
_SHORT = {name.partition("-")[0]: name for name in PRECISIONS}
"""Older names of Fabric that mean the same."""
_DIVIDE = ("fsdp", "deepspeed", "model_parallel", "xla_fsdp")
"""How names of strategies begin that divide the weights among devices."""


class FabricSettings(Settings):
    """Devices that train the same weights, by the names of Lightning Fabric."""

    devices: (
        Annotated[int, Field(ge=1, le=100_000)] | list[Annotated[int, Field(ge=0, le=100_000)]] | Literal["auto"]
    ) = Field(default=1, description="on each node: a number of devices, a list of GPU indices, or auto for all GPUs")
    nodes: int = Field(default=1, ge=1, le=100_000, description="machines")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] | None = Field(
        default=None,
        description="floating-point type of forward passes, by Fabric's names; the same as `precision` of the recipe",
    )
    strategy: Literal["auto", "ddp"] = Field(
        default="auto",
        description="ddp (auto is the same): all weights on every device, so that a run can be resumed with any "
        "number of devices",
    )

    @field_validator("devices", mode="wrap")
    @classmethod
    def _possible(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        with suppress(ValidationError):
            found = check(value)
            if not isinstance(found, list) or (found and len(set(found)) == len(found)):
                return found
        raise ValueError("give how many (from 1), a list of different numbers of GPUs (from 0), or auto")

    @field_validator("precision", mode="before")
    @classmethod
    def _named_short(cls, value: Any) -> Any:
        return _SHORT.get(str(value), value)

    @field_validator("strategy", mode="before")
    @classmethod
    def _of_whole_weights(cls, value: Any) -> Any:
        """Which parameters are used does not matter here: each sum is over those that are."""
        if str(value).startswith(_DIVIDE):
            name = str(value)[:40]
            raise ValueError(f"'{name}' divides the weights among devices; here each has all of them: say ddp")
        return "ddp" if value in ("ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false") else value

    def count(self, kind: str) -> int:
        """Devices of all nodes, where those are of a kind."""
        import torch

        if self.devices == "auto":
            return self.nodes * (torch.cuda.device_count() if kind == "cuda" else 1)
        return self.nodes * (self.devices if isinstance(self.devices, int) else len(self.devices))


def check_installed() -> None:
    """NATError where several devices cannot be used."""
    if find_spec("lightning_fabric") is None:
        raise NATError("fabric: several devices need Lightning Fabric: pip install 'nat-plugin[fabric]'")
