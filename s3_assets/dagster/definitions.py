"""The code location: assembles, and decides nothing."""

import os

import dagster as dg

from s3_assets.dagster.backup import backup_definitions
from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.dagster.log_files import set_up_log_files
from s3_assets.settings import backup_calendar


def build_definitions() -> dg.Definitions:
    """One pipeline with the settings of the environment, and the backup where there is one.

    Whatever people launch from the UI runs in one process with threads: half the cost of one process per step, and it
    works under Celery.
    """
    hourly = HourlyPipeline(alerts="location").definitions()
    calendar = backup_calendar(os.environ)
    backup = [] if calendar is None else [backup_definitions(calendar)]
    return dg.Definitions.merge(hourly, *backup, dg.Definitions(executor=dg.in_process_executor))


set_up_log_files()
defs = build_definitions()
