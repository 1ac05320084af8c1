"""What parts of a recipe are held to, and what a checkpoint keeps of them."""

from __future__ import annotations

import typing
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

State: TypeAlias = dict[str, Any]
"""Nested dicts (with text keys) and lists of tensors and plain JSON values; what a checkpoint stores."""


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(_takes_bool(each) for each in typing.get_args(annotation))


class Settings(BaseModel):
    """Settings from a recipe: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, bool) and not _takes_bool(field.annotation):
            raise ValueError("expected another value than true or false (YAML reads yes, no, on and off as these)")
        return value


class StrictDocument(BaseModel):
    """A part of a JSON document: unknown keys are refused, and values of another type, too."""

    model_config = ConfigDict(extra="forbid", strict=True)


AnySettings: TypeAlias = Settings
"""Those of whatever it is, in a class that has a ``Settings`` of its own."""
