"""Reads a Dagster instance: its storage only, no webserver and no code location. No S3.

What must tick follows from the settings; the names are those that the definitions have.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from s3_assets.backup.days import day_for_tick
from s3_assets.dagster.internals import automations, daemon_beats, last_cron_tick, latest_event_ids, location_of_run
from s3_assets.dagster.names import Names
from s3_assets.settings import backup_calendar, group_names
from s3_assets.watchdog.picture import (
    SCHEDULER_DAEMON,
    BackupDay,
    Daemon,
    Expected,
    Picture,
    Queue,
    Run,
    Ticking,
)
from s3_assets.watchdog.ticks import ALERTS_SENSOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from s3_assets.dagster.internals import Automation
    from s3_assets.settings import BackupCalendar
    from s3_assets.watchdog.checks import Limits

DAILY_BACKUP: Final = dg.AssetKey("daily_backup")
BACKUP_SCHEDULE: Final = "daily_backup_schedule"
BACKUP_SENSOR: Final = "late_backup_sensor"
"""As `s3_assets.dagster.backup` has them, which takes seconds to import; a test compares."""

TICKS_LOOKED_AT: Final = 10
MOST_RUNS: Final = 500
"""Runs of a state that are read, the oldest."""

_LAUNCHED: Final = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)
_WAS_STARTED: Final = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)


def what_ticks(environ: Mapping[str, str], also: Iterable[str] = ()) -> tuple[list[Expected], BackupCalendar | None]:
    """What has to tick with these settings, and when the backup runs; None where there is none.

    Args:
        environ: The environment, as the code location has it.
        also: Names of more sensors, that somebody has to switch on.

    Raises:
        SettingsError: The groups of events or the backup's calendar can't be used.
    """
    groups = ("", *group_names(environ))
    expected = [Expected(Names(group).sensor, starts_on=False) for group in groups] + [Expected(ALERTS_SENSOR)]
    calendar = backup_calendar(environ)
    if calendar is not None:
        expected += [Expected(BACKUP_SCHEDULE, SCHEDULER_DAEMON), Expected(BACKUP_SENSOR)]
    known = {one.name for one in expected}
    return [
        *expected,
        *(Expected(name, starts_on=False) for name in dict.fromkeys(also) if name not in known),
    ], calendar


def look(
    instance: dg.DagsterInstance,
    expected: Sequence[Expected],
    calendar: BackupCalendar | None,
    limits: Limits,
    now: datetime,
    *,
    location: str | None,
) -> Picture:
    """What there is to see.

    Args:
        instance: Only read.
        expected: What has to tick.
        calendar: Of the backup; None where there is none.
        limits: How long is too long.
        now: Aware.
        location: Only what is of this code location; None where its sensors are known by their names alone.
    """
    daemons = tuple(
        Daemon(name, beat and beat.last, beat.process if beat else "") for name, beat in daemon_beats(instance).items()
    )
    newest: dict[str, Automation] = {}
    for one in automations(instance, {each.name for each in expected}, look_back=TICKS_LOOKED_AT):
        known = newest.get(one.name)
        if location in (None, one.location) and (known is None or _activity(one) > _activity(known)):
            newest[one.name] = one  # a code location that was renamed leaves its old sensors in the storage
    locations = {location} if location else {one.location for one in newest.values()}
    return Picture(
        daemons=daemons,
        expected=tuple(expected),
        ticking={name: _ticking(one, calendar, limits, now) for name, one in newest.items()},
        queue=_queue(instance, locations),
        runs=tuple(_under_way(instance, locations)),
        has_backup=calendar is not None,
        backup=None if calendar is None else _backup(instance, calendar, now - limits.backup),
    )


def _activity(one: Automation) -> float:
    return max((moment.timestamp() for moment in (one.last, one.started) if moment is not None), default=0)


def _ticking(one: Automation, calendar: BackupCalendar | None, limits: Limits, now: datetime) -> Ticking:
    begun = max((moment for moment in (one.last, one.started) if moment is not None), default=None)
    if one.interval_s is not None:
        due = begun and begun + timedelta(seconds=one.interval_s)
    else:
        tick = None if calendar is None else last_cron_tick(calendar.cron, calendar.zone.key, now - limits.tolerance)
        due = tick if tick is not None and (begun is None or begun < tick) else None
    return Ticking(
        is_on=one.is_on,
        due=due,
        last=one.last,
        failed=one.failed,
        failing_since=one.failing_since,
        error=one.error.name if one.error else "",
        words=one.error.words if one.error else "",
        page=f"locations/{one.location}/{one.page}/{one.name}",
        location=one.location,
    )


def _queue(instance: dg.DagsterInstance, locations: set[str]) -> Queue:
    waiting = [
        Run(record.dagster_run.run_id, record.dagster_run.job_name, record.create_timestamp, is_started=False)
        for record in _records(instance, locations, dg.DagsterRunStatus.QUEUED)
    ]
    started = instance.get_run_records(
        dg.RunsFilter(statuses=list(_WAS_STARTED)), limit=50, order_by="update_timestamp"
    )
    starts = [record.start_time for record in started if record.start_time is not None]
    return Queue(len(waiting), waiting[0] if waiting else None, _utc(max(starts)) if starts else None)


def _under_way(instance: dg.DagsterInstance, locations: set[str]) -> list[Run]:
    started = [
        Run(
            record.dagster_run.run_id,
            record.dagster_run.job_name,
            _utc(record.start_time) if record.start_time is not None else record.create_timestamp,
        )
        for record in _records(instance, locations, dg.DagsterRunStatus.STARTED)
    ]
    launched = [
        Run(record.dagster_run.run_id, record.dagster_run.job_name, record.update_timestamp, is_started=False)
        for record in _records(instance, locations, *_LAUNCHED)
    ]
    return sorted([*started, *launched], key=lambda run: run.since)


def _records(instance: dg.DagsterInstance, locations: set[str], *statuses: dg.DagsterRunStatus) -> list[dg.RunRecord]:
    """The oldest runs of these states that are ours, or nobody's."""
    wanted = dg.RunsFilter(statuses=list(statuses))
    records = instance.get_run_records(wanted, limit=MOST_RUNS, order_by="create_timestamp", ascending=True)
    return [record for record in records if location_of_run(record.dagster_run) in {None, *locations}]


def _backup(instance: dg.DagsterInstance, calendar: BackupCalendar, until: datetime) -> BackupDay | None:
    """Of the newest day whose tick was at `until` or before."""
    day = day_for_tick(last_cron_tick(calendar.cron, calendar.zone.key, until), calendar.zone, calendar.lag_days)
    if day < calendar.start_date:
        return None
    key = day.isoformat()
    made = latest_event_ids(instance, DAILY_BACKUP, dg.DagsterEventType.ASSET_MATERIALIZATION, [key])
    return BackupDay(day, is_made=key in made)


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
