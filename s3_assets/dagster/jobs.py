"""Jobs: the one that sensors and people launch for any set of hours."""

from typing import Any

import dagster as dg

from s3_assets.dagster.names import Names

AUDIT_CHECK = "hour_files_equal_sources"
"""Name of the asset check that audits hour files."""


def hourly_gzip_job(names: Names) -> Any:  # what define_asset_job gives has no public name
    """The job of a group."""
    return dg.define_asset_job(
        names.job,
        # Its own checks come with it; the audit, which reads every hour file, has a job of its own.
        selection=dg.AssetSelection.assets(names.asset)
        - dg.AssetSelection.checks(dg.AssetCheckKey(names.asset, AUDIT_CHECK)),
        executor_def=dg.in_process_executor,  # threads within one process: half the cost of one process per step
        description=(
            "Makes hours right. From the launchpad: choose a partition, or name in the config any scattered set of "
            "hours (`partition_keys`) or a range of them (`first`, `last`, `events`), which one run then takes. Each "
            "hour gets its own materialization."
        ),
    )
