"""Runs of jobs, sensors and schedules that fail."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import dagster as dg

from s3_assets.alerts.problems import AUTOMATION, RUN, Problem
from s3_assets.dagster.internals import (
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


def run_problems(jobs: Collection[str], location: str | None, every: Collection[Names]) -> ProblemSource:
    """Of `jobs`, those whose last run failed within `RUN_MEMORY`, by partition where they have partitions.

    Runs that name hours are told hour by hour. A run that Dagster runs again is no problem yet.
    """

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RUN_MEMORY)
        found: dict[tuple[str, str | None], list[dg.RunRecord]] = {}
        for record in instance.get_run_records(failed, limit=MOST_RUNS, order_by="update_timestamp"):
            run = record.dagster_run
            if run.job_name in jobs and location_of_run(run) in (None, location) and not _names_hours(run, every):
                found.setdefault((run.job_name, run.tags.get(PARTITION_NAME_TAG)), []).append(record)
        for place, ((job, partition), records) in enumerate(found.items()):
            good = _last_success(instance, job, partition)
            bad = [record for record in records if good is None or ended(record) > good]
            if not bad or will_be_retried(bad[0].dagster_run):
                continue
            last = bad[0].dagster_run
            error = error_of_run(instance, last.run_id) if place < MOST_EXPLAINED else None
            yield Problem(
                RUN,
                job if partition is None else f"{job} {partition}",
                "" if error is None else error.words,
                cause="" if error is None else error.name,
                since=ended(bad[-1]),
                tries=len(bad),
                heals="somebody has to look at the run, and launch it again",
                page=run_page(last.run_id),
                page_name=run_name(last.run_id),
            )

    return source


def _last_success(instance: dg.DagsterInstance, job: str, partition: str | None) -> datetime | None:
    tags = {} if partition is None else {PARTITION_NAME_TAG: partition}
    which = dg.RunsFilter(job_name=job, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    records = instance.get_run_records(which, limit=1, order_by="update_timestamp")
    return ended(records[0]) if records else None


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
