"""Rows of CSV by RFC 4180, as bytes: where they end, how many fields they have, and laying them out to other columns.

Nothing is typed, decoded or re-quoted: the text of a field is never changed. As csv readers do, a quote opens a quoted
field only at the start of a field; elsewhere it is text. A row ends at a line feed outside of quotes; carriage returns
right before it belong to its end.

What the module works with is the *outline* of rows: their bytes with each quoted field made a single quote. All commas,
line feeds and carriage returns in it are separators, so rows are counted and widths judged on the outline, by
functions that run in C. Where nothing is quoted, the outline is the data itself.

- `RowScanner` cuts a stream into whole rows with their outline (`Rows`).
- `EvenRows` gives each row as many fields as its header has, or refuses it.
- `lay_rows` moves the fields of rows to other columns.

All of it is linear in the bytes that come, whatever they are, and needs memory in proportion to the piece in hand and
the longest row, never an object for each field or row of a piece.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count as count_from
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_ROW_BYTES = 16 * 1024 * 1024
"""The longest row that is taken: bounds memory where a quote is never closed."""

MAX_HELD_ROW_BYTES = 2 * MAX_ROW_BYTES
"""The longest row in an hour file: laying out can make one longer than a source's may be."""

_BLOCK_BYTES = 64 * 1024
"""What makes many objects is done in blocks of this size. The regular expression engine needs 100 bytes of memory for
each doubled quote in a field, a list of lines as much for each."""

_PIECE_BYTES = 1024 * 1024
"""Rows that are changed are given on in pieces of about this size: they can grow to many times what came."""

# A quoted field: its opening quote stands at the start of a field, a doubled quote is text (RFC 4180, 2.7).
# Possessive, so that a field cut in the middle is never taken for a shorter, closed one.
# It begins with the quote itself and looks back after it: the engine then skips to quotes, 30 times as fast.
_QUOTED = re.compile(rb'"(?<![^,\n]")[^"]*+(?:""[^"]*+)*+"?+')
_OPENING_QUOTE = re.compile(rb'"(?<![^,\n]")')
_QUOTES = re.compile(rb'"+')
_NO_SEPARATORS = bytes(byte for byte in range(256) if byte not in b",\n")
_ROW = re.compile(
    rb'(?:"[^"]*+(?:""[^"]*+)*+"[^,\n]*+(?:,|(?=\n))|[^",\n][^,\n]*+(?:,|(?=\n))|,)*+\n',
)
"""A whole row, field by field. What the engine remembers of a row takes many times its bytes: for short ones only."""

_SHORT_ROW_BYTES = 1024
_OUTLINE_BYTES, _MOST_OUTLINES = 32, 1000
_LONE_RETURN = re.compile(rb"\r(?!\n)")


class UnclosedQuoteError(ValueError):
    """The data ends inside a quoted field."""


class RowTooLongError(ValueError):
    """A row, or what must be held back with it, is longer than `MAX_ROW_BYTES`."""


class RaggedRowError(ValueError):
    """A row has values beyond its header's columns: moved to other columns, they would stand under the wrong name."""


class LoneReturnError(ValueError):
    """A carriage return outside of quotes that is no part of a row's end: many readers take it for one."""


# --- outlines ------------------------------------------------------------------------------------------------


class _At(Enum):
    """Where in a row a stream is."""

    FIELD = auto()
    """At the start of a field."""
    TEXT = auto()
    """In a field, where a quote is text."""
    QUOTED = auto()
    """In a quoted field."""
    QUOTE = auto()
    """Behind a quote that closes a quoted field, if the next byte is not its double."""


def _closing(data: bytes, start: int) -> int:
    """Where the quoted field whose text begins at `start` ends, behind its closing quote; 0 where it does not."""
    end = data.find(b'"', start) + 1
    if data[end : end + 1] != b'"':
        return end  # the usual case: no quote within the field
    for quotes in _QUOTES.finditer(data, start):
        if (quotes.end() - quotes.start()) % 2:
            return quotes.end()
    return 0


def _resume(block: bytes, at: _At) -> tuple[int, _At]:
    """Where a quoted field from before `block` ends in it, and where in the row that is."""
    if at is _At.QUOTE and not block.startswith(b'"'):
        return 0, _At.TEXT
    if at in (_At.FIELD, _At.TEXT):
        return 0, at
    end = _closing(block, 1 if at is _At.QUOTE else 0)
    if not end:
        return len(block), _At.QUOTED
    return end, _At.QUOTE if end == len(block) else _At.TEXT


def _field_start(block: bytes, start: int, at: _At) -> int:
    """From where on a quote with nothing before it opens a field: quotes at the start of `block` may be text."""
    return start if at is _At.FIELD else len(block) - len(block[start:].lstrip(b'"'))


def _outline(block: bytes, at: _At) -> tuple[bytes, _At]:
    """The outline of a small block that begins at `at`, and where it ends."""
    start, at = _resume(block, at)
    if start == len(block):
        return b"", at
    fields = _field_start(block, start, at)
    # One quote for each quoted field; one that is still open reaches to the end and takes the line feed with it.
    found = block[start:fields] + _QUOTED.sub(b'"', block[fields:] + b"\n")
    if not found.endswith(b"\n"):
        return found, _At.QUOTED
    found = found[:-1]
    if found.endswith((b",", b"\n")):
        return found, _At.FIELD
    if found.endswith((b',"', b'\n"')) or (found == b'"' and at is _At.FIELD):
        return found, _At.QUOTE
    return found, _At.TEXT


def _last_row_end(block: bytes, at: _At) -> int:
    """Where the last row ends in a small block that begins at `at`, 0 where none does; field by field."""
    start, at = _resume(block, at)
    position = _field_start(block, start, at)
    end = 0
    for field in _QUOTED.finditer(block, position):
        end = max(end, block.rfind(b"\n", position, field.start()) + 1)
        position = field.end()
    return max(end, block.rfind(b"\n", position) + 1)


class _Outliner:
    """Makes the outline of a stream; how the stream is cut makes no difference to it.

    Attributes:
        at: Where in a row it is.
    """

    def __init__(self) -> None:
        """Start at a row's start."""
        self.at = _At.FIELD

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """The outline of `data`, and where the last row ends in `data` (0: no row does)."""
        if b'"' not in data and self.at is not _At.QUOTED:
            if data:
                self.at = _At.FIELD if data.endswith((b",", b"\n")) else _At.TEXT
            return data, data.rfind(b"\n") + 1
        found: list[bytes] = []
        start = end = 0
        within: tuple[int, bytes, _At] | None = None  # the block in which the last row ends, if not with it
        while start < len(data):
            # A block that ends in a line feed ends with a row, but for one in quotes: then no end is looked for.
            stop = data.rfind(b"\n", start, start + _BLOCK_BYTES) + 1 or start + _BLOCK_BYTES
            block, at = data[start:stop], self.at
            outline, self.at = _outline(block, at)
            if outline.endswith(b"\n"):
                end, within = stop, None
            elif b"\n" in outline:
                within = start, block, at
            found.append(outline)
            start = stop
        if within is not None:
            start, block, at = within
            end = start + _last_row_end(block, at)
        return b"".join(found), end


def without_quoted(data: bytes) -> bytes:
    """The outline of data that starts at a field's start: each quoted field is one quote."""
    return _Outliner().feed(data)[0]


def first_row_end(data: bytes, start: int = 0) -> int:
    """Where the row that starts at `start` ends; 0 where it is not whole."""
    line_feed = data.find(b"\n", start)
    position = start
    while line_feed >= 0 and (opening := _OPENING_QUOTE.search(data, position, line_feed)):
        position = _closing(data, opening.end())
        if not position:
            return 0
        if line_feed < position:
            line_feed = data.find(b"\n", position)
    return line_feed + 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Whole rows.

    Attributes:
        data: Their bytes.
        outline: The same with each quoted field made a single quote; the same object where none is.
    """

    data: bytes
    outline: bytes

    @classmethod
    def of(cls, data: bytes) -> Rows:
        """Whole rows whose outline is not known yet."""
        return cls.joined((data,), (without_quoted(data),))

    @classmethod
    def joined(cls, data: Sequence[bytes | bytearray], outlines: Sequence[bytes | bytearray]) -> Rows:
        """Pieces of rows and of their outline put together."""
        whole, outline = b"".join(data), b"".join(outlines)
        return cls(whole, whole if len(whole) == len(outline) else outline)  # a quoted field has two quotes at least

    def split_first(self) -> tuple[bytes, Rows]:
        """The first row, and the others."""
        end = first_row_end(self.data)
        if self.outline is self.data:
            others = self.data[end:]
            return self.data[:end], Rows(others, others)
        return self.data[:end], self.joined((self.data[end:],), (self.outline[self.outline.find(b"\n") + 1 :],))

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        """Each row with its outline."""
        if self.outline is self.data:
            for row in io.BytesIO(self.data):
                yield row, row
            return
        if self.data.count(b"\n") == self.outline.count(b"\n"):  # no line feed is quoted
            yield from zip(io.BytesIO(self.data), io.BytesIO(self.outline), strict=True)
            return
        if len(self.data) <= _SHORT_ROW_BYTES * self.outline.count(b"\n"):
            yield from zip(_ROW.findall(self.data), io.BytesIO(self.outline), strict=True)
            return
        start = 0
        for outline in io.BytesIO(self.outline):
            end = first_row_end(self.data, start) if b'"' in outline else start + len(outline)
            yield self.data[start:end], outline
            start = end


# --- streams of rows -----------------------------------------------------------------------------------------


class RowScanner:
    """Splits a stream of bytes into pieces of whole rows; how the stream is cut makes no difference to them.

    Attributes:
        rows: How many `feed`, `count` and `finish` gave so far.
    """

    def __init__(self, max_row_bytes: int = MAX_ROW_BYTES) -> None:
        """Start at a row's start, and take rows of at most `max_row_bytes`."""
        self._max_row_bytes = max_row_bytes
        self.rows = 0
        self._outliner = _Outliner()
        self._rest = bytearray()  # the row that is still open, and its outline
        self._rest_outline = bytearray()
        self._line_end = b"\n"

    def feed(self, data: bytes) -> bytes:
        """The whole rows that `data` completes, maybe none.

        Raises:
            RowTooLongError: A row has more than `max_row_bytes`.
        """
        found = self.take(data)
        self.rows += found.outline.count(b"\n")
        return found.data

    def count(self, data: bytes) -> None:
        """The same, where the rows themselves are not wanted: they are not kept together."""
        for start in range(0, len(data), _PIECE_BYTES):
            self.feed(data[start : start + _PIECE_BYTES])

    def take(self, data: bytes) -> Rows:
        """The same with their outline and not counted, for `EvenRows`, which does."""
        limit = self._max_row_bytes
        if len(data) <= limit:
            return self._take(data)
        found = [self._take(data[start : start + limit]) for start in range(0, len(data), limit)]
        return Rows.joined([rows.data for rows in found], [rows.outline for rows in found])

    def _take(self, data: bytes) -> Rows:
        limit = self._max_row_bytes
        outline, end = self._outliner.feed(data)
        if not end:
            self._rest += data
            self._rest_outline += outline
            if len(self._rest) > limit:
                raise self._too_long()
            return Rows(b"", b"")
        whole = b"".join((self._rest, memoryview(data)[:end])) if self._rest else data[:end]
        # Neither the rest of before nor this piece is longer than the limit: only a row across both can be.
        if len(whole) > limit and first_row_end(whole) > limit:
            raise self._too_long()
        if outline is data and len(self._rest) == len(self._rest_outline):
            found = Rows(whole, whole)
            self._rest, self._rest_outline = bytearray(data[end:]), bytearray(data[end:])
        else:
            outline_end = outline.rfind(b"\n") + 1
            found = Rows.joined((whole,), (self._rest_outline, outline[:outline_end]))
            self._rest, self._rest_outline = bytearray(data[end:]), bytearray(outline[outline_end:])
        self._line_end = b"\r\n" if whole.endswith(b"\r\n") else b"\n"
        return found

    def _too_long(self) -> RowTooLongError:
        return RowTooLongError(f"a row is longer than {self._max_row_bytes} bytes, or a quote is never closed")

    def finish(self) -> bytes:
        """The last row, with the line end that it lacked; empty where the data ended in one.

        Raises:
            UnclosedQuoteError: The data ends inside a quoted field.
        """
        rest, at = bytes(self._rest), self._outliner.at
        self._rest, self._rest_outline, self._outliner = bytearray(), bytearray(), _Outliner()
        if at is _At.QUOTED:
            raise UnclosedQuoteError("a quoted field is never closed")
        if not rest:
            return b""
        self.rows += 1
        return rest + (b"\n" if rest.endswith(b"\r") else self._line_end)


class EvenRows:
    r"""Gives rows as many fields as their header has.

    A short row gets the separators that it lacks at its end; empty fields too many at its end are cut off. A blank line
    is no row where a row has two fields or more. A row's end is a line feed with or without a carriage return, as it
    came; of several carriage returns (`\r\r\n`, from programs that wrote text as text twice) one is left.

    Attributes:
        rows: How many were given so far.
    """

    def __init__(self, width: int | None) -> None:
        """Expect `width` fields.

        Args:
            width: None where there is no header: rows keep the fields that they have, and a blank line is a row only
                if the first row that is not blank has one field.
        """
        self.rows = 0
        self._width = width
        self._known: dict[bytes, tuple[int, bytes]] = {}
        self._blank_is_row = None if width is None else width == 1
        self._blank = bytearray()  # lines at the start, held back until it is known

    def feed(self, rows: Rows | bytes) -> bytes:
        """The rows, even; whole rows whose outline is at hand (`RowScanner.take`) are not looked through for it again.

        Raises:
            RaggedRowError: A row has values beyond `width` fields.
            LoneReturnError: A carriage return outside of quotes ends no row.
            RowTooLongError: More than `MAX_ROW_BYTES` of blank lines come before the first row.
        """
        pieces = list(self.pieces(rows))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, rows: Rows | bytes) -> Iterator[bytes]:
        """The same in pieces of bounded size, whatever the rows grow to; iterate to the end before the next."""
        if isinstance(rows, bytes):
            rows = Rows.of(rows)
        if self._blank_is_row is None:
            rows = self._hold_blank(rows)
        if rows.data:
            yield from self._even(rows)

    def _hold_blank(self, rows: Rows) -> Rows:
        """Hold blank lines back until the first other row says what they are: give them with it."""
        outline = rows.outline
        blank = outline.rfind(b"\n", 0, len(outline) - len(outline.lstrip(b"\r\n"))) + 1
        if blank == len(outline):
            self._blank += outline
            if len(self._blank) > MAX_ROW_BYTES:
                raise RowTooLongError(f"more than {MAX_ROW_BYTES} bytes of blank lines come before the first row")
            return Rows(b"", b"")
        self._blank_is_row = b"," not in outline[blank : outline.find(b"\n", blank)]
        if not self._blank:
            return rows
        held, self._blank = self._blank, bytearray()
        return Rows.joined((held, rows.data), (held, outline))

    def _even(self, rows: Rows) -> Iterator[bytes]:
        count = self._count_if_even(rows.outline)
        if count is not None:
            self.rows += count
            yield rows.data
        elif rows.outline is rows.data and (end := _only_end(rows.data)):
            for block in _blocks(rows.data, _BLOCK_BYTES // 2):
                yield from self._even_lines(block.split(end)[:-1], end)
        else:
            yield from _in_pieces(self._even_row(row, outline) for row, outline in rows.each())

    def _even_lines(self, lines: list[bytes], end: bytes) -> Iterator[bytes]:
        """Rows without quotes, given without their ends: many at once, as few objects and calls as can be."""
        width = self._width
        step = max(1, _PIECE_BYTES // (width or 1))
        for start in range(0, len(lines), step):
            some = lines[start : start + step]
            if not self._blank_is_row:
                some = [line for line in some if line]
            if width is None:
                even = [line + end for line in some]
            else:
                separators = [line.count(b",") for line in some]
                ends = {count: b"," * (width - 1 - count) + end for count in set(separators) if count < width}
                even = [
                    line + ends[count] if count < width else _to_width(line, line, width, number) + end
                    for number, line, count in zip(count_from(self.rows + 1), some, separators)
                ]
            self.rows += len(even)
            yield b"".join(even)

    def _count_if_even(self, outline: bytes) -> int | None:
        """How many rows there are, if there is nothing to do about any."""
        if self._width is not None:
            return _count_if_even(outline, self._width)
        if _has_lone_return(outline):
            return None
        if not self._blank_is_row and _has_blank_line(outline):
            return None
        return outline.count(b"\n")

    def _even_row(self, row: bytes, outline: bytes) -> bytes:
        """One row, even; nothing where it is none."""
        if known := self._known.get(outline):
            self.rows += 1
            return row[: -known[0]] + known[1]
        text = outline[:-1].rstrip(b"\r")
        if b"\r" in text:
            raise LoneReturnError(f"row {self.rows + 1} has a carriage return in it, which readers take for its end")
        if not text and not self._blank_is_row:
            return b""
        end = len(outline) - len(text)
        line_end = b"\n" if end == 1 else b"\r\n"
        lacking = 0 if self._width is None else self._width - 1 - text.count(b",")
        self.rows += 1
        if lacking < 0:
            return _to_width(row[:-end], text, self._width or 0, self.rows) + line_end
        fill = b"," * lacking + line_end
        if len(outline) <= _OUTLINE_BYTES and len(self._known) < _MOST_OUTLINES:  # short rows are many, and alike
            self._known[outline] = end, fill
        return row[:-end] + fill


def _only_end(data: bytes) -> bytes:
    """How all rows without quotes end; empty where they end in more than one way, or hold another carriage return."""
    returns = data.count(b"\r")
    if not returns:
        return b"\n"
    return b"\r\n" if returns == data.count(b"\r\n") == data.count(b"\n") else b""


def _blocks(data: bytes, size: int) -> Iterator[bytes]:
    """Rows without quotes in blocks of about that size: a list of a million short lines takes much memory."""
    start = 0
    while start < len(data):
        stop = data.find(b"\n", min(start + size, len(data)) - 1) + 1
        yield data[start:stop]
        start = stop


def _in_pieces(rows: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about `_PIECE_BYTES`."""
    piece = bytearray()
    for row in rows:
        piece += row
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _has_blank_line(outline: bytes) -> bool:
    """Whether there is one; there may be none where there are carriage returns."""
    return outline.startswith((b"\n", b"\r")) or b"\n\n" in outline or (b"\r" in outline and b"\n\r" in outline)


def _has_lone_return(outline: bytes) -> bool:
    r"""Whether there is another carriage return than that of `\r\n`."""
    return b"\r" in outline and _LONE_RETURN.search(outline) is not None


def _count_if_even(outline: bytes, width: int) -> int | None:
    r"""How many rows there are, if each has `width` fields and ends in `\n` or `\r\n`."""
    if _has_lone_return(outline):
        return None
    separators = outline.translate(None, _NO_SEPARATORS)
    rows, over = divmod(len(separators), width)
    even = not over and separators == (b"," * (width - 1) + b"\n") * rows
    return rows if even else None


def _to_width(text: bytes, outline: bytes, width: int, number: int) -> bytes:
    """Row `number` with `width` fields, `text` and `outline` being without the row's end.

    Raises:
        RaggedRowError: A field too many is not empty.
    """
    separators = outline.count(b",")
    if separators < width:
        return text + b"," * (width - 1 - separators)
    over = outline.split(b",", width)[width]
    # If only separators and quoted fields are over, they are empty where the text ends in as many pairs of quotes:
    # a quote right after a separator is not the second of a doubled one, so a pair there is a field of its own.
    empty = b"," + over.replace(b'"', b'""')
    if over.strip(b',"') or not text.endswith(empty):
        raise RaggedRowError(f"row {number} has {separators + 1} fields under a header of {width}")
    return text[: -len(empty)]


# --- fields --------------------------------------------------------------------------------------------------


def split_fields(row: bytes) -> list[bytes]:
    """The fields of one row as they stand, quotes and all, without the row's end."""
    text = row.removesuffix(b"\n").rstrip(b"\r")
    return text.split(b",") if b'"' not in text else _split_quoted(text, without_quoted(text))


def _split_quoted(text: bytes, outline: bytes) -> list[bytes]:
    fields = outline.split(b",")
    end = 0
    for place, field in enumerate(fields):
        if field.startswith(b'"') and (opening := _OPENING_QUOTE.search(text, end)):
            end = (_closing(text, opening.end()) or len(text)) + len(field) - 1
            fields[place] = text[opening.start() : end]
    return fields


def unquote(field: bytes) -> bytes:
    """What a field says: without its quotes, doubled ones made single."""
    if len(field) > 1 and field.startswith(b'"') and field.endswith(b'"'):
        return field[1:-1].replace(b'""', b'"')
    return field


def column_names(header: bytes) -> tuple[bytes, ...]:
    """The names in a header row."""
    return tuple(unquote(field).rstrip(b"\r") for field in split_fields(header))


# --- laying out ----------------------------------------------------------------------------------------------


def lay_rows(data: bytes, width: int, columns: Sequence[int | None]) -> bytes:
    """Rows laid out to other columns, the fields' text and the rows' ends unchanged.

    They need not be even: a row with fewer than `width` fields lacks its last columns, empty fields too many are left
    out. A blank line stays one where `width` is two or more, as older hour files count it for a row.

    Args:
        data: Whole rows.
        width: How many columns the rows have by their own header.
        columns: For each new column the old one's index, or None for an empty field.

    Raises:
        RaggedRowError: A row has values beyond `width` fields; it is named by its number in `data`, from 1.
    """
    return b"".join(laid_rows(Rows.of(data), width, columns))


def laid_rows(rows: Rows, width: int, columns: Sequence[int | None]) -> Iterator[bytes]:
    """The same in pieces of bounded size, whatever the rows grow to."""
    added = _columns_added(width, columns)
    widened = None if added is None else _widen(rows, width, added)
    if widened is not None:
        yield widened
        return
    if rows.outline is rows.data and _count_if_even(rows.data, width) and (end := _only_end(rows.data)):
        for block in _blocks(rows.data, min(_BLOCK_BYTES, max(1, _PIECE_BYTES // len(columns)) * width)):
            yield _moved(block, width, columns, end)
        return
    pick = _picker(width, columns)

    def lay(number: int, row: bytes, outline: bytes) -> bytes:
        text = outline[:-1].rstrip(b"\r")
        end = len(text) - len(outline)
        if not text and width > 1:
            return row
        if added is not None:
            return _to_width(row[:end], text, width, number) + b"," * added + row[end:]
        return b",".join(pick(_fields(row[:end], text, width, number))) + row[end:]

    yield from _in_pieces(lay(number, row, outline) for number, (row, outline) in enumerate(rows.each(), 1))


def _fields(text: bytes, outline: bytes, width: int, number: int) -> list[bytes]:
    """The `width` fields of row `number`, `text` and `outline` being without the row's end."""
    comma_is_quoted = len(text) != len(outline) and text.count(b",") != outline.count(b",")
    if not comma_is_quoted:
        fields = text.split(b",", width)
        return fields if len(fields) == width else _to_width(text, outline, width, number).split(b",")
    if outline.count(b",") == width - 1:
        return _split_quoted(text, outline)
    return split_fields(_to_width(text, outline, width, number))


def _columns_added(width: int, columns: Sequence[int | None]) -> int | None:
    """How many empty columns come behind the old ones; None where the old ones don't all stay where they are."""
    added = len(columns) - width
    return added if list(columns) == [*range(width), *[None] * added] else None


def _widen(rows: Rows, width: int, added: int) -> bytes | None:
    """The rows with `added` empty fields at their ends, where it can be done in one go."""
    count = _count_if_even(rows.outline, width)
    if count is None or count * added > len(rows.data) + _PIECE_BYTES:
        return None
    # In one go where all rows end alike, and no quoted text has such an end in it.
    end = b"\r" if b"\r" in rows.outline else b"\n"
    is_plain = rows.outline is rows.data and end == b"\n"  # even rows without quotes or returns: nothing to count
    if not is_plain and not rows.data.count(end) == rows.outline.count(end) == count:
        return None
    return rows.data.replace(end, b"," * added + end)


def _moved(data: bytes, width: int, columns: Sequence[int | None], end: bytes) -> bytes:
    """Even rows without quotes, laid out column by column: as few calls as can be."""
    fields = data.replace(end, b",").split(b",")[:-1]
    nothing = [b""] * (len(fields) // width)
    picked = [nothing if column is None else fields[column::width] for column in columns]
    return end.join(map(b",".join, zip(*picked, strict=True))) + end


def _picker(width: int, columns: Sequence[int | None]) -> Callable[[list[bytes]], tuple[bytes, ...]]:
    """Puts the `width` fields of a row in the order of `columns`."""
    places = [width if column is None else column for column in columns]  # an empty field stands behind the last

    get: Callable[[list[bytes]], tuple[bytes, ...]] = itemgetter(*places, width)  # one more: for one, it gives no tuple

    def pick(fields: list[bytes]) -> tuple[bytes, ...]:
        fields.append(b"")
        return get(fields)[:-1]

    return pick
