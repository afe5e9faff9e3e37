"""Compares a source's rows with its rows in the hour file, value by value and by the name of the column.

Pure. Where the columns are the same and the bytes are, too, nothing is parsed: names and values are equal then.
Otherwise both sides are read by Python's `csv` (`content.CsvRows`), row by row.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import chain, repeat, zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING

from s3_assets.audit.content import CsvRows, UnreadableRowsError
from s3_assets.hour_file.decode import UndecodableError, plain_csv
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3_assets.hour_file.policy import EventPolicy

_BLANK_BYTES = b"\r\n"

Columns = tuple[str, ...]


class Verdict(Enum):
    """What a comparison came to."""

    SAME = "same"
    DIFFERENT = "different"
    BY_VALUES = "the bytes differ: read both again, and compare values"


@dataclass(frozen=True, slots=True)
class Why:
    """Why a source can't be used or read.

    Attributes:
        kind: The same for sources with the same problem.
        detail: In words.
    """

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One source against its rows in the hour file.

    Attributes:
        verdict: Whether they are the same.
        what: What differs, in words; never a value, which may be confidential.
        unusable: Why the source would be quarantined if it came today; None where it would not.
    """

    verdict: Verdict
    what: str = ""
    unusable: Why | None = None


def compare_source(
    stored: Iterable[bytes],
    rows: CsvRows,
    columns: Columns | None,
    policy: EventPolicy,
    *,
    by_values: bool,
) -> Compared:
    """Compare a source with its rows in the hour file.

    Args:
        stored: The source object's bytes. What they raise passes through.
        rows: Its rows in the hour file. They may be read to the end or not.
        columns: The hour file's; None where it has no header.
        policy: What the hour file was built under: whether sources start with a header line, and what makes one
            unusable.
        by_values: Compare values even where the bytes may be equal.
    """
    judged = _Judged(stored, policy)
    there = CsvRows(judged)
    try:
        verdict, what = _compare(there, rows, columns, has_header=policy.header, by_values=by_values)
    except UndecodableError as error:
        return Compared(Verdict.SAME, unusable=Why(error.reason, str(error)))
    except UnreadableRowsError as error:
        verdict, what = Verdict.DIFFERENT, str(error)
        if judged.unusable is not None:  # one reason is enough
            verdict, what = Verdict.SAME, ""
    return Compared(verdict, what, judged.unusable)


def is_usable(stored: Iterable[bytes], policy: EventPolicy) -> bool:
    """Whether the builder would take the source in; what `stored` raises passes through."""
    try:
        for _ in SourceRows(stored, policy):
            pass
    except UnusableSourceError:
        return False
    return True


class _Judged:
    """The plain bytes of a source, judged on their way by the builder's own rules.

    Attributes:
        unusable: Why it would be quarantined if it came today; None as far as it was read.
    """

    def __init__(self, stored: Iterable[bytes], policy: EventPolicy) -> None:
        self.unusable: Why | None = None
        self._plain = plain_csv(stored)
        self._policy = policy

    def __iter__(self) -> Iterator[bytes]:
        waiting: deque[bytes] = deque()
        broken: UndecodableError | None = None

        def passing() -> Iterator[bytes]:
            nonlocal broken
            try:
                for piece in self._plain:
                    waiting.append(piece)
                    yield piece
            except UndecodableError as error:
                broken = error
                raise

        try:
            for _ in SourceRows(passing(), self._policy):
                while waiting:
                    yield waiting.popleft()
        except UnusableSourceError as error:
            self.unusable = Why(error.reason, error.detail)
        yield from waiting
        if broken is not None:
            raise broken
        yield from self._plain


def _compare(
    there: CsvRows, here: CsvRows, columns: Columns | None, *, has_header: bool, by_values: bool
) -> tuple[Verdict, str]:
    own: Columns | None = None
    if has_header:
        names = there.header()
        if names is None:
            return _ended(there, here)
        own = tuple(names)
        if own != columns:
            problem = _mismatch(own, columns)
            if problem is not None:
                return _without_rows(there, here, problem)
    if not by_values and (own == columns or not has_header):
        same = _SameBytes(there.rest(), blank_lines_end_it=own is not None and len(own) > 1)
        here.tap(same.passing)
        here.count()
        return (Verdict.SAME if same.holds() else Verdict.BY_VALUES), ""
    if own is None or columns is None:
        return _by_position(there, here)
    return _by_name(there, here, own, columns)


def _ended(there: CsvRows, here: CsvRows) -> tuple[Verdict, str]:
    """A source without a header has no rows."""
    here.count()
    there.count()
    if here.rows:
        return Verdict.DIFFERENT, f"no row at the source, {here.rows} in the hour file"
    return Verdict.SAME, ""


def _without_rows(there: CsvRows, here: CsvRows, problem: str) -> tuple[Verdict, str]:
    """The columns can't be matched: that is a difference only where there are rows."""
    there.count()
    here.count()
    return (Verdict.DIFFERENT, problem) if there.rows or here.rows else (Verdict.SAME, "")


def _mismatch(own: Columns, columns: Columns | None) -> str | None:
    """Why other columns than the hour file's can't be compared by name; None where they can."""
    if columns is None:
        return "the hour file has no header"
    known: set[str] = set()
    for names, whose in ((own, "the source"), (columns, "the hour file")):
        known = set()
        for name in names:
            if name in known:
                return f"{whose} names column {_spell(name)} twice"
            known.add(name)
    missing = next((name for name in own if name not in known), None)
    return None if missing is None else f"the hour file has no column {_spell(missing)}"


class _SameBytes:
    """Holds the hour file's bytes, as they pass, against those of a source."""

    def __init__(self, there: Iterator[bytes], *, blank_lines_end_it: bool) -> None:
        self._there = there
        self._rest = b""
        self._last = b"\n"
        self._same = True
        self._is_ended = False
        self._blank_lines_end_it = blank_lines_end_it
        self._error: Exception | None = None

    def passing(self, here: Iterator[bytes]) -> Iterator[bytes]:
        """The same blocks. They are to be counted whatever becomes of the source: its errors wait for `holds`."""
        for block in here:
            try:
                self._same = self._same and self._holds_against(block)
            except Exception as error:  # noqa: BLE001  (raised by `holds`)
                self._error, self._same = error, False
            yield block

    def holds(self) -> bool:
        """Whether, now that all of the hour file's bytes have passed, they were the source's.

        A line end that the source lacks is no difference, nor are blank lines behind its last row, which are no rows
        where there are several columns.
        """
        if self._error is not None:
            raise self._error
        if not self._same:
            return False
        rest = chain([self._rest], self._there)
        return not any(piece.strip(_BLANK_BYTES) if self._blank_lines_end_it else piece for piece in rest)

    def _holds_against(self, block: bytes) -> bool:
        if self._is_ended:
            return False
        data = self._take(len(block))
        if data == block:
            self._last = data[-1:]
            return True
        self._is_ended = True
        last = data[-1:] or self._last
        return last != b"\n" and block.startswith(data) and block[len(data) :] in (b"\n", b"\r\n")

    def _take(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            if not self._rest:
                self._rest = next(self._there, b"")
                if not self._rest:
                    break
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _by_position(there: CsvRows, here: CsvRows) -> tuple[Verdict, str]:
    """Rows of an event without header lines: field by field."""
    leading = 0
    first: list[str] | None = None
    for row in there:
        if row:
            first = row
            break
        leading += 1
    if first is None:
        return _ended(there, here)
    has_one_column = len(first) == 1
    rows = chain(repeat([], leading), [first], there)
    return _compare_rows(
        _records(rows, has_one_column=has_one_column), _records(here, has_one_column=has_one_column), _same_fields
    )


def _by_name(there: CsvRows, here: CsvRows, own: Columns, columns: Columns) -> tuple[Verdict, str]:
    """Rows under names: each of the source's values stands under its own name, and nothing stands under the others."""
    rows = _records(there, has_one_column=len(own) == 1)
    held = _records(here, has_one_column=len(columns) == 1)
    if own == columns:

        def differs(row: list[str], other: list[str]) -> str | None:
            place = _same_fields(row, other)
            return None if place is None else _where(place, columns)

        return _compare_rows(rows, held, lambda row, other: None if row == other else differs(row, other))
    width = len(own)
    places = {name: place for place, name in enumerate(own)}
    lay = itemgetter(*[places.get(name, width) for name in columns])  # `width` is where an empty value is appended

    def laid_differs(row: list[str], other: list[str]) -> str | None:
        if len(row) == width and tuple(other) == lay([*row, ""]):
            return None
        if any(row[width:]):
            return f"it has {len(row)} values at the source, under {width} columns"
        row = row[:width] + [""] * (width - len(row))
        place = _same_fields(list(lay([*row, ""])), other)
        return None if place is None else _where(place, columns)

    return _compare_rows(rows, held, laid_differs)


def _records(rows: Iterable[list[str]], *, has_one_column: bool) -> Iterator[list[str]]:
    """What counts as a row: a blank line only where there is one column, as an empty value."""
    return ((row or [""]) for row in rows) if has_one_column else (row for row in rows if row)


def _compare_rows(
    there: Iterator[list[str]], here: Iterator[list[str]], differs: Callable[[list[str], list[str]], object]
) -> tuple[Verdict, str]:
    number = 0
    for number, (row, other) in enumerate(zip_longest(there, here), start=1):
        if row is None or other is None:
            found = (number - (row is None) + sum(1 for _ in there), number - (other is None) + sum(1 for _ in here))
            return Verdict.DIFFERENT, f"{found[0]} rows at the source, {found[1]} in the hour file"
        what = differs(row, other)
        if what is not None:
            where = what if isinstance(what, str) else f"field {what}"
            return Verdict.DIFFERENT, f"row {number}: {where}"
    return Verdict.SAME, ""


def _same_fields(row: list[str], other: list[str]) -> int | None:
    """The first field that differs, from 1; what is missing at a row's end is empty. None where none does."""
    if row == other:
        return None
    fields = zip_longest(row, other, fillvalue="")
    return next((place for place, (one, two) in enumerate(fields, start=1) if one != two), None)


def _where(place: int, columns: Columns) -> str:
    if place > len(columns):
        return f"a value behind its {len(columns)} columns differs"
    return f"another value stands under {_spell(columns[place - 1])}"


def _spell(name: str) -> str:
    """A column's name as its bytes mean it, not longer than a line takes."""
    text = name.encode("latin-1").decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:60] + "…")  # noqa: PLR2004
