"""Documents as modules: timm builds the base, edits are applied."""

from __future__ import annotations

from typing import Any

from torch import nn

from nat_plugin import NATError
from nat_plugin.extending import strict_json
from nat_plugin.ir import NetworkSize, Shape
from nat_timm.documents.document import Document, parse
from nat_timm.framework import checked_name, create, timm
from nat_timm.limits import MAX_CLASSES, checked_size
from nat_timm.surgery.apply import apply_edits

CLASSES = 1000


def arguments(found: Document, input: Shape, classes: int) -> dict[str, Any]:
    """The arguments of ``timm.create_model`` for images and classes; those in the document come first."""
    args: dict[str, Any] = {"num_classes": classes, "in_chans": input[0]}
    config = timm().models.get_pretrained_cfg(checked_name(found.architecture))
    if config is not None and config.fixed_input_size and config.input_size[1:] != input[1:]:
        args["img_size"] = input[1:]
    return {**found.model_args, **args}


def natural_size(text: str) -> NetworkSize:
    """The images and classes that a model is made for: what its text says, else its pretrained_cfg."""
    found = parse(text)
    config = timm().models.get_pretrained_cfg(checked_name(found.architecture))
    own = config.to_dict() if config is not None else {}
    if text.lstrip()[:1] == "{":
        said = strict_json(text).get("pretrained_cfg")
        own.update(said if isinstance(said, dict) else {})
    channels, height, width = checked_size(found.architecture, own.get("input_size") or (3, 224, 224))
    classes = found.model_args.get("num_classes", own.get("num_classes") or CLASSES)
    if type(classes) is not int or not 0 <= classes <= MAX_CLASSES:
        raise NATError(f"{found.architecture}: num_classes is a number from 0 to {MAX_CLASSES:,}, not {classes!r:.40}")
    return NetworkSize(input=(found.model_args.get("in_chans", channels), height, width), classes=max(classes, 1))


def input_size(model: nn.Module) -> Shape:
    """The images that a model is for, by what timm noted."""
    config = getattr(model, "pretrained_cfg", None) or {}
    name = str(config.get("architecture", "the model"))
    channels, height, width = checked_size(name, config.get("input_size") or (3, 224, 224))
    height, width = getattr(model, "_traits", {}).get("img_size") or (height, width)
    return int(getattr(model, "in_chans", channels)), height, width


def has_fixed_size(model: nn.Module) -> bool:
    """Whether a model takes images of no other size (it has a weight for every pixel of some map)."""
    return bool((getattr(model, "pretrained_cfg", None) or {}).get("fixed_input_size"))


def build(found: Document, input: Shape, classes: int, device: str | None = None) -> nn.Module:
    """The model of a document in evaluation mode, with fresh weights. NATError as for ``framework.create``."""
    model: nn.Module = create(found.architecture, arguments(found, input, classes), device)
    return apply_edits(model, found.edits, found.architecture)
