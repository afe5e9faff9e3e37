"""What an audit finds: differences in words, each with the command that fixes it, and what hour files do not hold.

Pure. A difference is `wrong`, or `behind` where nothing but time is wrong with it. What a correct hour file leaves out,
or keeps although its source is gone, is no difference, and is reported beside them: no report of an hour that lacks
rows says "no difference" and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from s3_assets.errors import quoted, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3_assets.hour_file.keys import Hour

NAMED_KEYS = 3
"""How many keys a difference names; the rest is counted."""

NAMED_SOURCES = 20
"""How many sources of a kind that are left out a report names; the rest is counted."""

MOST_NAMED = 10_000
"""How many differences a report keeps; the rest is counted: its memory is bounded."""


class Kind(StrEnum):
    """What differs."""

    NO_HOUR_FILE = "no hour file"
    NOT_INGESTED = "not ingested"
    REWRITTEN = "rewritten"
    NOT_DROPPED = "not dropped"
    NOT_FORGOTTEN = "not forgotten"
    OTHER_SETTINGS = "other settings"
    UNREADABLE = "unreadable"
    DAMAGED = "damaged"
    OTHER_ROWS = "other rows"
    USABLE = "usable after all"
    UNUSABLE = "unusable by today's rules"
    UNREADABLE_SOURCE = "unreadable source"
    EVICTED = "evicted"
    RESTLESS = "restless"
    FOREIGN = "foreign object"
    OPEN_UPLOAD = "open upload"


class Standing(StrEnum):
    """How bad it is."""

    WRONG = "wrong"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be.

    Attributes:
        kind: What differs.
        standing: Whether it is wrong, or only needs time.
        detail: In words.
        fix: The command that fixes it; empty where no command does.
        hour: Whose; None where it belongs to no hour.
        keys: The first few of what it is about.
        count: How many these are in all.
    """

    kind: Kind
    standing: Standing
    detail: str
    fix: str
    hour: Hour | None = None
    keys: tuple[str, ...] = ()
    count: int = 1

    def sentence(self) -> str:
        """All but the command."""
        more = f" and {self.count - len(self.keys):,} more" if self.count > len(self.keys) else ""
        named = f": {', '.join(map(quoted, self.keys))}{more}" if self.keys else ""
        return f"{self.detail}{named}"


def about(
    kind: Kind, standing: Standing, detail: str, fix: str, *, hour: Hour, keys: Iterable[str]
) -> list[Difference]:
    """One difference of all `keys`, or none where there is no key."""
    found = sorted(keys)
    if not found:
        return []
    return [Difference(kind, standing, detail, fix, hour, tuple(found[:NAMED_KEYS]), len(found))]


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """One source whose rows are not in its hour file, and why.

    Attributes:
        event: Whose,
        key: which (relative to the source prefix),
        reason: and why: the short name of the kind,
        detail: and a sentence.
    """

    event: str
    key: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Some:
    """Sources of one kind.

    Attributes:
        count: How many.
        named: The first of them by event and key; at most `NAMED_SOURCES`.
    """

    count: int = 0
    named: tuple[LeftOut, ...] = ()

    def __add__(self, other: Some) -> Some:
        if not other.count:
            return self
        return Some(self.count + other.count, tuple(sorted((*self.named, *other.named))[:NAMED_SOURCES]))

    @classmethod
    def of(cls, every: Iterable[LeftOut]) -> Some:
        """All of them."""
        found = sorted(every)
        return cls(len(found), tuple(found[:NAMED_SOURCES]))

    def said(self, one: str, several: str) -> list[str]:
        """`1 source is quarantined: key (reason): detail`, with the verb for one or several; empty where none is."""
        if not self.count:
            return []
        first = self.named[:NAMED_KEYS]
        more = self.count - len(first)
        names = ", ".join(f"{shortened(left.key)} ({shortened(left.reason)})" for left in first)
        names += f" and {more:,} more" if more else ""
        detail = f": {shortened(first[0].detail)}" if self.count == 1 else ""
        return [f"{_counted(self.count, 'source')} {one if self.count == 1 else several}: {names}{detail}"]


@dataclass(frozen=True, slots=True)
class Omissions:
    """What hour files do not hold, or hold although its source is gone, as they should: none of it is a difference.

    Attributes:
        quarantined: Sources that are listed, and unusable by themselves.
        waiting: Sources that are listed, and do not fit beside the rows that stand.
        unreadable: Sources that are listed, and could not be read when the hour was built.
        vanished_sources: Sources that are gone and whose rows stay (`on_vanished = keep`),
        vanished_rows: and these rows.
        lost_sources: Sources that are gone, and whose rows are in no version of the hour file,
        lost_rows: and these rows, as far as they were ever counted.
    """

    quarantined: Some = Some()
    waiting: Some = Some()
    unreadable: Some = Some()
    vanished_sources: int = 0
    vanished_rows: int = 0
    lost_sources: int = 0
    lost_rows: int = 0

    def __add__(self, other: Omissions) -> Omissions:
        return Omissions(
            self.quarantined + other.quarantined,
            self.waiting + other.waiting,
            self.unreadable + other.unreadable,
            self.vanished_sources + other.vanished_sources,
            self.vanished_rows + other.vanished_rows,
            self.lost_sources + other.lost_sources,
            self.lost_rows + other.lost_rows,
        )

    def left_out(self) -> dict[str, Some]:
        """The sources that are left out, by the name of their kind."""
        return {"quarantined": self.quarantined, "waiting": self.waiting, "unreadable": self.unreadable}

    def sentences(self) -> list[str]:
        """All of it in words, to follow a summary; empty where nothing is left out."""
        said: list[str] = []
        if self.vanished_sources:
            whose = _counted(self.vanished_sources, "vanished source")
            verb = "stays" if self.vanished_rows == 1 else "stay"
            said.append(f"{_counted(self.vanished_rows, 'row')} of {whose} {verb}")
        if self.lost_sources:
            whose = _counted(self.lost_sources, "vanished source")
            verb = "is" if self.lost_rows == 1 else "are"
            rows = _counted(self.lost_rows, "row") if self.lost_rows else "rows"  # they were never counted
            said.append(f"{rows} of {whose} {verb} gone for good")
        said += self.quarantined.said("is quarantined", "are quarantined")
        said += self.waiting.said("waits", "wait")
        said += self.unreadable.said("is unreadable", "are unreadable")
        return said


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class HourAudit:
    """What was found of one hour.

    Attributes:
        hour: Which.
        differences: Empty where it is up to date.
        sources: Source objects that are listed.
        rows: Rows in the hour file, by its ledger.
        bytes_read: Of hour file and sources, beyond ledgers and listings.
        kept: Whether the hour file holds rows although no source is left, as it should.
        omissions: What it does not hold, or keeps.
    """

    hour: Hour
    differences: tuple[Difference, ...]
    sources: int = 0
    rows: int = 0
    bytes_read: int = 0
    kept: bool = False
    omissions: Omissions = Omissions()


@dataclass(slots=True)
class Report:
    """All that an audit found.

    Attributes:
        most_named: How many differences are kept.
        hours: How many were looked at.
        sources: Source objects in them.
        rows: Rows in their hour files.
        bytes_read: Beyond ledgers and listings.
        kept: Hours whose rows outlived all of their sources, as they should.
        omissions: What hour files do not hold, or keep.
        standings: How many differences there are of each standing.
        named: The first of them, as they came.
    """

    most_named: int = MOST_NAMED
    hours: int = 0
    sources: int = 0
    rows: int = 0
    bytes_read: int = 0
    kept: int = 0
    omissions: Omissions = Omissions()
    standings: Counter[Standing] = field(default_factory=Counter)
    named: list[Difference] = field(default_factory=list)

    def add(self, audit: HourAudit) -> None:
        """Count an hour."""
        self.hours += 1
        self.sources += audit.sources
        self.rows += audit.rows
        self.bytes_read += audit.bytes_read
        self.kept += audit.kept
        self.omissions += audit.omissions
        self.note(audit.differences)

    def note(self, differences: Iterable[Difference]) -> None:
        """Count differences, and keep the first."""
        for difference in differences:
            self.standings[difference.standing] += 1
            if len(self.named) < self.most_named:
                self.named.append(difference)

    def summary(self) -> str:
        """In one line: how much was looked at, what differs, and what is left out or stays without its source."""
        verdict = f"{self.wrong:,} wrong, {self.behind:,} behind" if self.standings else "no difference"
        looked_at = ", ".join(
            _counted(number, noun)
            for number, noun in ((self.hours, "hour"), (self.sources, "source"), (self.rows, "row"))
        )
        return "; ".join([f"{looked_at}: {verdict}", *self.omissions.sentences()])

    @property
    def wrong(self) -> int:
        """How many are wrong."""
        return self.standings[Standing.WRONG]

    @property
    def behind(self) -> int:
        """How many are behind."""
        return self.standings[Standing.BEHIND]

    def in_order(self) -> list[Difference]:
        """What is kept, the wrong ones first, then by event and hour."""
        return sorted(
            self.named,
            key=lambda found: (
                found.standing is Standing.BEHIND,
                found.hour is not None,
                ("", "") if found.hour is None else (found.hour.event, found.hour.label),
            ),
        )
