"""The audit as an asset check of `hourly_gzip`, and the job that runs it, by hand or on a schedule.

It has a job of its own because Dagster 1.13 skips the step of a separate check in a run that materializes a skippable
output: there it does nothing. Nothing is decided here: `s3_assets.audit` looks and judges.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from s3_assets.audit.differences import Difference, Omissions, Report
from s3_assets.audit.hours import GRACE, AuditOptions, audit_hours, sweep
from s3_assets.builder.reconcile import HourFailure, Scope
from s3_assets.dagster.jobs import AUDIT_CHECK
from s3_assets.dagster.names import Names
from s3_assets.dagster.resources import PipelineResource, resources_of
from s3_assets.errors import KeyGrammarError, S3AssetsError
from s3_assets.hour_file.keys import label_of, parse_label
from s3_assets.plural import counted
from s3_assets.settings import Settings

NAMED_DIFFERENCES = 100
"""How many differences the check's table names; the rest is counted."""


class AuditConfig(dg.Config):
    """What to audit, and how hard."""

    events: list[str] = Field(default_factory=list, description="Only these events, by their folders. Empty: all.")
    first: str = Field(default="", description="First hour, 2021-09-01-07:00. Empty: the start date.")
    last: str = Field(default="", description="Last hour, included. Empty: the current one.")
    deep: bool = Field(
        default=False,
        description="Read all bytes too: inflate every segment, count the rows, and compare their values by name with "
        "the sources that are still there.",
    )
    grace_minutes: int = Field(
        default=int(GRACE.total_seconds() // 60),
        ge=0,
        description="A source that came no longer ago and is not ingested yet is behind, not wrong.",
    )


def hour_files_equal_sources(names: Names) -> dg.AssetChecksDefinition:
    """The audit of a group of events."""

    @dg.asset_check(
        asset=names.asset,
        name=AUDIT_CHECK,
        required_resource_keys=names.resources,
        description=(
            "Every hour file holds exactly the rows of its sources: ledgers are compared with a listing, and with "
            "`deep` every byte with its ledger and with the sources that are still there. Read-only. Run it by itself, "
            "or by its job; materializing does not run it."
        ),
    )
    def hour_files_equal_sources(context: dg.AssetCheckExecutionContext, config: AuditConfig) -> dg.AssetCheckResult:
        pipeline, s3 = resources_of(context.resources, names)
        return _audit(context, config, pipeline, s3, names)

    return hour_files_equal_sources


def _audit(
    context: dg.AssetCheckExecutionContext,
    config: AuditConfig,
    pipeline: PipelineResource,
    s3: S3Resource,
    names: Names,
) -> dg.AssetCheckResult:
    report, failures = Report(most_named=NAMED_DIFFERENCES), []
    try:
        settings = pipeline.settings()
        scope = _scope(config, settings)
        with pipeline.open(s3) as site:
            swept = sweep(site, scope)
            if not names.group:  # what belongs to no hour is reported once
                report.note(swept.differences)
            hours = [hour for hour in swept.hours if settings.takes(names.group, hour.event)]
            options = AuditOptions(deep=config.deep, grace=timedelta(minutes=config.grace_minutes))
            for outcome in audit_hours(site, hours, options):
                if isinstance(outcome, HourFailure):
                    failures.append(outcome)
                    context.log.error(_say_failure(outcome))
                else:
                    report.add(outcome)
    except S3AssetsError as error:
        raise dg.Failure(description=error.describe(), allow_retries=False) from None
    return result_of(report, failures, names, aside=site.aside)


def result_of(report: Report, failures: list[HourFailure], names: Names, *, aside: str = "") -> dg.AssetCheckResult:
    """The verdict: what is behind passes, what is wrong or could not be looked at does not; `aside` is of commands."""
    omissions = report.omissions
    said = report.summary()
    metadata: dict[str, Any] = {
        "hours": report.hours,
        "sources": report.sources,
        "rows": report.rows,
        "wrong": report.wrong,
        "behind": report.behind,
        "hours_that_outlived_their_sources": report.kept,
        **{kind: some.count for kind, some in omissions.left_out().items()},
        "vanished_sources": omissions.vanished_sources,
        "vanished_rows": omissions.vanished_rows,
        "gone_for_good_sources": omissions.lost_sources,
        "gone_for_good_rows": omissions.lost_rows,
        "bytes_read": report.bytes_read,
    }
    if any(some.count for some in omissions.left_out().values()):
        metadata["left_out"] = _left_out_table(omissions)
    if report.named:
        metadata["differences"] = _table(report.in_order())
        if aside:
            metadata["to_mend"] = aside
    if failures:
        said += f"; {counted(len(failures), 'hour')} could not be audited"
        metadata["not_audited"] = len(failures)
        metadata["first_not_audited"] = _say_failure(min(failures, key=lambda failure: failure.hour))
    return dg.AssetCheckResult(
        check_name=AUDIT_CHECK,
        asset_key=names.asset,
        passed=not report.wrong and not failures,
        severity=dg.AssetCheckSeverity.ERROR,
        description=said,
        metadata=metadata,
    )


def _scope(config: AuditConfig, settings: Settings) -> Scope:
    start, now = f"{settings.start_date:%Y-%m-%d}-00:00", label_of(datetime.now(UTC))
    first = parse_label(config.first) if config.first else start
    last = parse_label(config.last) if config.last else now
    if first > last:
        msg = f"the first hour {first} is after the last {last}"
        raise KeyGrammarError(msg)
    return Scope(max(first, start), min(last, now), tuple(config.events) or None, start_label=start, now_label=now)


def _table(differences: list[Difference]) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "standing": str(found.standing),
                "hour": "" if found.hour is None else found.hour.partition_key,
                "what": found.sentence(),
                "fix": found.fix,
            }
        )
        for found in differences
    ]
    columns = [dg.TableColumn(name, "string") for name in ("standing", "hour", "what", "fix")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _left_out_table(omissions: Omissions) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord({"kind": kind, "event": one.event, "key": one.key, "reason": one.reason, "detail": one.detail})
        for kind, some in omissions.left_out().items()
        for one in some.named
    ]
    columns = [dg.TableColumn(name, "string") for name in ("kind", "event", "key", "reason", "detail")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _say_failure(failure: HourFailure) -> str:
    error = failure.error
    return f"{failure.hour}: {error.describe() if isinstance(error, S3AssetsError) else repr(error)}"


def verify_job(names: Names) -> Any:  # what define_asset_job gives has no public name
    """The job of the audit of a group."""
    return dg.define_asset_job(
        names.verify_job,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(names.asset, AUDIT_CHECK)),
        executor_def=dg.in_process_executor,
        description=(
            "Audits hour files against their sources; writes nothing. From the launchpad: choose events, hours and "
            "`deep` in the config."
        ),
    )
