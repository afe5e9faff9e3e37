"""Sensors: `source_sensor` compares what is at the source with what was last materialized, and asks for the rest.

Level-triggered: it keeps no state of S3 and gives no run key (Dagster remembers one for ever, also of a run that
failed), so an hour that is not right is asked for again until it is.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.builder.reconcile import Scope, observe, target_hours
from s3_assets.dagster.assets import FAILED_HOURS_TAG, HOURLY_GZIP, OP_NAME
from s3_assets.dagster.internals import DATA_VERSION_TAG, hours_asked_for, latest_tags, range_asked_for
from s3_assets.dagster.jobs import hourly_gzip_job
from s3_assets.dagster.partitions import EVENT_PARTITIONS_NAME, EVENTS
from s3_assets.dagster.requests import FAILURE_MEMORY, FailedRun, Requests, decide
from s3_assets.dagster.resources import PipelineResource
from s3_assets.errors import KeyGrammarError, S3AssetsError
from s3_assets.hour_file.changes import changed_hours
from s3_assets.hour_file.keys import Hour, escape_event, label_of
from s3_assets.hour_file.sources import Listing

INTERVAL_S = 30

NAMED = 5
"""How many hours or events a tick's message names; the rest is counted."""

BUSY_AT_MOST = timedelta(hours=3)
"""So long a run that is queued or running keeps its hours from being asked for again."""

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
        "as partitions, and asks for the hours that differ, or whose hour file is gone. It does not look into files: "
        "`s3-assets plan` finds an hour file that was overwritten by something else."
    ),
)
def source_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource, s3: S3Resource) -> dg.SensorResult:
    """One tick: observe, compare, request."""
    began, now = time.monotonic(), datetime.now(UTC)
    try:
        settings = pipeline.settings()
        scope = Scope(f"{settings.start_date:%Y-%m-%d}-00:00", label_of(now))
        with pipeline.open(s3) as site:
            listing = observe(site, scope, everything=True)
            present = set(target_hours(site, scope))
    except S3AssetsError as error:
        raise dg.Failure(description=error.describe()) from None  # the cause may show more than it should
    instance = context.instance
    versions = latest_tags(instance, HOURLY_GZIP, [DATA_VERSION_TAG])
    recorded = {
        hour: tags[DATA_VERSION_TAG] for key, tags in versions.items() for hour in _hours([key]) if scope.holds(hour)
    }
    changed = changed_hours(listing, recorded, present, settings.policy)
    busy = _busy(instance, changed, now)
    requests = decide(changed, busy, _failed(instance, now), now, hours_per_run=settings.hours_per_run)
    new_events = sorted(
        {escape_event(hour.event) for hour in listing.hours}
        - set(instance.get_dynamic_partitions(EVENT_PARTITIONS_NAME))
    )
    message = tick_message(listing, len(changed), requests, new_events, time.monotonic() - began)
    context.log.info(message)
    if listing.named:
        named = "".join(f"\n  {key!r}: {reason}" for key, reason in listing.named)
        more = listing.rejected.total() - len(listing.named)
        context.log.warning("keys not taken in:%s%s", named, f"\n  and {more} more" if more else "")
    return dg.SensorResult(
        run_requests=[_run_request(batch) for batch in requests.batches],
        dynamic_partitions_requests=[EVENTS.build_add_request(new_events)] if new_events else [],
        skip_reason=None if requests.batches else dg.SkipReason(message),
    )


def tick_message(listing: Listing, changed: int, requests: Requests, new_events: list[str], seconds: float) -> str:
    """What a tick saw and did, short and in words."""
    said = [f"{listing.source_count} source objects in {len(listing.hours)} hours"]
    said.append(f"{changed} hours differ" if changed else "none differs from what was last made")
    if requests.batches:
        said.append(f"asked for {requests.count} in {len(requests.batches)} runs")
    if requests.busy:
        said.append(f"{len(requests.busy)} under way")
    if requests.waiting:
        first = min(requests.waiting.values())
        names = ", ".join(str(hour) for hour in list(requests.waiting)[:NAMED])
        more = ", …" if len(requests.waiting) > NAMED else ""
        said.append(f"{len(requests.waiting)} rest after failing, the first until {first:%H:%M:%S} UTC ({names}{more})")
    if requests.left:
        said.append(f"{len(requests.left)} left for the next tick")
    if new_events:
        said.append(f"new events: {', '.join(new_events[:NAMED])}{', …' if len(new_events) > NAMED else ''}")
    if listing.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in listing.rejected.most_common())
        said.append(f"{listing.rejected.total()} keys not taken in ({reasons})")
    return "; ".join(said) + f"; {seconds:.1f} s"


def _run_request(batch: list[Hour]) -> dg.RunRequest:
    keys = [hour.partition_key for hour in batch]
    tags = {"s3_assets/hours": str(len(batch)), "s3_assets/newest": batch[0].label.replace(":", "_")}
    return dg.RunRequest(run_config={"ops": {OP_NAME: {"config": {"partition_keys": keys}}}}, tags=tags)


def _busy(instance: dg.DagsterInstance, changed: list[Hour], now: datetime) -> set[Hour]:
    """Of the hours that differ, those of queued and running runs.

    A run that has been under way for longer than `BUSY_AT_MOST` may be dead without anybody having noticed; two runs
    on one hour cost time, and nothing else.
    """
    busy: set[Hour] = set()
    events = [escape_event(hour.event) for hour in changed]
    order = {event: place for place, event in enumerate(instance.get_dynamic_partitions(EVENT_PARTITIONS_NAME))}
    for record in instance.get_run_records(dg.RunsFilter(statuses=_LIVE)):
        if record.update_timestamp.astimezone(UTC) < now - BUSY_AT_MOST:
            continue
        busy.update(_hours(hours_asked_for(record.dagster_run, OP_NAME)))
        ends = list(_hours(range_asked_for(record.dagster_run) or ()))
        if len(ends) == 2:  # noqa: PLR2004  (first and last)
            first, last = (order.get(escape_event(end.event), -1) for end in ends)
            busy.update(
                hour
                for hour, event in zip(changed, events, strict=True)
                if first <= order.get(event, -1) <= last and ends[0].label <= hour.label <= ends[1].label
            )
    return busy


def _failed(instance: dg.DagsterInstance, now: datetime) -> Iterator[FailedRun]:
    """The runs that failed lately, whoever launched them, with the hours that failed in them.

    A run that came to its end has named those; of one that was lost, all hours count.
    """
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - FAILURE_MEMORY)
    for record in instance.get_run_records(failed, limit=1000):
        named = record.dagster_run.tags.get(FAILED_HOURS_TAG)
        keys = hours_asked_for(record.dagster_run, OP_NAME) if named is None else iter(named.split("\n"))
        if hours := set(_hours(keys)):
            yield FailedRun(hours, record.update_timestamp.astimezone(UTC))


def _hours(keys: Iterable[str]) -> Iterator[Hour]:
    """Partition keys to hours; a key of another form is another asset's."""
    for key in keys:
        try:
            yield Hour.of_partition_key(key)
        except KeyGrammarError:
            continue
