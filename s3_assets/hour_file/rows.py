"""Row boundaries of CSV, by RFC 4180: where a row ends, how many there are, which fields it has.

Bytes, not values: nothing is typed, decoded or re-quoted. As csv readers do, a quote opens a quoted field only at
the start of a field; elsewhere it is text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ROW_BYTES = 16 * 1024 * 1024
"""The longest row that is taken: bounds memory where a quote is never closed."""

MAX_HELD_ROW_BYTES = 2 * MAX_ROW_BYTES
"""The longest row in an hour file: laying out can make one longer than a source's may be."""

# A quoted field: its opening quote stands at the start of a field, a doubled quote is text (RFC 4180, 2.7).
# Possessive, so that a field cut in the middle is never taken for a shorter, closed one.
# It begins with the quote itself and looks back after it: the engine then skips to quotes, 30 times as fast.
_QUOTED = re.compile(rb'"(?<![^,\n]")(?>[^"]*(?:""[^"]*)*)("?)')
_LOOKS = 3  # at as many last newlines, before every field is looked at
_FIELD = re.compile(rb'("(?>[^"]*(?:""[^"]*)*)"[^,\n]*|[^,\n]*)(,|\n)')


class UnclosedQuoteError(ValueError):
    """The data ends inside a quoted field."""


class RowTooLongError(ValueError):
    """A row is longer than `MAX_ROW_BYTES`."""


class RaggedRowError(ValueError):
    """A row has more fields than its header: moved to other columns, they would stand under the wrong name."""


def without_quoted(data: bytes) -> bytes:
    """The data with its quoted fields left out."""
    return _QUOTED.sub(b"", data)


def whole_rows(data: bytes) -> tuple[int, int]:
    """Where the last whole row ends in data that starts at a row's start, and how many rows that is."""
    if b'"' not in data:
        end = data.rfind(b"\n") + 1
        return end, data.count(b"\n", 0, end)
    end = len(data)
    for _ in range(_LOOKS):
        end = data.rfind(b"\n", 0, end) + 1
        # One quote for each quoted field; one that is still open reaches to the end and takes the newline with it.
        outside = _QUOTED.sub(b'"', data[:end])
        if outside.endswith(b"\n") or not end:
            return end, outside.count(b"\n")
        end -= 1
    end = _end_before_open_quote(data)
    return end, without_quoted(data[:end]).count(b"\n")


def _end_before_open_quote(data: bytes) -> int:
    """Where the last whole row ends; field by field, for data that ends in many newlines within quotes."""
    end = position = 0
    for field in _QUOTED.finditer(data):
        end = max(end, data.rfind(b"\n", position, field.start()) + 1)
        if not field[1]:
            return end
        position = field.end()
    return max(end, data.rfind(b"\n", position) + 1)


def first_row_end(data: bytes) -> int:
    """Where the first row ends in data that starts at a row's start; 0 where it is not whole."""
    newline = data.find(b"\n")
    if data.find(b'"', 0, newline if newline >= 0 else len(data)) < 0:
        return newline + 1  # the usual case, and the regular expression would look at all of the data
    position = 0
    for field in _QUOTED.finditer(data):
        newline = data.find(b"\n", position, field.start())
        if newline >= 0:
            return newline + 1
        if not field[1]:
            return 0
        position = field.end()
    return data.find(b"\n", position) + 1


class RowScanner:
    """Splits a stream of bytes into pieces of whole rows; how the stream is cut makes no difference to them.

    Attributes:
        rows: How many were given so far.
    """

    def __init__(self, max_row_bytes: int = MAX_ROW_BYTES) -> None:
        """Start at a row's start, and take rows of at most `max_row_bytes`."""
        self._max_row_bytes = max_row_bytes
        self.rows = 0
        self._rest = b""
        self._newline = b"\n"

    def feed(self, data: bytes) -> bytes:
        """The whole rows that `data` completes, maybe none.

        Raises:
            RowTooLongError: A row has more than `max_row_bytes`.
        """
        limit = self._max_row_bytes
        if len(data) > limit:
            return b"".join([self.feed(data[start : start + limit]) for start in range(0, len(data), limit)])
        data, end = self._scan(data)
        return data[:end]

    def count(self, data: bytes) -> None:
        """The same, where the rows themselves are not wanted: they are not copied."""
        for start in range(0, len(data), self._max_row_bytes):
            self._scan(data[start : start + self._max_row_bytes])

    def _scan(self, data: bytes) -> tuple[bytes, int]:
        """What was left with `data`, and where its whole rows end."""
        limit = self._max_row_bytes
        data = self._rest + data if self._rest else data
        end, rows = whole_rows(data)
        self._rest = data[end:]
        # Neither the rest of before nor this piece is longer than the limit: only a row across both can be.
        if len(self._rest) > limit or (end and len(data) > limit and first_row_end(data) > limit):
            msg = f"a row is longer than {limit} bytes, or a quote is never closed"
            raise RowTooLongError(msg)
        if end:
            self._newline = b"\r\n" if data[end - 2 : end] == b"\r\n" else b"\n"
        self.rows += rows
        return data, end

    def finish(self) -> bytes:
        """The last row, with the newline that it lacked; empty where the data ended in one.

        Raises:
            UnclosedQuoteError: The data ends inside a quoted field.
        """
        rest, self._rest = self._rest, b""
        if not rest:
            return b""
        row = rest + (b"\n" if rest.endswith(b"\r") else self._newline)
        if whole_rows(row) != (len(row), 1):
            msg = "a quoted field is never closed"
            raise UnclosedQuoteError(msg)
        self.rows += 1
        return row


def split_fields(row: bytes) -> list[bytes]:
    """The fields of one row as they stand, quotes and all, without the row's end."""
    text = row.removesuffix(b"\n").removesuffix(b"\r")
    if b'"' not in text:
        return text.split(b",")
    return [field for field, _ in _FIELD.findall(text + b"\n")]


def unquote(field: bytes) -> bytes:
    """What a field says: without its quotes, doubled ones made single."""
    if len(field) > 1 and field.startswith(b'"') and field.endswith(b'"'):
        return field[1:-1].replace(b'""', b'"')
    return field


def column_names(header: bytes) -> tuple[bytes, ...]:
    """The names in a header row."""
    return tuple(unquote(field) for field in split_fields(header))


def lay_rows(data: bytes, width: int, columns: Sequence[int | None]) -> bytes:
    """Rows laid out to other columns, the fields' text unchanged.

    Args:
        data: Whole rows.
        width: How many columns the rows have by their own header.
        columns: For each new column the old one's index, or None for an empty field.

    Raises:
        RaggedRowError: A row has more than `width` fields. (One with fewer lacks its last columns.)
    """
    out: list[bytes] = []
    row: list[bytes] = []
    for field, separator in _FIELD.findall(data):
        row.append(field)
        if separator == b",":
            continue
        ending = b"\n"
        if row[-1].endswith(b"\r"):
            row[-1], ending = row[-1][:-1], b"\r\n"
        if len(row) > width:
            msg = f"a row has {len(row)} fields under a header of {width}"
            raise RaggedRowError(msg)
        row.extend([b""] * (width - len(row)))
        out.append(b",".join([b"" if column is None else row[column] for column in columns]) + ending)
        row = []
    return b"".join(out)
