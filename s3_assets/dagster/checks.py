"""Asset checks. They speak for all partitions: Dagster's checks of single partitions are a preview in 1.13.

The verdict comes from the last materialization of every hour, so a good run elsewhere does not hide a bad hour.
"""

import dagster as dg

from s3_assets.dagster.internals import DATA_VERSION_TAG, latest_tags
from s3_assets.hour_file.changes import read_data_version

NAMED_HOURS = 100
"""How many hours a check names; the rest is counted."""

NO_QUARANTINED = dg.AssetCheckSpec(
    "no_quarantined_sources",
    asset=dg.AssetKey("hourly_gzip"),
    description=(
        "No hour file leaves out a source object as unusable. A quarantined one stays at the source, named with its "
        "reason in its hour's metadata, and is taken in by itself when its content changes."
    ),
)


def no_quarantined_sources(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether any hour, as last materialized, has quarantined sources."""
    counts = {
        partition: quarantined
        for partition, tags in latest_tags(instance, asset, [DATA_VERSION_TAG]).items()
        if (quarantined := read_data_version(tags[DATA_VERSION_TAG])[1])
    }
    named = sorted(counts, key=lambda partition: partition.rpartition("|")[2], reverse=True)[:NAMED_HOURS]
    schema = dg.TableSchema([dg.TableColumn("hour", "string"), dg.TableColumn("quarantined", "int")])
    records = [dg.TableRecord({"hour": partition, "quarantined": counts[partition]}) for partition in named]
    return dg.AssetCheckResult(
        check_name=NO_QUARANTINED.name,
        asset_key=asset,
        passed=not counts,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{sum(counts.values())} source objects quarantined, in {len(counts)} hours" if counts else "none",
        metadata={"sources": sum(counts.values()), "hours": dg.MetadataValue.table(records, schema)},
    )
