"""Reads an hour file's bytes and its sources' anew: every segment inflated and hashed, every row counted.

Pure: bytes in, findings out, memory bounded whatever the bytes are. Which bytes to fetch is `hours`' business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.rows import (
    MAX_HELD_ROW_BYTES,
    RaggedRowError,
    RowScanner,
    RowTooLongError,
    UnclosedQuoteError,
    column_names,
    lay_rows,
)
from s3_assets.hour_file.schema import layout
from s3_assets.hour_file.segments import GZIP_HEADER, TRAILER_BYTES, DamagedSegmentError, crc32, inflate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3_assets.hour_file.ledger import Held, Ledger, Segment


@dataclass(frozen=True, slots=True)
class Content:
    """The rows of one source, as they stand.

    Attributes:
        rows: How many.
        digest: Of their bytes.
    """

    rows: int
    digest: bytes


@dataclass(slots=True)
class Bytes:
    """What an hour file's bytes are.

    Attributes:
        contents: Of each source that could be read, by key.
        damaged: What is wrong, in words, and whose rows are hit; no key where it is the header.
    """

    contents: dict[str, Content] = field(default_factory=dict)
    damaged: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def data_stop(ledger: Ledger) -> int:
    """Up to where the file must be read: the rest was checked with the ledger."""
    return ledger.data_length - TRAILER_BYTES


def read_bytes(ledger: Ledger, chunks: Iterable[bytes]) -> Bytes:
    """Read bytes [0, `data_stop`) of the hour file, and hold them against its ledger.

    A damaged segment hides no other: reading goes on behind it.
    """
    cursor = _Cursor(chunks)
    found = Bytes()
    if b"".join(cursor.take(len(GZIP_HEADER))) != GZIP_HEADER:
        found.damaged.append(("it does not begin as an hour file does", ()))
    for segment in ledger.segments:
        problem = _read_segment(segment, cursor, ledger.header, found.contents)
        if problem is not None:
            for source in segment.sources:
                found.contents.pop(source.key, None)
            keys = tuple(source.key for source in segment.sources)
            found.damaged.append((f"the segment at byte {segment.offset}: {problem}", keys))
    return found


def _read_segment(segment: Segment, cursor: _Cursor, header: bytes | None, contents: dict[str, Content]) -> str | None:
    """Read one segment to its end; what is wrong with it, if anything is."""
    stored = _Stored(cursor.take(segment.length))
    rows = _Split(segment.sources)
    problem = None
    top = b""
    try:
        for piece in inflate(stored, raw_length=segment.raw_length, crc=segment.crc):
            if segment.sources:
                rows.feed(piece)
            else:
                top += piece
        rows.finish()
    except DamagedSegmentError as error:
        problem = str(error)
    except (RowTooLongError, UnclosedQuoteError) as error:
        problem = f"its rows can't be told apart: {error}"
    for _ in stored:  # what the inflater did not ask for
        pass
    if problem is None and (stored.size, stored.crc) != (segment.length, segment.stored_crc):
        problem = "its compressed bytes do not have the CRC-32 of their record"
    if problem is None and not segment.sources and top != header:
        problem = "it is not the header row"
    if problem is None:
        contents.update(rows.contents)
        wrong = [held for held in segment.sources if rows.contents[held.key].rows != held.rows]
        if wrong:
            told = rows.contents[wrong[0].key].rows
            problem = f"{wrong[0].key!r} has {told} rows in it, and {wrong[0].rows} by the ledger"
    return problem


def source_content(chunks: Iterable[bytes], *, has_header: bool, header: bytes | None) -> Content:
    """The rows of a source object, laid out as they must stand under the hour's `header`.

    Raises:
        UnusableSourceError: It can't be taken in.
    """
    source = SourceRows(chunks, has_header=has_header)
    digest = hashlib.blake2b(digest_size=16)
    columns: list[int | None] | None = None
    width = 0
    first = True
    try:
        for piece in source:
            if first and source.header is not None and header is not None:
                columns, width = layout(source.header, header), len(column_names(source.header))
            first = False
            digest.update(piece if columns is None else lay_rows(piece, width, columns))
    except RaggedRowError as error:
        raise UnusableSourceError("ragged row", str(error)) from error
    return Content(source.rows, digest.digest())


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


class _Split:
    """Splits a segment's plain bytes among its sources: rows counted, bytes hashed.

    Attributes:
        contents: Of the sources that are complete.
    """

    def __init__(self, sources: tuple[Held, ...]) -> None:
        self.contents: dict[str, Content] = {}
        self._sources = iter(sources)
        self._next()

    def _next(self) -> None:
        self._held = next(self._sources, None)
        self._left = 0 if self._held is None else self._held.raw_length
        self._scanner = RowScanner(MAX_HELD_ROW_BYTES)
        self._digest = hashlib.blake2b(digest_size=16)

    def feed(self, data: bytes) -> None:
        while data and self._held is not None:
            piece, data = data[: self._left], data[self._left :]
            self._scanner.feed(piece)
            self._digest.update(piece)
            self._left -= len(piece)
            self._close()

    def finish(self) -> None:
        self._close()

    def _close(self) -> None:
        while self._held is not None and not self._left:
            if self._scanner.finish():
                msg = f"the rows of {self._held.key!r} do not end where the ledger says"
                raise DamagedSegmentError(msg)
            self.contents[self._held.key] = Content(self._scanner.rows, self._digest.digest())
            self._next()
