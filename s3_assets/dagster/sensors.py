"""Sensors: `source_sensor` compares what is at the source with what was last materialized, and asks for the rest.

Level-triggered: it keeps no state of S3 and gives no run key (Dagster remembers one for ever, also of a run that
failed), so an hour that is not right is asked for again until it is.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.builder.reconcile import Scope, observe
from s3_assets.dagster.assets import HOURLY_GZIP, OP_NAME
from s3_assets.dagster.internals import DATA_VERSION_TAG, hours_asked_for, latest_tags
from s3_assets.dagster.jobs import hourly_gzip_job
from s3_assets.dagster.partitions import EVENT_PARTITIONS_NAME, EVENTS
from s3_assets.dagster.requests import FAILURE_MEMORY, FailedRun, Requests, decide
from s3_assets.dagster.resources import PipelineResource
from s3_assets.errors import KeyGrammarError, S3AssetsError
from s3_assets.hour_file.changes import changed_hours
from s3_assets.hour_file.keys import Hour, escape_event, label_of
from s3_assets.hour_file.sources import Listing

INTERVAL_S = 30

_LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=hourly_gzip_job,
    minimum_interval_seconds=INTERVAL_S,
    description=(
        "Lists the source objects, compares each hour's set of them with the last materialization, adds new events "
        "as partitions, and asks for the hours that differ."
    ),
)
def source_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource, s3: S3Resource) -> dg.SensorResult:
    """One tick: observe, compare, request."""
    began, now = time.monotonic(), datetime.now(UTC)
    try:
        settings = pipeline.settings()
        scope = Scope(f"{settings.start_date:%Y-%m-%d}-00:00", label_of(now))
        with pipeline.open(s3) as site:
            listing = observe(site, scope)
    except S3AssetsError as error:
        raise dg.Failure(description=error.describe()) from error
    instance = context.instance
    versions = latest_tags(instance, HOURLY_GZIP, [DATA_VERSION_TAG])
    recorded = {hour: tags[DATA_VERSION_TAG] for key, tags in versions.items() for hour in _hours([key])}
    changed = changed_hours(listing, recorded, settings.policy)
    live = instance.get_run_records(dg.RunsFilter(statuses=_LIVE))
    busy = {hour for record in live for hour in _hours(hours_asked_for(record.dagster_run, OP_NAME))}
    requests = decide(changed, busy, _failed(instance, now), now, hours_per_run=settings.hours_per_run)
    new_events = sorted(
        {escape_event(hour.event) for hour in listing.hours}
        - set(instance.get_dynamic_partitions(EVENT_PARTITIONS_NAME))
    )
    message = tick_message(listing, len(changed), requests, new_events, time.monotonic() - began)
    context.log.info(message)
    for key, reason in listing.named:
        context.log.warning("not taken in: %r: %s", key, reason)
    return dg.SensorResult(
        run_requests=[_run_request(batch) for batch in requests.batches],
        dynamic_partitions_requests=[EVENTS.build_add_request(new_events)] if new_events else [],
        skip_reason=None if requests.batches else dg.SkipReason(message),
    )


def tick_message(listing: Listing, changed: int, requests: Requests, new_events: list[str], seconds: float) -> str:
    """What a tick saw and did, short and in words."""
    said = [f"{listing.source_count} source objects in {len(listing.hours)} hours"]
    said.append(f"{changed} hours differ" if changed else "every hour is right")
    if requests.batches:
        said.append(f"asked for {requests.count} in {len(requests.batches)} runs")
    if requests.busy:
        said.append(f"{len(requests.busy)} under way")
    if requests.waiting:
        first = min(requests.waiting.values())
        said.append(f"{len(requests.waiting)} rest after failing, the first until {first:%H:%M:%S} UTC")
    if requests.left:
        said.append(f"{len(requests.left)} left for the next tick")
    if new_events:
        said.append(f"new events: {', '.join(new_events[:5])}{', …' if len(new_events) > 5 else ''}")  # noqa: PLR2004
    if listing.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in listing.rejected.most_common(3))
        said.append(f"{listing.rejected.total()} keys not taken in ({reasons})")
    return "; ".join(said) + f"; {seconds:.1f} s"


def _run_request(batch: list[Hour]) -> dg.RunRequest:
    keys = [hour.partition_key for hour in batch]
    tags = {"s3_assets/hours": str(len(batch)), "s3_assets/newest": batch[0].label.replace(":", "_")}
    return dg.RunRequest(run_config={"ops": {OP_NAME: {"config": {"partition_keys": keys}}}}, tags=tags)


def _failed(instance: dg.DagsterInstance, now: datetime) -> Iterator[FailedRun]:
    """The runs that failed lately, whoever launched them."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - FAILURE_MEMORY)
    for record in instance.get_run_records(failed, limit=1000):
        hours = set(_hours(hours_asked_for(record.dagster_run, OP_NAME)))
        if hours:
            yield FailedRun(hours, record.update_timestamp.astimezone(UTC))


def _hours(keys: Iterable[str]) -> Iterator[Hour]:
    """Partition keys to hours; a key of another form is another asset's."""
    for key in keys:
        try:
            yield Hour.of_partition_key(key)
        except KeyGrammarError:
            continue
