"""The pages of ``docs/reference`` that are made of the code: ``python -m nat_plugin.reference docs/reference``."""

from __future__ import annotations

from collections.abc import Callable

from nat_plugin.plugins import Plugins
from nat_plugin.reference.commands import commands_page
from nat_plugin.reference.python import python_page
from nat_plugin.reference.recipes import recipes_page

PAGES: dict[str, Callable[[Plugins], str]] = {
    "recipes.md": recipes_page,
    "command-line.md": commands_page,
    "python-api.md": python_page,
}
"""Each page by its name, made for the plugins at hand."""
