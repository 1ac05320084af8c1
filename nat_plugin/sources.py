"""What a user may write where an architecture is expected: a literal, a file, ``file.py:NAME``, a published name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.literals import assigned, assigned_names
from nat_plugin.plugins import Plugins

MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Source:
    """An architecture's text, the adapter that reads it, and how to name it to the user."""

    text: str
    adapter: Adapter
    label: str


def find_source(source: str, adapter: str | None, plugins: Plugins) -> Source:
    """Resolve what the user wrote. NATError if there is no such thing, or more than one adapter could read it."""
    wanted = plugins.find("adapters", adapter) if adapter else None
    if not source.strip():
        raise NATError("the architecture is empty; give a literal, a file, file.py:NAME or a published name")
    for each in [wanted] if wanted else plugins.adapters.values():
        if source in each.published():
            return Source(each.published()[source].text, each, source)
    text, label = _text(source)
    return Source(text, wanted or _guess(text, label, plugins), label)


def _text(source: str) -> tuple[str, str]:
    path, _, name = source.rpartition(":")
    if path.endswith(".py") and name.isidentifier():
        return assigned(read_text(Path(path)), name), source
    if _is_file(source):
        text = read_text(Path(source))
        if source.endswith(".py"):
            names = ", ".join(assigned_names(text)[:30]) or "none found"
            raise NATError(f"{source}: say which architecture, as {source}:NAME; names: {names}")
        return text, source
    return source, source if len(source) <= 60 else source[:57] + "..."


def _is_file(source: str) -> bool:
    try:
        return len(source) < 4096 and "\0" not in source and Path(source).exists()
    except OSError:
        return False


def _guess(text: str, label: str, plugins: Plugins) -> Adapter:
    fits = [each for each in plugins.adapters.values() if each.recognises(text)]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        published = sorted(name for each in plugins.adapters.values() for name in each.published())
        raise NATError(
            f"'{label}' is neither a file, nor a published name ({', '.join(published)}), nor text that an adapter "
            f"knows; adapters: {', '.join(plugins.adapters)}"
        )
    raise NATError(f"'{label}' could be {' or '.join(each.name for each in fits)}: say which with --adapter")


def read_text(path: Path) -> str:
    """A file's text. NATError if it is missing, unreadable, too large or not text."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise NATError(f"{path}: {path.stat().st_size:,} bytes are more than an architecture or recipe can have")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NATError(f"{path}: this is not a text file") from None
    except OSError as error:
        raise NATError(f"{path}: {error.strerror or error}") from None
