"""A fixed rule, the same for every input: does looking at the architecture as a whole bring anything beyond it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside, OutsideName
from nat_plugin.ir import Choice, Network, key
from nat_plugin.search.base import Task
from nat_plugin.search.per_input import PerInput
from nat_plugin.search.rules.op_map import OpMap, read_op_map
from nat_plugin.settings import Settings


class RuleSettings(Settings):
    """Settings of ``rule``: one of the two."""

    map: dict[str, dict[str, str]] | None = None
    """What each op becomes, by place: the key of an edge in its format (``normal/3``) or a pattern (``normal/*``)."""
    file: OutsideName | None = None
    """A JSON file with such a map; ``nat_plugin.search.rules.fitting`` finds one from measurements."""

    @field_validator("map", mode="before")
    @classmethod
    def _null_is_an_op(cls, value: Any) -> Any:
        """YAML reads an unquoted null as no value."""
        if not isinstance(value, dict):
            return value
        return {
            place: {_text(before): _text(after) for before, after in ops.items()} if isinstance(ops, dict) else ops
            for place, ops in value.items()
        }

    @field_validator("map")
    @classmethod
    def _known_ops(cls, value: dict[str, dict[str, str]] | None) -> dict[str, dict[str, str]] | None:
        try:
            OpMap(value or {})
        except NATError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _one(self) -> RuleSettings:
        if (self.map is None) == (self.file is None):
            raise ValueError("give either map, as in {'normal/*': {sep_conv_5x5: skip}}, or file")
        return self


def _text(value: Any) -> Any:
    return "null" if value is None else value


class RuleStrategy(PerInput):
    """Fixed rule: replaces each op by a given one, no search.

    There is one proposal for each input, which is also the result. Where the map's network is not within the budget, or
    not connected, the nearest that is takes its place (``projection``); where that is the input itself, nothing is
    proposed.
    """

    Settings = RuleSettings
    settings: RuleSettings

    def __init__(self, task: Task, settings: RuleSettings) -> None:
        super().__init__(task, settings)
        found = OpMap(settings.map) if settings.map is not None else read_op_map(Path(str(settings.file)))
        keys = [network.edge(slot).key for network in task.inputs for slot in network.slots]
        if not any(found.places(each) for each in keys):
            places = ", ".join(sorted(set(keys))[:12])
            raise NATError(f"strategy 'rule': no place in the map exists in the input, which has {places}")
        self._choices = [found.choice(moves) for moves in self.moves]

    @property
    def outside(self) -> tuple[Outside, ...]:
        return () if self.settings.file is None else (Outside.all_of(Path(self.settings.file)),)

    def propose(self, source: int) -> Choice | None:
        return self._choices[source] if self.is_new(source, self._choices[source]) else None

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """The network of the map, measured or not."""
        number = self.records.find(source)
        if number is None or self.key_of(number, self._choices[number]) == key(source):
            return []
        return [self.moves[number].apply(self._choices[number])][:count]
