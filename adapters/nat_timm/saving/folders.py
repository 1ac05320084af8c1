"""Models as folders that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads: JSON and safetensors."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from nat_plugin import NATError
from nat_plugin.extending import read_text, strict_json
from nat_plugin.files import file_errors, write_bytes
from nat_timm.building.build import CLASSES
from nat_timm.building.comparing import computes_the_same, module_that_differs, value_that_differs
from nat_timm.building.entrypoint import register
from nat_timm.documents.document import EDITED, Document, parse
from nat_timm.documents.edits import edits_to_json
from nat_timm.framework import create, said, timm
from nat_timm.models import CURRENT, check_weights, classifier_advice, document_of, load_weights, rebuilt
from nat_timm.saving.stock import Stock, stock
from nat_timm.saving.weights import read_weights

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save(model: nn.Module, folder: Path | str, *, allow_stock: bool = True) -> bool:
    """Write a model, moved or not, as a folder; whether plain timm loads it without this package.

    With ``allow_stock`` plain arguments of its entrypoint are written, if they can represent the model; any other is
    loaded by the entrypoint ``nat_edited``, which ``import nat_timm`` registers. timm loads the folder again, to check
    that it is the same model. NATError if it differs, with the first different module, or if the folder cannot be
    written; nothing is written then."""
    found, folder = document_of(model), Path(folder)
    _check_weights(model, found)
    plain = stock(model, found) if allow_stock else None
    is_stock = not found.edits or plain is not None
    subject = model if plain is None else plain.model
    if not all(each.is_contiguous() for each in subject.state_dict().values()):  # channels_last, say
        subject = copy.deepcopy(subject).to(memory_format=torch.contiguous_format)
    with tempfile.TemporaryDirectory() as scratch:
        _write(subject, Path(scratch), found, _arguments(found, plain), is_stock)
        _check_loads(subject, Path(scratch), found)
        weights, config = (Path(scratch) / WEIGHTS).read_bytes(), (Path(scratch) / CONFIG).read_text(encoding="utf-8")
    _put(folder, weights, config)
    return is_stock


def _check_weights(model: nn.Module, found: Document) -> None:
    """NATError for a model that is not what its document says, or has no weights."""
    if any(each.is_meta for each in model.state_dict().values()):
        raise NATError(f"{found.architecture}: the model is on the meta device and has no weights to save")
    differs = module_that_differs(model, rebuilt(model, found, device="meta"))
    if differs is not None:
        advice = classifier_advice(model, differs) or (
            "save a model before it is re-parameterised or rebuilt; nat_timm.export_program writes what can be exported"
        )
        raise NATError(f"{found.architecture}: not saved: {differs}; {advice}")


def _write(model: nn.Module, folder: Path, found: Document, args: Mapping[str, Any], is_stock: bool) -> None:
    try:
        timm().models.save_for_hf(model, folder, model_args=dict(args), safe_serialization=True)
    except (ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise NATError(f"{found.architecture}: not saved: timm cannot save this model: {said(error)}") from error
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["architecture"] = EDITED if not is_stock else found.architecture.partition(".")[0]
    config["model_args"] = {**config.get("model_args", {}), **args}
    if is_stock and found.edits:
        config["nat"] = json.loads(found.render())
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + os.linesep, encoding="utf-8")


def _check_loads(model: nn.Module, folder: Path, found: Document) -> None:
    """NATError unless timm, asked as anyone would ask it, gives the same model from a folder."""
    register()
    try:
        loaded = timm().create_model(f"local-dir:{folder}", pretrained=True)
    except Exception as error:
        raise NATError(
            f"{found.architecture}: not saved: timm does not load what would be written: {said(error)}"
        ) from error
    differs = str(module_that_differs(model, loaded) or value_that_differs(model, loaded) or "")
    if not differs and not computes_the_same(model, loaded, found.architecture):
        differs = "it computes something else"
    if differs:
        raise NATError(f"{found.architecture}: not saved: as loaded again it is another model: {differs}")


def _put(folder: Path, weights: bytes, config: str) -> None:
    """Both files, or neither; what was in the folder stays until both are written."""
    is_new = not folder.exists()
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    staged = {folder / f".{name}.new": folder / name for name in (WEIGHTS, CONFIG)}
    try:
        for path, data in zip(staged, (weights, config.encode()), strict=True):
            write_bytes(path, data)
        with file_errors(folder):
            for path, final in staged.items():
                os.replace(path, final)
    except NATError:
        for path in staged:
            path.unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _arguments(found: Document, plain: Stock | None) -> Mapping[str, Any]:
    """Those of the base, but for what timm notes of the model as it is now, and the edits."""
    own = {name: value for name, value in found.model_args.items() if name not in CURRENT}
    if plain is not None:
        return {**own, **plain.args}
    if not found.edits:
        return own
    return {**own, "base": found.architecture, "edits": edits_to_json(found.edits)}


def load(folder: Path | str) -> nn.Module:
    """The model of a folder in evaluation mode, weights loaded strictly, on the CPU; as from ``timm.create_model``, but
    with errors of one line. NATError for a missing folder, a damaged file, or weights of another model."""
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
    name = str(config["architecture"])
    check_weights(create(name, args, "meta"), state, str(folder))  # before memory is taken for it
    made: Any = create(name, args)
    load_weights(made, state, str(folder))
    own = config.get("pretrained_cfg")
    made.pretrained_cfg = {**made.pretrained_cfg, **(own if isinstance(own, dict) else {})}
    model: nn.Module = made
    return model
