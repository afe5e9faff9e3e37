"""Hours that fail, that the breaker holds, whose run was lost, or whose file leaves out sources."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import dagster as dg

from s3_assets.alerts.problems import BREAKER, HOUR, QUARANTINED, Problem
from s3_assets.controller.records import Failing
from s3_assets.dagster.internals import error_of_run, hours_asked_for, will_be_retried
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import failing_hours, quarantined_hours
from s3_assets.dagster.records import FAILED_TAG, hours_of, makes_hours
from s3_assets.dagster.watched.look import ProblemSource
from s3_assets.dagster.watched.runs import MOST_EXPLAINED, MOST_RUNS, RUN_MEMORY, ended, run_name, run_page
from s3_assets.errors import BreakerOpenError
from s3_assets.hour_file.keys import Hour

SETTLES_WITHIN = timedelta(minutes=15)
"""An hour that failed once is tried again within minutes: so long nothing is said of it, if trying again may help."""


def hour_problem(failing: Failing, now: datetime) -> Problem:
    """A failing hour as a problem.

    It is settled when trying again can't help, when it failed twice, or when it failed once and is not made right
    within `SETTLES_WITHIN`.
    """
    held = failing.error == BreakerOpenError.__name__
    by_itself = not failing.permanent and not held
    if not by_itself:
        heals = "somebody has to do what the error says; then it is tried again by itself, within a day"
    elif failing.next_try > now:
        heals = f"it is tried again at {failing.next_try.astimezone(UTC):%H:%M} UTC, and from then on until it is right"
    else:
        heals = "it is tried again until it is right"
    return Problem(
        kind=BREAKER if held else HOUR,
        thing=str(failing.hour),
        words=failing.words,
        event=failing.hour.event,
        label=failing.hour.label,
        cause=failing.error,
        since=failing.since,
        tries=failing.tries,
        heals=heals,
        by_itself=by_itself,
        page=run_page(failing.run_id),
        page_name=run_name(failing.run_id),
        settled=not by_itself or _is_settled(failing.tries, failing.since, now),
    )


def _is_settled(tries: int, since: datetime, now: datetime) -> bool:
    return tries > 1 or now - since >= SETTLES_WITHIN


def failing_hour_problems(every: Collection[Names]) -> ProblemSource:
    """The hours that fail, those that the breaker holds, and those whose run died."""

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        for names in every:
            failing = failing_hours(instance, names.asset)
            for each in failing.values():
                yield hour_problem(each, now)
            yield from _lost_hours(instance, now, failing.keys(), names)

    return source


def _lost_hours(
    instance: dg.DagsterInstance, now: datetime, known: Collection[Hour], names: Names
) -> Iterator[Problem]:
    """The hours of runs that ended without a word on them, and that no run has come to its end with since."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RUN_MEMORY)
    lost: dict[Hour, list[dg.RunRecord]] = {}
    for record in instance.get_run_records(failed, limit=MOST_RUNS, order_by="update_timestamp"):
        run = record.dagster_run
        if FAILED_TAG not in run.tags and makes_hours(run, names) and not will_be_retried(run):
            for hour in hours_of(hours_asked_for(run, names.op)):
                lost.setdefault(hour, []).append(record)
    if not lost:
        return
    finished: dict[Hour, datetime] = {}
    since = min(ended(records[-1]) for records in lost.values())
    good = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE], updated_after=since)
    for record in instance.get_run_records(good, limit=MOST_RUNS, order_by="update_timestamp"):
        run = record.dagster_run
        if makes_hours(run, names) and (run.status is dg.DagsterRunStatus.SUCCESS or FAILED_TAG in run.tags):
            for hour in hours_of(hours_asked_for(run, names.op)):
                finished.setdefault(hour, ended(record))
    explained: dict[str, str] = {}
    for hour, records in lost.items():
        bad = [record for record in records if hour not in finished or ended(record) > finished[hour]]
        if not bad or hour in known:
            continue
        run_id = bad[0].dagster_run.run_id
        if run_id not in explained and len(explained) < MOST_EXPLAINED:
            explained[run_id] = error_of_run(instance, run_id).words
        yield Problem(
            HOUR,
            str(hour),
            explained.get(run_id, ""),
            event=hour.event,
            label=hour.label,
            cause="run lost",
            since=ended(bad[-1]),
            tries=len(bad),
            heals="it is asked for again until it is right; look at the run where it does not get through",
            by_itself=True,
            page=run_page(run_id),
            page_name=run_name(run_id),
            settled=_is_settled(len(bad), ended(bad[-1]), now),
        )


def quarantined_problems(every: Collection[Names]) -> ProblemSource:
    """The hours whose file leaves out sources as unusable."""

    def source(instance: dg.DagsterInstance, _now: datetime) -> Iterator[Problem]:
        found = [(one, names) for names in every for one in quarantined_hours(instance, names.asset).values()]
        found.sort(key=lambda pair: (pair[0].hour.label, pair[0].hour.event), reverse=True)
        for one, names in found:
            page = f"assets/{names.asset.to_user_string()}?view=partitions&partition="
            yield Problem(
                QUARANTINED,
                str(one.hour),
                one.words,
                event=one.hour.event,
                label=one.hour.label,
                since=one.since,
                heals="fix, replace or remove the object, or change the setting named; the other rows are there",
                page=page + quote(one.hour.partition_key, safe=""),
                page_name=str(one.hour),
            )

    return source
