"""What is wrong: a problem with one thing, as it stands now.

Values only. Whether it is said, when and to whom, is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from s3_assets.alerts.state import digest

if TYPE_CHECKING:
    from datetime import datetime


class Severity(StrEnum):
    """How much of a hurry there is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem, with its words.

    Attributes:
        name: Short and stable: it is in the state.
        one: What one thing is called: `hour`,
        many: and several: `hours`.
        wrong: What is wrong with them, to follow their number: `can't be made right`.
        over: What is said of them when it is over: `right again`.
        family: Two problems of one family with the same thing are about the same thing, and one of them is told;
            empty where a kind is a family of its own.
        severity: Of all of its problems.
        repeats: Whether it is said again, at a bounded rate, while nothing changes.
        is_event: Whether its things are whole events, which are named and not counted within themselves.
    """

    name: str
    one: str
    many: str
    wrong: str
    over: str
    family: str = ""
    severity: Severity = Severity.ERROR
    repeats: bool = True
    is_event: bool = False

    def count(self, number: int) -> str:
        """`1 hour`, `1,204 hours`."""
        return f"{number:,} {self.one if number == 1 else self.many}"


HOUR: Final = Kind("hour", "hour", "hours", "can't be made right", "right again", family="hours")
BREAKER: Final = Kind(
    "breaker", "hour", "hours", "held: too many of their sources vanished at once", "no longer held", family="hours"
)
QUARANTINED: Final = Kind(
    "quarantined",
    "hour",
    "hours",
    "with unusable source objects",
    "without unusable source objects again",
    severity=Severity.WARNING,
    repeats=False,
)
NO_SOURCES: Final = Kind(
    "no_sources", "event", "events", "without new sources", "with new sources again", is_event=True
)
NOT_MADE: Final = Kind(
    "not_made", "event", "events", "without new hour files", "with new hour files again", is_event=True
)
BACKUP_DAY: Final = Kind("backup_day", "backup day", "backup days", "due and not right", "missing no more")
RUN: Final = Kind(
    "run", "job", "jobs", "failed in the last run", "no longer failing (a later run succeeded, or a day went by)"
)
AUTOMATION: Final = Kind(
    "automation", "sensor or schedule", "sensors or schedules", "failing tick after tick", "no longer failing"
)
SETTINGS: Final = Kind("settings", "setting", "settings", "that can't be used", "usable again")
BLIND: Final = Kind("blind", "sort of problem", "sorts of problems", "that the alerts can't see", "seen again")
REFUSED: Final = Kind(
    "refused",
    "channel",
    "channels",
    "refused by Slack",
    "no longer refused",
    severity=Severity.WARNING,
    repeats=False,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, now.

    Attributes:
        kind: What is wrong.
        thing: With what: `payments 2024-06-01-07:00`, a job's name.
        words: The error's own words. They may hold anything: `compose` redacts and escapes.
        event: Whose; empty where it is no event's.
        label: The hour, `YYYY-MM-DD-HH:00`, where the thing is one: neighbours are told as a range.
        cause: What problems of one kind are grouped by, such as the error's class.
        since: Since when (aware); None where nobody knows.
        tries: How often it failed.
        heals: What makes it good, in one sentence without a full stop.
        by_itself: Whether that happens without anybody's help.
        page: The page of the UI that shows it, below the UI's address: `runs/…`.
        page_name: What to call that page: `run 1a2b3c4d`.
        owner: Who looks after it; empty for the one whom routing names.
        settled: Whether it counts already. One that may be gone with the next retry does not: nothing is said of
            it, but what was said of its thing is not taken back either.
        mark: What its thing is known by in the state.
    """

    kind: Kind
    thing: str
    words: str
    event: str = ""
    label: str = ""
    cause: str = ""
    since: datetime | None = None
    tries: int = 1
    heals: str = ""
    by_itself: bool = False
    page: str = ""
    page_name: str = ""
    owner: str = ""
    settled: bool = True
    mark: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the mark once: a tick asks for it several times, of thousands of problems."""
        object.__setattr__(self, "mark", mark_of(self.kind, self.thing))


def mark_of(kind: Kind, thing: str) -> str:
    """What tells a thing from others in the state, whatever is wrong with it."""
    return digest(kind.family or kind.name, thing)
