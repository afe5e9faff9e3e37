"""Headers of an hour's sources to the hour's header: what each source's rows need to fit under it.

What stands, stands: rows that are in the hour file keep their columns, new columns come at the end, and a source that
can't stand beside them waits. Only where nothing stands is there a vote, by rows: a file has no say for being there.
Pure. Of what arrived in which order, only the order of the columns can show something.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal

from s3_assets.hour_file.readback import csv_fields
from s3_assets.hour_file.rows import column_names, split_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Names = tuple[bytes, ...]

FREE_GROWTH_BYTES = 64 * 1024 * 1024
"""Up to this size an hour's rows may be laid out to whatever columns it has."""

HEADERS_PER_HOUR = 64
"""How many different headers of the largest size an hour may have: a ledger keeps each."""

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Headed:
    """A source object as the schema sees it.

    Attributes:
        key: Of the source.
        header: Its own header row, with its line end; None where it has none (no bytes, or an event without).
        rows: How many rows follow.
        own_length: Bytes of them under its own header.
        bound: It has rows that stand: they stay, whatever the others say.
        returns: An earlier version left it out because of its neighbours.
        certain: Whether its rows show that its first line is a header, as names stand over numbers there.
    """

    key: str
    header: bytes | None
    rows: int
    own_length: int = 0
    bound: bool = False
    returns: bool = False
    certain: bool = False


@dataclass(frozen=True, slots=True)
class SchemaRules:
    """How an hour's header is decided; the settings of its event.

    Attributes:
        on_change: `union` adds the new columns of later sources, `quarantine` lets no other columns in.
        columns: The header row of an event that pins its columns; None where it does not.
        max_columns: The most columns of an hour.
        max_growth: How many times as large rows may become by being laid out.
        max_headers_bytes: The most bytes of all different headers of an hour.
    """

    on_change: Literal["union", "quarantine"] = "union"
    columns: bytes | None = None
    max_columns: int = 2_000
    max_growth: int = 20
    max_headers_bytes: int = HEADERS_PER_HOUR * 64 * 1024


@dataclass(frozen=True, slots=True)
class Schema:
    """An hour's header and which sources don't fit.

    Attributes:
        header: The header row, with its line end; None where no source has one.
        refused: Keys of the sources that must wait, with the reason in words.
    """

    header: bytes | None
    refused: dict[str, str]

    @property
    def names(self) -> Names:
        """The columns."""
        return () if self.header is None else column_names(self.header)


def layout(own: bytes, header: bytes) -> list[int | None] | None:
    """How rows under `own` are laid out under `header`: for each column, where it stands in `own`.

    Returns:
        None where they fit as they are.
    """
    own_names, names = column_names(own), column_names(header)
    if own_names == names:
        return None
    places = {name: place for place, name in enumerate(own_names)}
    return [places.get(name) for name in names]


def header_row(names: Iterable[str]) -> bytes:
    """The header row of pinned columns."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(names)
    return out.getvalue().encode()


def agree(
    sources: Sequence[Headed],
    rules: SchemaRules,
    *,
    standing: bytes | None = None,
    fixed: bool = False,
    anew: bool = True,
) -> Schema:
    """The header of an hour whose sources, in key order, are `sources`.

    Args:
        sources: Those whose rows stand, and those that are new.
        rules: The event's settings.
        standing: The header under which rows stand that this build does not decide anew; None where there are none.
        fixed: Those rows can't be laid out: the header can't change at all.
        anew: Without `standing`: whether the rows of all sources vote, or those that stand alone where there are any.

    Without `standing`, the header that most rows have comes first (the first in key order of those with as many);
    then, with it as without, what the next ones add, in key order.
    """
    headless = [source for source in sources if source.header is None and source.rows]
    headed = [source for source in sources if source.header is not None]
    if any(source.bound for source in headless):
        reason = "rows stand in the hour file that were read without a header line"
        return Schema(None, {source.key: reason for source in headed if not source.bound})
    refused: dict[str, str] = {}
    if any(source.bound for source in headed) or (headed and standing is not None):
        reason = "it was read without a header line, and rows stand in the hour file that were read with one"
        refused = {source.key: reason for source in headless}
    if not headed:
        return Schema(None, refused)
    if fixed and standing is not None:
        return _keep_to(standing, headed, refused)
    speaking = [source for source in headed if source.rows]
    if not speaking and standing is None:
        return Schema(None, refused)
    builder = _Builder(rules, refused)
    voters = speaking if anew else [source for source in speaking if source.bound] or speaking
    builder.begin(_vote(voters, rules.on_change) if standing is None else standing)
    builder.let_return(headed)
    for source in headed:
        if source.bound:
            builder.add(source)
    builder.add_all([source for source in headed if not source.bound])
    return Schema(builder.header(), refused)


class _Builder:
    """Grows a header, source by source."""

    def __init__(self, rules: SchemaRules, refused: dict[str, str]) -> None:
        self.rules = rules
        self.refused = refused
        self.own_length = self.rows = self.fields = 0  # of the rows that stand or fit so far
        self.headers_bytes = 0
        self.headers: set[bytes] = set()
        self.written: dict[bytes, bytes] = {}
        self.first = b""
        self.base: Names = ()
        self.is_plain = True
        self.union: list[bytes] = []
        self.known: set[bytes] = set()
        self.parsed: dict[bytes, tuple[Names, bool]] = {}
        self.returning: set[Names] = set()

    def begin(self, first: bytes) -> None:
        """Start with what was decided before the sources are looked at one by one."""
        self.first = first if self.rules.columns is None else self.rules.columns
        self.base, self.is_plain = self._parse(self.first)
        self._extend(self.first, self.base)
        if self.rules.columns is not None and first != self.first:
            self.written |= {name: text for name, text in _texts(first).items() if name not in self.written}

    def _parse(self, header: bytes) -> tuple[Names, bool]:
        """The names, and whether Python's csv module reads the same ones."""
        if header not in self.parsed:
            names = column_names(header)
            self.parsed[header] = names, csv_fields(header) == names
        return self.parsed[header]

    def _extend(self, header: bytes, names: Names) -> None:
        texts = _texts(header)
        for name in names:
            if name not in self.known:
                self.known.add(name)
                self.union.append(name)
                self.written.setdefault(name, texts[name])

    def let_return(self, headed: Sequence[Headed]) -> None:
        """Let in what an earlier version evicted: columns of more returning rows than rows stand.

        Both stay, side by side, as nothing says which of them is the junk.
        """
        rows: Counter[Names] = Counter()
        for source in headed:
            if source.returns and source.header is not None:
                rows[self._parse(source.header)[0]] += source.rows
        bound = sum(source.rows for source in headed if source.bound)
        self.returning = {own for own, count in rows.items() if count > bound}

    def add_all(self, sources: Sequence[Headed]) -> None:
        """Add them in order; one that waits is looked at again when another adds a column that it has."""
        waiting: dict[int, Headed] = {}
        having: dict[bytes, list[int]] = {}
        for place, source in enumerate(sources):
            if not self.add(source):
                waiting[place] = source
                for name in set(self._parse(source.header or b"")[0]):
                    having.setdefault(name, []).append(place)
        again = list(waiting)
        while again:
            source = sources[place := heappop(again)]
            known = len(self.union)
            if place in waiting and self.add(source):
                del waiting[place]
                for name in self.union[known:]:
                    for other in having.get(name, ()):
                        heappush(again, other)

    def add(self, source: Headed) -> bool:
        """Take the source's columns in, or refuse it; whether it fits."""
        header = source.header or b""
        own, is_plain = self._parse(header)
        if source.bound:
            self._extend(header, own)
            self._count(header, own, source)
            return True
        reason = self._misfit(source, own) or self._too_much(header, own, source)
        if own != self.base and not (is_plain and self.is_plain):
            reason = reason or "its header, or the hour's, is quoted in a way that other readers read otherwise"
        if reason is not None:
            self.refused[source.key] = reason
            return False
        self.refused.pop(source.key, None)
        self._count(header, own, source)
        if source.rows and self.rules.columns is None:
            self._extend(header, own)
        return True

    def _count(self, header: bytes, own: Names, source: Headed) -> None:
        if header not in self.headers:
            self.headers.add(header)
            self.headers_bytes += len(header)
        self.own_length += source.own_length
        self.rows += source.rows
        self.fields += source.rows * len(own)

    def _misfit(self, source: Headed, own: Names) -> str | None:
        """Why columns `own` can't stand with those of the hour; None where they can."""
        if own == self.base:
            return None
        if self.rules.columns is not None:
            others = [name for name in own if name not in self.known]
            return f"it has columns that the event's `columns` don't list: {spell(others)}" if others else None
        if self.rules.on_change == "quarantine":
            return f"its columns {spell(own)} are not the hour's {spell(self.base)} (on_schema_change = quarantine)"
        is_alike = source.certain or own in self.returning
        misfit = _unlike(own, self.base, set(self.base), certain=is_alike, returns=own in self.returning)
        if misfit is None or len(set(self.base)) < len(self.base):
            return misfit
        # What another newcomer added may be what it fits, and is never what keeps it out.
        return _unlike(own, self.union, self.known, certain=is_alike, returns=own in self.returning)

    def _too_much(self, header: bytes, own: Names, source: Headed) -> str | None:
        """Which bound the source would break; None where it breaks none."""
        rules = self.rules
        if header not in self.headers and self.headers_bytes + len(header) > rules.max_headers_bytes:
            return (
                f"the different header lines of the hour would have over {rules.max_headers_bytes:,} bytes, "
                f"{HEADERS_PER_HOUR} times max_header_bytes"
            )
        new = sum(name not in self.known for name in own) if source.rows and rules.columns is None else 0
        columns = len(self.union) + new
        if new and columns > rules.max_columns:
            bound = f"max_columns = {rules.max_columns:,}"
            return f"with its {new:,} new columns the hour would have {columns:,}, more than {bound}"
        own_length = self.own_length + source.own_length
        laid = own_length + (self.rows + source.rows) * columns - self.fields - source.rows * len(own)
        most = max(FREE_GROWTH_BYTES, rules.max_growth * own_length)
        if (new or (source.rows and len(own) < columns)) and laid > most:
            return (
                f"laid out to {columns:,} columns, the hour's rows would grow to {laid:,} bytes, more than "
                f"max_growth = {rules.max_growth} times their size"
            )
        return None

    def header(self) -> bytes:
        """The hour's header row: the first as it is written, and each further name as it was first written."""
        if tuple(self.union) == self.base or len(set(self.base)) != len(self.base):
            return self.first
        end = b"\r\n" if self.first.endswith(b"\r\n") else b"\n"
        return b",".join(self.written[name] for name in self.union) + end


def _unlike(own: Names, base: Sequence[bytes], known: Collection[bytes], *, certain: bool, returns: bool) -> str | None:
    """Why columns `own` are not like `base`, by name; None where they are."""
    if len(set(own)) != len(own):
        return f"columns can't be matched by name: its header {spell(own)} names one twice"
    if len(known) != len(base):
        return f"columns can't be matched by name: the hour's header {spell(base)} names one twice"
    shared = sum(name in known for name in own)
    if not shared - (b"" in known and b"" in own) and not returns:
        return (
            f"its columns {spell(own)} share none with the hour's {spell(base)}; "
            "if the event's files have no header line, set header = false"
        )
    if shared < min(len(own), len(base)) and not certain:
        return (
            f"its first line {spell(own)} is not surely a header: it has other names than the hour's "
            f"{spell(base)}, and no column of numbers or dates below it; if it is one, list all columns in "
            "`columns`; if the event's files have no header line, set header = false"
        )
    return None


def _vote(speaking: Sequence[Headed], on_change: str) -> bytes:
    """The header that most rows have; that of rows which must stay, where it could not stand beside it."""
    names = {source.header: column_names(source.header) for source in speaking if source.header is not None}
    # A header that other readers read otherwise can't be added to: where it can be helped, it does not come first.
    speaking = [s for s in speaking if s.header and csv_fields(s.header) == names[s.header]] or speaking
    votes: Counter[Names] = Counter()
    written: dict[Names, bytes] = {}
    bound: Counter[Names] = Counter()
    for source in speaking:
        if source.header is not None:
            own = names[source.header]
            votes[own] += source.rows
            written.setdefault(own, source.header)
            if source.bound:
                bound[own] += source.rows
    anchor = max(votes, key=votes.__getitem__)  # the first of equals: a Counter keeps the order of insertion
    twice = [own for own in bound if len(set(own)) != len(own)]
    if twice:
        anchor = max(twice, key=bound.__getitem__)
    elif bound and (on_change == "quarantine" or len(set(anchor)) != len(anchor)):
        anchor = max(bound, key=bound.__getitem__)
    return written[anchor]


def _keep_to(header: bytes, headed: Sequence[Headed], refused: dict[str, str]) -> Schema:
    names = column_names(header)
    reason = f"its columns don't fit {spell(names)}, under which rows stand that can't be laid out"
    unique = len(set(names)) == len(names)
    for source in headed:
        own = column_names(source.header or b"")
        fits = own == names or (unique and set(own) <= set(names) and len(set(own)) == len(own))
        if not source.bound and not fits:
            refused[source.key] = reason
    return Schema(header, refused)


def _texts(header: bytes) -> dict[bytes, bytes]:
    """Each name as it is written in a header row."""
    texts: dict[bytes, bytes] = {}
    for name, text in zip(column_names(header), split_fields(header), strict=True):
        texts.setdefault(name, text.rstrip(b"\r"))
    return texts


def spell(names: Iterable[bytes]) -> str:
    """Names for a sentence, cut where they are many."""
    text = ""
    for name in names:
        text += ("," if text else "") + name[:_SHOWN].decode("utf-8", "backslashreplace")
        if len(text) > _SHOWN:
            return repr(text[:_SHOWN] + "…")
    return repr(text)
