"""Terminal sessions on pages: ```console blocks, in which ``$ command`` is followed by what it prints.

``python -m tests.sessions PAGE…`` writes what the commands print now into the pages.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

Run: TypeAlias = Callable[[list[str]], str]
"""What ``nat`` prints for these words; raises where it fails."""
_BLOCK = re.compile(r"^(<!-- differs -->\n)?```(console|python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
_PROGRESS = re.compile(r"^(warm-up|search|final training|training) .*\d+/\d+.*$\n?", re.MULTILINE)


class Command(NamedTuple):
    """A command with what the page says that it prints; ``differs``: on another processor it may be something else."""

    line: str
    printed: str
    differs: bool


def commands(block: str, differs: bool) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        found = re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL)
        assert found is not None
        yield Command(found[1], found[2].rstrip(), differs)


def play(page: Path, run: Run) -> Iterator[tuple[Command, str]]:
    """Everything on a page in order, in the folder at hand: files are written, commands are run."""
    for marked, kind, text in _BLOCK.findall(page.read_text()):
        if kind != "console":
            if name := _FILE.match(text):
                Path(name[1]).write_text(text)
            continue
        for command in commands(text, bool(marked)):
            yield command, printed_by(command.line, run)


def printed_by(line: str, run: Run) -> str:
    line, _, target = line.replace("\\\n", " ").partition(" > ")
    words = shlex.split(line, comments=True)
    if words[0] == "nat":
        text = run(words[1:])
    elif words[0] == "cat":
        text = Path(words[1]).read_text()
    else:
        assert words[0] == "ls", line
        text = "\n".join(sorted(path.name for path in Path(words[1]).iterdir() if path.name[0] != "."))
    if target:
        Path(target).write_text(text)
        return ""
    return "\n".join(each.rstrip() for each in _PROGRESS.sub("", text).splitlines()).strip()


def _process(words: list[str]) -> str:
    command = [sys.executable, "-m", "nat_plugin", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"}, check=False)
    assert done.returncode in (0, 2), done.stderr
    return done.stdout + done.stderr


def _renew(page: Path) -> None:
    found = [(command, now) for command, now in play(page, _process)]
    text = page.read_text()
    for command, now in found:
        old = f"$ {command.line}\n" + (command.printed + "\n" if command.printed else "")
        assert old in text, command.line
        text = text.replace(old, f"$ {command.line}\n" + (now + "\n" if now else ""), 1)
    page.write_text(text)


if __name__ == "__main__":
    for path in [Path(each).resolve() for each in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            _renew(path)
