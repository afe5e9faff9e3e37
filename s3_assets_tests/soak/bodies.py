"""What producers write, and the rows that an hour file must hold of it, told without our own code.

Each call gives rows that no other has, so that one lost, doubled or kept too long shows.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass

HEADER = b"a,b\n"


@dataclass(frozen=True)
class Body:
    """A source object's bytes.

    Attributes:
        data: As stored.
        rows: What the hour file must hold of it; None where it is unusable.
        count: How many rows these are.
        header: Whether a header row stands before them.
    """

    data: bytes
    rows: bytes | None
    count: int = 0
    header: bool = False


KINDS = (
    "one row",
    "three rows",
    "many rows",
    "the same row thrice",
    "no last newline",
    "windows line ends",
    "a newline in quotes",
    "an empty line",
    "gzip",
    "a byte order mark",
    "nothing",
    "a quote left open",
    "half a gzip",
    "utf-16",
)
"""Kinds of bodies: most are usable, the last three are not."""


def write(kind: str, serial: int, *, header: bool) -> Body:
    """A body of `kind` whose rows hold `serial`."""
    n = b"%d" % serial
    top = HEADER if header else b""

    def good(rows: bytes, count: int, stored: bytes | None = None) -> Body:
        return Body(top + rows if stored is None else stored, rows, count, header)

    many = b"".join(b"%b,%d,%d\n" % (n, index, index * 7919 % 997) for index in range(40))
    bodies = {
        "one row": good(n + b",x\n", 1),
        "three rows": good(b"".join(b"%b,%d\n" % (n, index) for index in range(3)), 3),
        "many rows": good(many, 40),
        "the same row thrice": good((n + b",again\n") * 3, 3),
        "no last newline": good(n + b",end\n", 1, top + n + b",end"),
        "windows line ends": good(n + b",x\r\n" + n + b",y\r\n", 2, top + n + b",x\r\n" + n + b",y"),
        "a newline in quotes": good(b'"%b\n7 ""x"", 8",y\n' % n, 1),
        "an empty line": good(n + b",x\n\n", 2),
        "gzip": good(n + b",packed\n", 1, gzip.compress(top + n + b",packed\n", mtime=0)),
        "a byte order mark": good(n + b",x\n", 1, b"\xef\xbb\xbf" + top + n + b",x\n"),
        "nothing": Body(b"", b""),
        "a quote left open": Body(top + n + b',"open\n', None),
        "half a gzip": Body(gzip.compress(top + n + b",packed\n", mtime=0)[:-5], None),
        "utf-16": Body(b"\xff\xfe" + (top + n + b",x\n").decode().encode("utf-16-le"), None),
    }
    return bodies[kind]
