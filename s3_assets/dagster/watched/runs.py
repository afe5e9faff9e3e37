"""Runs of jobs, sensors and schedules that fail."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import dagster as dg

from s3_assets.alerts.problems import AUTOMATION, RUN, Problem
from s3_assets.dagster.internals import (
    IMPLICIT_ASSET_JOB_NAME,
    PARTITION_NAME_TAG,
    error_of_run,
    failing_ticks,
    hours_asked_for,
    location_of_run,
    will_be_retried,
)
from s3_assets.dagster.names import Names
from s3_assets.dagster.records import FAILED_TAG, hours_of, makes_hours
from s3_assets.dagster.watched.look import ProblemSource

FAILED_TICKS = 3
"""A sensor or schedule is a problem once so many of its ticks failed in a row."""

TICKS_LOOKED_AT = 50

RUN_MEMORY = timedelta(days=1)
"""A run that failed longer ago is not told of."""

MOST_RUNS = 1000
"""Failed runs that a tick reads."""

MOST_EXPLAINED = 20
"""Of so many runs and hours of a kind the error's words are looked up; those of the others are not shown anyway."""

MOST_ASSETS = 3
"""Of so many assets a run is named that has Dagster's own job."""


def run_problems(jobs: Collection[str], location: str | None, every: Collection[Names]) -> ProblemSource:
    """Of `jobs`, those whose last run failed within `RUN_MEMORY`, by partition where they have partitions.

    A run that was launched from an asset's page has a job that is no more than Dagster's own: it is told by its
    assets. Runs that name hours are told hour by hour. A run that Dagster runs again is no problem yet.
    """

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RUN_MEMORY)
        found: dict[tuple[str, str | None], list[dg.RunRecord]] = {}
        for record in instance.get_run_records(failed, limit=MOST_RUNS, order_by="update_timestamp"):
            run = record.dagster_run
            if run.job_name in jobs and location_of_run(run) in (None, location) and not _names_hours(run, every):
                found.setdefault((_name(run), run.tags.get(PARTITION_NAME_TAG)), []).append(record)
        for place, ((name, partition), records) in enumerate(found.items()):
            good = _successes(instance, records)
            bad = [record for record in records if not _is_over(instance, record, good)]
            if not bad or will_be_retried(bad[0].dagster_run):
                continue
            last = bad[0].dagster_run
            error = error_of_run(instance, last.run_id) if place < MOST_EXPLAINED else None
            yield Problem(
                RUN,
                name if partition is None else f"{name} {partition}",
                "" if error is None else error.words,
                cause="" if error is None else error.name,
                since=ended(bad[-1]),
                tries=len(bad),
                heals="somebody has to look at the run, and launch it again",
                page=run_page(last.run_id),
                page_name=run_name(last.run_id),
            )

    return source


def _name(run: dg.DagsterRun) -> str:
    """Its job's, or its assets' and checks' where the job is Dagster's own for all of them."""
    if run.job_name != IMPLICIT_ASSET_JOB_NAME or not _selection(run):
        return run.job_name
    assets = sorted(asset.to_user_string() for asset in run.asset_selection or ())
    checks = sorted(f"{one.asset_key.to_user_string()}:{one.name}" for one in run.asset_check_selection or ())
    names = assets or checks
    more = len(names) - MOST_ASSETS
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:MOST_ASSETS])} and {more} more"


def _selection(run: dg.DagsterRun) -> frozenset[dg.AssetKey | dg.AssetCheckKey]:
    """What of its job a run was for; nothing where it was for all of it."""
    return frozenset(run.asset_selection or ()) | frozenset(run.asset_check_selection or ())


def _successes(instance: dg.DagsterInstance, failed: Sequence[dg.RunRecord]) -> Sequence[dg.RunRecord]:
    """The runs that succeeded since the first of these failed, of the same job and partition."""
    run = failed[0].dagster_run
    partition = run.tags.get(PARTITION_NAME_TAG)
    which = dg.RunsFilter(
        job_name=run.job_name,
        tags={} if partition is None else {PARTITION_NAME_TAG: partition},
        statuses=[dg.DagsterRunStatus.SUCCESS],
        updated_after=min(map(ended, failed)),
    )
    records = instance.get_run_records(which, limit=MOST_RUNS, order_by="update_timestamp")
    return [record for record in records if record.dagster_run.tags.get(PARTITION_NAME_TAG) == partition]


def _is_over(instance: dg.DagsterInstance, failed: dg.RunRecord, good: Sequence[dg.RunRecord]) -> bool:
    """Whether what a run was for was done since: by a run of its job, or by materializing its assets in any way."""
    end = ended(failed)
    if any(ended(record) >= end and _covers(record.dagster_run, failed.dagster_run) for record in good):
        return True
    made = _last_made(instance, failed.dagster_run)
    begun = end if failed.start_time is None else datetime.fromtimestamp(failed.start_time, UTC)
    return bool(made) and max(made) >= end and min(made) >= begun  # what it made itself need not be made again


def _covers(good: dg.DagsterRun, failed: dg.DagsterRun) -> bool:
    """Whether a run was for all that another one of its job was for."""
    its, wanted = _selection(good), _selection(failed)
    if not its or not wanted:
        return not its
    checked = its if good.asset_check_selection is None else frozenset()  # no word on checks: all of its assets
    return all(one in its or (isinstance(one, dg.AssetCheckKey) and one.asset_key in checked) for one in wanted)


def _last_made(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[datetime]:
    """When each asset of a run was last materialized, in the run's partition; 1970 for one that never was.

    Which ones they are is read from what the run planned: a run of a whole job names none.
    """
    planned = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assets = {entry.dagster_event.asset_key for entry in planned if entry.dagster_event}
    partition = run.tags.get(PARTITION_NAME_TAG)
    made: list[datetime] = []
    for asset in (each for each in assets if each is not None):
        which = dg.AssetRecordsFilter(asset, asset_partitions=None if partition is None else [partition])
        records = instance.fetch_materializations(which, limit=1).records
        own = [record.timestamp for record in records if record.partition_key == partition]
        made.append(datetime.fromtimestamp(own[0] if own else 0, UTC))
    return made


def _names_hours(run: dg.DagsterRun, every: Collection[Names]) -> bool:
    keys = (key for names in every if makes_hours(run, names) for key in hours_asked_for(run, names.op))
    return FAILED_TAG in run.tags or any(True for _ in hours_of(keys))


def automation_problems(names: Collection[str], location: str | None) -> ProblemSource:
    """Of the sensors and schedules `names`, those that are on and fail tick after tick."""

    def source(instance: dg.DagsterInstance, _now: datetime) -> Iterator[Problem]:
        for failing in failing_ticks(instance, in_a_row=FAILED_TICKS, look_back=TICKS_LOOKED_AT):
            if failing.name not in names or location not in (None, failing.location):
                continue
            yield Problem(
                AUTOMATION,
                failing.name,
                failing.error.words,
                cause=failing.error.name,
                since=failing.since,
                tries=failing.count,
                heals="what the error says has to be mended; it ticks on meanwhile",
                page=f"locations/{quote(failing.location, safe='')}/{failing.page}/{quote(failing.name, safe='')}",
                page_name=failing.name,
            )

    return source


def ended(record: dg.RunRecord) -> datetime:
    """When a run ended. A tag that is added later counts as an update, and is no end."""
    return (
        record.update_timestamp.astimezone(UTC)
        if record.end_time is None
        else datetime.fromtimestamp(record.end_time, UTC)
    )


def run_page(run_id: str) -> str:
    """Its page in the UI; empty for no run."""
    return f"runs/{quote(run_id, safe='')}" if run_id else ""


def run_name(run_id: str) -> str:
    """What to call that page."""
    return f"run {run_id[:8]}"
