"""What happened at the source, call by call, and what a commit may therefore hold: the oracle of all histories.

A listing is no snapshot, so each key is judged for itself. A builder read the hour file that it replaces, then
listed the source: so of each source object it saw a version that was current at some moment since that hour file
first stood, and since it began to look. Nothing else may show. A version that stood all that time must be in the
new hour file; a key that was gone all that time must be treated as vanished.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from s3_assets.hour_file.ledger import FOOTER_BYTES, read_footer, read_ledger
from s3_assets_tests.soak.bodies import HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.hour_file.ledger import Ledger
    from s3_assets_tests.soak.bodies import Body

State = tuple[Literal["held", "quarantined"], str] | None
"""What an hour file says of a key: in which way, and by which ETag; None is nothing."""


class BrokenPromiseError(AssertionError):
    """An hour file holds what it may not, or lacks what it must hold."""


def expect(condition: object, message: str) -> None:
    """Fail the history with `message` unless `condition`."""
    if not condition:
        raise BrokenPromiseError(message)


@dataclass
class Standing:
    """An hour file as it stands, or that there is none.

    Attributes:
        etag: Its ETag; None where there is none.
        known: What it says of each key.
        since: When these bytes first stood: a builder that matched their ETag may have read them as early.
    """

    etag: str | None = None
    known: dict[str, State] = field(default_factory=dict)
    since: int = 0


@dataclass
class Chronicle:
    """Every change at the source and every commit, in order.

    Attributes:
        keep: Whether rows of vanished sources stay.
        max_share: The breaker's.
        exact: Whether a body alone decides if it is usable; else it may also depend on the sources beside it.
        now: Counts changes and commits.
        commits: How many.
        broken: Whether one was not what it must be.
    """

    keep: bool
    max_share: float = 1.0
    exact: bool = True
    now: int = 0
    commits: int = 0
    broken: bool = False
    bodies: dict[str, Body] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=lambda: defaultdict(Standing))
    past: dict[str, dict[str | None, int]] = field(default_factory=lambda: defaultdict(lambda: {None: 0}))
    changes: dict[str, dict[str, list[tuple[int, str | None]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: [(0, None)]))
    )

    def source_is(self, hour: str, key: str, etag: str | None, body: Body | None = None) -> None:
        """From now on the source object `key` is that version, or is gone."""
        self.now += 1
        self.changes[hour][key].append((self.now, etag))
        if etag is not None and body is not None:
            self.bodies[etag] = body

    def current(self, hour: str) -> dict[str, str]:
        """What is at the source: ETags by key."""
        return {key: etag for key, told in self.changes[hour].items() if (etag := told[-1][1]) is not None}

    def target_is(
        self, hour: str, etag: str | None, data: bytes | None, *, looked: int, breaker_off: bool = False
    ) -> None:
        """A commit was made by a builder that began to look at the hour at `looked`: judge it.

        Raises:
            BrokenPromiseError: It is not what it must be.
        """
        before = self.standing[hour]
        self.broken = True  # until it was judged
        ledger = None if data is None else self._read(data)
        known = {} if ledger is None else states(ledger)
        self._judge(hour, before, known, since=max(before.since, looked))
        if not self.keep and not breaker_off:
            held = [key for key, state in before.known.items() if state is not None and state[0] == "held"]
            dropped = sum(key not in known for key in held)
            expect(dropped <= self.max_share * len(held), f"the breaker let {dropped} of {len(held)} sources go")
        self.broken = False
        self.now += 1
        self.commits += 1
        since = self.past[hour].setdefault(etag, self.now)
        self.standing[hour] = Standing(etag, known, since)

    def settled(self, hour: str, etag: str | None, data: bytes | None) -> None:
        """The history came to rest, and the last build said that there is nothing to do: judge what stands.

        Raises:
            BrokenPromiseError: The hour's rows are not the model's.
        """
        before = self.standing[hour]
        expect(etag == before.etag, "the hour file changed and no commit was seen")
        known = {} if data is None else states(self._read(data))
        expect((data is None) == (not known), "an hour without sources has an hour file, or one with sources has none")
        self._judge(hour, before, known, since=self.now)

    def _judge(self, hour: str, before: Standing, known: Mapping[str, State], *, since: int) -> None:
        for key in self.changes[hour].keys() | known.keys():
            was = before.known.get(key)
            allowed: set[State] = set()
            for etag in self._seen(hour, key, since):
                if etag is not None:
                    allowed |= self._judged(etag)
                elif self.keep and was is not None and was[0] == "held":
                    allowed.add(was)
                else:
                    allowed.add(None)
                    if not self.exact and self.keep:  # rows that could not stand beside others stay to be seen
                        allowed.add(was)
            expect(known.get(key) in allowed, f"{key!r} is {known.get(key)}, was {was}, may be one of {allowed}")

    def _judged(self, etag: str) -> set[State]:
        held: State = ("held", etag)
        quarantined: State = ("quarantined", etag)
        if not self.exact:
            return {held, quarantined}
        return {held if self.bodies[etag].rows is not None else quarantined}

    def _seen(self, hour: str, key: str, since: int) -> set[str | None]:
        """The versions of a key that were current at some moment since then."""
        told = self.changes[hour][key]
        at_first = [etag for when, etag in told if when <= since][-1]
        return {at_first} | {etag for when, etag in told if when > since}

    def _read(self, data: bytes) -> Ledger:
        """The ledger, once the whole file was read and agrees with it."""
        ledger = ledger_of(data)
        text = gzip.decompress(data)
        held = [self.bodies[source.etag] for source in ledger.held]
        if self.exact:
            top = HEADER if any(body.header for body in held) else b""
            expect(text == top + b"".join(body.rows or b"" for body in held), "the rows are not those of its sources")
            for source, body in zip(ledger.held, held, strict=True):
                expect(source.rows == body.count, f"{source.key!r} has {body.count} rows, not {source.rows}")
        else:
            values = [row for body in held for row in by_name(body.data)]
            expect([row for row in by_name(text) if row] == [row for row in values if row], "values are lost or moved")
        return ledger


def ledger_of(data: bytes) -> Ledger:
    """The ledger of a whole hour file, each of whose segments was inflated and agrees with it.

    Raises:
        DamagedTargetError: It is no hour file.
        BrokenPromiseError: Its ledger says other things than its bytes.
    """
    footer = read_footer("", data[-FOOTER_BYTES:], len(data))
    ledger = read_ledger("", footer, data[footer.reading_start :])
    raw = b""
    for segment in ledger.segments:
        inflater = zlib.decompressobj(-15)
        piece = inflater.decompress(data[segment.offset : segment.stop]) + inflater.flush()
        expect(len(piece) == segment.raw_length, "a segment has another length than its ledger says")
        expect(sum(source.raw_length for source in segment.sources) in (len(piece), 0), "sources don't fill a segment")
        raw += piece
    expect(raw == gzip.decompress(data), "the segments are not the data")
    keys = [source.key for source in ledger.held] + [bad.key for bad in ledger.quarantined]
    expect(len(keys) == len(set(keys)), "a source is in the ledger twice")
    return ledger


def states(ledger: Ledger) -> dict[str, State]:
    """What a ledger says of each key."""
    held: dict[str, State] = {source.key: ("held", source.etag) for source in ledger.held}
    bad: dict[str, State] = {source.key: ("quarantined", source.etag) for source in ledger.quarantined}
    return held | bad


def by_name(data: bytes) -> list[list[tuple[str, str]]]:
    """Each row's values that are not empty, with their columns' names; a name may stand twice."""
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    header, *rows = list(csv.reader(io.StringIO(text.decode(), newline=""))) or [[]]
    return [sorted((name, value) for name, value in zip(header, row, strict=False) if value) for row in rows if row]
