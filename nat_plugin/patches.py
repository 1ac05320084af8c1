"""Changing a few values of a literal or of JSON in a text, while everything else stays to the letter."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from itertools import groupby

from nat_plugin.literals import CharSpan, LiteralPath, inner_nodes, syntax_tree

_MARK = re.compile(r"""[()\[\]{}'"#]""")
_IN_STRING = {quote: re.compile(rf"\\.|\n|{quote}", re.DOTALL) for quote in "'\""}


def closing(text: str, start: int) -> int | None:
    """The place behind the bracket that closes the one at ``start``; brackets in strings and comments do not count.
    None if it is never closed."""
    depth, at = 0, start
    while mark := _MARK.search(text, at):
        sign, at = mark[0], mark.end()
        if sign == "#":
            at = text.find("\n", at)
            if at < 0:
                return None
        elif sign in _IN_STRING:
            end = _string_end(text, at, sign)
            if end is None:
                return None
            at = end
        else:
            depth += 1 if sign in "([{" else -1
            if depth == 0:
                return at
    return None


def _string_end(text: str, at: int, quote: str) -> int | None:
    while mark := _IN_STRING[quote].search(text, at):
        if mark[0] == quote:
            return mark.end()
        if mark[0] == "\n":
            return None
        at = mark.end()
    return None


def literal_spans(text: str) -> dict[LiteralPath, CharSpan]:
    """Where every value of a literal stands in its text, which begins with the literal itself. The same for JSON.
    Raises NATError for what is no expression of Python."""
    tree = syntax_tree(text, "eval")
    assert isinstance(tree, ast.Expression)
    offsets, found = _Offsets(text), dict[LiteralPath, CharSpan]()
    left: list[tuple[LiteralPath, ast.expr]] = [((), tree.body)]
    while left:
        path, node = left.pop()
        found[path] = offsets.span(node)
        left += [((*path, step), inner) for step, inner in inner_nodes(node)]
    return found


class _Offsets:
    """Turns the lines and columns of ``ast``, which count bytes, into positions of characters."""

    def __init__(self, text: str) -> None:
        ends = [match.end() for match in re.finditer(r"\r\n|\r|\n", text)]
        self._text, self._starts, self._lines = text, [0, *ends, len(text)], dict[int, list[int]]()

    def span(self, node: ast.expr) -> CharSpan:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)

    def _at(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        if self._text.isascii():
            return start + column
        if line not in self._lines:
            whole = self._text[start : self._starts[line]]
            sizes = (len(character.encode()) for character in whole)
            self._lines[line] = [at for at, size in enumerate(sizes) for _ in range(size)] + [len(whole)]
        return start + self._lines[line][column]


class Patches:
    """Changes to be made in a text, part of which (from ``start`` to ``end``) is a literal."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self._text, self._start = text, start
        self._spans = literal_spans(text[start : len(text) if end is None else end])
        self._changes: list[tuple[int, int, str]] = []

    def source(self, path: LiteralPath) -> str:
        """How a value stands in the text."""
        first, end = self._place(path)
        return self._text[first:end]

    def put(self, path: LiteralPath, source: str) -> None:
        """Another value in a place, as it is to stand in the text."""
        self._changes.append((*self._place(path), source))

    def keep(self, path: LiteralPath, kept: Collection[int]) -> None:
        """Only these items of a list or tuple, by their positions."""
        spans: list[CharSpan] = []
        while (*path, len(spans)) in self._spans:
            spans.append(self._place((*path, len(spans))))
        first, end = self._place(path)
        if not kept and spans:
            self._changes.append((spans[0][0], end - 1, ""))
            return
        for is_kept, run in groupby(range(len(spans)), lambda position: position in kept):
            gone = list(run)
            if is_kept:
                continue
            if gone[0]:
                self._changes.append((spans[gone[0] - 1][1], spans[gone[-1]][1], ""))
            else:
                self._changes.append((spans[0][0], spans[gone[-1] + 1][0], ""))
        lonely = len(kept) == 1 < len(spans) and self._text[first] == "("
        if lonely and "," not in self._text[spans[-1][1] : end]:
            behind = spans[min(kept)][1]
            self._changes.append((behind, behind, ","))

    def render(self) -> str:
        """The text with the changes, which may not overlap."""
        parts, at = list[str](), 0
        for first, end, source in sorted(self._changes, key=lambda change: change[:2]):
            parts += [self._text[at:first], source]
            at = end
        return "".join([*parts, self._text[at:]])

    def _place(self, path: LiteralPath) -> CharSpan:
        first, end = self._spans[path]
        return self._start + first, self._start + end
