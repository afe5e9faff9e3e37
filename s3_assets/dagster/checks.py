"""Asset checks. They speak for all partitions: Dagster's checks of single partitions are a preview in 1.13.

The verdict comes from the notes on all hours, so a good run elsewhere does not hide a bad hour.
"""

from collections.abc import Mapping

import dagster as dg

from s3_assets.controller.records import Failing
from s3_assets.dagster.notes import Quarantined
from s3_assets.hour_file.keys import Hour
from s3_assets.plural import counted

NAMED_HOURS = 100
"""How many hours a check names; the rest is counted."""

NO_QUARANTINED, NO_FAILING = "no_quarantined_sources", "no_failing_hours"
"""Names of the checks."""


def no_quarantined(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check that no source is quarantined."""
    return dg.AssetCheckSpec(
        NO_QUARANTINED,
        asset=asset,
        description=(
            "No hour file leaves out a source object as unusable. A quarantined one stays at the source, named with "
            "its reason in its hour's metadata, and is taken in by itself when its content changes."
        ),
    )


def no_quarantined_sources(quarantined: Mapping[Hour, Quarantined], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether any hour, of all there are, leaves out sources as it was last made."""
    newest = sorted(quarantined.values(), key=lambda one: (one.hour.label, one.hour.event), reverse=True)
    columns = {"hour": "string", "quarantined": "int", "which": "string"}
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    records = [
        dg.TableRecord({"hour": one.hour.partition_key, "quarantined": one.count, "which": one.words})
        for one in newest[:NAMED_HOURS]
    ]
    count = sum(one.count for one in newest)
    return dg.AssetCheckResult(
        check_name=NO_QUARANTINED,
        asset_key=asset,
        passed=not newest,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count} source objects quarantined, in {counted(len(newest), 'hour')}" if newest else "none",
        metadata={"sources": count, "hours": dg.MetadataValue.table(records, schema)},
    )


def no_failing(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check that no hour fails."""
    return dg.AssetCheckSpec(
        NO_FAILING,
        asset=asset,
        description=(
            "Every hour could be made right when it was last tried. One that could not is tried again with growing "
            "pauses; one that is stuck, since trying again can't help, once a day, when its hour file is found to be "
            "another, or when somebody materializes it."
        ),
    )


def no_failing_hours(failing: Mapping[Hour, Failing], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether any hour, of all there are, failed when it was last tried."""
    every = sorted(failing.values(), key=lambda one: (one.permanent, one.hour.label), reverse=True)
    stuck = sum(one.permanent for one in every)
    records = [
        dg.TableRecord(
            {
                "hour": one.hour.partition_key,
                "state": "stuck" if one.permanent else "tried again",
                "error": one.words,
                "tries": one.tries,
                "since": f"{one.since:%Y-%m-%d %H:%M:%S}",
                "next_try": f"{one.next_try:%Y-%m-%d %H:%M:%S}",
            }
        )
        for one in every[:NAMED_HOURS]
    ]
    schema = dg.TableSchema(
        [
            dg.TableColumn("hour", "string"),
            dg.TableColumn("state", "string", description="stuck: until somebody does something"),
            dg.TableColumn("error", "string"),
            dg.TableColumn("tries", "int", description="failures in a row"),
            dg.TableColumn("since", "string", description="UTC"),
            dg.TableColumn("next_try", "string", description="UTC, if nothing changes"),
        ]
    )
    return dg.AssetCheckResult(
        check_name=NO_FAILING,
        asset_key=asset,
        passed=not every,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(every)} hours fail, {stuck} of them stuck" if every else "none",
        metadata={"failing": len(every), "stuck": stuck, "hours": dg.MetadataValue.table(records, schema)},
    )
