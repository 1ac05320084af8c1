"""What a user may write where an architecture is expected: a literal, a file, ``FILE:NAME``, a published name, a
folder of a model, which stands for its ``config.json``, or that of a run, which stands for what it ended with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from nat_plugin import files
from nat_plugin.adapter import Adapter
from nat_plugin.checksums import check_file, is_result
from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize
from nat_plugin.ir.layers import Shape
from nat_plugin.literals import assigned, assigned_names
from nat_plugin.plugins import Plugins

MAX_BYTES = 16 * 2**20
Wanted: TypeAlias = "str | Mapping[str, Any]"
"""How an adapter is asked for: its name, or a mapping of the name and settings (that a recipe has checked)."""


@dataclass(frozen=True)
class Source:
    """An architecture's text, the adapter that reads it, how to name it to the user, and its line, if it has one."""

    text: str
    adapter: Adapter
    label: str
    line: int | None = None


def size_of(
    source: Source,
    channels: int | None = None,
    cells: int | None = None,
    input: int | Shape | None = None,
    classes: int | None = None,
) -> NetworkSize:
    """The size of an architecture: what is given, the rest as its adapter has it. Of ``input``, the image, the side is
    enough."""
    own = source.adapter.natural_size(source.text)
    if input is None:
        input = own.input
    elif isinstance(input, int):
        input = (own.input[0], input, input)
    return NetworkSize(channels or own.channels, cells or own.cells, input, classes or own.classes)


def find_adapter(wanted: Wanted, plugins: Plugins) -> Adapter:
    """An adapter with its settings. NATError if there is none of that name, or if the settings are not its own."""
    if not isinstance(wanted, str | Mapping):
        raise NATError(f"adapter: must be a name, or a mapping of a name and settings, not {wanted!r:.60}")
    values = {"name": wanted} if isinstance(wanted, str) else dict(wanted)
    adapter: Adapter = plugins.find("adapters", str(values.pop("name", None)))
    if not values:
        return adapter
    try:
        return adapter.configured(adapter.Settings.model_validate(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NATError(f"adapter '{adapter.name}': {where[:200]}: {first['msg']}") from None


def find_source(source: str, adapter: Wanted | None, plugins: Plugins) -> Source:
    """Resolve what the user wrote. NATError if there is no such thing, or more than one adapter could read it."""
    wanted = find_adapter(adapter, plugins) if adapter else None
    if not source.strip():
        raise NATError("the architecture is empty; give a literal, a file, file.py:NAME or a published name")
    for each, text in plugins.ask(lambda each: _published(each, source), [wanted] if wanted else None):
        if text is not None:
            return Source(text, each, source)
    text, label, is_file = _text(source)
    return Source(text, wanted or _guess(text, label, is_file, plugins), label)


def _published(adapter: Adapter, name: str) -> str | None:
    found = adapter.published().get(name)
    return None if found is None else found.text


def _text(source: str) -> tuple[str, str, bool]:
    """The text of an architecture, how to name it, and whether it is from a file."""
    path, _, name = source.rpartition(":")
    named = path.endswith(".py") or (_is_file(path) and not _is_file(source))  # a log may hold assignments too
    if named and name.isidentifier():
        return assigned(read_text(Path(path)), name), source, True
    if _is_file(source):
        document = _document(Path(source))
        check_file(document)
        text = read_text(document)
        if source.endswith(".py"):
            names = ", ".join(assigned_names(text)[:30]) or "none found"
            raise NATError(f"{source}: choose an architecture, as {source}:NAME; names: {names}")
        return text.removesuffix("\n"), source, True  # who prints a text ends its last line
    return source, source if len(source) <= 60 else source[:57] + "...", False


def _document(path: Path) -> Path:
    """A file itself; of a folder, as hubs and trainers write models, its configuration; of a run, its network."""
    config = path / "config.json"
    if path.is_dir() and config.is_file():
        return config
    network = path / "network.json"
    return network if is_result(network) else path


def _is_file(source: str) -> bool:
    return len(source) < 4096 and os.path.exists(source)


def _guess(text: str, label: str, is_file: bool, plugins: Plugins) -> Adapter:
    for question in (lambda each: each.recognises(text), lambda each: each.has_model(text.strip())):
        fits = [each for each, fits in plugins.ask(question) if fits]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise NATError(f"'{label}' could be {' or '.join(each.name for each in fits)}: say which with --adapter")
    reasons = [f"{each.name}: {reason}" for each, reason in plugins.ask(lambda each: each.near(text)) if reason]
    if reasons:
        raise NATError(f"{label}: no adapter can read this; {'; '.join(reasons)}")
    formats = ", ".join(plugins.adapters)
    if is_file:
        raise NATError(
            f"{label}: the file is there, but its text is in no format that an adapter knows ({formats}); "
            "--adapter NAME says what is wrong for one of them"
        )
    published = [name for _, names in plugins.ask(lambda each: list(each.published())) for name in names]
    close = get_close_matches(label, published, n=5)
    names = f"like {', '.join(close)}" if close else "'nat adapters' lists them"
    raise NATError(
        f"'{label}' is neither a file, nor a published name ({names}), nor text that an adapter knows; "
        f"adapters: {formats}"
    )


def read_text(path: Path) -> str:
    """The text of a file or pipe, to the letter. NATError if it is missing, unreadable, too large or not text."""
    return files.read_text(path, MAX_BYTES, "an architecture or recipe", to_the_letter=True)
