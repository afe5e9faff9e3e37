"""What the controller must know of earlier work: what was made, what is under way, what fails. Dagster keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from s3_assets.hour_file.keys import Hour

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
"""How long an hour rests after its first failure, and at most. The pause doubles with each failure in a row."""

STUCK_PAUSE = timedelta(days=1)
"""How long it rests after a failure that trying again can't cure."""

MENDED_ELSEWHERE = {"AccessDeniedError", "BucketNotFoundError"}
"""Failures whose cure does not show in the hour file: permissions, expired credentials. They are tried each hour."""


@dataclass(frozen=True, slots=True)
class Failing:
    """An hour that failed when it was last tried.

    Attributes:
        hour: Which.
        since: When it failed first, without a success since then (aware).
        last: When it failed last (aware).
        tries: Failures since then.
        error: Name of the error's class.
        words: What the error says, hint included.
        permanent: Whether trying again can't help before somebody does something.
        target_etag: Of its hour file when it failed; empty where there was none, or nobody could look.
        run_id: Of the run in which it failed last.
    """

    hour: Hour
    since: datetime
    last: datetime
    tries: int
    error: str
    words: str
    permanent: bool
    target_etag: str
    run_id: str

    @property
    def next_try(self) -> datetime:
        """Not before then, if nothing changes."""
        if self.permanent and self.error in MENDED_ELSEWHERE:
            return self.last + LONGEST_PAUSE
        return self.last + (STUCK_PAUSE if self.permanent else pause_after(self.tries))


def pause_after(tries: int) -> timedelta:
    """How long an hour rests that failed so many times in a row."""
    doubled: int = 2 ** min(max(tries, 1) - 1, 20)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What is queued or running.

    Attributes:
        runs: How many of the sensor's runs that are not urgent,
        urgent: and of those that are; people's runs and backfills count as neither.
        holds: Whether an hour is in one of them.
        urgent_waits: Whether an urgent one is still queued.
    """

    runs: int
    urgent: int
    holds: Callable[[Hour], bool]
    urgent_waits: bool = False


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run that ended without a word on its hours: killed, out of memory, its machine gone."""

    hours: Collection[Hour]
    ended: datetime


class Records(Protocol):
    """What is remembered of earlier work. All of it may be wiped: that costs looking again."""

    def events(self) -> Collection[str]:
        """The events that are partitions already."""
        ...

    def under_way(self) -> UnderWay:
        """What is queued or running at this moment."""
        ...

    def failing(self) -> Mapping[Hour, Failing]:
        """The hours that failed when they were last tried."""
        ...

    def left_out(self) -> Collection[Hour]:
        """The hours that, as last built, leave out sources; some may have neither sources nor an hour file any more."""
        ...

    def lost(self) -> Collection[LostRun]:
        """The runs that were lost lately."""
        ...

    def versions(self, hours: Collection[Hour]) -> Mapping[Hour, str]:
        """The data version of each of `hours` that was ever made right, as of the last time."""
        ...
