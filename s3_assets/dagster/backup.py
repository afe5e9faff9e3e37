"""The daily backup in Dagster: its partitions, asset, job, schedule and sensor, thin over `s3_assets.backup`.

They are there only where S3_ASSETS_BACKUP_DIR is set when definitions load: a code location without a folder to back
up has nothing to show, and should not tick every evening to say so.

The schedule asks for the day of its tick, and for the newest days that are due and were never backed up. Dagster
itself makes up for no tick but the last one that was missed (1.13: "has no partition set, so not trying to catch up").
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from s3_assets.backup.clean import Cleaned, clean
from s3_assets.backup.days import day_for_tick, due_days
from s3_assets.backup.run import DayResult, back_up
from s3_assets.backup.send import FileDone
from s3_assets.backup.site import BackupSite, open_backup
from s3_assets.backup.verify import Audit, Known, audit
from s3_assets.backup.walk import Problem
from s3_assets.dagster.internals import (
    DATA_VERSION_TAG,
    IMPLICIT_ASSET_JOB_NAME,
    day_asked_for,
    last_cron_tick,
    latest_tags,
)
from s3_assets.dagster.log_files import logged
from s3_assets.dagster.missing_days import missing_days, news, no_day_missing, what_is_wrong
from s3_assets.dagster.resources import session_of
from s3_assets.errors import S3AssetsError, SettingsError
from s3_assets.heartbeat import beating
from s3_assets.plural import counted
from s3_assets.settings import SETTINGS, BackupCalendar, BackupSettings, load_backup_settings

DAILY_BACKUP = dg.AssetKey("daily_backup")
DAILY_BACKUP_JOB = "daily_backup_job"
LATE_BACKUP_SENSOR = "late_backup_sensor"
GROUP = "backup"

BACKUP_POOL = "s3_assets_backup"
"""With one slot (`dagster instance concurrency set s3_assets_backup 1`) days wait for each other. Without, a second run
of the same day finds the copies of the first, and one of them writes the manifest."""

MAX_RUNTIME_S = 36_000
"""After so long Dagster ends a run, where `run_monitoring` is on."""

DAYS_PER_TICK = 5
"""A tick asks for so many days at most, the newest first: after a long silence a few each time, and no storm."""

RETRIES = dg.RetryPolicy(max_retries=2, delay=300)
"""For a store that does not answer, and a file that is being written; all else fails at once."""

SENSOR_INTERVAL_S = 1800

REST_AFTER_FAILURE = timedelta(hours=1)
"""So long the sensor lets a day be whose last run failed."""

MISSING_AFTER = timedelta(hours=1)
"""A day that is due since less is not called missing yet."""

MOST_NAMED = 200
"""Files that metadata lists one by one."""

_LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_MEANING = {setting.name: f"{setting.meaning} Default: {setting.variable} at run time." for setting in SETTINGS}


class BackupResource(dg.ConfigurableResource[None]):
    """What is backed up, and where to. What is left out is read from the environment at run time."""

    backup_dir: str | None = Field(default=None, description=_MEANING["backup_dir"])
    backup_target: str | None = Field(default=None, description=_MEANING["backup_target"])
    backup_threads: int | None = Field(default=None, description=_MEANING["backup_threads"])
    backup_keep_days: int | None = Field(default=None, description=_MEANING["backup_keep_days"])

    def settings(self) -> BackupSettings:
        """All settings of the backup, checked.

        Raises:
            SettingsError: With every problem there is.
        """
        given = {setting.variable: getattr(self, setting.name, None) for setting in SETTINGS}
        told = {name: str(value) for name, value in given.items() if value is not None}
        return load_backup_settings({**os.environ, **told})

    @contextmanager
    def open(self, s3: S3Resource) -> Iterator[BackupSite]:
        """The backup, with the credentials, region and endpoint of `s3`, or the environment's."""
        yield open_backup(self.settings(), session=session_of(s3), endpoint_url=s3.endpoint_url)


daily_backup_job = dg.define_asset_job(
    DAILY_BACKUP_JOB,
    selection=dg.AssetSelection.assets(DAILY_BACKUP),
    tags={"dagster/max_runtime": str(MAX_RUNTIME_S)},
    description="Backs up one day: choose it as the partition.",
)


def backup_definitions(calendar: BackupCalendar) -> dg.Definitions:
    """All of the backup; `s3` comes from the other definitions."""
    schedule = daily_backup_schedule(calendar)  # which refuses a cron that there can't be
    return dg.Definitions(
        assets=[daily_backup(calendar)],
        asset_checks=[no_day_missing(DAILY_BACKUP)],
        jobs=[daily_backup_job],
        schedules=[schedule],
        sensors=[late_backup_sensor(calendar)],
        resources={"backup": BackupResource()},
    )


def daily_backup(calendar: BackupCalendar) -> dg.AssetsDefinition:
    """The asset, a partition for each day of the calendar's zone."""

    @dg.asset(
        key=DAILY_BACKUP,
        partitions_def=dg.DailyPartitionsDefinition(
            start_date=calendar.start_date.isoformat(), timezone=calendar.zone.key
        ),
        group_name=GROUP,
        kinds={"s3", "json"},
        pool=BACKUP_POOL,
        freshness_policy=_freshness(calendar),
        retry_policy=RETRIES,
        description=(
            "The local files that were last changed on one day, on S3, with a manifest that was written when all of "
            "them were there. Materializing a day makes its backup right; when it is right already, nothing is sent."
        ),
    )
    def daily_backup(
        context: dg.AssetExecutionContext, backup: BackupResource, s3: S3Resource
    ) -> dg.MaterializeResult[None]:
        with beating(_watcher(context, backup, calendar), context.log.warning) as heart:
            try:
                result = make(context, backup, s3)
            except Exception as error:  # tried again whatever it is, but for a Failure that says no
                heart.quiet = getattr(error, "allow_retries", True) and context.retry_number < RETRIES.max_retries
                raise
            heart.words = f"{context.partition_key} is backed up"
            return result

    def make(context: dg.AssetExecutionContext, backup: BackupResource, s3: S3Resource) -> dg.MaterializeResult[None]:
        def say(outcome: FileDone | Problem) -> None:
            if isinstance(outcome, Problem):
                context.log.error("%s: %s", _shown(outcome.path), outcome.reason)

        try:
            with backup.open(s3) as site:
                result = back_up(site, date.fromisoformat(context.partition_key), tell=say)
                context.log.info("%s: %d files, %d sent", result.day, result.files, len(result.sent))
                if not result.right:
                    raise _failure(result)
                removed = _clean(context, site, backup.settings().keep_days)
        except S3AssetsError as error:
            raise dg.Failure(description=error.describe(), allow_retries=error.retryable) from None
        return dg.MaterializeResult(
            metadata={**_metadata(result), **removed}, data_version=dg.DataVersion(_data_version(result))
        )

    return daily_backup


def daily_backup_schedule(calendar: BackupCalendar) -> dg.ScheduleDefinition:
    """Ticks when the cron says, in the calendar's zone. It runs from the start: the folder is set to be backed up."""

    @dg.schedule(
        name="daily_backup_schedule",
        job=daily_backup_job,
        cron_schedule=calendar.cron,
        execution_timezone=calendar.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Asks for the day {calendar.lag_days} before the tick's, and for the newest days that are due and were "
            f"never backed up, {DAYS_PER_TICK} in all."
        ),
    )
    @logged
    def daily_backup_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        tick = context.scheduled_execution_time
        missing = _due(calendar, tick, _recorded(context.instance))
        own = day_for_tick(tick, calendar.zone, calendar.lag_days)
        asked = sorted({own, *missing} if own >= calendar.start_date else set(), reverse=True)
        if not asked:
            yield dg.SkipReason(f"{own} is before the first day, {calendar.start_date}")
        if len(asked) > DAYS_PER_TICK:
            left = asked[DAYS_PER_TICK:]
            context.log.warning(
                "%d more days are due and not backed up, %s to %s: backfill daily_backup, or wait for the next ticks",
                len(left),
                left[-1],
                left[0],
            )
        for day in asked[:DAYS_PER_TICK]:
            yield _run_request(day)

    return daily_backup_schedule


def late_backup_sensor(calendar: BackupCalendar) -> dg.SensorDefinition:
    """Finds files that turned up, or were changed, in a day that was backed up already, and asks for it again."""

    @dg.sensor(
        name=LATE_BACKUP_SENSOR,
        job=daily_backup_job,
        minimum_interval_seconds=SENSOR_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Compares the folder with the manifests on S3, by sizes and times, and asks again for days that have a "
            "file which their backup has not. Names the days that are due and not right, and leaves notes of them for "
            "alerts and for the check."
        ),
    )
    @logged
    def late_backup_sensor(
        context: dg.SensorEvaluationContext, backup: BackupResource, s3: S3Resource
    ) -> dg.SensorResult:
        now = datetime.now(UTC)
        recorded = _recorded(context.instance)
        under_way = _under_way(context.instance)  # before it is looked: what ends meanwhile may not be seen
        try:
            with backup.open(s3) as site:
                found = audit(site, recorded)
        except S3AssetsError as error:
            raise dg.Failure(description=error.describe()) from None  # the cause may show more than it should
        last_tick = last_cron_tick(calendar.cron, calendar.zone.key, now)
        last = _newest_due(calendar, last_tick)
        late = [day for day in found.late if calendar.start_date <= day <= last]
        resting = _busy(context.instance, now)
        asked = [day for day in sorted(late, reverse=True) if day not in resting][:DAYS_PER_TICK]
        message = _tick_message(calendar.start_date, found, late, asked, _due(calendar, last_tick, found.backed_up))
        context.log.info(message)
        noted = missing_days(context.instance, DAILY_BACKUP)
        spared = _spared(calendar, last_tick, now) | under_way | _under_way(context.instance) | set(asked)
        missing = {
            day: what_is_wrong(day, found)
            for day in _due(calendar, last_tick, found.right)
            if day in noted or day not in spared
        }
        return dg.SensorResult(
            run_requests=[dg.RunRequest(partition_key=day.isoformat()) for day in asked],
            skip_reason=None if asked else dg.SkipReason(message),
            asset_events=news(noted, missing, DAILY_BACKUP),
        )

    return late_backup_sensor


def _watcher(context: dg.AssetExecutionContext, backup: BackupResource, calendar: BackupCalendar) -> str | None:
    """Whom a run tells how it went; nobody, where it is for an older day: its success says nothing of the day due."""
    last_tick = last_cron_tick(calendar.cron, calendar.zone.key, datetime.now(UTC))
    if date.fromisoformat(context.partition_key) < _newest_due(calendar, last_tick):
        return None
    try:
        return backup.settings().heartbeat_url
    except SettingsError:
        return None  # the run says what is wrong; to the watcher, silence does


def _freshness(calendar: BackupCalendar) -> dg.FreshnessPolicy:
    """Some day was backed up within the longest pause of the cron, and the time that a run may take.

    Which days are missing it can't say: Dagster looks at the last materialization of any partition.
    """
    at = datetime(calendar.start_date.year + 1, 1, 1, tzinfo=UTC)
    ticks = [at := last_cron_tick(calendar.cron, calendar.zone.key, at - timedelta(seconds=1)) for _ in range(15)]
    longest = max(later - earlier for later, earlier in pairwise(ticks))
    return dg.FreshnessPolicy.time_window(
        fail_window=longest + timedelta(seconds=MAX_RUNTIME_S), warn_window=longest + timedelta(hours=2)
    )


# --- what is asked for -------------------------------------------------------------------------------------


def _run_request(day: date) -> dg.RunRequest:
    """The run key makes a tick that is evaluated twice ask once for each of its days; Dagster forgets it after that."""
    return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())


def _recorded(instance: dg.DagsterInstance) -> dict[date, Known]:
    """The days that were materialized, and how each was then."""
    tags = latest_tags(instance, DAILY_BACKUP, [DATA_VERSION_TAG])
    return {date.fromisoformat(day): _known(told[DATA_VERSION_TAG]) for day, told in tags.items()}


def _due(calendar: BackupCalendar, tick: datetime, right: Iterable[date]) -> list[date]:
    return due_days(calendar.start_date, tick, calendar.zone, calendar.lag_days, set(right))


def _spared(calendar: BackupCalendar, last_tick: datetime, now: datetime) -> set[date]:
    """The day of the last tick, as long as its run may just not have begun."""
    return {_newest_due(calendar, last_tick)} if now - last_tick < MISSING_AFTER else set()


def _newest_due(calendar: BackupCalendar, last_tick: datetime) -> date:
    return day_for_tick(last_tick, calendar.zone, calendar.lag_days)


def _under_way(instance: dg.DagsterInstance) -> set[date]:
    """The days of runs that are queued or running."""
    return _days_of(instance, _LIVE)


def _busy(instance: dg.DagsterInstance, now: datetime) -> set[date]:
    """The days of runs that are under way, and of those that failed just now."""
    failed = _days_of(instance, [dg.DagsterRunStatus.FAILURE], now - REST_AFTER_FAILURE)
    return _under_way(instance) | failed


def _days_of(
    instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus], since: datetime | None = None
) -> set[date]:
    """Of runs of the job, and of those that somebody launched from the asset's page, which have a job of their own."""
    wanted = [
        dg.RunsFilter(statuses=statuses, job_name=job, updated_after=since)
        for job in (DAILY_BACKUP_JOB, IMPLICIT_ASSET_JOB_NAME)
    ]
    runs = [record.dagster_run for each in wanted for record in instance.get_run_records(each, limit=1000)]
    ours = (run for run in runs if run.job_name == DAILY_BACKUP_JOB or DAILY_BACKUP in (run.asset_selection or ()))
    return {date.fromisoformat(key) for run in ours if (key := day_asked_for(run)) is not None}


def _tick_message(start: date, found: Audit, late: list[date], asked: list[date], missing: list[date]) -> str:
    """What a tick of the sensor saw and did."""
    said = [f"{counted(len(found.backed_up), 'day')} backed up"]
    said.append(f"{counted(len(late), 'day')} with late files ({_days(late)})" if late else "no file is late")
    if late and len(asked) < len(late):
        said.append(f"asked for {len(asked)}, the others are under way, rest after failing, or wait")
    if missing:
        said.append(f"{counted(len(missing), 'day')} due and not backed up ({_days(missing)}): backfill daily_backup")
    if found.damaged:
        said.append(f"{counted(len(found.damaged), 'damaged manifest')} ({_days(sorted(found.damaged))})")
    early = {day: count for day, count in found.files.items() if day < start}
    if early:
        days = _days(sorted(early))
        said.append(f"{counted(sum(early.values()), 'file')} from before {start} ({days}), not backed up by themselves")
    if found.problems:
        first = found.problems[0]
        said.append(
            f"{counted(len(found.problems), 'thing')} can't be backed up, such as {_shown(first.path)}: {first.reason}"
        )
    return "; ".join(said)


def _days(days: list[date]) -> str:
    return ", ".join(map(str, days)) if len(days) <= DAYS_PER_TICK else f"{days[0]} to {days[-1]}"


# --- what a run says ---------------------------------------------------------------------------------------


def _clean(context: dg.AssetExecutionContext, site: BackupSite, keep_days: int | None) -> Mapping[str, Any]:
    """Remove old local files where that is set; the metadata that says so."""
    if keep_days is None:
        return {}
    today = datetime.now(site.zone).date()
    cleaned: Cleaned = clean(site, today - timedelta(days=keep_days), dry_run=False)
    for kept in cleaned.kept:
        context.log.warning("not removed: %s: %s", _shown(kept.path), kept.reason)
    records = [
        dg.TableRecord({"day": day.isoformat(), "path": _shown(file.path), "bytes": file.size})
        for day, file in cleaned.removed[:MOST_NAMED]
    ]
    schema = dg.TableSchema([dg.TableColumn("day"), dg.TableColumn("path"), dg.TableColumn("bytes", "int")])
    return {
        "removed_files": len(cleaned.removed),
        "removed_bytes": cleaned.size,
        "removed": dg.MetadataValue.table(records, schema),
        "old_files_kept": len(cleaned.kept),
    }


def _metadata(result: DayResult) -> dict[str, Any]:
    groups = [
        dg.TableRecord({"group": name, "files": count.files, "bytes": count.size, "sent": count.sent})
        for name, count in sorted(result.groups.items())
    ]
    columns = [dg.TableColumn("group"), *(dg.TableColumn(name, "int") for name in ("files", "bytes", "sent"))]
    metadata: dict[str, Any] = {
        "dagster/uri": result.uri,
        "files": result.files,
        "bytes": result.size,
        "files_sent": len(result.sent),
        "bytes_sent": result.bytes_sent,
        "manifest_written": result.written,
        "groups": dg.MetadataValue.table(groups, dg.TableSchema(columns)),
        "requests": 0 if result.traffic is None else sum(result.traffic.requests.values()),
        "seconds": round(result.seconds, 3),
    }
    if result.manifest is not None:
        metadata["files_in_backup"] = len(result.manifest.entries)
    if result.carried:
        metadata["files_only_in_backup"] = len(result.carried)
    if result.moved:
        metadata["files_changed_to_another_day"] = [_shown(path) for path in result.moved[:MOST_NAMED]]
    if result.parts_found:
        metadata["parts_of_cut_uploads_used"] = result.parts_found
    return metadata


def _data_version(result: DayResult) -> str:
    """The local listing, the manifest, and its ETag: the sensor compares the first and the last."""
    return f"{result.listing}.{'' if result.manifest is None else result.manifest.digest}.{result.manifest_etag}"


def _known(version: str) -> Known:
    listing, _, rest = version.partition(".")
    return Known(listing, rest.partition(".")[2])


def _failure(result: DayResult) -> dg.Failure:
    """The run's red end: what could not be backed up and why. The others are on S3; the manifest is not."""
    first = result.problems[0]
    records = [
        dg.TableRecord({"path": _shown(problem.path), "problem": problem.reason})
        for problem in result.problems[:MOST_NAMED]
    ]
    schema = dg.TableSchema([dg.TableColumn("path", "string"), dg.TableColumn("problem", "string")])
    return dg.Failure(
        description=f"{result.day} is not backed up in whole: {counted(len(result.problems), 'problem')}, "
        f"{counted(result.files, 'file')}. "
        f"First: {_shown(first.path)}: {first.reason}",
        metadata={"problems": dg.MetadataValue.table(records, schema), **_metadata(result)},
        allow_retries=all(problem.retryable for problem in result.problems),
    )


def _shown(path: str) -> str:
    """A path that can be stored and shown: what is not UTF-8, or would steer a terminal, is spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in path)
