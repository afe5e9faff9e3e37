"""One source object's stored bytes to its header row and whole, even rows, or to the reason why it is unusable.

A source is judged from its own bytes and its event's settings alone: never from its neighbours, and always alike.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from s3_assets.hour_file.decode import UndecodableError, plain_csv
from s3_assets.hour_file.headers import NoHeaderError, read_header
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.rows import (
    EvenRows,
    LoneReturnError,
    RaggedRowError,
    Rows,
    RowScanner,
    RowTooLongError,
    UnclosedQuoteError,
    column_names,
    without_quoted,
)
from s3_assets.hour_file.schema import FREE_GROWTH_BYTES, header_row, spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


GATHERED_BYTES = 1024 * 1024
"""Rows are looked for in pieces of about this size: a gzip of tiny members comes byte by byte."""

SAMPLE_BYTES = 64 * 1024
"""Of the rows below a first line, what is looked at to judge it."""


class UnusableSourceError(ValueError):
    """A source object can't be ingested: it is to be quarantined.

    Attributes:
        reason: Short name of the kind, such as `unclosed quote`.
        detail: What was found, in a sentence.
        rows: Its rows, where they could be counted.
    """

    def __init__(self, reason: str, detail: str, rows: int | None = None) -> None:
        """Keep the kind apart from the sentence."""
        self.reason = reason
        self.detail = detail
        self.rows = rows
        super().__init__(detail)


_NONE = Rows(b"", b"")


class SourceRows:
    """The rows of one source object; iterate once, then read the rest.

    Attributes:
        header: Its header row, with its line end; None before the first row was seen, or where it has none.
        certain: Whether its rows show that this is a header.
        bytes_in: Plain bytes taken so far, without byte order marks.
        even_bytes: Bytes of the rows given so far.
        bytes_out: Bytes of whole rows found in them, the header's too; more by the newline that the last row lacked.
    """

    def __init__(self, chunks: Iterable[bytes], policy: EventPolicy = EventPolicy()) -> None:  # noqa: B008  (frozen)
        """Read from `chunks`, the object's stored bytes, under the event's settings."""
        self.header: bytes | None = None
        self.certain = False
        self.bytes_in = 0
        self.bytes_out = 0
        self.even_bytes = 0
        self._chunks = chunks
        self._policy = policy
        self._started = False
        self._first = _NONE
        self._lines: EvenRows | None = None

    @property
    def rows(self) -> int:
        """Rows given so far, the header not counted."""
        return 0 if self._lines is None else self._lines.rows

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of whole rows.

        Raises:
            UnusableSourceError: The object can't be ingested; what was given before must be thrown away.
        """
        policy = self._policy
        scanner = RowScanner(policy.max_row_bytes)
        try:
            for chunk in _gathered(plain_csv(self._chunks)):
                self.bytes_in += len(chunk)
                yield from self._give(scanner.take(chunk))
                waiting = self.bytes_in - self.bytes_out
                if policy.header and not (self._started or self._first.data) and waiting > policy.max_header_bytes:
                    raise _long_header(waiting, policy)
            try:
                last = Rows.of(scanner.finish())
            except UnclosedQuoteError:
                yield from self._give(_NONE, is_last=True)  # so that the rows before it are counted
                raise
            yield from self._give(last, is_last=True)
        except UndecodableError as error:
            raise UnusableSourceError(error.reason, str(error)) from error
        except UnclosedQuoteError as error:
            raise UnusableSourceError("unclosed quote", f"{error}, after row {self.rows:,}", self.rows) from error
        except RowTooLongError as error:
            detail = f"{error}, after row {self.rows:,}: max_row_bytes = {policy.max_row_bytes:,}"
            raise UnusableSourceError("row too long", detail) from error
        except RaggedRowError as error:
            raise UnusableSourceError("ragged row", str(error)) from error
        except LoneReturnError as error:
            raise UnusableSourceError("line ends", str(error)) from error

    def _give(self, rows: Rows, *, is_last: bool = False) -> Iterator[bytes]:
        self.bytes_out += len(rows.data)
        if not self._started:
            before, self._first = self._first, _NONE
            rows = Rows.joined((before.data, rows.data), (before.outline, rows.outline)) if before.data else rows
            if self._policy.header and not (is_last or before.data):
                self._first = rows  # the rows below it judge the header, also a last one without a line end
                return
            rows = self.start(rows)
        if rows.data and self._lines is not None:
            for piece in self._lines.pieces(rows):
                self.even_bytes += len(piece)
                if self.even_bytes > max(FREE_GROWTH_BYTES, self._policy.max_growth * self.bytes_in):
                    detail = f"made even, its rows grow to over {self._policy.max_growth} times their size: max_growth"
                    raise UnusableSourceError("short rows", detail)
                yield piece

    def start(self, rows: Rows) -> Rows:
        """Take the header row off the first rows; what follows it."""
        policy = self._policy
        if policy.header and rows.data[:1] in (b"\n", b"\r"):  # a blank line is no row, also above the header
            rows = Rows.of(rows.data.lstrip(b"\r\n"))
        if not rows.data:
            return rows
        self._started = True
        if not policy.header:
            self.header = header_row(policy.columns) if policy.columns else None
            self._lines = EvenRows(len(policy.columns) or None)
            return rows
        first, others = rows.split_first()
        if len(first) > policy.max_header_bytes:
            raise _long_header(len(first), policy)
        if b"\r" in without_quoted(first).rstrip(b"\r\n"):
            raise UnusableSourceError("line ends", "its lines end in a lone carriage return, which is not a row's end")
        header = first.rstrip(b"\r\n") + (b"\r\n" if first.endswith(b"\r\n") else b"\n")
        names = self._names(header, others.data[:SAMPLE_BYTES])
        if len(names) > policy.max_columns:
            detail = f"it has {len(names):,} columns, more than max_columns = {policy.max_columns:,}"
            raise UnusableSourceError("too many columns", detail)
        self.header = header
        self._lines = EvenRows(len(names))
        return others

    def _names(self, header: bytes, sample: bytes) -> tuple[bytes, ...]:
        policy = self._policy
        if policy.columns:
            names = column_names(header)
            others = [name for name in names if name not in {column.encode() for column in policy.columns}]
            if others or len(set(names)) != len(names):
                detail = f"its first line {spell(names)} does not name columns of the event's `columns`, each once"
                raise UnusableSourceError("columns", detail)
            self.certain = True
            return names
        if not policy.check_header:
            self.certain = True
            return column_names(header)
        try:
            found = read_header(header, sample)
        except NoHeaderError as error:
            raise UnusableSourceError(error.reason, str(error)) from error
        self.certain = found.certain
        return found.names


def _long_header(found: int, policy: EventPolicy) -> UnusableSourceError:
    detail = f"its first line has {found:,} bytes or more: max_header_bytes = {policy.max_header_bytes:,}"
    return UnusableSourceError("header too long", detail)


def peek_header(stored: bytes, policy: EventPolicy) -> bytes | None:
    """The first row in a source's first stored bytes, where it is whole in them: a guess at its header."""
    if not policy.header:
        return None
    rows = SourceRows((), replace(policy, check_header=False))
    with suppress(UndecodableError, UnusableSourceError):
        head = next(plain_csv((stored[:SAMPLE_BYTES],)), b"")
        rows.start(RowScanner().take(head))
    return rows.header


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, in pieces of just `GATHERED_BYTES`, and a last one."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= GATHERED_BYTES:
            data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            size %= GATHERED_BYTES
            for start in range(0, len(data) - size, GATHERED_BYTES):
                yield data[start : start + GATHERED_BYTES]
            waiting = [data[len(data) - size :]] if size else []
    if waiting:
        yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
