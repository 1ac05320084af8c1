"""The entrypoint ``nat_edited``, under which timm builds, loads and saves edited models.

``timm.create_model("local-dir:FOLDER", pretrained=True)`` finds it once ``nat_timm`` is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nat_plugin import NATError
from nat_timm.building.features import OWN, apply_with_features, feature_settings
from nat_timm.documents.document import EDITED, Document, document
from nat_timm.documents.edits import Edit, edits_from_json, edits_to_json
from nat_timm.framework import checked_name, create, timm
from nat_timm.surgery.apply import apply_edits

_BUILDERS = ("pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args", "cache_dir", "features_only",
             "out_indices", "feature_cls", "pretrained_strict")  # fmt: skip
"""Arguments that are for timm's builder, not for the base."""


def nat_edited(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """``base`` (the name of a timm model) with ``edits`` (a list of JSON objects, see ``nat_timm.documents.edits``);
    all other arguments are those of the base. NATError for a base or an edit that cannot be."""
    given, edits = kwargs.pop("base", None), edits_from_json(kwargs.pop("edits", ()))
    if not isinstance(given, str):
        raise NATError(f"'{EDITED}' needs base=, the name of a timm model, and edits=, a list of edits")
    base = checked_name(given)
    config = kwargs.pop("pretrained_cfg", None) or base_config(base)
    settings = {name: kwargs.pop(name) for name in _BUILDERS if name in kwargs}
    features = feature_settings(base, kwargs) if settings.get("features_only") else {}
    is_own = features.pop(OWN, False) and "feature_cls" not in settings
    extractor: dict[str, Any] = {}
    if is_own:  # as timm builds such: without classifier, so that not all weights of a checkpoint are used
        extractor = {name: settings.pop(name) for name in ("features_only", "out_indices") if name in settings}
        settings |= {"pretrained_strict": False, "kwargs_filter": ("num_classes", "global_pool")}
    made: nn.Module = timm().models.build_model_with_cfg(
        _Edited(base, edits, extractor),
        EDITED,
        pretrained,
        pretrained_cfg=config,
        pretrained_filter_fn=lambda state, model: inherited_state(state, model, base, edits, kwargs),
        feature_cfg=features,
        **settings,
        **kwargs,
    )
    return made


class _Edited:
    """What timm's builder calls as if it were the class of the model."""

    def __init__(self, base: str, edits: Sequence[Edit], extractor: Mapping[str, Any]) -> None:
        self.base, self.edits, self.extractor = base, tuple(edits), extractor

    def __call__(self, **kwargs: Any) -> nn.Module:
        device, edits = kwargs.pop("device", None), self.edits
        model: nn.Module = create(self.base, {**kwargs, **self.extractor}, device).train()
        if self.extractor:  # what an extractor leaves out of the model cannot be edited
            paths = {*dict(model.named_modules()), *dict(model.named_parameters())}
            edits = tuple(edit for edit in (each.within(paths) for each in edits) if edit is not None)
        apply_with_features(model, edits, self.base)
        if not self.extractor:
            attach(model, document(self.base, plain(kwargs), self.edits))
        return model


def plain(args: Mapping[str, Any]) -> dict[str, Any]:
    """What of the arguments describes the architecture and can be written as JSON."""
    found = {}
    for name, value in args.items():
        if name == "dtype" or value is None:
            continue
        value = list(value) if isinstance(value, tuple) else value
        if isinstance(value, bool | int | float | str | list | dict):
            found[name] = value
    return found


def attach(model: nn.Module, found: Document) -> None:
    """Note on a model what it was made from, for ``nat_timm.models`` and for saving."""
    model.nat_document = found  # type: ignore[assignment]


def base_config(base: str) -> Any:
    """The pretrained_cfg of the base, under the name by which the edited model is saved."""
    config = timm().models.get_pretrained_cfg(base)
    return None if config is None else {**config.to_dict(), "architecture": EDITED}


def inherited_state(
    state: Mapping[str, torch.Tensor], model: nn.Module, base: str, edits: Sequence[Edit], args: Mapping[str, Any]
) -> Mapping[str, torch.Tensor]:
    """The weights of an edited model as they are; those of the base made to fit, so that a checkpoint of the original
    loads strictly."""
    own = {name: value.shape for name, value in model.state_dict().items()}
    if {name: value.shape for name, value in state.items()} == own:
        return state
    given = {name: value for name, value in args.items() if name != "device"}
    if given.get("global_pool") == "":  # has no weights, and some models do not take it with a classifier
        del given["global_pool"]
    original = create(base, {**given, **_sizes(base, state)})
    if {name: value.shape for name, value in state.items()} != {
        name: value.shape for name, value in original.state_dict().items()
    }:
        return state  # of neither: timm says what does not fit
    original.load_state_dict(state)
    found: Mapping[str, torch.Tensor] = apply_edits(original, edits, base).state_dict()
    return found


def _sizes(base: str, state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """The classes and channels of images that weights of a base are for: timm makes them fit others afterwards."""
    config, found = base_config(base) or {}, {}
    for what, axis, argument in (("classifier", 0, "num_classes"), ("first_conv", 1, "in_chans")):
        path = config.get(what)
        weight = state.get(f"{path}.weight") if isinstance(path, str) else None
        if weight is not None and weight.dim() > axis:
            found[argument] = int(weight.shape[axis])
    return found


def register() -> None:
    """Make ``nat_edited`` known to timm."""
    models = timm().models
    if not models.is_model(EDITED):
        models.register_model(nat_edited)


__all__ = ["edits_to_json", "nat_edited", "register"]
