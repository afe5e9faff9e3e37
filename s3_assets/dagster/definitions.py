"""The code location: assembles, and decides nothing."""

import os
from datetime import UTC, datetime

import dagster as dg

from s3_assets.dagster.alerts import alerts_sensor
from s3_assets.dagster.assets import hourly_gzip, source_csv
from s3_assets.dagster.audit import hour_files_equal_sources, verify_job
from s3_assets.dagster.backup import backup_definitions
from s3_assets.dagster.jobs import hourly_gzip_job
from s3_assets.dagster.names import Names
from s3_assets.dagster.resources import from_environment
from s3_assets.dagster.sensors import source_sensor
from s3_assets.settings import backup_calendar, grid_start, group_names


def build_definitions() -> dg.Definitions:
    """All definitions. It reads where the grid starts, which groups and hints there are and when the backup runs.

    Runs use one process with threads: half the cost of one process per step, and it works under Celery.
    """
    start = grid_start(os.environ, datetime.now(UTC).date())
    every = [Names(), *map(Names, group_names(os.environ))]
    hourly = dg.Definitions(
        assets=[source_csv, *(hourly_gzip(start, names) for names in every)],
        asset_checks=[hour_files_equal_sources(names) for names in every],
        jobs=[job(names) for names in every for job in (hourly_gzip_job, verify_job)],
        sensors=[*(source_sensor(os.environ, names) for names in every), alerts_sensor(every)],
        resources=from_environment(),
        executor=dg.in_process_executor,
    )
    calendar = backup_calendar(os.environ)
    return hourly if calendar is None else dg.Definitions.merge(hourly, backup_definitions(calendar))


defs = build_definitions()
