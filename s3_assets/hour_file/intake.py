"""One source object's stored bytes to its header row and whole rows, or to the reason why it is unusable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.hour_file.decode import UndecodableError, plain_csv
from s3_assets.hour_file.rows import (
    RowScanner,
    RowTooLongError,
    UnclosedQuoteError,
    first_row_end,
    without_quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


GATHERED_BYTES = 1024 * 1024
"""Rows are looked for in pieces of at least this size: a row that is still open is looked at again with each piece,
and a gzip of tiny members comes byte by byte."""


class UnusableSourceError(ValueError):
    """A source object can't be taken in: it is to be quarantined.

    Attributes:
        reason: Short name of the kind, such as `unclosed quote`.
        rows: Rows that were counted before it was given up; None where there is no telling.
    """

    def __init__(self, reason: str, detail: str, rows: int | None = None) -> None:
        """Keep the kind apart from the sentence."""
        self.reason = reason
        self.detail = detail
        self.rows = rows
        super().__init__(detail)


class SourceRows:
    """The rows of one source object; iterate once, then read the rest.

    Attributes:
        header: Its header row, with its line end; None before the first row was seen, or where it has none.
        rows: Rows given so far, the header not counted.
        bytes_in: Plain bytes taken so far, without a byte order mark.
        bytes_out: Bytes of header and rows given so far; more than `bytes_in` by a missing final newline.
    """

    def __init__(self, chunks: Iterable[bytes], *, has_header: bool) -> None:
        """Read from `chunks`, the object's stored bytes."""
        self.header: bytes | None = None
        self.rows = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._chunks = chunks
        self._has_header = has_header
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of whole rows.

        Raises:
            UnusableSourceError: The object can't be taken in; what was given before must be thrown away.
        """
        scanner = RowScanner()
        try:
            for chunk in _gathered(plain_csv(self._chunks)):
                self.bytes_in += len(chunk)
                yield from self._give(scanner.feed(chunk))
                self.rows = scanner.rows - self._has_header * self._started
            yield from self._give(scanner.finish())
            self.rows = scanner.rows - self._has_header * self._started
        except UndecodableError as error:
            raise UnusableSourceError(error.reason, str(error)) from error
        except UnclosedQuoteError as error:
            raise UnusableSourceError("unclosed quote", f"{error}, after row {self.rows}", self.rows) from error
        except RowTooLongError as error:
            raise UnusableSourceError("row too long", f"{error}, after row {self.rows}") from error

    def _give(self, data: bytes) -> Iterator[bytes]:
        self.bytes_out += len(data)
        if data and not self._started:
            self._started = True
            end = first_row_end(data)
            if b"\r" in without_quoted(data[:end]).rstrip(b"\r\n"):
                raise UnusableSourceError("line ends", "its lines end in a lone carriage return, which no row end is")
            if self._has_header:
                self.header, data = data[:end], data[end:]
        if data:
            yield data


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, in pieces that are not small."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= GATHERED_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
