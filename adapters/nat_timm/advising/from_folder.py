"""Advice on a model of a text, with weights of a file, on images of a folder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor

from nat_plugin import NATError
from nat_plugin.advising import Advice, AdviceSettings, read_images
from nat_plugin.extending import strict_json
from nat_plugin.ir import NetworkSize, Shape
from nat_timm.advising.advise import advise
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import Document
from nat_timm.framework import said, timm
from nat_timm.saving.weights import starting_weights


def advise_from_folder(found: Document, text: str, size: NetworkSize, wanted: AdviceSettings) -> Advice:
    """NATError for weights that do not fit, and for a folder without so many images."""
    model = build(found, size.input, size.classes)
    attach(model, found)
    starting_weights(model, wanted.weights)
    transform = _transform(_config(model, text), size.input, wanted)
    images, labels = read_images(wanted, size.input[0], size.classes, transform)
    return advise(
        model, images, labels, rules=wanted.rules, budget=wanted.budget, device=wanted.device, seed=wanted.seed
    )


def _config(model: Any, text: str) -> dict[str, Any]:
    """What is done to images: what the text says, else what the model states."""
    own = dict(getattr(model, "pretrained_cfg", None) or {})
    stated = strict_json(text).get("pretrained_cfg") if text.lstrip()[:1] == "{" else None
    return own | (stated if isinstance(stated, dict) else {})


def _transform(config: dict[str, Any], input: Shape, wanted: AdviceSettings) -> Callable[[Any], Tensor]:
    """Of timm, by what is done to images of this model."""
    config = copy.deepcopy(config) | {"input_size": input}
    for name, value in (("mean", wanted.mean), ("std", wanted.std)):
        if value is not None:
            config[name] = (value,) * input[0]
    data = timm().data
    try:
        found: Callable[[Any], Tensor] = data.create_transform(**data.resolve_data_config({}, pretrained_cfg=config))
    except Exception as error:
        raise NATError(f"{wanted.images}: the images cannot be prepared for the model: {said(error)}") from error
    return found
