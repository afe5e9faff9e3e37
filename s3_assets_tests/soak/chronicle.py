"""What happened at the source, call by call, and what a commit may therefore hold: the oracle of all histories.

A listing is no snapshot, so each key is judged for itself. A builder read the hour file that it replaces, then
listed the source: so of each source object it saw a version that was current at some moment since that hour file
first stood, and since it began to look. Nothing else may show. A version that stood all that time must be in the
new hour file, and so must rows that stood, whose source was the same all that time, or gone under `keep`: by value,
whatever a ledger says. A source that could not be read leaves what was known of it as it was.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from s3_assets.hour_file.ledger import FOOTER_BYTES, read_footer, read_ledger
from s3_assets_tests.soak.columns import BrokenPromiseError, Headed, Names, Rules, expect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from s3_assets.hour_file.ledger import Ledger
    from s3_assets_tests.soak.bodies import Body

__all__ = ["BrokenPromiseError", "expect"]

State = tuple[Literal["held", "quarantined", "waits", "unreadable"], str] | None
"""What an hour file says of a key: in which way, and by which ETag; None is nothing."""

Row = frozenset[tuple[str | int, str]]
"""The values of a row that are not empty, by name; by place where there is no header."""


class Version(NamedTuple):
    """A source object at some moment.

    Attributes:
        etag: Its ETag; None where it is gone.
        readable: Whether a GET is answered with what was listed.
    """

    etag: str | None
    readable: bool = True


@dataclass(frozen=True)
class Look:
    """A builder's view of an hour, as far as it decides what it may commit.

    Attributes:
        since: When it began to look.
        rebuild: Whether an operator asked for a rebuild.
        troubled: Keys of sources of which a GET was answered wrongly or not at all; it grows while the builder runs.
        breaker_off: Whether all sources may lose their rows at once.
        at_rest: Whether it wrote nothing: that a source can't be read just now is not worth a write.
    """

    since: int
    rebuild: bool = False
    troubled: Collection[str] = ()
    breaker_off: bool = False
    at_rest: bool = False


@dataclass
class Standing:
    """An hour file as it stands, or that there is none.

    Attributes:
        etag: Its ETag; None where there is none.
        known: What it says of each key.
        names: Its columns.
        rows: Its rows.
        since: When these bytes first stood: a builder that matched their ETag may have read them as early.
    """

    etag: str | None = None
    known: dict[str, State] = field(default_factory=dict)
    names: Names = ()
    rows: Counter[Row] = field(default_factory=Counter)
    since: int = 0


@dataclass
class Chronicle:
    """Every change at the source and every commit, in order.

    Attributes:
        keep: Whether rows of vanished sources stay.
        max_share: The breaker's.
        rules: Which columns may stand together.
        alike: The one header of all sources, as they must stand byte for byte: empty for none; None where they differ.
        order: The keys' places among each other.
        now: Counts changes and commits.
        commits: How many.
        broken: Whether one was not what it must be.
    """

    keep: bool
    max_share: float = 1.0
    rules: Rules = field(default_factory=Rules)
    alike: Names | None = None
    order: Callable[[str], int] = len
    now: int = 0
    commits: int = 0
    broken: bool = False
    bodies: dict[str, Body] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=lambda: defaultdict(Standing))
    past: dict[str, dict[str | None, int]] = field(default_factory=lambda: defaultdict(lambda: {None: 0}))
    ever: dict[str, dict[str, set[State]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    changes: dict[str, dict[str, list[tuple[int, Version]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: [(0, Version(None))]))
    )

    def source_is(
        self, hour: str, key: str, etag: str | None, body: Body | None = None, *, readable: bool = True
    ) -> None:
        """From now on the source object `key` is that version, or is gone."""
        self.now += 1
        self.changes[hour][key].append((self.now, Version(etag, readable)))
        if etag is not None and body is not None:
            self.bodies[etag] = body

    def current(self, hour: str) -> dict[str, str]:
        """What is at the source: ETags by key."""
        return {key: told[-1][1].etag for key, told in self.changes[hour].items() if told[-1][1].etag is not None}

    def target_is(self, hour: str, etag: str | None, data: bytes | None, look: Look) -> None:
        """A commit was made by a builder that looked so: judge it.

        Raises:
            BrokenPromiseError: It is not what it must be.
        """
        before = self.standing[hour]
        self.broken = True  # until it was judged
        after = self._read(data)
        since = max(before.since, look.since)
        self._judge(hour, before, after, look, since=since)
        self._judge_rows(hour, before, after, look, since=since)
        if data is not None:
            self._judge_columns(hour, before, after, look, since=since)
        if not look.breaker_off:
            self._judge_breaker(before, after, look)
        self.broken = False
        self.now += 1
        self.commits += 1
        after.etag, after.since = etag, self.past[hour].setdefault(etag, self.now)
        self.standing[hour] = after
        for key, state in after.known.items():
            self.ever[hour][key].add(state)

    def at_rest(self, hour: str, etag: str | None, data: bytes | None, troubled: Collection[str] = ()) -> None:
        """Nothing happens, and a build said that the hour is right but for `troubled`: judge what stands.

        Raises:
            BrokenPromiseError: The hour's rows are not the model's.
        """
        before = self.standing[hour]
        expect(etag == before.etag, "the hour file changed and no commit was seen")
        self._judge(hour, before, self._read(data), Look(self.now, troubled=troubled, at_rest=True), since=self.now)
        for key, current in self.current(hour).items():
            if before.known.get(key) == ("waits", current) and key not in troubled:
                waits = self._headed(key, current, came=True, held=False)
                expect(not self.rules.can_join(before.names, waits), f"{key!r} waits, and could join {before.names}")

    def may_open(self, hour: str) -> bool:
        """Whether so many sources of an hour are not what the hour file has that the breaker may open."""
        known = self.standing[hour].known
        held = [key for key, state in known.items() if state is not None and state[0] == "held"]
        current = self.current(hour)
        moved = [
            key for key in held if known[key] != ("held", current.get(key, None if not self.keep else known[key][1]))
        ]
        full = [key for key in held if self.bodies[known[key][1]].count]
        return len(moved) > self.max_share * len(held) or sum(k in full for k in moved) > self.max_share * len(full)

    # --- judging --------------------------------------------------------------------------------------------

    def _judge(self, hour: str, before: Standing, after: Standing, look: Look, *, since: int) -> None:
        """Each key's state is one that some version which the builder may have seen leads to."""
        for key in self.changes[hour].keys() | after.known.keys():
            was, now = before.known.get(key), after.known.get(key)
            allowed = set[State]()
            for version in self._seen(hour, key, since):
                allowed |= self._leads_to(hour, key, was, version, look)
            if after.rows:
                expect(now in allowed, f"{key!r} is {now}, was {was}, may be one of {allowed}")
            else:  # without a row there is no hour file, and nothing to name a source in that waited and is gone
                seen = self._seen(hour, key, since)
                ends = any(
                    self._is_rowless(state) or (Version(None) in seen and state[0] == "waits") for state in allowed
                )
                # An empty one need not be read, and one that was junk need not be read again.
                unread = any(v.etag and not (v.readable and self.bodies[v.etag].data) for v in seen)
                expect(ends or unread, f"{key!r} was {was}, must be one of {allowed}, and there is no hour file")

    def _leads_to(self, hour: str, key: str, was: State, version: Version, look: Look) -> set[State]:
        if version.etag is None:
            if not self.keep:
                return {None}
            stays = was if was is not None and was[0] != "quarantined" else None
            again = {state for state in self.ever[hour][key] if state and state[0] != "quarantined"}
            return {stays} | (again if look.rebuild else set())
        states: set[State] = set()
        if key in look.troubled:
            states.add(was if look.at_rest or (was is not None and was[0] == "held") else ("unreadable", version.etag))
        if was is not None and was[1] == version.etag and (was[0] != "unreadable" or key in look.troubled):
            states.add(was)  # which need not be read
        if version.readable:
            usable = self.bodies[version.etag].table is not None
            states |= {("held", version.etag), ("waits", version.etag)} if usable else {("quarantined", version.etag)}
        return states

    def _is_rowless(self, state: State) -> bool:
        return state is None or state[0] in ("quarantined", "unreadable") or not self.bodies[state[1]].count

    def _judge_rows(self, hour: str, before: Standing, after: Standing, look: Look, *, since: int) -> None:
        """A row leaves only because its own source was rewritten, or vanished under `drop`, or an operator said so."""
        left = before.rows - after.rows
        may_leave: Counter[Row] = Counter()
        for key, told in self.changes[hour].items():
            seen = self._seen(hour, key, since)
            for etag in {version.etag for _, version in told} - {None}:
                others = [v for v in seen if v.etag != etag and (v.readable if v.etag else not self.keep)]
                said = look.rebuild and Version(etag) in seen and after.known.get(key) == ("waits", etag)
                if others or said:
                    may_leave.update(self._rows_of(etag))
        expect(not left - may_leave, f"rows left whose sources are as they were: {list(left - may_leave)[:3]}")

    def _judge_columns(self, hour: str, before: Standing, after: Standing, look: Look, *, since: int) -> None:
        """Which sources stand together, under which columns; not where it can't be told which were read."""
        sources = []
        for key, state in sorted(after.known.items(), key=lambda item: self.order(item[0])):
            if state is None or state[0] not in ("held", "waits") or self.bodies[state[1]].names is None:
                continue
            seen = self._seen(hour, key, since)
            stayed = state[0] == "held" and before.known.get(key) == state
            if not stayed or look.rebuild:
                if Version(state[1]) in seen and Version(None) in seen:
                    return
                if Version(state[1]) not in seen:  # its source is gone
                    if state[0] == "held":
                        sources.append(self._headed(key, state[1], came=False, held=True))
                    continue
                stayed = False
            sources.append(self._headed(key, state[1], came=not stayed, held=state[0] == "held"))
        if sources and not look.troubled:
            self.rules.judge(before.names, after.names, sources, anew=look.rebuild)

    def _judge_breaker(self, before: Standing, after: Standing, look: Look) -> None:
        full = {key: state[1] for key, state in before.known.items() if state and not self._is_rowless(state)}
        full = {key: etag for key, etag in full.items() if before.known[key] == ("held", etag)}
        lost = [
            key for key in full if (now := after.known.get(key)) is None or now[0] != "held" or self._is_rowless(now)
        ]
        decided = [key for key in lost if look.rebuild and after.known.get(key) == ("waits", full[key])]
        count = len(lost) - len(decided)
        expect(
            count <= self.max_share * len(full), f"the breaker let {count} of {len(full)} sources lose all their rows"
        )

    def _headed(self, key: str, etag: str, *, came: bool, held: bool) -> Headed:
        body = self.bodies[etag]
        return Headed(key, body.names or (), body.count, body.certain, came=came, held=held)

    def _seen(self, hour: str, key: str, since: int) -> set[Version]:
        """The versions of a key that were current at some moment since then."""
        told = self.changes[hour][key]
        at_first = [version for when, version in told if when <= since][-1]
        return {at_first} | {version for when, version in told if when > since}

    # --- reading --------------------------------------------------------------------------------------------

    def _rows_of(self, etag: str) -> list[Row]:
        body = self.bodies[etag]
        return [_row(body.names, row) for row in body.table or ()]

    def _read(self, data: bytes | None) -> Standing:
        """What an hour file holds, once the whole of it was read and agrees with its ledger and with its sources."""
        if data is None:
            return Standing()
        ledger = ledger_of(data)
        text = gzip.decompress(data)
        held = [self.bodies[source.etag] for source in ledger.held]
        keys = [source.key for source in ledger.held]
        expect(keys == sorted(keys, key=self.order), f"the sources {keys} are not in the order of their keys")
        for source, body in zip(ledger.held, held, strict=True):
            expect(body.table is not None, f"{source.key!r} is unusable, and stands: {body.data[:80]!r}")
            expect(source.rows == body.count, f"{source.key!r} has {body.count} rows, not {source.rows}")
        lines = list(csv.reader(io.StringIO(text.decode("latin-1"), newline="")))
        names = tuple(lines.pop(0)) if self.alike != () and lines else ()
        if len(names) == 1:
            lines = [line or [""] for line in lines]
        expect(all(len(line) == len(names) for line in lines) or not names, "a row has another width than the header")
        rows = [_row(names or None, line) for line in lines]
        expect(rows, "there is an hour file without a row")
        expect(
            rows == [row for source in ledger.held for row in self._rows_of(source.etag)], "values are lost or moved"
        )
        if self.alike is not None:
            top, _, rest = text.partition(b"\n") if self.alike else (b"", b"", text)
            expect(rest == b"".join(body.rows for body in held), "the rows are not those of its sources")
            expect(top.removesuffix(b"\r") == ",".join(self.alike).encode(), f"the header is {top!r}")
        return Standing(None, states(ledger), names, Counter(rows))


def _row(names: Names | None, values: Sequence[str]) -> Row:
    """What a row says; all columns that a name does not stand for are empty."""
    named = enumerate(values) if names is None else zip(names, values, strict=True)
    return frozenset((name, value) for name, value in named if value)


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
    bad: dict[str, State] = {
        bad.key: ("unreadable" if bad.reason == "unreadable" else "quarantined" if bad.alone else "waits", bad.etag)
        for bad in ledger.quarantined
    }
    return held | bad
