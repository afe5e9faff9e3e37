"""Days: to which one a file belongs, which one a tick is for, and which ones are due.

Pure. A day is a calendar day of the backup's time zone, which may have 23 or 25 hours.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import tzinfo

NS_PER_S = 1_000_000_000


def day_of(mtime_ns: int, zone: tzinfo) -> date | None:
    """The day in which a file was last changed; None for a time outside of the calendar.

    Args:
        mtime_ns: Nanoseconds since 1970, as `os.stat` tells them.
        zone: Whose days.
    """
    try:
        return datetime.fromtimestamp(mtime_ns // NS_PER_S, zone).date()
    except (OverflowError, ValueError, OSError):
        return None


def day_for_tick(tick: datetime, zone: tzinfo, lag_days: int) -> date:
    """The day that a tick of the schedule is for: by the time for which it was scheduled, however late it comes.

    Args:
        tick: Aware.
        zone: Whose days.
        lag_days: 1 for the day before the tick's.
    """
    return tick.astimezone(zone).date() - timedelta(days=lag_days)


def due_days(first: date, last_tick: datetime, zone: tzinfo, lag_days: int, right: Collection[date]) -> list[date]:
    """The days that should be backed up by now and are not, in order.

    A day is due when its tick has passed, whether anything happened then or not; also a day for which the cron has no
    tick of its own, once a later one passed.

    Args:
        first: The first day of the backup.
        last_tick: Aware: when the schedule ticked last, or should have.
        zone: Whose days.
        lag_days: As in `day_for_tick`.
        right: The days that have a manifest, and no late file.
    """
    last = day_for_tick(last_tick, zone, lag_days)
    span = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in span if day not in right]
