"""SVG as it stands inside a page: ids of its own, colours of the page, nothing that names an address elsewhere."""

from __future__ import annotations

import re
from itertools import count

INK, SERIES = "#010203", tuple(f"#0{number}fefe" for number in range(8))
"""What stands for the colour of the text, and for those of curves, until the page says what they are."""
_HEAD = re.compile(r"\A.*?(?=<svg)|<metadata>.*?</metadata>|\sxmlns(?::\w+)?=\"[^\"]*\"", re.DOTALL)
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_LINK = re.compile(r"(<a xlink:href=\"[^\"]*\")( target=\"_blank\")?")
"""As matplotlib writes it, from 3.11 on with a target."""
_ID = re.compile(r"\sid=\"([^\"]*)\"")


def inline_plot(svg: str, name: str) -> str:
    """A plot that matplotlib drew; every id begins with ``name``."""
    svg = _LINK.sub(r'\1 tabindex="-1"', _STYLE.sub("", _HEAD.sub("", svg))).replace("xlink:href", "href")
    ids = set(_ID.findall(svg))
    svg = re.sub(r"(\sid=\"|url\(#|href=\"#)([^\")]*)", lambda m: f"{m[1]}{name}-{m[2]}" if m[2] in ids else m[0], svg)
    svg = svg.replace("<svg ", '<svg role="none" ', 1)  # what it shows is said around it
    svg = re.sub(r'(<a href="#([\w-]+)")', lambda m: f'{m[1]} aria-label="{m[2].replace("-", " ")}"', svg)
    colours = {INK: "currentColor", **{colour: f"var(--c{number})" for number, colour in enumerate(SERIES)}}
    for colour, said in colours.items():
        svg = svg.replace(colour, said)
    return svg.rstrip("\n")


def inline_drawing(svg: str) -> str:
    """A drawing of ``nat_plugin.picture``."""
    return _HEAD.sub("", svg)


class Names:
    """A name for each plot of a page."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def next(self) -> str:
        return f"plot{next(self._numbers)}"
