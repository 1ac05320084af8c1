"""Models as folders that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads: JSON and safetensors."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.files import file_errors, write_bytes, write_text
from nat_plugin.ir.serial import strict_json
from nat_plugin.sources import read_text
from nat_timm.building import CLASSES
from nat_timm.document import EDITED, Document, parse
from nat_timm.edits import edits_to_json
from nat_timm.entrypoint import register
from nat_timm.framework import create, timm
from nat_timm.models import document_of, load_weights
from nat_timm.stock import Stock, stock
from nat_timm.weights import read_weights

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save(model: nn.Module, folder: Path | str, *, allow_stock: bool = True) -> bool:
    """Write a model, moved or not, as a folder; whether plain timm loads it without this package.

    With ``allow_stock`` a model that plain arguments of its entrypoint can say is written so; any other is loaded by
    the entrypoint ``nat_edited``, which ``import nat_timm`` registers. NATError where the folder cannot be written.
    """
    found, folder = document_of(model), Path(folder)
    plain = stock(model, found) if allow_stock else None
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    args, is_stock = _arguments(found, plain), not found.edits or plain is not None
    with tempfile.TemporaryDirectory() as scratch:
        subject = model if plain is None else plain.model
        if not all(each.is_contiguous() for each in subject.state_dict().values()):  # channels_last, say
            subject = copy.deepcopy(subject).to(memory_format=torch.contiguous_format)
        try:
            timm().models.save_for_hf(subject, scratch, model_args=args, safe_serialization=True)
        except (ValueError, RuntimeError) as error:
            raise NATError(f"{found.architecture}: timm cannot save this model: {error}") from None
        config = json.loads((Path(scratch) / CONFIG).read_text(encoding="utf-8"))
        weights = (Path(scratch) / WEIGHTS).read_bytes()
    config["architecture"] = EDITED if not is_stock else found.architecture.partition(".")[0]
    config["model_args"] = {**config.get("model_args", {}), **args}
    if is_stock and found.edits:
        config["nat"] = json.loads(found.render())
    write_bytes(folder / WEIGHTS, weights)
    write_text(folder / CONFIG, json.dumps(config, indent=2) + os.linesep)
    return is_stock


def _arguments(found: Document, plain: Stock | None) -> Mapping[str, Any]:
    if plain is not None:
        return {**found.model_args, **plain.args}
    if not found.edits:
        return found.model_args
    return {**found.model_args, "base": found.architecture, "edits": edits_to_json(found.edits)}


def load(folder: Path | str) -> nn.Module:
    """The model of a folder in evaluation mode, weights loaded strictly, on the CPU; what ``timm.create_model`` gives,
    but with errors of one line. NATError for a folder that is none, a damaged file, weights of another model."""
    folder = Path(folder)
    text = read_text(folder / CONFIG)
    config = strict_json(text)
    if not isinstance(config, dict) or "architecture" not in config:
        raise NATError(f"{folder / CONFIG}: it names no architecture; a model folder of timm is expected")
    parse(text)
    state = read_weights(folder)
    args = {**config.get("model_args", {}), "num_classes": config.get("num_classes", CLASSES)}
    if config["architecture"] == EDITED:
        register()
    made: Any = create(str(config["architecture"]), args)
    load_weights(made, state, str(folder))
    said = config.get("pretrained_cfg")
    made.pretrained_cfg = {**made.pretrained_cfg, **(said if isinstance(said, dict) else {})}
    model: nn.Module = made
    return model
