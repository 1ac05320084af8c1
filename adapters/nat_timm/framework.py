"""timm, imported when it is first needed: the ``nat`` command stays fast, and works without it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nat_plugin.errors import NATError

INSTALL = "pip install 'nat-plugin[timm]'"


@lru_cache(maxsize=1)
def timm() -> Any:
    """The module ``timm``. NATError of one line where it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise NATError(f"timm cannot be imported ({error}); install it with: {INSTALL}") from None


def checked_name(architecture: str) -> str:
    """``architecture`` if timm knows it (a tag such as ``.in1k`` may follow). Else NATError with near names."""
    models = timm().models
    bare = architecture.partition(".")[0]
    if not models.is_model(bare):
        near = timm().list_models(f"*{bare[:12]}*")[:5]
        hint = f"; near: {', '.join(near)}" if near else "; `timm.list_models()` lists the names"
        raise NATError(f"timm {timm().__version__} has no model '{architecture[:60]}'{hint}")
    return architecture


def create(architecture: str, model_args: Mapping[str, Any], device: str | None = None) -> Any:
    """``timm.create_model`` without weights, in evaluation mode; on ``device="meta"`` without memory. NATError for
    arguments that the model does not take."""
    name = checked_name(architecture)
    where = {} if device is None else {"device": device}
    try:
        return timm().create_model(name, pretrained=False, **{**model_args, **where}).eval()
    except NATError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever timm raises for arguments from a user's file
        said = " ".join(str(error).split())[:200]
        raise NATError(
            f"timm cannot build '{architecture}' with {dict(model_args)!r:.200}: {type(error).__name__}: {said}"
        ) from None
