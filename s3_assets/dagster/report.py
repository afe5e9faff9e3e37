"""`delivery_report`: what producers deliver, one partition for each event and day, with charts; and when it is made.

It reads S3, by one listing and the tails of hour files, and writes nothing there. What is counted is in
`s3_assets.report`; here is how Dagster shows it. In the graph it hangs on the sources alone: a run with many days in
its config has no partition, and Dagster 1.13 ends a run without one whose asset depends on a partitioned one.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from s3_assets.builder.pipeline import Pipeline
from s3_assets.builder.reconcile import look
from s3_assets.dagster.assets import LAYER_TAG, code_references
from s3_assets.dagster.log_files import logged
from s3_assets.dagster.metadata import console_of, folder_link
from s3_assets.dagster.names import Names
from s3_assets.dagster.partitions import events
from s3_assets.dagster.report_metadata import report_metadata, sentence
from s3_assets.dagster.resources import resources_of
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import Hour, escape_event, unescape_event
from s3_assets.report.day import DayReport, hour_of_day, report_day
from s3_assets.settings import Settings

DAYS_AGO = (1, 2, 3, 8, 31)
"""Which days the schedule reports on, counted from its tick: each day five times, as late sources come in."""

CRON = "30 1 * * *"
"""When the schedule ticks, UTC."""

DAYS_PER_BACKFILL_RUN = 500
"""Partitions of a backfill in one run."""


class DaysConfig(dg.Config):
    """What to report on; empty for the partitions of the run itself."""

    days: list[str] = Field(
        default_factory=list,
        description="Days as YYYY-MM-DD, UTC. One run takes them all. Empty: the partitions that the run was "
        "launched for.",
    )
    events: list[str] = Field(
        default_factory=list, description="Only these events of the days, by their folders. Empty: all that are known."
    )


def report_key(names: Names) -> dg.AssetKey:
    """Of the asset of a group of events: beside its pipeline's others."""
    return dg.AssetKey([*names.source.path[:-1], _name(names)])


def report_op(names: Names) -> str:
    """Of the op that makes it; job and schedule begin with it."""
    return names.of_pipeline(_name(names))


def _name(names: Names) -> str:
    return f"delivery_report_{names.group}" if names.group else "delivery_report"


def event_days(start: date, names: Names) -> dg.MultiPartitionsDefinition:
    """Every event of a group in every day from `start` to the current one, which is included: what came so far."""
    days = dg.DailyPartitionsDefinition(start_date=f"{start:%Y-%m-%d}", timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({"day": days, "event": events(names)})


def delivery_report(start: date, names: Names, owners: Sequence[str] = ()) -> dg.AssetsDefinition:
    """The asset of a group of events, with a grid of days from `start` on."""
    key = report_key(names)

    @dg.multi_asset(
        name=report_op(names),
        specs=[
            dg.AssetSpec(
                key,
                deps=[names.source],  # not on the hours too: see the module
                skippable=True,
                partitions_def=event_days(start, names),
                group_name=names.asset_group,
                kinds={"s3", "python"},
                owners=owners,
                tags={LAYER_TAG: "report"},
                metadata=code_references(__file__),
                description=(
                    "What the producers of one event delivered on one day: when files came and how late, which minutes "
                    "have none, what is quarantined and why, sizes and compression; numbers that are plotted over "
                    "days, and charts to show to a producer. It is as of when it was made: materialize a day again to "
                    "count what came since."
                ),
            )
        ],
        required_resource_keys=names.resources,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_PER_BACKFILL_RUN),
    )
    def delivery_report(context: dg.AssetExecutionContext, config: DaysConfig) -> Iterator[dg.AssetMaterialization]:
        pipeline, s3 = resources_of(context.resources, names)
        failures: list[str] = []
        try:
            with pipeline.open(s3) as site:
                asked = _days(context, config, pipeline.settings(), names)
                console = console_of(getattr(context.resources, names.s3))
                context.log.info("%d days of events", len(asked))
                for day, event in asked:
                    try:
                        report = read_day(site, event, day, datetime.now(UTC))
                    except S3AssetsError as error:  # the others' reports are as good
                        failures.append(f"{event} {day}: {error.describe()}")
                        context.log.error(failures[-1])  # noqa: TRY400  (it says all; a trace adds nothing)
                        continue
                    folder = site.source_uri(site.grammar.date_prefix(event, day))
                    yield _materialization(
                        key, event, day, report, {**report_metadata(report), **folder_link(console, folder)}
                    )
        except S3AssetsError as error:
            raise dg.Failure(description=error.describe(), allow_retries=False) from None
        if failures:
            said = f"{len(failures)} of {len(asked)} reports could not be made. First: {failures[0]}"
            raise dg.Failure(description=said, metadata={"failed": len(failures)}, allow_retries=False)

    return delivery_report


def delivery_report_job(names: Names) -> Any:  # what define_asset_job gives has no public name
    """The job of a group."""
    return dg.define_asset_job(
        f"{report_op(names)}_job",
        selection=dg.AssetSelection.assets(report_key(names)),
        executor_def=dg.in_process_executor,
        description=(
            "Reports what producers delivered; writes nothing to S3. From the launchpad: choose a partition, or name "
            "`days`, and perhaps `events`, in the config. One run takes them all."
        ),
    )


def delivery_report_schedule(names: Names) -> dg.ScheduleDefinition:
    """Asks each night for yesterday and for some days before it, of all events, in one run. Stopped at first."""
    op = report_op(names)

    @dg.schedule(
        name=f"{op}_schedule",
        job_name=f"{op}_job",
        cron_schedule=CRON,
        execution_timezone="UTC",
        description=(
            f"Each night, in one run for all events, the days that are {', '.join(map(str, DAYS_AGO[:-1]))} and "
            f"{DAYS_AGO[-1]} days ago: what came late since is counted then."
        ),
    )
    @logged
    def delivery_report_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        today = context.scheduled_execution_time.astimezone(UTC).date()
        days = [(today - timedelta(days=ago)).isoformat() for ago in DAYS_AGO]
        return dg.RunRequest(run_key=today.isoformat(), run_config={"ops": {op: {"config": {"days": days}}}})

    return delivery_report_schedule


# --- what is asked for -------------------------------------------------------------------------------------


def _days(
    context: dg.AssetExecutionContext, config: DaysConfig, settings: Settings, names: Names
) -> list[tuple[str, str]]:
    """Days and events that the run is for, by its partitions or its config; none before the start date or to come."""
    in_partitions = context.has_partition_key or context.has_partition_key_range
    if in_partitions == bool(config.days):
        raise dg.Failure(
            description="It is not clear which days the run is for. Give one of two: a partition of the asset; or "
            "days in the config, such as 2024-06-01, and perhaps events.",
            allow_retries=False,
        )
    if in_partitions:
        pairs = (key.partition("|") for key in context.partition_keys)
        return sorted({(day, unescape_event(event)) for day, _, event in pairs})
    wrong = [day for day in config.days if not _is_day(day)]
    if wrong:
        raise dg.Failure(description=f"{wrong[0]!r} is no day: write it as 2024-06-01", allow_retries=False)
    known = {*map(unescape_event, context.instance.get_dynamic_partitions(names.events))}
    ours = {event for event in known if settings.takes(names.group, event)}
    if strange := sorted({*config.events} - ours):
        raise dg.Failure(
            description=f"{strange[0]!r} is no event of {report_key(names).to_user_string()}: its partitions are "
            f"those that {names.sensor} has found, and [groups] in the TOML file say whose they are",
            allow_retries=False,
        )
    first, last = f"{settings.start_date:%Y-%m-%d}", f"{datetime.now(UTC):%Y-%m-%d}"
    days = [day for day in {*config.days} if first <= day <= last]
    return sorted((day, event) for day in days for event in {*config.events} or ours)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def read_day(pipeline: Pipeline, event: str, day: str, now: datetime) -> DayReport:
    """List one event's day and read the ledgers of its hour files.

    Raises:
        StoreError: The listing failed, or an hour file can't be read; nothing is known then.
    """
    hours = [hour for hour in (Hour(event, f"{day}-{hh:02d}:00") for hh in range(24)) if hour.start <= now]
    return report_day(
        hour_of_day(
            pipeline.grammar,
            hour,
            seen.sources,
            ledger=None if seen.target is None else seen.target.ledger,
            file_bytes=0 if seen.target is None else seen.target.size,
            problem="" if seen.target is None or seen.target.problem is None else seen.target.problem.detail,
            now=now,
        )
        for hour, seen in (look(pipeline, hours) if hours else {}).items()
    )


def _materialization(
    key: dg.AssetKey, event: str, day: str, report: DayReport, metadata: dict[str, Any]
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        key,
        description=sentence(report),
        partition=dg.MultiPartitionKey({"day": day, "event": escape_event(event)}),
        metadata=metadata,
    )
