"""What stands for a timm model in text: its name, or JSON with the name, arguments of ``create_model`` and edits.

The ``config.json`` of a model folder is such JSON too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nat_plugin import NATError
from nat_plugin.extending import strict_json
from nat_timm.documents.edits import FITTED, Edit, edits_from_json, edits_to_json
from nat_timm.limits import check_arguments

EDITED = "nat_edited"
"""The entrypoint under which timm builds a base model and applies edits to it."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?")
_OWN = ("architecture", "model_args", "edits", "fits", "widths")
_CONFIG = ("pretrained_cfg", "num_classes", "num_features", "global_pool", "nat")
"""Further keys of a ``config.json``."""
_FORBIDDEN = (
    *("pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "device"),
    *("features_only", "scriptable", "exportable", "no_jit"),
)
"""Arguments that make another thing than the model, fetch something, or only say how its layers compute."""
_COUNTS = ("num_classes", "in_chans")


@dataclass(frozen=True)
class Document:
    """A base model by name, arguments of its entrypoint, and what was changed."""

    architecture: str
    args: str = "{}"
    """``model_args`` as JSON, so that documents can be compared and hashed."""
    edits: tuple[Edit, ...] = ()
    fits: bool = False
    """Whether operations may be fitted in the place of blocks (``nat_timm.fit``); always where one is."""
    widths: str = "{}"
    """Limits as JSON to which channels are still to be cut (``nat_timm.narrowing.thinning``); edits say so once they
    are."""

    def __post_init__(self) -> None:
        if any(edit.op == FITTED for edit in self.edits):
            object.__setattr__(self, "fits", True)

    @property
    def model_args(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.args)
        return found

    @property
    def limits(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.widths)
        return found

    def with_edits(self, edits: tuple[Edit, ...]) -> Document:
        return replace(self, edits=edits)

    def render(self) -> str:
        """The name alone where that says all, else JSON in one line."""
        found: dict[str, Any] = {"architecture": self.architecture}
        if self.model_args:
            found["model_args"] = self.model_args
        if self.edits:
            found["edits"] = edits_to_json(self.edits)
        if self.fits:
            found["fits"] = True
        if self.limits:
            found["widths"] = self.limits
        return self.architecture if len(found) == 1 else json.dumps(found)


def document(
    architecture: str, model_args: Mapping[str, Any], edits: tuple[Edit, ...] = (), fits: bool = False
) -> Document:
    """NATError for arguments that are no JSON, or that do not belong to a model."""
    for name in _FORBIDDEN:
        if name in model_args:
            raise NATError(f"model_args: '{name}' is not an argument of the architecture; leave it out")
    for name in _COUNTS:
        if name in model_args and type(model_args[name]) is not int:
            raise NATError(f"model_args: '{name}' is a whole number, not {model_args[name]!r:.40}")
    check_arguments(model_args)
    try:
        args = json.dumps(dict(model_args), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise NATError(f"model_args: what cannot be written as JSON cannot be saved with the model: {error}") from None
    return Document(architecture, args, edits, fits)


def parse(text: str) -> Document:
    """NATError for anything that is neither a name nor JSON with an architecture."""
    text = text.strip()
    if NAME.fullmatch(text):
        return Document(text)
    if not text.startswith("{"):
        raise NATError(
            f"{text[:60]!r} is neither the name of a timm model nor JSON with architecture, model_args and edits"
        )
    return _document(strict_json(text))


def _document(values: dict[str, Any], is_inner: bool = False) -> Document:
    unknown = [key for key in values if key not in (*_OWN, *_CONFIG)]
    if unknown:
        raise NATError(f"unknown key '{unknown[0][:60]}'; a timm model has {', '.join(_OWN)}")
    name, args = values.get("architecture"), values.get("model_args", {})
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise NATError(f"architecture: expected the name of a timm model, not {name!r:.60}")
    if not isinstance(args, dict):
        raise NATError(f"model_args: expected an object, not {args!r:.60}")
    args, edits = dict(args), values.get("edits", [])
    fits, widths = values.get("fits", False), values.get("widths", {})
    if not isinstance(fits, bool):
        raise NATError(f"fits: true or false, not {fits!r:.40}")
    if not isinstance(widths, dict) or not all(isinstance(each, str | int | float) for each in widths.values()):
        raise NATError(f'widths: expected limits such as {{"macs": "0.7x"}}, not {widths!r:.60}')
    config = values.get("nat") if "pretrained_cfg" in values and not is_inner else None
    if isinstance(config, dict):  # a folder that was written as a stock model remembers what it was made from
        return _document(config, is_inner=True)
    if name == EDITED:
        name, edits = args.pop("base", None), args.pop("edits", [])
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise NATError(f"model_args.base: expected the name of a timm model, not {name!r:.60}")
    if "num_classes" in values:
        args.setdefault("num_classes", values["num_classes"])
    return replace(document(name, args, edits_from_json(edits), fits), widths=json.dumps(widths, sort_keys=True))
