"""Notes on hours: that one fails, or that its file leaves out sources. Each is an observation of the hour's partition.

A note holds until the hour is materialized after it. So it survives restarts, is on the hour's own page in the UI, is
found without reading all partitions, and may be wiped: what fails is then only tried sooner, and what is left out is
noted again when its hour is next made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from s3_assets.builder.pipeline import Pipeline
from s3_assets.builder.reconcile import HourFailure
from s3_assets.controller.records import Failing
from s3_assets.dagster.internals import latest_event_ids, report_planned
from s3_assets.errors import BreakerOpenError, KeyGrammarError, S3AssetsError, shortened
from s3_assets.hour_file import ledger
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.mending import REBUILD, sync_command
from s3_assets.hour_file.plan import UNREADABLE
from s3_assets.plural import counted

MOST_NAMED = 3
"""Quarantined sources that a note names; the hour's metadata has more."""

MOST_WORDS = 600
"""Characters that are kept of an error's words."""


def words_of(error: BaseException) -> str:
    """What to tell a person about an error: its own words where it is ours, else what Python shows of it."""
    return error.describe() if isinstance(error, S3AssetsError) else repr(error)


def is_permanent(error: BaseException) -> bool:
    """Whether trying again can't help before somebody does something. Sources that vanished may come back."""
    return isinstance(error, S3AssetsError) and not error.retryable and not isinstance(error, BreakerOpenError)


def failing_after(
    failures: list[HourFailure], before: Mapping[Hour, Failing], site: Pipeline, now: datetime, run_id: str
) -> list[Failing]:
    """What to record of `failures`, given what failed `before`."""
    return [
        Failing(
            hour=failure.hour,
            since=before[failure.hour].since if failure.hour in before else now,
            last=now,
            tries=before[failure.hour].tries + 1 if failure.hour in before else 1,
            error=type(failure.error).__name__,
            words=words_of(failure.error)[:MOST_WORDS],
            permanent=is_permanent(failure.error),
            target_etag=_target_etag(site, failure) if is_permanent(failure.error) else "",
            run_id=run_id,
        )
        for failure in failures
    ]


def _target_etag(site: Pipeline, failure: HourFailure) -> str:
    """Of the hour file as it is now: when it is replaced, the hour is tried again at once."""
    try:
        info = site.target.head(site.target_key(failure.hour))
    except S3AssetsError:
        return ""  # nobody may look: then time alone lets it be tried again
    return "" if info is None else info.etag


def on_record(
    instance: dg.DagsterInstance, run: dg.DagsterRun, op: str, asset: dg.AssetKey, failing: list[Failing]
) -> Iterator[dg.AssetObservation]:
    """What puts failures on record, for the run to yield; the grid shows the hours as failed when the run ends so."""
    for one in failing:
        partition = _partition(one.hour)
        report_planned(instance, run, op, asset, partition)
        yield (
            dg.AssetObservation(
                asset,
                partition=partition,
                description=f"could not be made right: {one.words}",
                metadata={
                    "error": one.error,
                    "words": one.words,
                    "tries": one.tries,
                    "since": dg.MetadataValue.timestamp(one.since.timestamp()),
                    "permanent": one.permanent,
                    "next_try": dg.MetadataValue.timestamp(one.next_try.timestamp()),
                    "hour_file_etag": one.target_etag,
                },
            )
        )


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An hour whose file leaves out sources as unusable.

    Attributes:
        hour: Which.
        count: How many sources.
        words: The first few, with their reasons.
        since: When that was recorded (aware).
    """

    hour: Hour
    count: int
    words: str
    since: datetime


def quarantine_note(asset: dg.AssetKey, hour: Hour, bad: Sequence[ledger.Quarantined]) -> dg.AssetObservation | None:
    """What puts it on record that an hour leaves out sources, also where it has no hour file: none has a usable row.

    To be recorded after its materialization.
    """
    if not bad:
        return None
    named = ((one.key.rpartition("/")[2], one.reason, one.detail) for one in bad[:MOST_NAMED])
    words = "; ".join(f"{shortened(name)}: {shortened(reason)} ({shortened(detail)})" for name, reason, detail in named)
    more = f"; and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
    waits = any(not one.alone and one.reason != UNREADABLE for one in bad)
    decides = f"; if what stands is the junk, `{sync_command(hour, REBUILD)}` decides anew by rows" if waits else ""
    return dg.AssetObservation(
        asset,
        partition=_partition(hour),
        description=f"{counted(len(bad), 'source object')} left out as unusable",
        metadata={"quarantined": len(bad), "words": (words + more)[: MOST_WORDS - len(decides)] + decides},
    )


def failing_hours(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[Hour, Failing]:
    """The hours whose last failure no success has followed."""
    every = (_failing(observation, record) for observation, record in _notes(instance, asset))
    return {one.hour: one for one in every if one is not None}


def quarantined_hours(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[Hour, Quarantined]:
    """The hours that, as last made, leave out sources."""
    every = (_quarantined(observation, record) for observation, record in _notes(instance, asset))
    return {one.hour: one for one in every if one is not None}


def _notes(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Iterator[tuple[dg.AssetObservation, dg.EventLogRecord]]:
    """The last observation of each partition, where no materialization has followed it."""
    noted = latest_event_ids(instance, asset, dg.DagsterEventType.ASSET_OBSERVATION)
    made = latest_event_ids(instance, asset, dg.DagsterEventType.ASSET_MATERIALIZATION, noted) if noted else {}
    ids = [event for partition, event in noted.items() if event > made.get(partition, -1)]
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        wanted = dg.AssetRecordsFilter(asset, storage_ids=some)
        for record in instance.fetch_observations(wanted, limit=len(some)).records:
            if record.asset_observation is not None:
                yield record.asset_observation, record


def _failing(observation: dg.AssetObservation, record: dg.EventLogRecord) -> Failing | None:
    """What an observation says; None where it is not a note on a failure."""
    said: dict[str, Any] = {name: value.value for name, value in observation.metadata.items()}
    try:
        return Failing(
            hour=Hour.of_partition_key(observation.partition or ""),
            since=datetime.fromtimestamp(said["since"], UTC),
            last=datetime.fromtimestamp(record.timestamp, UTC),
            tries=int(said["tries"]),
            error=str(said["error"]),
            words=str(said["words"]),
            permanent=bool(said["permanent"]),
            target_etag=str(said["hour_file_etag"]),
            run_id=record.run_id,
        )
    except (KeyError, TypeError, ValueError, KeyGrammarError):
        return None


def _quarantined(observation: dg.AssetObservation, record: dg.EventLogRecord) -> Quarantined | None:
    """What an observation says; None where it is not a note on sources left out."""
    said: dict[str, Any] = {name: value.value for name, value in observation.metadata.items()}
    try:
        return Quarantined(
            hour=Hour.of_partition_key(observation.partition or ""),
            count=int(said["quarantined"]),
            words=str(said["words"]),
            since=datetime.fromtimestamp(record.timestamp, UTC),
        )
    except (KeyError, TypeError, ValueError, KeyGrammarError):
        return None


def _partition(hour: Hour) -> dg.MultiPartitionKey:
    event, label = hour.partition_key.split("|")
    return dg.MultiPartitionKey({"event": event, "hour": label})
