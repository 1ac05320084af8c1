"""Plain values out of a pickle, with nothing in it executed: lists, tuples, dicts, text and numbers, ranges of numbers,
and named tuples, as plain tuples. Whatever else a pickle names or does is refused before it happens."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Collection
from typing import Any

MOST_NUMBERS = 10_000
"""Of a range."""
REFUSED = {"BUILD", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"}
"""Steps of a pickle that no plain value needs: they change what is named, or fetch it from elsewhere."""


def read_plain(data: bytes, named_tuples: Collection[str] = ()) -> Any:
    """``named_tuples``: names of the types that are taken for tuples, of whatever module. ValueError for anything but
    a pickle of plain values."""
    try:
        for step, _, _ in pickletools.genops(data):
            if step.name in REFUSED:
                raise pickle.UnpicklingError(f"it has a step {step.name}")
        return _PlainUnpickler(data, named_tuples).load()
    except Exception as error:  # damaged pickles raise whatever their bytes lead to
        raise ValueError(f"no pickle of plain values: {''.join(str(error).splitlines()[:1])[:100]}") from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, named_tuples: Collection[str]) -> None:
        super().__init__(io.BytesIO(data))
        self._named = named_tuples

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if name in self._named:
            return _PlainTuple
        if (module, name) in (("builtins", "range"), ("__builtin__", "xrange")):
            return _numbers
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain value")


class _PlainTuple(tuple[Any, ...]):
    """What stands for any named tuple."""

    __slots__ = ()

    def __new__(cls, *values: Any) -> _PlainTuple:
        return super().__new__(cls, values)


def _numbers(*bounds: int) -> list[int]:
    found = range(*bounds)
    if len(found) > MOST_NUMBERS:
        raise pickle.UnpicklingError(f"a range of {len(found):,} numbers")
    return list(found)
