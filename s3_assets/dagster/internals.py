"""What is used of Dagster that is not its public API, each with its reason. Nowhere else in the package.

`s3_assets_tests/dagster/test_internals.py` fails when Dagster changes one of them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._utils.schedules import get_latest_completed_cron_tick
from dagster_shared.error import SerializableErrorInfo

__all__ = [
    "DATA_VERSION_TAG",
    "PARTITION_NAME_TAG",
    "ErrorWords",
    "FailingTicks",
    "day_asked_for",
    "error_of_run",
    "failing_ticks",
    "hours_asked_for",
    "last_cron_tick",
    "latest_event_ids",
    "latest_tags",
    "location_of",
    "location_of_run",
    "make_storage",
    "op_config",
    "range_asked_for",
    "report_planned",
    "tag_run",
    "will_be_retried",
]


PARTITIONS_PER_QUERY = 5000
"""SQLite takes at most 32,766 values in one query as it comes, and so do some servers before Postgres."""


def latest_tags(
    instance: dg.DagsterInstance, asset: dg.AssetKey, tags: list[str], partitions: Collection[str] | None = None
) -> Mapping[str, Mapping[str, str]]:
    """For each partition of `asset`, or of those given, the given tags of its last materialization.

    The public way returns whole event histories; this is one query, 0.7 s for 100,000 partitions.
    """
    found: dict[str, Mapping[str, str]] = {}
    for some in _portions(partitions):
        found |= instance.event_log_storage.get_latest_tags_by_partition(
            asset, event_type=dg.DagsterEventType.ASSET_MATERIALIZATION, tag_keys=tags, asset_partitions=some
        )
    return found


def latest_event_ids(
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    kind: dg.DagsterEventType,
    partitions: Collection[str] | None = None,
) -> Mapping[str, int]:
    """For each partition of `asset`, or of those given, the storage id of its last event of a kind.

    The public way returns whole events. Ids grow with time.
    """
    found: dict[str, int] = {}
    for some in _portions(partitions):
        given = None if some is None else set(some)
        found |= instance.event_log_storage.get_latest_storage_id_by_partition(asset, kind, partitions=given)
    return found


def _portions(partitions: Collection[str] | None) -> Iterator[list[str] | None]:
    if partitions is None:
        yield None
        return
    every = list(partitions)
    for start in range(0, len(every), PARTITIONS_PER_QUERY):
        yield every[start : start + PARTITIONS_PER_QUERY]


def report_planned(
    instance: dg.DagsterInstance, run: dg.DagsterRun, step: str, asset: dg.AssetKey, partition: str
) -> None:
    """Say that a run means to materialize a partition: when the run fails without, the grid shows it as failed.

    Dagster says so itself for a run's own partitions; there is no public way for those that only its config names.
    """
    planned = AssetMaterializationPlannedData(asset, partition=partition)
    event = DagsterEvent.build_asset_materialization_planned_event(run.job_name, step, planned)
    instance.report_dagster_event(event, run_id=run.run_id)


def op_config(run: dg.DagsterRun, op: str) -> Mapping[str, Any]:
    """The config of an op in a run; any job's comes by here, so nothing is taken for granted of its form."""
    found: Any = run.run_config
    for name in ("ops", op, "config"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def hours_asked_for(run: dg.DagsterRun, op: str) -> Iterator[str]:
    """The partition keys that a run works on, by its config or its partition tag.

    A run's config and tags are public; the tag's name is not.
    """
    keys = op_config(run, op).get("partition_keys")
    yield from (key for key in (keys if isinstance(keys, list) else ()) if isinstance(key, str))
    if (key := run.tags.get(PARTITION_NAME_TAG)) is not None:
        yield key


def range_asked_for(run: dg.DagsterRun) -> tuple[str, str] | None:
    """The first and last partition key of a backfill's run over a range; None for other runs.

    The names of these tags are not public.
    """
    first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    return None if first is None or last is None else (first, last)


def tag_run(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run under way. There is no public way for a run to leave a word for the sensor."""
    instance.add_run_tags(run_id, tags)


def make_storage(home: Path) -> None:
    """Create the SQLite files of a new DAGSTER_HOME.

    Else webserver, daemon and code server all do it at once, and now and then one of them fails. There is no public
    way to open an instance by its folder but an environment variable.
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        instance.all_instigator_state()


def day_asked_for(run: dg.DagsterRun) -> str | None:
    """The partition key of a run, None where it has none. The tag's name is not public."""
    return run.tags.get(PARTITION_NAME_TAG)


def last_cron_tick(cron: str, zone: str, now: datetime) -> datetime:
    """When a schedule ticked last, or should have: at `now` or before, aware.

    Dagster's own reading of a cron over the changes of clocks; there is no public way to ask for it.
    """
    return get_latest_completed_cron_tick(cron, now.astimezone(UTC), zone)


class ErrorWords(NamedTuple):
    """An error as a person should see it: its class and its own words, without Dagster's wrapping."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class FailingTicks:
    """A sensor or schedule that is on, and whose last ticks failed.

    Attributes:
        location: The code location's name.
        name: Of the sensor or schedule.
        page: Its folder in the UI: `sensors` or `schedules`.
        count: How many ticks failed in a row, as far as was looked back.
        since: When the first of them began.
        error: Of the last.
    """

    location: str
    name: str
    page: str
    count: int
    since: datetime
    error: ErrorWords


def failing_ticks(instance: dg.DagsterInstance, *, in_a_row: int, look_back: int) -> Iterator[FailingTicks]:
    """Sensors and schedules that are on and whose last `in_a_row` ticks or more failed, of all code locations.

    Ticks have no public interface. A tick that is under way says nothing yet; of each, `look_back` are read.
    """
    pages = {"SENSOR": "sensors", "SCHEDULE": "schedules"}
    for state in instance.all_instigator_state():
        if not state.is_running or state.instigator_type.value not in pages:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=look_back)
        ended = [tick for tick in ticks if tick.status.value != "STARTED"]
        failed = list(takewhile(lambda tick: tick.status.value == "FAILURE", ended))
        if len(failed) >= in_a_row:
            yield FailingTicks(
                location=state.repository_selector.location_name,
                name=state.name,
                page=pages[state.instigator_type.value],
                count=len(failed),
                since=datetime.fromtimestamp(failed[-1].timestamp, UTC),
                error=_words(failed[0].error),
            )


def error_of_run(instance: dg.DagsterInstance, run_id: str) -> ErrorWords:
    """What made a run fail: of its first failed step, else of the run itself. A run's events are not public."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=kinds) if entry.dagster_event]
    for event in (event for event in events if event.is_step_failure):
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return ErrorWords("Failure", failure.user_failure_data.description)
        return _words(failure.error)
    for event in events:
        error = getattr(event.event_specific_data, "error", None)  # the daemon writes an event without data
        return _words(error) if error is not None else ErrorWords("", event.message or "the run failed")
    return ErrorWords("", "the run failed and left no word: look at its log, and at the machine it ran on")


def will_be_retried(run: dg.DagsterRun) -> bool:
    """Whether Dagster itself runs it again: then its failure is not the end. The tag's name is not public."""
    return run.tags.get(WILL_RETRY_TAG) == "true"


def location_of(context: dg.SensorEvaluationContext) -> str | None:
    """The name of the code location of a sensor; None where nobody said, as in a test. It is not public."""
    origin = context.code_location_origin
    return None if origin is None else origin.location_name


def location_of_run(run: dg.DagsterRun) -> str | None:
    """The name of the code location that a run was launched from; None for one in process. It is not public."""
    return None if run.remote_job_origin is None else run.remote_job_origin.location_name


def _words(error: SerializableErrorInfo | None) -> ErrorWords:
    """Dagster wraps what user code raises in an error of its own, and begins messages with the class."""
    if error is None:
        return ErrorWords("", "no error was recorded")
    while error.cause is not None and (error.cls_name or "").startswith(("Dagster", "Sensor", "Schedule")):
        error = error.cause
    name = error.cls_name or ""
    words = error.message.strip()
    head, separator, rest = words.partition(": ")
    return ErrorWords(name, rest if separator and head.rpartition(".")[2] == name else words)
