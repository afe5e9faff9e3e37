"""Reads rows by Python's `csv` module, and an hour file's bytes against its ledger.

Pure: bytes in, findings out, memory bounded whatever the bytes are. Which bytes to fetch is `hours`' business, and
`values` compares rows with those of their source. Nothing here, and nothing there, splits a row, reads a header or
lays out columns with the builder's own code: an audit that shares it shares its mistakes.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING

from s3_assets.hour_file.segments import GZIP_HEADER, TRAILER_BYTES, DamagedSegmentError, crc32, inflate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from s3_assets.hour_file.ledger import Held, Ledger, Segment

MOST_ROW_BYTES = 32 * 1024 * 1024
"""The longest row that is read: twice what the builder takes from a source, as laying out makes rows longer."""

BLOCK_BYTES = 256 * 1024
"""How much is read at once: tiny pieces are gathered and large ones cut, so neither time nor memory depends on them."""

_BLANK_LINE = re.compile(rb"(?m)^\r*\n")


class UnreadableRowsError(ValueError):
    """Python's csv can't read the rows, and the message says why."""


class LoneReturnError(UnreadableRowsError):
    """A carriage return outside quotes, in the middle of a line: `csv` takes it for a row's end, this package never."""


class CsvRows:
    """The rows in a stream of CSV bytes, as Python's `csv` reads them: decoded as Latin-1, so that no byte is lost.

    Take the header first, if there is one; then iterate, or `count`. Both go on where the other stopped.

    Attributes:
        rows: Rows read so far that have something in them, the header not counted.
        blank: Lines read so far with nothing in them, which are rows only where there is one column.
        is_cut: Whether the bytes end in the middle of a line or of a quoted field.
    """

    def __init__(self, chunks: Iterable[bytes], *, most_row_bytes: int = MOST_ROW_BYTES) -> None:
        """Start before the first line; a longer row is given up."""
        if csv.field_size_limit() < MOST_ROW_BYTES:  # one for the whole process: it is only ever raised
            csv.field_size_limit(MOST_ROW_BYTES)
        self.rows = 0
        self.blank = 0
        self.is_cut = False
        self._most_row_bytes = most_row_bytes
        self._blocks = self._watched(_whole_lines(chunks, most_row_bytes))
        self._reading: Iterator[list[str]] | None = None
        self._open = 0
        self._is_over = False
        self._error: UnreadableRowsError | None = None

    def header(self) -> list[str] | None:
        """The names in the first line that is not blank; None where there is none.

        Raises:
            UnreadableRowsError: It can't be read.
        """
        block, used = b"", 0

        def lines() -> Iterator[str]:
            nonlocal block, used
            for found in self._blocks:
                block, used = found, 0
                for line in _lines(found):
                    used += len(line)
                    yield line
            self._is_over = True

        names = next((row for row in self._read(lines()) if row), None)
        if block[used:]:
            self._blocks = chain([block[used:]], self._blocks)
        self._is_over = False
        return names

    def tap(self, passing: Callable[[Iterator[bytes]], Iterator[bytes]]) -> None:
        """Let all bytes that were not read yet go through `passing` on their way, in blocks of whole lines."""
        self._blocks = passing(self._blocks)

    def rest(self) -> Iterator[bytes]:
        """The bytes that were not read yet, in blocks of whole lines."""
        return self._blocks

    def __iter__(self) -> Iterator[list[str]]:
        """The rows; a blank line is an empty list.

        Raises:
            UnreadableRowsError: They can't be told apart.
        """
        if self._reading is None:
            self._reading = self._rows()
        return self._reading

    def count(self) -> None:
        """Read to the end. Lines without quotes are counted as they are: it is what `csv` would find.

        Raises:
            UnreadableRowsError: They can't be told apart, now or when they were read before.
        """
        if self._error is not None:
            raise self._error
        if self._reading is None:
            for block in self._blocks:
                if b'"' in block or block.count(b"\r") != block.count(b"\r\n"):
                    self._blocks = chain([block], self._blocks)
                    break
                lines = block.count(b"\n") + (not block.endswith(b"\n"))
                has_blank = block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r" in block
                blank = len(_BLANK_LINE.findall(block)) if has_blank else 0
                self.rows += lines - blank
                self.blank += blank
        for _ in self:
            pass

    def _rows(self) -> Iterator[list[str]]:
        def lines() -> Iterator[Iterator[str]]:
            for block in self._blocks:
                self._open += len(block)
                if self._open > self._most_row_bytes + 2 * BLOCK_BYTES:  # what is around it in its first and last block
                    raise _too_long(self._most_row_bytes)
                yield _lines(block)
            self._is_over = True

        for row in self._read(chain.from_iterable(lines())):
            if row:
                self.rows += 1
            else:
                self.blank += 1
            yield row

    def _read(self, lines: Iterable[str]) -> Iterator[list[str]]:
        try:
            for row in csv.reader(lines):
                self._open = 0
                if self._is_over:  # the reader asked for more lines in the middle of this row
                    self.is_cut = True
                    msg = "a quote is opened and never closed"
                    raise UnreadableRowsError(msg)
                yield row
        except csv.Error as error:
            kind = LoneReturnError if "new-line" in str(error) else UnreadableRowsError
            self._error = kind(f"Python's csv can't read it: {error}")
            raise self._error from error
        except UnreadableRowsError as error:
            self._error = error
            raise

    def _watched(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.is_cut = not block.endswith(b"\n")
            yield block


def _lines(block: bytes) -> Iterator[str]:
    """Lines with their ends, cut at LF only: a CR outside quotes that ends no line is then an error to `csv`."""
    return StringIO(block.decode("latin-1"), newline="\n")


def _whole_lines(chunks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """The same bytes in blocks that end where a line ends."""
    rest: list[bytes] = []
    size = 0
    for piece in _even(chunks):
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, piece[:end]])
            rest, size = [], 0
        rest.append(piece[end:])
        size += len(piece) - end
        if size > most_bytes:
            raise _too_long(most_bytes)
    last = b"".join(rest)
    if last:
        yield last


def _even(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are neither tiny nor large."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            data = b"".join(waiting) if len(waiting) > 1 else chunk
            waiting, size = [], 0
            for start in range(0, len(data), BLOCK_BYTES):
                yield data[start : start + BLOCK_BYTES]
    if size:
        yield b"".join(waiting)


def _too_long(most_bytes: int) -> UnreadableRowsError:
    return UnreadableRowsError(f"a row is longer than {most_bytes:,} bytes, or a quote is never closed")


# --- the hour file -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Bytes:
    """What an hour file's bytes are.

    Attributes:
        contents: Of each source whose rows could be read, by key, how many; None where `csv` can't tell.
        damaged: What is wrong, in words, and whose rows are hit; no key where it is the header.
    """

    contents: dict[str, int | None] = field(default_factory=dict)
    damaged: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def data_stop(ledger: Ledger) -> int:
    """Up to where the file must be read: the rest was checked with the ledger."""
    return ledger.data_length - TRAILER_BYTES


def read_bytes(ledger: Ledger, chunks: Iterable[bytes]) -> Bytes:
    """Read bytes [0, `data_stop`) of the hour file, and compare them with its ledger."""
    return read_segments(ledger, ledger.segments, chunks, starts_file=True)


def read_segments(
    ledger: Ledger,
    segments: Sequence[Segment],
    chunks: Iterable[bytes],
    *,
    starts_file: bool,
    look: Callable[[Held, CsvRows], None] | None = None,
) -> Bytes:
    """Read the bytes of neighbouring segments, and compare them with the ledger.

    A damaged segment hides no other: reading goes on behind it.

    Args:
        ledger: Of the hour file.
        segments: Which of its segments the bytes are of.
        chunks: The bytes, behind the gzip header
        starts_file: unless this says that they begin with it.
        look: Called with each source and its rows in the hour file. It may stop at any row, and what it found
            counts only where the source's key is in `Bytes.contents` afterwards.
    """
    cursor = _Cursor(chunks)
    found = Bytes()
    if starts_file and b"".join(cursor.take(len(GZIP_HEADER))) != GZIP_HEADER:
        found.damaged.append(("it does not begin as an hour file does", ()))
    columns = None if ledger.header is None else columns_of(ledger.header)
    for segment in segments:
        problem = _read_segment(segment, cursor, ledger.header, columns, found.contents, look)
        if problem is not None:
            keys = tuple(source.key for source in segment.sources)
            for key in keys:
                found.contents.pop(key, None)
            found.damaged.append((f"the segment at byte {segment.offset}: {problem}", keys))
    return found


def columns_of(header: bytes) -> tuple[str, ...] | None:
    """The names in an hour file's header row; None where `csv` can't read it."""
    try:
        names = CsvRows([header]).header()
    except UnreadableRowsError:
        return None
    return None if names is None else tuple(names)


def _read_segment(
    segment: Segment,
    cursor: _Cursor,
    header: bytes | None,
    columns: tuple[str, ...] | None,
    contents: dict[str, int | None],
    look: Callable[[Held, CsvRows], None] | None,
) -> str | None:
    """Read one segment to its end; what is wrong with it, if anything is."""
    stored = _Stored(cursor.take(segment.length))
    plain = _Cursor(inflate(stored, raw_length=segment.raw_length, crc=segment.crc))
    problem = None
    try:
        if not segment.sources and b"".join(plain.take(segment.raw_length)) != header:
            problem = "it is not the header row"
        for held in segment.sources:
            rows = CsvRows(plain.take(held.raw_length))
            if look is not None:
                look(held, rows)
            wrong = _miscounted(held, rows, contents, has_one_column=columns is not None and len(columns) == 1)
            problem = problem or wrong
        for _ in plain.take(1):  # where no byte was asked for, it was not inflated
            problem = "it holds more than its sources"
    except DamagedSegmentError as error:
        problem = str(error)
    for _ in stored:  # what the inflater did not ask for
        pass
    if problem is None and (stored.size, stored.crc) != (segment.length, segment.stored_crc):
        problem = "its compressed bytes do not have the CRC-32 of their record"
    return problem


def _miscounted(held: Held, rows: CsvRows, contents: dict[str, int | None], *, has_one_column: bool) -> str | None:
    """Count what was not read yet, and note how many rows there are; how the ledger's number is wrong, if it is."""
    count: int | None = None
    try:
        rows.count()
        count = rows.rows + rows.blank * has_one_column
    except LoneReturnError:  # older versions took such rows in
        for _ in rows.rest():
            pass
    except UnreadableRowsError as error:
        if not rows.is_cut:
            msg = f"its rows can't be told apart: {error}"
            raise DamagedSegmentError(msg) from error
    if rows.is_cut:
        msg = f"the rows of {held.key!r} do not end where the ledger says"
        raise DamagedSegmentError(msg)
    contents[held.key] = count
    # Older versions counted a blank line as a row, whatever the columns.
    if count is None or held.rows in (count, rows.rows + rows.blank):
        return None
    return f"{held.key!r} has {count} rows in it, and {held.rows} by the ledger"


class _Cursor:
    """Takes bytes off a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, fewer where the stream ends."""
        while size:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    return
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            yield piece


class _Stored:
    """Compressed bytes on their way: counted, and their CRC-32 taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.crc = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._chunks:
            self.size += len(piece)
            self.crc = crc32(piece, self.crc)
            yield piece
