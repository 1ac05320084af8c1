"""What frozen data classes share that keep results of their own."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any


class CachedHash:
    """A base of frozen data classes that keep their hash; they say ``__hash__ = CachedHash.__hash__``. What is kept
    stays out of pickles, since hashes differ from process to process."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(_hashed(type(self))(self))  # type: ignore[arg-type]  # a class is hashable

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in _names(type(self))}  # type: ignore[arg-type]

    def copy_with(self, **changes: Any) -> Any:
        """A copy with other values in some fields, of which nothing is checked anew: the caller knows that they fit."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__getstate__(), **changes)
        return made


@lru_cache(maxsize=64)
def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@lru_cache(maxsize=64)
def _hashed(kind: type) -> attrgetter[Any]:
    """What gives the fields that count in a hash."""
    counted = [each.name for each in fields(kind) if (each.compare if each.hash is None else each.hash)]
    return attrgetter(*counted)
