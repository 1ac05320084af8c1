"""Settings: what a recipe may say, and that a resolved recipe says the same again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nat_plugin.data import Augment, DataSettings


def test_defaults_are_the_digits() -> None:
    assert DataSettings().name == "digits"
    assert DataSettings().download is False


def test_survives_json() -> None:
    settings = DataSettings.model_validate(
        {"name": "npz", "path": "a/b.npz", "splits": {"weights": 100, "reward": 0.5}, "augment": {"cutout": 3}}
    )
    again = DataSettings.model_validate(settings.model_dump(mode="json"))
    assert again == settings
    assert isinstance(again.splits.weights, int)
    assert isinstance(again.splits.reward, float)


def test_an_augment_can_be_given_whole() -> None:
    settings = DataSettings.model_validate({"augment": Augment(crop=2, flip=False, cutout=1)})
    assert settings.augment is not None
    assert settings.augment.applied(Augment()) == Augment(crop=2, flip=False, cutout=1)


def test_augment_changes_only_what_it_names() -> None:
    settings = DataSettings.model_validate({"augment": {"cutout": 2}})
    assert settings.augment is not None
    assert settings.augment.applied(Augment(crop=1, flip=False)) == Augment(crop=1, flip=False, cutout=2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nmae": "digits"}, "Extra inputs"),
        ({"download": "yes"}, "valid boolean"),
        ({"resolution": 1}, "greater than or equal to 2"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"augment": {"crop": -1}}, "greater than or equal to 0"),
        ({"augment": {"rotate": 3}}, "Extra inputs"),
        ({"splits": {"weights": 0}}, "at least 1"),
        ({"splits": {"weights": 1.5}}, "at most 1.0"),
        ({"splits": {"weights": float("nan")}}, "at most 1.0"),
        ({"splits": {"weights": True}}, "valid"),
        ({"splits": {"weights": 0.9}}, "add up to 1.4"),
        ({"splits": {"test": 1.0}}, "leaves nothing"),
        ({"splits": {"seed": -1}}, "greater than or equal to 0"),
        ({"splits": {"train": 0.5}}, "Extra inputs"),
    ],
)
def test_mistakes(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataSettings.model_validate(wrong)
