"""Whether an event keeps the rhythm that is expected of it, and which of two faults it is where it does not.

No sources in time is a fault of whoever brings them; sources that wait for an hour file are a fault of ours. Both are
judged by the one who looked, a tick that listed all recent dates of the event, and by nobody who only did not hear of
anything: a sensor that stands still makes no event silent. Pure: no clock, no store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from s3_assets.hour_file.keys import Hour

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from s3_assets.controller.survey import HourSeen
    from s3_assets.hour_file.policy import EventPolicy

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the recent dates of an event show, all of them listed.

    Attributes:
        newest: Label of the newest hour with sources; empty where none has any.
        made: Of the newest of these hours that was ever made; empty where none was.
        waiting_since: When the first source came of those newer hours that were never made (aware); None where
            there is no such hour.
    """

    newest: str = ""
    made: str = ""
    waiting_since: datetime | None = None


def arrivals(hours: Mapping[Hour, HourSeen], made: Collection[Hour]) -> Arrivals:
    """Of the hours of one event that have sources; `made` holds those of them that were ever made."""
    newest_made = max((hour.label for hour in hours if hour in made), default="")
    waiting = (seen.first_came for hour, seen in hours.items() if hour not in made and hour.label > newest_made)
    return Arrivals(
        newest=max((hour.label for hour in hours), default=""),
        made=newest_made,
        waiting_since=min((came for came in waiting if came is not None), default=None),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How an event stands, as it is put on record.

    Attributes:
        event: Which.
        newest: Label of the newest hour that was seen with sources; empty where none ever was.
        made: Of the newest hour that was seen to be made; empty where none ever was.
        looked_since: When it was first looked at (aware): what was never seen is expected from then on.
        no_sources_since: When the hour after `newest` should have had sources (aware); None while that is not over.
        not_made_since: When the first hour after `made` should have been made (aware); likewise.
        recorded: When this was put on record (aware); None before.
    """

    event: str
    newest: str
    made: str
    looked_since: datetime
    no_sources_since: datetime | None = None
    not_made_since: datetime | None = None
    recorded: datetime | None = field(default=None, compare=False)

    @property
    def is_overdue(self) -> bool:
        """Whether it has a fault."""
        return self.no_sources_since is not None or self.not_made_since is not None


def judge(event: str, seen: Arrivals, policy: EventPolicy, before: Standing | None, now: datetime) -> Standing:
    """How `event` stands.

    An hour is open for as long as it lasts, and for `late_by_minutes` after that. So with an expected hour each hour,
    14:00 the newest and half an hour of patience, nothing is overdue before 16:30: hour 15:00 is, from then on.

    Args:
        event: Which.
        seen: What its recent dates show.
        policy: With `expect_every_hours`; where that is 0 nothing is overdue.
        before: What is on record of it.
        now: Aware.
    """
    newest, made, looked_since = seen.newest, seen.made, now
    waits_until = None if seen.waiting_since is None else seen.waiting_since + HOUR + _patience(policy)
    if before is not None:
        newest, made, looked_since = max(newest, before.newest), max(made, before.made), before.looked_since
        if waits_until is None and newest > made:
            waits_until = before.not_made_since  # too old by now to be seen, and not made
    begun = Hour(event, newest).start if newest else looked_since
    due = begun + (policy.expect_every_hours + 1) * HOUR + _patience(policy)
    expects = policy.expect_every_hours > 0
    return Standing(
        event,
        newest,
        made,
        looked_since,
        no_sources_since=due if expects and now > due else None,
        not_made_since=waits_until if expects and waits_until is not None and now > waits_until else None,
    )


def is_news(standing: Standing, before: Standing | None, oldest_date: str) -> bool:
    """Whether `standing` is to be put on record: an event in time leaves hardly a line there.

    What can be seen at every look is not written down: only faults and their end, what was never seen, and, once a
    date, the newest hour of an event that may soon be older than the dates that are looked at.

    Args:
        standing: How it stands.
        before: What is on record.
        oldest_date: The first of the recent dates, `YYYY-MM-DD`.
    """
    worth_it = standing.is_overdue or standing.newest[:10] <= oldest_date
    if before is None:
        return worth_it
    faults = (standing.no_sources_since is None, standing.not_made_since is None)
    if faults != (before.no_sources_since is None, before.not_made_since is None):
        return True
    return worth_it and (standing.newest, standing.made) != (before.newest, before.made)


def _patience(policy: EventPolicy) -> timedelta:
    return timedelta(minutes=policy.late_by_minutes)
