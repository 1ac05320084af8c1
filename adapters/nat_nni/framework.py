"""NNI itself, imported when it is first needed: it takes seconds, and may not be there."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nat_plugin import NATError

INSTALL = "pip install 'nat-plugin[nni]'"
_NEEDED = ("nni", "pytorch_lightning")


def missing() -> list[str]:
    """The packages that are needed and not installed, found without importing them."""
    return [name for name in _NEEDED if find_spec(name) is None]


@lru_cache(maxsize=64)
def load(module: str) -> Any:
    """A module of NNI. NATError that says what to install where it cannot be imported."""
    absent = missing()
    if absent:
        raise NATError(f"NNI model spaces need {' and '.join(absent)}, not installed here: {INSTALL}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is found to be not a nn.Module", category=RuntimeWarning)
        try:
            return import_module(module)
        except ImportError as error:
            raise NATError(f"{module} cannot be imported ({error}); NNI 3 is installed by {INSTALL}") from None
