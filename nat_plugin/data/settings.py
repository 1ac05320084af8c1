"""What a recipe can say about its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, field_validator, model_validator

from nat_plugin.fingerprints import OutsidePath

if TYPE_CHECKING:
    from nat_plugin.data.augment import Augment

DEFAULT_TEST = 0.2  # share of a source that has no test part
WORKERS = 2  # processes that decode
_Share = Annotated[float, Field(ge=0, le=1)]


class SplitSettings(BaseModel):
    """How images are divided, every class alike. A whole number is a count, a number with a point a share.

    `weights`, `reward` and `selection` are shares of the train part: the source's own, or what `test` leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: StrictInt | StrictFloat = Field(
        default=0.5, description="images that train the weights: a share, or a number"
    )
    reward: StrictInt | StrictFloat = Field(default=0.25, description="images that score proposals")
    selection: StrictInt | StrictFloat = Field(
        default=0.25, description="images that choose the result; a source's own part for that is used whole instead"
    )
    test: StrictInt | StrictFloat | None = Field(
        default=None,
        description="images that are used once, at the end; left out: the source's own test part, or 0.2 of a source "
        "without one",
    )
    val: Literal["selection", "test"] = Field(
        default="selection",
        description="what a source's own val part is used as, if it has no test part: selection, or test, as papers "
        "do for ImageNet",
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = Field(default=0, description="seed of the splits")

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


class PictureSettings(BaseModel):
    """How images are made of pictures that stay in their files, by the names of ``timm.data.create_transform``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: tuple[_Share, _Share] = Field(
        default=(0.08, 1.0),
        description="smallest and largest share of the area of an image that a random crop takes",
    )
    ratio: tuple[Annotated[float, Field(gt=0, le=100)], Annotated[float, Field(gt=0, le=100)]] = Field(
        default=(3 / 4, 4 / 3), description="smallest and largest aspect ratio (width by height) of a random crop"
    )
    hflip: _Share = Field(default=0.5, description="probability that an image is mirrored left to right")
    color_jitter: Annotated[list[_Share], Field(min_length=3, max_length=4)] | _Share = Field(
        default=0.4,
        description="how far brightness, contrast and saturation change at random, or a list of these three and hue "
        "(at most 0.5)",
    )
    auto_augment: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="timm's name of an augmentation policy, which replaces color_jitter: rand-m9-mstd0.5, "
        "augmix-m3-w3, original",
    )
    interpolation: Literal["bilinear", "bicubic", "random"] = Field(
        default="bilinear", description="interpolation in resizing; random: one of the two for each training image"
    )
    crop_pct: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.875,
        description="share of the shorter side that the central crop for measuring takes: 224 of 256 pixels",
    )
    mean: Annotated[list[_Share], Field(min_length=3, max_length=3)] = Field(
        default=[0.485, 0.456, 0.406], description="mean of the three colours (white is 1), which is subtracted"
    )
    std: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3, max_length=3)] = Field(
        default=[0.229, 0.224, 0.225], description="standard deviation of the three colours, by which is divided"
    )

    @model_validator(mode="after")
    def _in_order(self) -> PictureSettings:
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high or not high:
                raise ValueError(f"{name} is from {low:g} to {high:g}: give the smaller first, the larger above 0")
        if isinstance(self.color_jitter, list) and self.color_jitter[3:] > [0.5]:
            raise ValueError("color_jitter: hue changes by at most 0.5")
        return self


class DataSettings(BaseModel):
    """A data set by name, where it lies, and how it is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="digits", description="the loader that reads the images")
    path: OutsidePath | None = Field(
        default=None, description="file or folder, for loaders that read one; ~ is the home folder"
    )
    download: bool = Field(
        default=False, strict=True, description="download the data into path if it is missing; never by default"
    )
    resolution: Annotated[int, Field(strict=True, ge=2, le=2048)] | None = Field(
        default=None, description="height and width in pixels; left out: those of the source (an image folder needs it)"
    )
    splits: SplitSettings = Field(default_factory=SplitSettings, description="how the images are divided")
    augment: AugmentSettings | None = Field(
        default=None, description="augmentation of training images; left out: the loader's default"
    )
    transform: PictureSettings | None = Field(
        default=None,
        description="how images that stay on disk are cropped, resized and augmented (large_image_folder, webdataset)",
    )
    workers: Annotated[int, Field(strict=True, ge=0, le=1024)] | None = Field(
        default=None,
        description="processes per device that decode images from disk; 0: none but the command's own; left out: 2. "
        "Results do not depend on it",
    )
    limit: Annotated[int, Field(strict=True, ge=1, le=10**9)] | None = Field(
        default=None,
        description="use at most this many images, equally many of each class; a source's own test part stays whole",
    )
