"""timm, imported when it is first needed: the ``nat`` command stays fast, and works without it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from nat_plugin import NATError
from nat_timm.limits import check_arguments, limited

INSTALL = "pip install 'nat-plugin[timm]'"


@lru_cache(maxsize=1)
def timm() -> Any:
    """The module ``timm``. NATError of one line where it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise NATError(f"timm cannot be imported ({error}); install it with: {INSTALL}") from error


def is_installed() -> bool:
    try:
        timm()
    except NATError:
        return False
    return True


def has_model(name: str) -> bool:
    """Whether timm is installed and has a model ``name``, with or without the tag of its weights."""
    return is_installed() and bool(timm().models.is_model(name.partition(".")[0]))


def near_names(name: str) -> list[str]:
    """Up to five models of timm with names like ``name``, the likeliest first; none where it is not installed."""
    bare = name.partition(".")[0]
    found = timm().list_models(f"*{bare[:12]}*") if is_installed() else []
    return get_close_matches(bare, found, n=5, cutoff=0.0)


def checked_name(architecture: str) -> str:
    """``architecture`` if timm knows it, and the tag of weights that may follow (``.in1k``). Else NATError with near
    names."""
    models = timm().models
    bare, _, tag = architecture.partition(".")
    if not models.is_model(bare):
        near = near_names(bare)
        hint = f"; near: {', '.join(near)}" if near else "; `timm.list_models()` lists the names"
        raise NATError(f"timm {timm().__version__} has no model '{architecture[:60]}'{hint}")
    try:
        models.get_pretrained_cfg(architecture)
    except RuntimeError as error:
        known = ", ".join(timm().list_models(f"{bare}.*", pretrained=True)[:5]) or f"none, only {bare}"
        raise NATError(f"timm has no weights '{tag[:40]}' of {bare}; it has: {known}") from error
    return architecture


def create(architecture: str, model_args: Mapping[str, Any], device: str | None = None) -> Any:
    """``timm.create_model`` without weights, in evaluation mode; on ``device="meta"`` without memory. NATError for
    arguments that the model does not take, and for a model that is too large (``nat_timm.limits``)."""
    name = checked_name(architecture)
    check_arguments(model_args)
    where = {} if device is None else {"device": device}
    try:
        with limited():
            return timm().create_model(name, pretrained=False, **{**model_args, **where}).eval()
    except NATError as error:
        raise NATError(f"{architecture}: {error}") from error
    except Exception as error:
        given = f"'{architecture}' with {dict(model_args)!r:.200}"
        raise NATError(f"timm cannot build {given}: {said(error)}") from error


def said(error: BaseException) -> str:
    """An error of timm or torch in one line; the whole is its cause, which NAT_DEBUG=1 shows."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}" if words else type(error).__name__
