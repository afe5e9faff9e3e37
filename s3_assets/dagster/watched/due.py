"""What should be there by now and is not: hours of events with a rhythm, days of the backup.

The sensors that looked left records of them; whether time has passed since decides nothing here.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

import dagster as dg

from s3_assets.alerts.problems import BACKUP_DAY, NO_SOURCES, NOT_MADE, Problem
from s3_assets.controller.rhythm import Standing
from s3_assets.dagster.backup import DAILY_BACKUP, DAYS_PER_TICK
from s3_assets.dagster.missing_days import missing_days
from s3_assets.dagster.names import Names
from s3_assets.dagster.rhythm import standings, words_of
from s3_assets.dagster.watched.hours import SETTLES_WITHIN
from s3_assets.dagster.watched.look import ProblemSource


def overdue_problems(every: Collection[Names]) -> ProblemSource:
    """The events that are overdue: without new sources, without new hour files, or both."""

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        for asset in sorted({names.source for names in every}):
            for standing in standings(instance, asset).values():
                yield from _overdue(standing, asset, now)

    return source


def _overdue(standing: Standing, source: dg.AssetKey, now: datetime) -> Iterator[Problem]:
    words = iter(words_of(standing))
    if standing.no_sources_since is not None:
        yield Problem(
            NO_SOURCES,
            standing.event,
            next(words),
            event=standing.event,
            since=standing.no_sources_since,
            heals="its producer, or what brings its objects to the source, has to be looked at",
            page=f"assets/{source.to_user_string()}",
            page_name=source.to_user_string(),
        )
    if standing.not_made_since is not None:
        yield Problem(
            NOT_MADE,
            standing.event,
            next(words),
            event=standing.event,
            since=standing.not_made_since,
            heals="the runs have to be looked at: one fails, hangs or waits, or none is launched",
            page="runs",
            page_name="runs",
            # After a standstill the first look finds much that waits, and the runs that it asks for make it.
            settled=standing.recorded is None or now - standing.recorded >= SETTLES_WITHIN,
        )


def missing_day_problems() -> ProblemSource:
    """The days of the backup that are due and not right."""

    def source(instance: dg.DagsterInstance, _now: datetime) -> Iterator[Problem]:
        for one in missing_days(instance, DAILY_BACKUP).values():
            yield Problem(
                BACKUP_DAY,
                one.day.isoformat(),
                one.words,
                since=one.since,
                heals=f"backfill {DAILY_BACKUP.to_user_string()} for these days; of those that were never backed up "
                f"the schedule asks for the newest {DAYS_PER_TICK} at its next tick",
                page=f"assets/{DAILY_BACKUP.to_user_string()}?view=partitions",
                page_name=DAILY_BACKUP.to_user_string(),
            )

    return source
