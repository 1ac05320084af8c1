"""What a recipe can set of the ``table`` evaluator, which is also how a table is named elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.layout import Unit
from nat_plugin.fingerprints import OutsidePath
from nat_plugin.messages import say_once
from nat_plugin.plugins import plugins
from nat_plugin.settings import Settings
from nat_plugin.sources import find_adapter

CSV = "csv"


_Extent = Annotated[int, Field(ge=1, le=65_536)]


class NetworkSizeSettings(Settings):
    """What the networks of a table were trained in, for their costs. Left out: as the layout or the adapter has it."""

    channels: int | None = Field(default=None, ge=1, le=4096, description="channels of the first cells")
    cells: int | None = Field(default=None, ge=1, le=1000, description="cells in depth")
    input: tuple[_Extent, _Extent, _Extent] | None = Field(
        default=None, description="channels, height and width of an image"
    )
    classes: int | None = Field(default=None, ge=1, le=100_000, description="number of classes")


class TableSettings(Settings):
    """Settings of the ``table`` evaluator."""

    path: OutsidePath = Field(
        description="the table: a csv file (gzip or plain), or what `format` says; ~ is the home folder"
    )
    format: str = Field(
        default=CSV,
        description="csv; nats_bench, the official file or folder of NATS-Bench (pickles, which the package nats-bench "
        "loads: only from a source that you trust); nni, NNI's database of NAS-Bench-201; or one of a plugin",
    )
    adapter: str | dict[str, Any] | None = Field(
        default=None,
        description="for your own table: format of its architectures, or a mapping of its name and settings; left "
        "out: the columns must be those of a known layout",
    )
    architecture: str = Field(default="architecture", description="for your own table: column of the architectures")
    metric: str | None = Field(
        default=None,
        description="column to choose by; left out: that of `dataset` in a known layout (otherwise required)",
    )
    test_metric: str | None = Field(
        default=None, description="column to report, once at the end; left out: the same as `metric`"
    )
    lower_is_better: bool = Field(
        default=False, description="whether a lower metric is a better one (an error, a loss)"
    )
    unit: Unit | None = Field(
        default=None,
        description="unit of the metrics: accuracy in percent, as a share of 1, or any other number; left out: share "
        "if all values are from 0 to 1, percent if they are from 0 to 100, else (and if lower is better) "
        "number",
    )
    images: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="number of images that accuracies were measured on; left out: no intervals",
    )
    where: dict[str, str] = Field(
        default={}, description="use only rows with these values in these columns: {space: nasbench301}"
    )
    duplicates: Literal["refuse", "mean"] | None = Field(
        default=None,
        description="an architecture in two rows: an error, or take the mean; left out: the default of a known "
        "layout, else an error",
    )
    unusable: Literal["refuse", "leave_out"] = Field(
        default="refuse",
        description="a row whose architecture cannot be read or whose metric is not a number: an error, or skip it",
    )
    network_size: NetworkSizeSettings = Field(
        default=NetworkSizeSettings(), description="size of the networks as they were trained"
    )
    layout: str | None = Field(
        default=None,
        description="a known layout by its name (docs/how-to/own-table.md); left out: by the columns of the file",
    )
    dataset: str | None = Field(
        default=None, description="for a known layout: the data set whose results are used; left out: the first"
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="for a known layout: epochs of the training (200 or 12; NAS-Bench-Macro 50); left out: the longest",
    )
    seed: Literal["mean", "draw"] | Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default="mean",
        description="what a query gives: the mean over the trainings of a network; draw: one of them, drawn by the "
        "seed of the run, with its noise; or the training of this seed, as the table names it",
    )
    latency: OutsidePath | None = Field(
        default=None,
        description="a csv file of latencies in ms by the number in column `idx` of the table; with it a budget may "
        "limit `latency`",
    )
    device: str = Field(default="1080ti_1", description="the column of that file: which device")

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "frame" not in values or "network_size" in values:
            return values
        say_once("evaluator.frame in a recipe is evaluator.network_size now")
        return {"network_size" if name == "frame" else name: value for name, value in values.items()}

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        return _one_of(value, [CSV, *plugins().table_formats])

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str | None) -> str | None:
        return value if value is None else _one_of(value, plugins().table_layouts)

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str | None) -> str | None:
        known = [each.dataset for layout in plugins().table_layouts.values() for each in layout.results]
        return value if value is None else _one_of(value, dict.fromkeys(known))

    @field_validator("adapter")
    @classmethod
    def _known_adapter(cls, value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        try:
            if value is not None:
                find_adapter(value, plugins())
        except NATError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _own_or_known(self) -> TableSettings:
        if self.adapter is None and self.test_metric is not None and self.metric is None:
            raise ValueError("test_metric goes with metric")
        if self.adapter is not None:
            known = [name for name in ("layout", "dataset", "epochs") if getattr(self, name) is not None]
            if known:
                raise ValueError(
                    f"{known[0]} is of known layouts, adapter of a table of your own: leave one of them out"
                )
            if self.metric is None:
                raise ValueError("a table of your own (adapter) needs metric: the column of its results")
        return self


def _one_of(value: str, known: Any) -> str:
    if value not in known:
        raise ValueError(f"'{value[:40]}' is not known; allowed: {', '.join(known)}")
    return value
