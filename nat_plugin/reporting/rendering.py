"""A page as one HTML text, which ``report_file`` writes: style and script are in it, and nothing in it asks a server
for anything."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from nat_plugin import __version__
from nat_plugin.errors import NATError
from nat_plugin.files import read_text
from nat_plugin.picture.svg import printable
from nat_plugin.reporting.page import ROWS, Page

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_BYTES = 2_000_000
_FOLDER = Path(__file__).parent / "templates"


def render(page: Page) -> str:
    """Whatever the texts of the page hold, they are text in the file. NATError if it were larger than ``MAX_BYTES``."""
    environment, style, script = _environment(), _read("style.css"), _read("script.js")
    text = environment.get_template("page.html.j2").render(
        page=page, rows=ROWS, version=__version__, style=style, script=script, hash=_hash(script)
    )
    text = printable(text)
    if len(text.encode()) > MAX_BYTES:
        raise NATError(f"report.html: {len(text):,} characters are more than a report may have; please report it")
    return text


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_read)
    )


@cache
def _read(name: str) -> str:
    return read_text(_FOLDER / name, MAX_BYTES, f"part of the page {name}")


def _hash(script: str) -> str:
    """By which a browser knows the only script that may run in the file."""
    return "sha256-" + base64.b64encode(sha256(script.encode()).digest()).decode()
