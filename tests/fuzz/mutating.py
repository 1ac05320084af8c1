"""From any bytes to an input that is nearly right: a valid example in which a few places are changed.

Random bytes are refused by the first line of a parser. Both drivers (hypothesis and atheris) hand over bytes, which are
read as instructions here: which example, and which places become what.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TOKEN = re.compile(rb"\w+|\s+|[^\w\s]")
HOSTILE = (
    *(b"", b"0", b"-1", b"1", b"2", b"7", b"1e400", b"-1e400", b"1e30", b"1.5", b"NaN", b".nan", b"Infinity", b".inf"),
    *(
        b"9" * 40,
        b"9" * 400,
        b"9" * 5000,
        b"0x" + b"f" * 5000,
        b"1_0",
        b"true",
        b"None",
        b"null",
        b"none",
        b"x",
        b"x" * 2000,
    ),
    *(b"[", b"]", b"{", b"}", b"(", b")", b"[]", b"{}", b"[nat]", b"[[]]", b'{"a": []}', b"[" * 3000, b"(" * 3000),
    *(
        b"'",
        b'"',
        b",",
        b":",
        b".",
        b"|",
        b"~",
        b"+",
        b"-",
        b"*",
        b"=",
        b"#",
        b"&a",
        b"*a",
        b"!!set",
        b"!!python/name:os.system",
    ),
    *(
        b'"\\ud800"',
        b'"\\U0001F600"',
        b"\xff",
        b"\xed\xa0\x80",
        b"\0",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"2001-01-01",
    ),
    *(b"/dev/zero", b"..", b"~nobody", b"a" * 5000),
)
MOST_CHANGES, MOST_BYTES = 8, 200_000
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def near(instructions: bytes, examples: Sequence[bytes], text: bool) -> bytes:
    """The instructions themselves, if the first byte is a multiple of 8, else an example with changes."""
    if not instructions or instructions[0] % 8 == 0 or not examples:
        return instructions[1:]
    found = examples[instructions[0] // 8 % len(examples)]
    change = _other_token if text else _other_bytes
    for at in range(1, min(len(instructions) - 4, 5 * MOST_CHANGES), 5):
        found = change(found, *instructions[at : at + 5])[:MOST_BYTES]
    return found


def _other_token(text: bytes, kind: int, high: int, low: int, what: int, which: int) -> bytes:
    tokens = TOKEN.findall(text)
    place = (256 * high + low) % (len(tokens) + 1)
    there = tokens[place : place + 1]
    known = tokens[(256 * what + which) % len(tokens)] if tokens else b""
    new = {
        0: [HOSTILE[what % len(HOSTILE)]],
        1: [HOSTILE[what % len(HOSTILE)], *there],
        2: [known],
        3: [],
        4: there * (1 + which % 100),
    }[kind % 5]
    return b"".join([*tokens[:place], *new, *tokens[place + 1 :]])


def _other_bytes(data: bytes, kind: int, high: int, low: int, what: int, which: int) -> bytes:
    place = (256 * high + low) % (len(data) + 1)
    word = WORDS[what % len(WORDS)].to_bytes(8, "big" if which % 2 else "little")
    if kind % 5 == 0:
        return data[:place]
    if kind % 5 == 1:
        return data[:place] + data[place + 1 + which :]
    if kind % 5 == 2:
        return data[:place] + word[: 1 << which % 4] + data[place:]
    new = bytes([what]) if kind % 5 == 3 else word[: 1 << which % 4]
    return data[:place] + new + data[place + len(new) :]
