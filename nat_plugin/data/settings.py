"""What a recipe can say about its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, field_validator, model_validator

from nat_plugin.outside import OutsidePath

if TYPE_CHECKING:
    from nat_plugin.data.augment import Augment

DEFAULT_TEST = 0.2  # share of a source that has no test part


class SplitSettings(BaseModel):
    """How images are divided, every class alike. A whole number is a count, a number with a point a share.

    `weights`, `reward` and `selection` are shares of the train part: the source's own, or what `test` leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: StrictInt | StrictFloat = Field(default=0.5, description="trains the weights")
    reward: StrictInt | StrictFloat = Field(default=0.25, description="gives the reward of a search")
    selection: StrictInt | StrictFloat = Field(
        default=0.25, description="chooses the result of a search; a source's own part for that is used whole instead"
    )
    test: StrictInt | StrictFloat | None = Field(
        default=None,
        description="used once, at the end; left out: the source's own test part, or 0.2 of a source without one",
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = Field(default=0, description="draws the splits")

    @field_validator("weights", "reward", "selection", "test")
    @classmethod
    def _count_or_share(cls, value: int | float | None) -> int | float | None:
        if isinstance(value, float) and not 0 < value <= 1:
            raise ValueError("a share is above 0 and at most 1.0 (a count of images has no decimal point)")
        if isinstance(value, int) and value < 1:
            raise ValueError("a count of images is at least 1 (a share has a decimal point)")
        return value

    @model_validator(mode="after")
    def _not_more_than_all(self) -> SplitSettings:
        total = sum(share for share in (self.weights, self.reward, self.selection) if isinstance(share, float))
        if total > 1 + 1e-9:
            raise ValueError(f"weights, reward and selection are shares of one train part but add up to {total:g}")
        if self.test == 1.0 and isinstance(self.test, float):
            raise ValueError("test is a share of everything: 1.0 leaves nothing to train on")
        return self


class AugmentSettings(BaseModel):
    """What to change in the augmentation that a loader chose for its images; what is left out stays as it is."""

    # An Augment is taken as it is, for those who write their settings in Python.
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    crop: Annotated[int, Field(strict=True, ge=0, le=4096)] | None = Field(
        default=None, description="padding in pixels"
    )
    flip: Annotated[bool, Field(strict=True)] | None = Field(default=None, description="mirror half of the images")
    cutout: Annotated[int, Field(strict=True, ge=0, le=4096)] | None = Field(default=None, description="side in pixels")

    def applied(self, chosen: Augment) -> Augment:
        """`chosen` by the loader, with everything that is set here in its place."""
        return replace(chosen, **self.model_dump(exclude_none=True))


class DataSettings(BaseModel):
    """A data set by name, where it lies, and how it is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="digits", description="which loader reads it")
    path: OutsidePath | None = Field(
        default=None, description="file or folder, for loaders that read one; ~ is the home folder"
    )
    download: bool = Field(
        default=False, strict=True, description="fetch it into path where it is missing; never by default"
    )
    resolution: Annotated[int, Field(strict=True, ge=2, le=2048)] | None = Field(
        default=None, description="height and width in pixels; left out: as in the source (an image folder needs it)"
    )
    splits: SplitSettings = Field(default_factory=SplitSettings, description="how the images are divided")
    augment: AugmentSettings | None = Field(
        default=None, description="of training images; left out: the loader's own choice"
    )
    limit: Annotated[int, Field(strict=True, ge=1, le=10**9)] | None = Field(
        default=None,
        description="use at most so many images, as many of each class; a source's own test part stays whole",
    )
