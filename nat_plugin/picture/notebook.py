"""What a notebook shows of an architecture: costs, a picture, and the text to copy."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nat_plugin.ir import is_connected

if TYPE_CHECKING:
    from nat_plugin.api.architectures import Architecture


def architecture_html(architecture: Architecture, *remarks: str) -> str:
    """A fragment that asks no server for anything. ``remarks``: paragraphs above the picture."""
    picture = architecture.svg() if is_connected(architecture.network) else ""
    lines = "".join(f"<p>{escape(each)}</p>" for each in (architecture.summary, *remarks))
    return (
        f"<div><b>{escape(architecture.label)}</b> ({escape(architecture.format)}){lines}{picture}"
        f"<details><summary>as text</summary><pre>{escape(architecture.text)}</pre></details></div>"
    )
