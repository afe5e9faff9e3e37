"""What is used of Dagster that is not its public API, each with its reason. Nowhere else in the package.

`s3_assets_tests/dagster/test_internals.py` fails when Dagster changes one of them. The one exception is the form of a
table's text, in `table_texts`.
"""

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import (
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    StepMaterializationData,
)
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.scheduler.instigation import InstigatorTick, SensorInstigatorData
from dagster._core.storage.event_log import EventLogStorage, SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._utils.schedules import get_latest_completed_cron_tick
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes import deserialize_value
from sqlalchemy import select

from s3_assets.dagster.table_texts import AssetEvent, TableTexts

__all__ = [
    "DATA_VERSION_TAG",
    "IMPLICIT_ASSET_JOB_NAME",
    "PARTITION_NAME_TAG",
    "Automation",
    "Beat",
    "CheckRunHealthResult",
    "DefaultRunLauncher",
    "ErrorWords",
    "FailingTicks",
    "RunLimits",
    "Timed",
    "WorkerStatus",
    "automations",
    "batches_go_to",
    "code_server_has_run",
    "daemon_beats",
    "day_asked_for",
    "error_of_run",
    "failing_ticks",
    "hours_asked_for",
    "keep_text",
    "kept_text",
    "last_cron_tick",
    "latest_event_ids",
    "latest_tags",
    "location_of",
    "location_of_run",
    "make_storage",
    "op_config",
    "range_asked_for",
    "report_planned",
    "resource_itself",
    "store_batch",
    "tag_run",
    "will_be_retried",
]


Timed = tuple[AssetEvent, float]
"""An event and when it was, in seconds since 1970."""

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


def batches_go_to(instance: dg.DagsterInstance) -> bool:
    """Whether `store_batch` saves time with the event log of an instance: one in Postgres, or in SQLite files."""
    storage = instance.event_log_storage
    return _takes_batches(storage) or type(storage) is SqliteEventLogStorage


def store_batch(context: dg.AssetExecutionContext, events: Sequence[Timed]) -> None:
    """Put events of one kind, each with its time, on record as events of the running step, in few statements.

    Dagster batches the events of an output's partitions by itself, where `DAGSTER_EVENT_BATCH_SIZE` says so and its
    storage can (Postgres can); explicit events, each with its own metadata, have no such way.
    """
    if not events:
        return
    storage = context.instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        _store_in_sqlite(storage, context, events)
        return
    entries = [_step_event(context, event, timestamp) for event, timestamp in events]
    if _takes_batches(storage):
        storage.store_event_batch(entries)
    else:
        for entry in entries:
            context.instance.handle_new_event(entry)


def _takes_batches(storage: EventLogStorage) -> bool:
    """Whether it has a way of its own; the inherited one stores one after the other."""
    return type(storage).store_event_batch is not EventLogStorage.store_event_batch


def _step_event(context: dg.AssetExecutionContext, event: AssetEvent, timestamp: float) -> Any:
    """The entry of the log that yielding the event would have made."""
    step = context.get_step_execution_context()
    data: StepMaterializationData | AssetObservationData
    if isinstance(event, dg.AssetMaterialization):
        kind, data = dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event)
        message = event.description or "Materialized value."
    else:
        kind, data = dg.DagsterEventType.ASSET_OBSERVATION, AssetObservationData(event)
        message = None
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=logging.DEBUG,
        user_message=message or f"{kind} for step {step.step.key}",
        run_id=context.run.run_id,
        timestamp=timestamp,
        step_key=step.step.key,
        job_name=step.job_name,
        dagster_event=DagsterEvent(
            event_type_value=kind.value,
            job_name=step.job_name,
            step_handle=step.step.handle,
            node_handle=step.step.node_handle,
            step_kind_value=step.step.kind.value,
            logging_tags=step.event_tags,
            event_specific_data=data,
            message=message,
            pid=os.getpid(),
        ),
    )


def _store_in_sqlite(
    storage: SqliteEventLogStorage,
    context: dg.AssetExecutionContext,
    events: Sequence[Timed],
) -> None:
    """As its `store_event` does it for one: into the run's file, and into the index over all runs, there with tags.

    Every entry of SQLite opens four connections and commits as often, which is nearly all that one costs. The storage's
    own statement for many rows would be compiled anew each time, which takes longer than to run it.
    """
    texts = TableTexts()
    entries = [_step_event(context, texts.without_tables(event), timestamp) for event, timestamp in events]
    rows = [storage._event_to_row(entry) for entry in entries]  # noqa: SLF001
    for row, (event, _) in zip(rows, events, strict=True):
        row["event"] = texts.put_into(row["event"], event)
    insert = SqlEventLogStorageTable.insert()
    with storage.run_connection(context.run.run_id) as connection:
        connection.execute(insert, rows)
    column = SqlEventLogStorageTable.c.id
    with storage.index_transaction() as connection:
        connection.execute(insert, rows)
        newest = connection.execute(select(column).order_by(column.desc()).limit(len(entries)))
        ids = sorted(row[0] for row in newest)
        storage._store_asset_event_tags(connection, entries, ids)  # noqa: SLF001
        storage._store_asset_event(connection, _step_event(context, *events[-1]), ids[-1])  # noqa: SLF001


def resource_itself(resources: Any, key: str) -> Any:
    """A resource of a run or a tick, as it was defined; `resources` is what the context has.

    `context.resources` gives a client in place of some, such as an S3Resource. Dagster itself looks here for resources
    that are arguments; there is no public way for those whose key is only known when definitions are made.
    """
    return resources.original_resource_dict[key]


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
        failed = _failed(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=look_back))
        if len(failed) >= in_a_row:
            yield FailingTicks(
                location=state.repository_selector.location_name,
                name=state.name,
                page=pages[state.instigator_type.value],
                count=len(failed),
                since=datetime.fromtimestamp(failed[-1].timestamp, UTC),
                error=_words(failed[0].error),
            )


def _failed(ticks: Iterable[InstigatorTick]) -> list[InstigatorTick]:
    """Those that failed since the last good one, newest first; one that is under way says nothing yet."""
    ended = (tick for tick in ticks if tick.status.value != "STARTED")
    return list(takewhile(lambda tick: tick.status.value == "FAILURE", ended))


@dataclass(frozen=True, slots=True)
class Automation:
    """A sensor or schedule as Dagster's storage knows it, without asking its code location.

    Attributes:
        location: The code location's name.
        name: Its own.
        page: Its folder in the UI: `sensors` or `schedules`.
        is_on: Whether it should tick.
        started: When it was switched on or first seen (aware); None where nobody noted it.
        interval_s: Between two ticks of a sensor, at least; None for a schedule.
        last: When its last tick began (aware); a schedule's is the moment it was for. None without one.
        failed: How many ticks failed in a row, as far as was looked back.
        failing_since: When the first of them began.
        error: Of the last of them.
    """

    location: str
    name: str
    page: str
    is_on: bool
    started: datetime | None
    interval_s: int | None
    last: datetime | None
    failed: int
    failing_since: datetime | None
    error: ErrorWords | None


def automations(instance: dg.DagsterInstance, names: Collection[str], *, look_back: int) -> Iterator[Automation]:
    """The sensors and schedules of these names, of all code locations, also those that are gone from the code.

    Neither what is switched on nor ticks have a public interface, but for that of a webserver. One that was never
    switched on, and that is off as its code says, is not known to the storage.
    """
    pages = {"SENSOR": "sensors", "SCHEDULE": "schedules"}
    for state in instance.all_instigator_state():
        if state.name not in names or state.instigator_type.value not in pages:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=look_back)
        failed, data = _failed(ticks), state.instigator_data
        yield Automation(
            location=state.repository_selector.location_name,
            name=state.name,
            page=pages[state.instigator_type.value],
            is_on=state.is_running,
            started=_moment(
                data.last_sensor_start_timestamp
                if isinstance(data, SensorInstigatorData)
                else data and data.start_timestamp
            ),
            interval_s=(data.min_interval or 0) if isinstance(data, SensorInstigatorData) else None,
            last=_moment(ticks[0].timestamp if ticks else None),
            failed=len(failed),
            failing_since=_moment(failed[-1].timestamp if failed else None),
            error=_words(failed[0].error) if failed else None,
        )


class Beat(NamedTuple):
    """The last heartbeat of a daemon: when (aware), and the id of the process that it is a part of."""

    last: datetime
    process: str


def daemon_beats(instance: dg.DagsterInstance) -> dict[str, Beat | None]:
    """The daemons that this instance needs, by their types, with their last heartbeats; None for one without.

    Only `dagster-daemon liveness-check` is public: it says yes or no for all of them together.
    """
    beats = instance.get_daemon_heartbeats()
    found: dict[str, Beat | None] = {}
    for name in instance.get_required_daemon_types():
        beat = beats.get(name)
        found[name] = beat and Beat(datetime.fromtimestamp(beat.timestamp, UTC), beat.daemon_id or "")
    return found


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How an instance holds runs back, and looks after them.

    Attributes:
        pool: How many of a pool work at once, at most; None without a limit.
        counts_ops: Whether a pool counts ops; else it counts whole runs, and the first ones of a batch overlap.
        has_queue: Whether runs wait in a queue; without one, limits of pools are not kept to before a run has begun.
        monitors_runs: Whether the daemon notices a run whose process is gone.
        retries_runs: Whether it launches such a run again.
    """

    pool: int | None
    counts_ops: bool
    has_queue: bool
    monitors_runs: bool
    retries_runs: bool


def run_limits(instance: dg.DagsterInstance, pool: str) -> RunLimits:
    """What an instance's configuration and its storage say of a pool, of the queue and of runs that are lost.

    Only the file dagster.yaml is public, and limits that were set since are in the storage.
    """
    config = instance.get_concurrency_config()
    own = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    granularity = config.pool_config.pool_granularity
    return RunLimits(
        pool=own.get(pool, config.pool_config.default_pool_limit),
        counts_ops=granularity is not None and granularity.value == "op",
        has_queue=config.run_queue_config is not None,
        monitors_runs=instance.run_monitoring_enabled,
        retries_runs=instance.run_retries_enabled,
    )


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


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
        if error.cls_name == "DagsterUserCodeUnreachableError":
            break  # it says it in plain words; its cause is what gRPC shows of itself
        error = error.cause
    name = error.cls_name or ""
    words = error.message.strip()
    head, separator, rest = words.partition(": ")
    return ErrorWords(name, rest if separator and head.rpartition(".")[2] == name else words)


CODE_SERVER_S = 10
"""So long a code server may take to say whether it has a run, in seconds."""


def code_server_has_run(launcher: DefaultRunLauncher, run_id: str) -> bool | None:
    """Whether the code server that started a run still has it; None where there is none to ask, or it does not answer.

    Its launcher's own way to a code server is the one by which it terminates runs. There is no public one.
    """
    client = launcher._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]  # noqa: SLF001
    if client is None:
        return None
    try:
        answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=CODE_SERVER_S)
    except DagsterUserCodeUnreachableError:
        return None
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel


def kept_text(instance: dg.DagsterInstance, key: str) -> str | None:
    """What `keep_text` last kept under `key`.

    Dagster has a small store of texts by key in its database, in which its daemons keep their cursors. It is the only
    one that a code location can write to without making events or tags.
    """
    return instance.daemon_cursor_storage.get_cursor_values({key}).get(key)


def keep_text(instance: dg.DagsterInstance, key: str, text: str) -> None:
    """Keep a text under a key of our own."""
    instance.daemon_cursor_storage.set_cursor_values({key: text})
