"""What an audit finds: differences in words, each with the command that mends it, and how many there are.

Pure. A difference is `wrong`, or `behind` where nothing but time is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3_assets.hour_file.keys import Hour

NAMED_KEYS = 3
"""How many keys a difference names; the rest is counted."""

MOST_NAMED = 10_000
"""How many differences a report keeps; the rest is counted: its memory is bounded."""


class Kind(StrEnum):
    """What differs."""

    NO_HOUR_FILE = "no hour file"
    NOT_TAKEN_IN = "not taken in"
    REWRITTEN = "rewritten"
    NOT_DROPPED = "not dropped"
    NOT_FORGOTTEN = "not forgotten"
    OTHER_SETTINGS = "other settings"
    UNREADABLE = "unreadable"
    DAMAGED = "damaged"
    OTHER_ROWS = "other rows"
    USABLE = "usable after all"
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
        standing: Whether it is wrong, or will be right by itself.
        detail: In words.
        mend: The command that mends it; empty where only time does.
        hour: Whose; None where it belongs to no hour.
        keys: The first few of what it is about.
        count: How many these are in all.
    """

    kind: Kind
    standing: Standing
    detail: str
    mend: str
    hour: Hour | None = None
    keys: tuple[str, ...] = ()
    count: int = 1

    def sentence(self) -> str:
        """All but the command."""
        more = f" and {self.count - len(self.keys):,} more" if self.count > len(self.keys) else ""
        named = f": {', '.join(map(repr, self.keys))}{more}" if self.keys else ""
        return f"{self.detail}{named}"


def about(
    kind: Kind, standing: Standing, detail: str, mend: str, *, hour: Hour, keys: Iterable[str]
) -> list[Difference]:
    """One difference of all `keys`, or none where there is no key."""
    found = sorted(keys)
    if not found:
        return []
    return [Difference(kind, standing, detail, mend, hour, tuple(found[:NAMED_KEYS]), len(found))]


@dataclass(frozen=True, slots=True)
class HourAudit:
    """What was found of one hour.

    Attributes:
        hour: Which.
        differences: None is a right hour.
        sources: Source objects that are listed.
        rows: Rows in the hour file, by its ledger.
        bytes_read: Of hour file and sources, beyond ledgers and listings.
        kept: Whether the hour file holds rows although no source is left, as it should.
    """

    hour: Hour
    differences: tuple[Difference, ...]
    sources: int = 0
    rows: int = 0
    bytes_read: int = 0
    kept: bool = False


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
        standings: How many differences there are of each standing.
        named: The first of them, as they came.
    """

    most_named: int = MOST_NAMED
    hours: int = 0
    sources: int = 0
    rows: int = 0
    bytes_read: int = 0
    kept: int = 0
    standings: Counter[Standing] = field(default_factory=Counter)
    named: list[Difference] = field(default_factory=list)

    def add(self, audit: HourAudit) -> None:
        """Take in an hour."""
        self.hours += 1
        self.sources += audit.sources
        self.rows += audit.rows
        self.bytes_read += audit.bytes_read
        self.kept += audit.kept
        self.note(audit.differences)

    def note(self, differences: Iterable[Difference]) -> None:
        """Take in differences."""
        for difference in differences:
            self.standings[difference.standing] += 1
            if len(self.named) < self.most_named:
                self.named.append(difference)

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
