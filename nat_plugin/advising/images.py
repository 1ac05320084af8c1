"""Images of a folder, and the numbers of their classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nat_plugin.advising.settings import AdviceSettings
from nat_plugin.data.loaders.image_folder import FORMATS, open_image
from nat_plugin.errors import NATError
from nat_plugin.files import file_errors


def read_images(
    settings: AdviceSettings, channels: int, classes: int, transform: Callable[[Any], Tensor]
) -> tuple[Tensor, Tensor | None]:
    """``count`` images of a folder, drawn by the seed, as ``transform`` makes them of PIL's, and if they are
    ``labelled`` the numbers of their classes. NATError for a folder without so many, and for folders in it that are no
    classes."""
    files = _files(settings.images, settings.count, settings.seed)
    labels = None
    if settings.labelled:
        numbers = _numbers(sorted({path.parent.name for path in _images_in(settings.images)}), classes, settings.images)
        labels = torch.tensor([numbers[path.parent.name] for path in files])
    mode = "L" if channels == 1 else "RGB"
    try:
        return torch.stack([transform(open_image(path).convert(mode)) for path in files]), labels
    except NATError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NATError(f"{settings.images}: the images cannot be prepared for the model: {said[0]}") from error


def _images_in(folder: Path) -> list[Path]:
    with file_errors(folder):
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and path.is_file())


def _files(folder: Path, count: int, seed: int) -> list[Path]:
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder; give a folder of images as --images")
    found = _images_in(folder)
    if len(found) < min(count, 4):
        raise NATError(f"{folder}: {len(found)} images; at least 4 are needed, 64 or more are better")
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed)).tolist()
    return [found[at] for at in order[:count]]


def _numbers(names: list[str], classes: int, folder: Path) -> dict[str, int]:
    """Of each folder: the number that it is called, or its place in the alphabet where all classes are there."""
    if all(name.isdecimal() for name in names):
        numbers = {name: int(name) for name in names}
    elif len(names) == classes:
        numbers = {name: number for number, name in enumerate(names)}
    else:
        raise NATError(
            f"{folder}: {len(names)} folders of images for {classes} classes; with --labels they are called by the "
            "numbers of their classes, or there is one for each class"
        )
    if max(numbers.values()) >= classes:
        raise NATError(
            f"{folder}: folder '{max(numbers, key=lambda name: numbers[name])}' is not one of the {classes} classes"
        )
    return numbers
