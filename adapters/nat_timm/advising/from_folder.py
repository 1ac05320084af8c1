"""Advice on a model of a text, with weights of a file, on images of a folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nat_plugin.advice import AdviceSettings
from nat_plugin.data.loaders.image_folder import FORMATS, open_image
from nat_plugin.errors import NATError
from nat_plugin.files import file_errors
from nat_plugin.ir import Frame
from nat_plugin.ir.layers import Shape
from nat_plugin.ir.serial import strict_json
from nat_timm.advising.advice import Advice
from nat_timm.advising.advise import advise
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import Document
from nat_timm.framework import said, timm
from nat_timm.saving.weights import starting_weights


def advise_from_folder(found: Document, text: str, frame: Frame, wanted: AdviceSettings) -> Advice:
    """NATError for weights that do not fit, and for a folder without so many images."""
    model = build(found, frame.input, frame.classes)
    attach(model, found)
    starting_weights(model, wanted.weights)
    images, labels = read_images(wanted, frame.input, _config(model, text), frame.classes)
    return advise(
        model, images, labels if wanted.labelled else None, rules=wanted.rules, device=wanted.device, seed=wanted.seed
    )


def _config(model: Any, text: str) -> dict[str, Any]:
    """What is done to images: what the text says, else what the model states."""
    own = dict(getattr(model, "pretrained_cfg", None) or {})
    stated = strict_json(text).get("pretrained_cfg") if text.lstrip()[:1] == "{" else None
    return own | (stated if isinstance(stated, dict) else {})


def read_images(wanted: AdviceSettings, input: Shape, config: dict[str, Any], classes: int) -> tuple[Tensor, Tensor]:
    """``count`` images of a folder, drawn by the seed, as the model takes them, and the numbers of their classes."""
    files = _files(wanted.images, wanted.count, wanted.seed)
    names = sorted({path.parent.name for path in _images_in(wanted.images)})
    numbers = _numbers(names, classes, wanted) if wanted.labelled else dict.fromkeys(names, 0)
    config = copy.deepcopy(config) | {"input_size": input}
    for name, value in (("mean", wanted.mean), ("std", wanted.std)):
        if value is not None:
            config[name] = (value,) * input[0]
    data, mode = timm().data, "L" if input[0] == 1 else "RGB"
    try:
        transform = data.create_transform(**data.resolve_data_config({}, pretrained_cfg=config))
        loaded = [transform(open_image(path).convert(mode)) for path in files]
    except NATError:
        raise
    except Exception as error:
        raise NATError(f"{wanted.images}: the images cannot be made fit for the model: {said(error)}") from error
    return torch.stack(loaded), torch.tensor([numbers[path.parent.name] for path in files])


def _images_in(folder: Path) -> list[Path]:
    with file_errors(folder):
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and path.is_file())


def _files(folder: Path, count: int, seed: int) -> list[Path]:
    if not folder.is_dir():
        raise NATError(f"{folder}: no folder; --images names one that holds images")
    found = _images_in(folder)
    if len(found) < min(count, 4):
        raise NATError(f"{folder}: {len(found)} images; 4 are the least, 64 and more are good")
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed)).tolist()
    return [found[at] for at in order[:count]]


def _numbers(names: list[str], classes: int, wanted: AdviceSettings) -> dict[str, int]:
    """Of each folder: the number that it is called, or its place in the alphabet where all classes are there."""
    if all(name.isdecimal() for name in names):
        numbers = {name: int(name) for name in names}
    elif len(names) == classes:
        numbers = {name: number for number, name in enumerate(names)}
    else:
        raise NATError(
            f"{wanted.images}: {len(names)} folders of images for {classes} classes; with --labels they are called by "
            "the numbers of their classes, or there is one for each class"
        )
    if max(numbers.values()) >= classes:
        raise NATError(
            f"{wanted.images}: folder '{max(numbers, key=lambda name: numbers[name])}' is no class of {classes}"
        )
    return numbers
