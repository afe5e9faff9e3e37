"""What a tick asks for: the hours that differ, less those under way and those that wait after failing, in batches.

Pure: the sensor observes, this decides.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from s3_assets.hour_file.keys import Hour

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
"""How long an hour rests after its first failed run, and at most. The pause doubles with each failure."""

FAILURE_MEMORY = timedelta(days=1)
"""Failures are counted so far back; each hour is tried again at least so often."""

RUNS_PER_TICK = 10
"""A tick asks for so many runs at most; the rest differs still at the next one."""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed, and the hours that failed in it."""

    hours: Collection[Hour]
    ended: datetime


@dataclass(frozen=True, slots=True)
class Requests:
    """What a tick asks for.

    Attributes:
        batches: Hours per run, in the order they were given.
        busy: Hours that differ and are under way.
        waiting: Hours that differ, failed before, and rest: until when.
        left: Hours that differ and have to wait for the next tick.
    """

    batches: list[list[Hour]]
    busy: list[Hour]
    waiting: dict[Hour, datetime]
    left: list[Hour]

    @property
    def count(self) -> int:
        """Hours asked for."""
        return sum(map(len, self.batches))


def decide(
    changed: Sequence[Hour],
    busy: Collection[Hour],
    failed: Iterable[FailedRun],
    now: datetime,
    *,
    hours_per_run: int,
    runs: int = RUNS_PER_TICK,
) -> Requests:
    """Turn hours that differ into run requests.

    Args:
        changed: In the order of urgency.
        busy: Hours of queued and running runs.
        failed: Runs that failed within `FAILURE_MEMORY`.
        now: Aware.
        hours_per_run: Size of a batch.
        runs: Most batches.
    """
    tries: Counter[Hour] = Counter()
    last: dict[Hour, datetime] = {}
    for run in failed:
        for hour in run.hours:
            tries[hour] += 1
            last[hour] = max(run.ended, last.get(hour, run.ended))
    rest = {hour: last[hour] + min(FIRST_PAUSE * 2 ** min(tries[hour] - 1, 20), LONGEST_PAUSE) for hour in last}
    waiting = {hour: rest[hour] for hour in changed if hour in rest and rest[hour] > now and hour not in busy}
    free = [hour for hour in changed if hour not in busy and hour not in waiting]
    batches = [free[start : start + hours_per_run] for start in range(0, len(free), hours_per_run)]
    return Requests(
        batches=batches[:runs],
        busy=[hour for hour in changed if hour in busy],
        waiting=waiting,
        left=[hour for batch in batches[runs:] for hour in batch],
    )
