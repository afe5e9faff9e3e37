"""The code location: assembles, and decides nothing."""

import os

import dagster as dg

from s3_assets.dagster.assets import hourly_gzip, source_csv
from s3_assets.dagster.jobs import hourly_gzip_job
from s3_assets.dagster.resources import from_environment
from s3_assets.dagster.sensors import source_sensor
from s3_assets.settings import start_date


def build_definitions() -> dg.Definitions:
    """All definitions. Reads S3_ASSETS_START_DATE; makes no call to S3.

    Runs use one process with threads: half the cost of one process per step, and it works under Celery.
    """
    return dg.Definitions(
        assets=[source_csv, hourly_gzip(start_date(os.environ))],
        jobs=[hourly_gzip_job],
        sensors=[source_sensor],
        resources=from_environment(),
        executor=dg.in_process_executor,
    )


defs = build_definitions()
