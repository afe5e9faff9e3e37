"""What producers write, and the rows that an hour file must hold of it, told without our own code.

Each call gives rows that no other has, so that one lost, doubled or kept too long shows. What is junk here is junk by
the settings that histories run with (`LIMITS`); what a good body's rows are is written by hand, and read by csv.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMITS = {"max_columns": 12, "max_header_bytes": 100, "max_row_bytes": 300}
"""Bounds of the events of histories, by setting: small, so that what breaks them is small, too."""

PINNED = ("a", "b", "c", "b,2")
"""The columns of an event that pins them."""


@dataclass(frozen=True)
class Body:
    """A source object's bytes.

    Attributes:
        data: As stored.
        names: Its columns; None where there is no header row.
        table: Its rows' values, each row as wide as its header; None where it is unusable.
        rows: The text of these rows, as long as they are not laid out to other columns.
        certain: Whether the rows show that the first line is a header.
    """

    data: bytes
    names: tuple[str, ...] | None
    table: tuple[tuple[str, ...], ...] | None
    rows: bytes = b""
    certain: bool = False

    @property
    def count(self) -> int:
        """How many rows an hour file must hold of it."""
        return len(self.table or ())


class Head(NamedTuple):
    """A header row: as written, its columns, and whether numbers stand below it."""

    text: bytes
    names: tuple[str, ...]
    certain: bool = True


HEADS = (
    Head(b"a,b", ("a", "b")),
    Head(b'"a",b', ("a", "b"), certain=False),
    Head(b"b,a", ("b", "a")),
    Head(b"a,b,c", ("a", "b", "c")),
    Head(b"a,b,c", ("a", "b", "c"), certain=False),
    Head(b"b,c", ("b", "c")),
    Head(b"b,c", ("b", "c"), certain=False),
    Head(b"a", ("a",)),
    Head(b"c", ("c",), certain=False),
    Head(b"x,y", ("x", "y")),
    Head(b"x,y", ("x", "y"), certain=False),
    Head(b'"b,2",a', ("b,2", "a")),
    Head(b'a,"b,2",z', ("a", "b,2", "z"), certain=False),
    Head(b'a,"say ""when"""', ("a", 'say "when"')),
    Head("고객,a".encode(), ("고객".encode().decode("latin-1"), "a")),
    Head(b"A,b", ("A", "b"), certain=False),
    Head(b"a,d1,d2,d3,d4,d5,d6,d7", ("a", "d1", "d2", "d3", "d4", "d5", "d6", "d7")),
    Head(b"b,e1,e2,e3,e4,e5,e6,e7", ("b", "e1", "e2", "e3", "e4", "e5", "e6", "e7")),
)
"""Headers that are met where an event's sources have `any` columns; the first is that of all where they are alike."""

FEW_COLUMNS = 2

USABLE = (
    "one row",
    "three rows",
    "many rows",
    "the same row thrice",
    "no last newline",
    "windows line ends",
    "a newline in quotes",
    "blank lines",
    "blank lines first",
    "a blank line above",
    "short rows",
    "empty fields too many",
    "carriage returns doubled",
    "mixed row ends",
    "a row of nothing",
    "other bytes",
    "gzip",
    "a byte order mark",
    "two byte order marks",
)
ROWLESS = ("nothing", "header only", "blank")
UNUSABLE = (
    "a quote left open",
    "half a gzip",
    "utf-16",
    "values too many",
    "a lone carriage return",
    "carriage returns alone",
    "a page of a proxy",
    "an answer of a service",
    "no rows selected",
    "prose",
    "no header line",
    "no header line, all words",
    "semicolons",
    "a name twice",
    "a row too long",
    "a header too long",
    "columns too many",
)
ALWAYS_UNUSABLE = (*UNUSABLE[:3], "a lone carriage return", "carriage returns alone", "a row too long")
"""Also where there are no header lines; what is left is usable there, whatever it says."""

KINDS = USABLE + ROWLESS + UNUSABLE
"""Kinds of bodies."""

_PLACES = 100


def kind_of(form: str, head: int = 0) -> int:
    """The number of a kind under that header."""
    return KINDS.index(form) + _PLACES * head


def write(kind: int, serial: int, columns: str) -> Body:
    """A body of `kind` whose rows hold `serial`, for a world of such `columns`."""
    form = KINDS[kind % _PLACES % len(KINDS)]
    head = HEADS[kind // _PLACES % len(HEADS)] if columns in ("any", "pinned") else HEADS[0]
    if form in ROWLESS:
        return _rowless(form, head, columns)
    return _with_rows(form, _Lines(serial, head, headed=columns != "none"), columns)


def _rowless(form: str, head: Head, columns: str) -> Body:
    if form == "header only" and columns != "none":
        usable = columns != "pinned" or set(head.names) <= set(PINNED)
        return Body(head.text + b"\n", head.names, () if usable else None)
    return Body(b"\n\n\r\n" if form == "blank" and columns != "none" else b"", None, ())


@dataclass(frozen=True)
class _Lines:
    """Lines of one source, of which no other has the like."""

    serial: int
    head: Head
    headed: bool

    @property
    def width(self) -> int:
        return len(self.head.names)

    def line(self, number: int, *, quoted: bool = False) -> bytes:
        """Row `number`, without its end."""
        first = (b"" if self.head.certain else b"v") + b"%d" % (self.serial * 100 + number)
        cells = [b'"' + first + b'\n7 ""x"", 8"' if quoted else first]
        return b",".join(cells + [b"x%d" % place for place in range(1, self.width)])


def _with_rows(form: str, lines: _Lines, columns: str) -> Body:
    """The body; `rows` is what stands of it, None where it can't."""
    one, two, three = (lines.line(number) for number in range(3))
    headed, wide = lines.headed, lines.width >= FEW_COLUMNS or not lines.headed
    quoted = lines.line(0, quoted=True)
    nothing = b"," * (lines.width - 1) + b"\n"
    short = one.rpartition(b",")[0] if wide else one
    many = b"".join(lines.line(number) + b"\n" for number in range(40))
    both = one + b"\n" + two + b"\n"
    good: dict[str, tuple[bytes, bytes]] = {
        "one row": (one + b"\n", one + b"\n"),
        "three rows": (both + three + b"\n", both + three + b"\n"),
        "many rows": (many, many),
        "the same row thrice": ((one + b"\n") * 3, (one + b"\n") * 3),
        "no last newline": (one, one + b"\n"),
        "windows line ends": (one + b"\r\n" + two, one + b"\r\n" + two + b"\r\n"),
        "a newline in quotes": (quoted + b"\n", quoted + b"\n"),
        "blank lines": (one + b"\n\n" + two + b"\n\r\n", both if wide else one + b"\n\n" + two + b"\n\r\n"),
        "blank lines first": (b"\n\n" + both, both if wide else b"\n\n" + both),
        "a blank line above": (both, both),
        "short rows": (short + b"\n" + two + b"\n", short + b"," * (wide and headed) + b"\n" + two + b"\n"),
        "empty fields too many": (
            one + b',,""\n' + two + b"\n",
            both if headed else one + b',,""\n' + two + b"\n",
        ),
        "carriage returns doubled": (one + b"\r\r\n" + two + b"\r\r\n", one + b"\r\n" + two + b"\r\n"),
        "mixed row ends": (
            one + b"\r\n" + two + b"\n" + three + b"\r\r\n",
            one + b"\r\n" + two + b"\n" + three + b"\r\n",
        ),
        "a row of nothing": (one + b"\n" + nothing, one + b"\n" + nothing),
        "other bytes": (one + b" \xe9\xff\n", one + b" \xe9\xff\n"),
        "gzip": (one + b"\n", one + b"\n"),
        "a byte order mark": (one + b"\n", one + b"\n"),
        "two byte order marks": (both, both),
    }
    end = b"\r\r\n" if form == "carriage returns doubled" else b"\n"
    top = lines.head.text + end if headed else b""
    if form in good:
        stored, rows = good[form]
        return _good(lines.head, _stored(form, top + stored), rows, form, columns)
    rest = _unusable(form, lines, top, one, two)
    if headed or form in ALWAYS_UNUSABLE:
        return Body(rest, None, None)
    return _good(lines.head, rest, _ended(rest), form, columns)  # without headers, any other text is rows


def _stored(form: str, text: bytes) -> bytes:
    mark = b"\xef\xbb\xbf"
    if form == "gzip":
        return gzip.compress(text, mtime=0)
    if form == "a blank line above":
        return b"\r\n\n" + text
    return {"a byte order mark": mark, "two byte order marks": mark * 2}.get(form, b"") + text


def _unusable(form: str, lines: _Lines, top: bytes, one: bytes, two: bytes) -> bytes:
    whole = top + one + b"\n" + two + b"\n"
    serial = b"%d" % lines.serial
    return {
        "a quote left open": top + b'"' + serial + b"\n" + one,
        "half a gzip": gzip.compress(whole, mtime=0)[:-5],
        "utf-16": b"\xff\xfe" + whole.decode("latin-1").encode("utf-16-le"),
        "values too many": top + one + b"\n" + two + b",,9\n",
        "a lone carriage return": top + one + b"\n" + two + b"\rz\n",
        "carriage returns alone": whole.replace(b"\n", b"\r"),
        "a page of a proxy": b"<html>\n<title>502 Bad Gateway</title>\n<p>" + serial + b"</p>\n</html>\n",
        "an answer of a service": b'{"message": "Internal server error ' + serial + b'"}\n',
        "no rows selected": b"\nno rows selected\n\n" + serial + b"\n",
        "prose": b"The export " + serial + b" failed, please try again later.\n",
        "no header line": one + b"\n" + two + b"\n",
        "no header line, all words": b"web,w" + serial + b"\nweb,w" + serial + b"\napp,w" + serial + b"\n",
        "semicolons": b"a;b\n" + one.replace(b",", b";") + b"\n",
        "a name twice": b"a,b,a\n" + serial + b",2,3\n",
        "a row too long": top + one + b"\n" + two + b"z" * 300 + b"\n",
        "a header too long": b"a,b," + b"z" * 100 + b"\n" + serial + b",2,3\n",
        "columns too many": b",".join(b"c%d" % n for n in range(13)) + b"\n" + serial + b",1" * 12 + b"\n",
    }[form]


def _ended(text: bytes) -> bytes:
    """Text whose first row has one field or none keeps its blank lines; other text loses them."""
    lines = text.splitlines(keepends=True)
    first = next(line for line in lines if line.strip())
    return text if b"," not in first else b"".join(line for line in lines if line.strip())


def _good(head: Head, stored: bytes, rows: bytes, form: str, columns: str) -> Body:
    if columns == "none":
        return Body(stored, None, tuple(tuple(row) for row in _read(rows)), rows)
    table = tuple(tuple(row or [""]) for row in _read(rows))
    assert {len(row) for row in table} == {len(head.names)}, (form, head)
    if columns == "pinned" and not set(head.names) <= set(PINNED):
        return Body(stored, None, None)
    # A column of numbers in which a text stands shows nothing.
    return Body(stored, head.names, table, rows, certain=head.certain and form != "a newline in quotes")


def _read(rows: bytes) -> Iterable[list[str]]:
    return csv.reader(io.StringIO(rows.decode("latin-1"), newline=""))
