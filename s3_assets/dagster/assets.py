"""Assets: `source_csv`, what producers write, and `hourly_gzip`, one hour file per event and hour."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from s3_assets.builder.build import BuildOptions, HourResult
from s3_assets.builder.reconcile import HourFailure, make_right
from s3_assets.dagster.checks import NO_QUARANTINED, no_quarantined_sources
from s3_assets.dagster.internals import DATA_VERSION_TAG, tag_run
from s3_assets.dagster.metadata import hour_metadata
from s3_assets.dagster.partitions import event_hours
from s3_assets.dagster.resources import PipelineResource
from s3_assets.errors import KeyGrammarError, S3AssetsError, SettingsError
from s3_assets.hour_file.changes import data_version
from s3_assets.hour_file.keys import Hour

SOURCE_CSV = dg.AssetKey("source_csv")
HOURLY_GZIP = dg.AssetKey("hourly_gzip")
OP_NAME = "hourly_gzip"
GROUP = "hour_files"

FAILED_HOURS_TAG = "s3_assets/failed_hours"
"""Tag of a run in which hours failed: their partition keys, one a line."""

MOST_FAILED_NAMED = 200
"""With more failed hours than this, a run names none, and all of its hours count as failed."""

HOURS_PER_BACKFILL_RUN = 1000
"""Partitions of a backfill in one run: a run costs about 4 CPU-seconds whatever it does, an hour about 0.05."""

source_csv = dg.AssetSpec(
    SOURCE_CSV,
    description=(
        "The CSV objects that producers drop into S3, `{event}/{date}/{HH}_{MM}_….csv`: most on time, some late, "
        "some twice, some broken. Nothing here is made by Dagster; `source_sensor` watches it."
    ),
    group_name=GROUP,
    kinds={"s3", "csv"},
)


class HoursConfig(dg.Config):
    """What to make right; empty for the partitions of the run itself."""

    partition_keys: list[str] = Field(
        default_factory=list,
        description="Hours as partition keys, `event|2021-09-01-07:00`, any scattered set of them. "
        "Empty: the partitions that the run was launched for.",
    )
    rebuild: bool = Field(
        default=False,
        description="Read every source again and write a new file, also in place of a damaged or foreign one.",
    )
    accept_vanished: bool = Field(
        default=False,
        description="Let vanished sources go although the breaker would hold them (events with on_vanished = drop).",
    )


def hourly_gzip(start: date) -> dg.AssetsDefinition:
    """The asset, with hours from `start` on."""

    @dg.multi_asset(
        name=OP_NAME,
        specs=[
            dg.AssetSpec(
                HOURLY_GZIP,
                deps=[SOURCE_CSV],
                skippable=True,
                partitions_def=event_hours(start),
                group_name=GROUP,
                kinds={"s3", "gzip"},
                description=(
                    "One gzip per event and hour, `{event}/{date}/{HH}.csv.gz`, that holds every row of the hour's "
                    "source objects once, in key order. Materializing a partition makes that hour right, whatever "
                    "asked for it; when it is right already, nothing is written."
                ),
            )
        ],
        check_specs=[NO_QUARANTINED],
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=HOURS_PER_BACKFILL_RUN),
    )
    def hourly_gzip(
        context: dg.AssetExecutionContext, config: HoursConfig, pipeline: PipelineResource, s3: S3Resource
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult]:
        hours = _hours(context, config)
        options = BuildOptions(rebuild=config.rebuild, accept_vanished=config.accept_vanished)
        failures: list[HourFailure] = []
        try:
            with pipeline.open(s3) as site:
                for count, outcome in enumerate(make_right(site, hours, options), start=1):
                    if isinstance(outcome, HourFailure):
                        failures.append(outcome)
                        context.log.error(_say_failure(outcome), exc_info=_trace(outcome))
                        continue
                    context.log.info("[%d/%d] %s: %s", count, len(hours), outcome.hour, outcome.plan.reason)
                    yield _materialization(outcome, hour_metadata(site, outcome))
        except SettingsError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        yield no_quarantined_sources(context.instance, HOURLY_GZIP)
        if failures:
            if len(failures) <= MOST_FAILED_NAMED:
                keys = "\n".join(sorted(failure.hour.partition_key for failure in failures))
                tag_run(context.instance, context.run.run_id, {FAILED_HOURS_TAG: keys})
            raise _failure(failures, len(hours))

    return hourly_gzip


def _hours(context: dg.AssetExecutionContext, config: HoursConfig) -> list[Hour]:
    """The hours that the run is for."""
    keys = config.partition_keys
    if keys and context.has_partition_key:
        raise dg.Failure(
            description=f"The run has a partition, {context.partition_key}, and names hours in its config: give one "
            "or the other.",
            allow_retries=False,
        )
    if not keys and (context.has_partition_key or context.has_partition_key_range):
        keys = list(context.partition_keys)
    if not keys:
        raise dg.Failure(
            description="No hours were asked for: materialize a partition of hourly_gzip, or name hours in the "
            "config's partition_keys, such as payments|2021-09-01-07:00.",
            allow_retries=False,
        )
    try:
        return sorted({Hour.of_partition_key(key) for key in keys})
    except KeyGrammarError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def _materialization(result: HourResult, metadata: dict[str, Any]) -> dg.AssetMaterialization:
    event, hour = result.hour.partition_key.split("|")
    quarantined = 0 if result.ledger is None else len(result.ledger.quarantined)
    return dg.AssetMaterialization(
        HOURLY_GZIP,
        description=result.plan.reason,
        partition=dg.MultiPartitionKey({"event": event, "hour": hour}),
        metadata=metadata,
        tags={DATA_VERSION_TAG: data_version(result.plan.fingerprint, quarantined)},
    )


def _say_failure(failure: HourFailure) -> str:
    error = failure.error
    return f"{failure.hour}: {error.describe() if isinstance(error, S3AssetsError) else repr(error)}"


def _trace(failure: HourFailure) -> BaseException | None:
    """The trace of an error that nobody foresaw; the others say all in their message."""
    return None if isinstance(failure.error, S3AssetsError) else failure.error


def _failure(failures: list[HourFailure], hours: int) -> dg.Failure:
    """The run's red end: which hours failed and why. The others' results stand."""
    records = [
        dg.TableRecord({"hour": failure.hour.partition_key, "error": _say_failure(failure)}) for failure in failures
    ]
    schema = dg.TableSchema([dg.TableColumn("hour", "string"), dg.TableColumn("error", "string")])
    return dg.Failure(
        description=f"{len(failures)} of {hours} hours failed; the others are right. "
        f"First: {_say_failure(failures[0])}",
        metadata={"failed_hours": dg.MetadataValue.table(records[:200], schema), "failed": len(failures)},
        allow_retries=False,
    )
