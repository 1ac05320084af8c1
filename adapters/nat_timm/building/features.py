"""Feature extraction of edited models: as the base does it, and with channels and reductions as they now are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nat_timm.building.build import input_size
from nat_timm.documents.edits import Edit
from nat_timm.framework import create, timm
from nat_timm.reading.trace import to_meta
from nat_timm.surgery.apply import apply_edits

OWN = "own"
"""Among the settings: the family has an extractor of its own, which is edited as the model is."""


def feature_settings(base: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """How the base extracts features by default: class of the extractor, number of features, flattening."""
    plain = {name: value for name, value in args.items() if name not in ("device", "num_classes", "global_pool")}
    wrapped = create(base, {**plain, "features_only": True}, "meta")
    features = timm().models._features
    settings: dict[str, Any] = {"out_indices": tuple(wrapped.feature_info.out_indices)}
    if isinstance(wrapped, features.FeatureGetterNet):
        settings["feature_cls"] = "getter"
    elif isinstance(wrapped, features.FeatureHookNet | features.FeatureDictNet):
        if isinstance(wrapped, features.FeatureHookNet):
            settings["feature_cls"] = "hook"
        if [name for name, _ in wrapped.named_children()] == ["body"]:  # the whole model, with hooks in it
            return settings
        children = dict(create(base, args_without_device(args), "meta").named_children())
        settings["flatten_sequential"] = any(name not in children for name, _ in wrapped.named_children())
    else:
        info = wrapped.feature_info
        settings["flatten_sequential"] = any("." in each["module"] for each in info.info)
        settings[OWN] = True
    return settings


def args_without_device(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if name != "device"}


def apply_with_features(model: nn.Module, edits: Sequence[Edit], name: str) -> None:
    """Apply edits in place, and have ``feature_info`` state channels and reductions as they then are."""
    info = getattr(model, "feature_info", None)
    entries = getattr(info, "info", info)
    if not entries or not any(edit.op in ("hidden", "stride", "width") for edit in edits):
        apply_edits(model, edits, name)
        return
    channels, height, width = input_size(model)
    input = (1, channels, height, width)
    before = _shapes(to_meta(model), entries, input)
    apply_edits(model, edits, name)
    after = _shapes(to_meta(model), entries, input)
    for entry in entries:
        old, new = before.get(entry["module"]), after.get(entry["module"])
        if old is None or new is None or old == new or old[1] != entry["num_chs"]:
            continue  # a family that does not mean the output of the module by it
        entry["num_chs"], entry["reduction"] = new[1], round(height / new[2])


def _shapes(
    model: nn.Module, entries: Sequence[Mapping[str, Any]], input: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def note(path: str) -> Any:
        def hook(*values: Any) -> None:
            value = values[-1][0] if isinstance(values[-1], tuple | list) else values[-1]
            if isinstance(value, torch.Tensor) and value.dim() == 4:
                found[path] = tuple(value.shape)

        return hook

    modules = dict(model.named_modules())
    for entry in entries:
        module = modules.get(entry["module"])
        if module is None:  # some models name one that they do not have (HRNet's stem)
            continue
        if entry.get("hook_type") == "forward_pre":
            module.register_forward_pre_hook(note(entry["module"]))
        else:
            module.register_forward_hook(note(entry["module"]))
    model.eval()
    with torch.no_grad():
        model(torch.empty(input, device="meta"))
    return found
