"""What a look at a Dagster instance saw: values only, judged by `checks`. Moments are aware."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

SENSOR_DAEMON: Final = "SENSOR"
SCHEDULER_DAEMON: Final = "SCHEDULER"
QUEUE_DAEMON: Final = "QUEUED_RUN_COORDINATOR"
"""What Dagster calls the daemons without which sensors and schedules don't tick, and queued runs don't start."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that the instance needs.

    Attributes:
        name: Dagster's: `SENSOR`.
        beat: Its last heartbeat; None where there never was one.
        process: The id of the process that it is a part of; empty where that is not known.
    """

    name: str
    beat: datetime | None
    process: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """A sensor or schedule that there has to be.

    Attributes:
        name: Its own.
        daemon: The one that evaluates it.
        starts_on: Whether it is on without anybody having switched it on.
    """

    name: str
    daemon: str = SENSOR_DAEMON
    starts_on: bool = True


@dataclass(frozen=True, slots=True)
class Ticking:
    """A sensor or schedule as Dagster's storage knows it.

    Attributes:
        is_on: Whether it should tick.
        due: When its next tick was or will be due; None where a schedule lacks none.
        last: When its last one began; None without one.
        failed: How many failed in a row.
        failing_since: When the first of them began.
        error: The class of the last one's error,
        words: and its words.
        page: Its page in the UI.
        location: Its code location.
    """

    is_on: bool
    due: datetime | None = None
    last: datetime | None = None
    failed: int = 0
    failing_since: datetime | None = None
    error: str = ""
    words: str = ""
    page: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has not ended.

    Attributes:
        run_id: Dagster's.
        job: Its name.
        since: When it was queued, launched or started: when its state began.
        is_started: Whether it works, or is still being launched.
    """

    run_id: str
    job: str
    since: datetime
    is_started: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """The run queue.

    Attributes:
        count: How many runs wait.
        oldest: The one that waits longest; None where none does.
        last_start: When any run was started last, as far as that is known.
    """

    count: int = 0
    oldest: Run | None = None
    last_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class BackupDay:
    """The newest day whose backup should be there by now, and whether it is."""

    day: date
    is_made: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All that was seen.

    Attributes:
        daemons: Those that the instance needs.
        expected: What has to tick.
        ticking: What Dagster knows of these, by name; what it never saw is not there.
        queue: The run queue.
        runs: Under way.
        has_backup: Whether there is a backup at all.
        backup: None where no day is due.
    """

    daemons: tuple[Daemon, ...]
    expected: tuple[Expected, ...] = ()
    ticking: Mapping[str, Ticking] = field(default_factory=dict)
    queue: Queue = Queue()
    runs: tuple[Run, ...] = ()
    has_backup: bool = False
    backup: BackupDay | None = None

    def daemon(self, name: str) -> Daemon | None:
        """The one of that name; None where the instance needs none."""
        return next((daemon for daemon in self.daemons if daemon.name == name), None)

    @property
    def last_tick(self) -> datetime | None:
        """When any sensor of ours ticked last."""
        sensors = {one.name for one in self.expected if one.daemon == SENSOR_DAEMON}
        ticks = [one.last for name, one in self.ticking.items() if name in sensors and one.last is not None]
        return max(ticks, default=None)
