"""Feature extraction of edited models: as the base does it, and with channels and reductions as they now are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nat_timm.building.build import input_size
from nat_timm.documents.edits import Edit
from nat_timm.framework import create, timm
from nat_timm.reading.trace import SHAPELESS, to_meta
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


RESIZING = ("hidden", "stride", "width")
"""Edits after which features have other channels or reductions."""


def apply_with_features(model: nn.Module, edits: Sequence[Edit], name: str) -> None:
    """Apply edits in place, and have a model state its channels and reductions as they then are: in ``feature_info``,
    and in what ``reset_classifier`` goes by."""
    if not any(edit.op in RESIZING for edit in edits):
        apply_edits(model, edits, name)
        return
    info = getattr(model, "feature_info", None)
    entries = getattr(info, "info", info) or []
    channels, height, width = input_size(model)
    input = (1, channels, height, width)
    before = _Shapes(to_meta(model), entries, input)
    apply_edits(model, edits, name)
    after = _Shapes(to_meta(model), entries, input)
    for entry in entries:
        old, new = before.of.get(entry["module"]), after.of.get(entry["module"])
        if old is None or new is None or old == new or old[1] != entry["num_chs"]:
            continue  # a family that does not mean the output of the module by it
        entry["num_chs"], entry["reduction"] = new[1], round(height / new[2])
    if any(edit.op == "width" for edit in edits):
        head = getattr(model, "head", None)
        _restate(model, {"num_features": _FEATURES, "head_hidden_size": _CLASSIFIER}, before, after)
        _restate(head, {"in_features": _HEAD, "num_features": _CLASSIFIER, "hidden_size": _CLASSIFIER}, before, after)


_FEATURES, _HEAD, _CLASSIFIER = "forward_features", "what the head reads", "what the classifier reads"


def _restate(owner: Any, names: Mapping[str, str], before: _Shapes, after: _Shapes) -> None:
    """Numbers of channels that a module noted when it was built."""
    for name, what in names.items():
        old, new = before.of.get(what), after.of.get(what)
        said = getattr(owner, name, None)
        if type(said) is int and old is not None and new is not None and said in old[1:]:
            setattr(owner, name, new[old.index(said, 1)])


class _Shapes:
    """The shapes of what a model on the meta device computes for an image, by module and by part of its forward."""

    def __init__(self, model: nn.Module, entries: Sequence[Mapping[str, Any]], input: tuple[int, ...]) -> None:
        self.of: dict[str, tuple[int, ...]] = {}
        modules = dict(model.named_modules())
        for part in modules.values():
            if isinstance(part, SHAPELESS):
                part.forward = _passed_on  # type: ignore[assignment]  # it takes four fifths of the time on this device
        for entry in entries:
            module = modules.get(entry["module"])
            if module is None:  # some models name one that they do not have (HRNet's stem)
                continue
            if entry.get("hook_type") == "forward_pre":
                module.register_forward_pre_hook(self._hook(entry["module"]))
            else:
                module.register_forward_hook(self._hook(entry["module"]))
        head, classifier = getattr(model, "head", None), find_classifier(model)
        if isinstance(head, nn.Module):
            head.register_forward_pre_hook(self._hook(_HEAD))
        if isinstance(classifier, nn.Linear | nn.Conv2d):
            self.of[_CLASSIFIER] = tuple(classifier.weight.shape)
        if hasattr(model, "forward_features"):
            computed = model.forward_features

            def noted(*values: Any) -> Any:
                found = computed(*values)  # type: ignore[operator]
                self._note(_FEATURES, found)
                return found

            model.forward_features = noted  # type: ignore[assignment]
        model.eval()
        with torch.no_grad():
            model(torch.empty(input, device="meta"))

    def _hook(self, path: str) -> Any:
        return lambda *values: self._note(path, values[-1][0] if isinstance(values[-1], tuple | list) else values[-1])

    def _note(self, path: str, value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.dim() == 4:
            self.of[path] = tuple(value.shape)


def _passed_on(x: torch.Tensor, *_: Any) -> torch.Tensor:
    return x


def find_classifier(model: nn.Module) -> nn.Module | None:
    """The layer that timm calls the classifier; None where a model has none."""
    try:
        found = model.get_classifier()  # type: ignore[operator]
    except AttributeError:  # some models look for a layer within a head that is not there then
        return None
    return found if isinstance(found, nn.Module) else None
