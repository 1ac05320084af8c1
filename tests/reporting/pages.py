"""What holds of every report, whatever it is of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from nat_plugin.reporting.rendering import MAX_BYTES

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(path: Path) -> Page:
    """A report that keeps what all of them keep: one file, no request, one script, ids, texts for all pictures."""
    data = path.read_bytes()
    assert len(data) < MAX_BYTES
    page = Page(data.decode())
    assert page.open == []
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", _without_text(page.source))
    for tag in ("link", "img", "iframe", "object", "embed", "base", "form", "foreignobject"):
        assert not page.all(tag), tag
    assert len(page.all("script")) == 1
    assert page.all("script")[0] == {}
    policy = next(each["content"] for each in page.all("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        link = attributes.get("href")
        assert link is None or (link.startswith("#") and link[1:] in ids), link
    labels = [attributes for tag, attributes in page.elements if attributes.get("class") == "scroll"]
    assert all(each.get("aria-label") for each in labels)
    assert len(page.all("main")) == len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en"
    return page


def _without_text(source: str) -> str:
    """Tags, style and script: what a browser may act on."""
    return "".join(re.findall(r"<style>.*?</style>|<script>.*?</script>|<[^>]*>", source, re.DOTALL))
