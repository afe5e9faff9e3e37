"""Jobs: the one that sensors and people launch for any set of hours."""

import dagster as dg

HOURLY_GZIP_JOB = "hourly_gzip_job"

hourly_gzip_job = dg.define_asset_job(
    HOURLY_GZIP_JOB,
    selection=dg.AssetSelection.assets("hourly_gzip"),
    description=(
        "Makes hours right. From the launchpad: choose a partition, or name any scattered set of hours in the "
        "config's `partition_keys`; each hour gets its own materialization."
    ),
)
