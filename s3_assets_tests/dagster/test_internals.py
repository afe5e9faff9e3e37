"""What `internals` leans on is still there and means the same: these fail when Dagster changes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorData,
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_aws.s3 import S3Resource
from dagster_shared.error import SerializableErrorInfo

from s3_assets.dagster.internals import (
    DATA_VERSION_TAG,
    Automation,
    Beat,
    ErrorWords,
    automations,
    batches_go_to,
    daemon_beats,
    day_asked_for,
    error_of_run,
    hours_asked_for,
    keep_text,
    kept_text,
    last_cron_tick,
    latest_event_ids,
    latest_tags,
    location_of,
    location_of_run,
    make_storage,
    op_config,
    range_asked_for,
    report_planned,
    resource_itself,
    run_limits,
    store_batch,
    tag_run,
    will_be_retried,
)

ASSET = dg.AssetKey("hourly_gzip")


def test_the_tag_of_a_data_version_is_the_one_that_dagster_documents() -> None:
    """`dagster/data_version` on an AssetMaterialization."""
    assert DATA_VERSION_TAG == "dagster/data_version"


@pytest.mark.parametrize("make", [dg.DagsterInstance.ephemeral, dg.instance_for_test])
def test_latest_tags_are_those_of_the_last_materialization_of_each_partition(make) -> None:
    """In memory and on SQLite, for keys of two dimensions."""

    def report(instance: dg.DagsterInstance, hour: str, version: str) -> None:
        partition = dg.MultiPartitionKey({"event": "e", "hour": hour})
        tags = {DATA_VERSION_TAG: version}
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=partition, tags=tags))

    with make() as instance:
        report(instance, "2021-09-01-07:00", "old")
        report(instance, "2021-09-01-08:00", "other")
        report(instance, "2021-09-01-07:00", "new")
        assert latest_tags(instance, ASSET, [DATA_VERSION_TAG]) == {
            "e|2021-09-01-07:00": {DATA_VERSION_TAG: "new"},
            "e|2021-09-01-08:00": {DATA_VERSION_TAG: "other"},
        }


COLUMNS = dg.TableSchema(
    [dg.TableColumn("source", "string", description='"records": []'), dg.TableColumn("rows", "int")]
)
NEWEST = [dg.TableRecord({"source": "07_00_é\0.csv", "rows": 3}), dg.TableRecord({"source": "", "rows": None})]


@dg.multi_asset(specs=[dg.AssetSpec(ASSET, skippable=True)], config_schema={"in_batches": bool})
def three_hours(context):
    """Materialize three hours, and note something on two of them."""
    made = [
        dg.AssetMaterialization(
            ASSET,
            partition=f"e|{hour}",
            description=f"built {hour}",
            metadata={
                "rows": number,
                "dagster/column_schema": COLUMNS,
                "newest": dg.MetadataValue.table(NEWEST, COLUMNS),
            },
            tags={DATA_VERSION_TAG: f"v{number}"},
        )
        for number, hour in enumerate(("09", "07", "08"))
    ]
    notes = [dg.AssetObservation(ASSET, partition=one.partition, description="a note") for one in made[1:]]
    if context.op_execution_context.op_config["in_batches"]:
        for batch in (made, notes, []):
            store_batch(context, [(event, time.time()) for event in batch])
    else:
        yield from (*made, *notes)


@pytest.mark.parametrize("make", [dg.DagsterInstance.ephemeral, dg.instance_for_test])
def test_a_batch_leaves_what_yielding_its_events_leaves(make) -> None:
    """In the run's log and in the index over all runs: the same entries, in order, with their tags."""
    kinds = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION}
    found = []
    for in_batches in (False, True):
        with make() as instance:
            assert batches_go_to(instance) == (make is dg.instance_for_test)
            config = {"ops": {"three_hours": {"config": {"in_batches": in_batches}}}}
            run = dg.materialize([three_hours], instance=instance, run_config=config)
            entries = instance.all_logs(run.run_id, of_type=kinds)
            told = instance.fetch_materializations(ASSET, limit=9, ascending=True).records
            ids = [record.storage_id for record in told]
            assert ids == sorted(set(ids))
            latest = instance.get_latest_materialization_event(ASSET)
            assert latest is not None
            events = [
                one.get_dagster_event() for one in (*entries, *(record.event_log_entry for record in told), latest)
            ]
            found.append(
                (
                    [repr(event).replace(run.run_id, "RUN") for event in events],
                    [(one.level, one.user_message, one.step_key, one.job_name) for one in entries],
                    [record.partition_key for record in instance.fetch_observations(ASSET, limit=9).records],
                    latest_tags(instance, ASSET, [DATA_VERSION_TAG]),
                    instance.get_materialized_partitions(ASSET),
                )
            )
    yielded, batched = found
    assert batched == yielded
    assert len(yielded[0]) == 5 + 3 + 1
    assert yielded[3]["e|07"] == {DATA_VERSION_TAG: "v1"}


def test_the_hours_of_a_run_are_in_its_config_or_its_partition_tag() -> None:
    """Both, and neither for another job's run."""
    config = {"ops": {"hourly_gzip": {"config": {"partition_keys": ["a|1", "b|2"]}}}}
    assert list(hours_asked_for(dg.DagsterRun("job", run_config=config), "hourly_gzip")) == ["a|1", "b|2"]
    run = dg.DagsterRun("job", tags={PARTITION_NAME_TAG: "c|3"})
    assert list(hours_asked_for(run, "hourly_gzip")) == ["c|3"]
    for config in ({"ops": None}, {"ops": {"hourly_gzip": []}}, {"ops": {"hourly_gzip": {"config": None}}}, {}):
        assert list(hours_asked_for(dg.DagsterRun("job", run_config=config), "hourly_gzip")) == []
    assert list(hours_asked_for(dg.DagsterRun("other", run_config={"ops": {"x": {}}}), "hourly_gzip")) == []


def test_the_range_of_a_backfills_run_is_in_its_tags() -> None:
    """First and last, and nothing for a run of another kind."""
    tags = {ASSET_PARTITION_RANGE_START_TAG: "a|1", ASSET_PARTITION_RANGE_END_TAG: "a|9"}
    assert range_asked_for(dg.DagsterRun("job", tags=tags)) == ("a|1", "a|9")
    assert range_asked_for(dg.DagsterRun("job", tags={PARTITION_NAME_TAG: "a|1"})) is None


def test_tags_added_to_a_run_are_read_with_it() -> None:
    """Long ones too."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.DagsterRun("job")
        instance.add_run(run)
        tag_run(instance, run.run_id, {"s3_assets/failed_hours": "event|2021-09-01-07:00\n" * 200})
        [record] = instance.get_run_records()
        assert record.dagster_run.tags["s3_assets/failed_hours"].count("\n") == 200


def test_storage_is_there_once_it_was_made(tmp_path) -> None:
    """So that processes that start at once find it."""
    make_storage(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.db")) == ["index.db", "runs.db", "schedules.db"]


class DiskFullError(Exception):
    """What the op below fails with."""


@dg.op(config_schema=str)
def work(context) -> None:
    """Fail in the way that is asked for."""
    if context.op_config == "cause":
        try:
            raise OSError("no space")
        except OSError as error:
            raise DiskFullError("full: 0 bytes left") from error
    raise dg.Failure(description="1 of 2 hours failed", allow_retries=False)


@dg.job
def working() -> None:
    """One step."""
    work()


@pytest.mark.parametrize(
    "way, name, words",
    [("cause", "DiskFullError", "full: 0 bytes left"), ("failure", "Failure", "1 of 2 hours failed")],
)
def test_the_error_of_a_run_is_its_steps_without_what_dagster_wraps_around_it(way, name, words) -> None:
    """Its own class and words, not those of what caused it, and no stack."""
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"work": {"config": way}}}
        run_id = working.execute_in_process(instance=instance, run_config=config, raise_on_error=False).run_id
        assert error_of_run(instance, run_id) == (name, words)


def test_a_run_that_left_no_error_says_so() -> None:
    """It was killed, or marked as failed by the daemon."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        assert "left no word" in error_of_run(instance, run.run_id).words
        instance.report_run_failed(run, "the worker is gone")
        assert error_of_run(instance, run.run_id) == ("", "the worker is gone")


def test_a_run_that_will_be_retried_has_a_tag() -> None:
    """And one that won't may have it too."""
    tagged = [dg.DagsterRun("job", tags=tags) for tags in ({}, {WILL_RETRY_TAG: "false"}, {WILL_RETRY_TAG: "true"})]
    assert [will_be_retried(run) for run in tagged] == [False, False, True]


def test_runs_and_sensors_know_their_code_location() -> None:
    """Where they were started from one; in process, they have none."""
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name="s3_assets")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), "job")
    assert location_of_run(dg.DagsterRun("job", remote_job_origin=origin)) == "s3_assets"
    assert location_of_run(dg.DagsterRun("job")) is None
    with dg.build_sensor_context() as context:
        assert location_of(context) is None
    assert isinstance(dg.SensorEvaluationContext.code_location_origin, property)


def _report(instance: dg.DagsterInstance, partition: str, event: type) -> None:
    instance.report_runless_asset_event(event(ASSET, partition=partition))


@pytest.mark.parametrize("make", [dg.DagsterInstance.ephemeral, dg.instance_for_test])
def test_event_ids_are_those_of_the_last_event_of_a_kind_and_grow(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across kinds, and in portions; so it can be said which came last."""
    monkeypatch.setattr("s3_assets.dagster.internals.PARTITIONS_PER_QUERY", 2)
    seen, made = dg.DagsterEventType.ASSET_OBSERVATION, dg.DagsterEventType.ASSET_MATERIALIZATION
    with make() as instance:
        for partition in ("a|1", "b|2", "c|3", "a|1"):
            _report(instance, partition, dg.AssetObservation)
        _report(instance, "b|2", dg.AssetMaterialization)
        observed = latest_event_ids(instance, ASSET, seen)
        assert observed == latest_event_ids(instance, ASSET, seen, ["a|1", "b|2", "c|3", "d|4"])
        assert observed["b|2"] < observed["c|3"] < observed["a|1"]
        materialized = latest_event_ids(instance, ASSET, made, observed)
        assert materialized.keys() == {"b|2"}
        assert materialized["b|2"] > observed["a|1"]
        assert latest_event_ids(instance, ASSET, made, []) == {}


def test_tags_are_read_for_the_partitions_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions, since databases take so many values in a query and no more."""
    monkeypatch.setattr("s3_assets.dagster.internals.PARTITIONS_PER_QUERY", 2)
    with dg.instance_for_test() as instance:
        for number in range(5):
            event = dg.AssetMaterialization(ASSET, partition=f"e|{number}", tags={DATA_VERSION_TAG: str(number)})
            instance.report_runless_asset_event(event)
        some = [f"e|{number}" for number in range(1, 9)]
        found = latest_tags(instance, ASSET, [DATA_VERSION_TAG], some)
        assert found == {f"e|{number}": {DATA_VERSION_TAG: str(number)} for number in range(1, 5)}


def test_a_partition_that_a_failed_run_planned_is_shown_as_failed() -> None:
    """Until it is materialized: what the grid of the UI is made of."""

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y"]), config_schema={"fail": bool})
    def thing(context):  # annotated as text, which Dagster refuses
        report_planned(context.instance, context.run, "thing", ASSET, "e|1")
        if context.op_execution_context.op_config["fail"]:
            raise dg.Failure("no")

    def run(instance: dg.DagsterInstance, *, fail: bool) -> None:
        config = dg.RunConfig(ops={"thing": {"config": {"fail": fail}}})
        dg.materialize([thing], instance=instance, partition_key="x", run_config=config, raise_on_error=False)

    with dg.instance_for_test() as instance:
        run(instance, fail=True)
        attempts = (
            instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations
        )
        assert attempts(ASSET).keys() == {"e|1"}
        _report(instance, "e|1", dg.AssetMaterialization)
        assert attempts(ASSET) == {}


def test_the_config_of_an_op_is_found_or_empty() -> None:
    """Whatever a run's config is like."""
    given = {"ops": {"hourly_gzip": {"config": {"first": "2024-01-01-00:00"}}}}
    assert op_config(dg.DagsterRun("job", run_config=given), "hourly_gzip") == {"first": "2024-01-01-00:00"}
    for config in ({}, {"ops": []}, {"ops": {"hourly_gzip": None}}, {"ops": {"hourly_gzip": {"config": 3}}}):
        assert op_config(dg.DagsterRun("job", run_config=config), "hourly_gzip") == {}


def test_the_day_of_a_run_is_its_partition() -> None:
    """None for a run without one."""
    assert day_asked_for(dg.DagsterRun("job", tags={PARTITION_NAME_TAG: "2026-11-20"})) == "2026-11-20"
    assert day_asked_for(dg.DagsterRun("job")) is None


def test_the_last_tick_of_a_cron_is_at_the_moment_or_before_it() -> None:
    """In its zone, over the night in which clocks change, and in the very moment of a tick."""
    seoul, berlin = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
    tick = datetime(2026, 11, 21, 20, tzinfo=seoul)
    for late in (timedelta(0), timedelta(minutes=70), timedelta(hours=23, minutes=59)):
        assert last_cron_tick("0 20 * * *", "Asia/Seoul", tick + late) == tick
    assert last_cron_tick("0 20 * * *", "Asia/Seoul", tick - timedelta(seconds=1)) == tick - timedelta(days=1)
    after = datetime(2026, 10, 26, 3, tzinfo=berlin)
    assert last_cron_tick("0 20 * * *", "Europe/Berlin", after) == datetime(2026, 10, 25, 20, tzinfo=berlin)


def test_heartbeats_are_those_of_the_daemons_that_an_instance_needs() -> None:
    """By the names that Dagster's own check of liveness has; the last one counts, and one without is there too."""
    with dg.instance_for_test(overrides={"run_monitoring": {"enabled": True}}) as instance:
        assert daemon_beats(instance).keys() >= {"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING"}
        assert set(daemon_beats(instance).values()) == {None}
        for process, at in (("old", 1_795_000_000.0), ("new", 1_795_000_030.0)):
            for name in ("SENSOR", "not needed"):
                instance.add_daemon_heartbeat(DaemonHeartbeat(at, name, process, []))
        beats = daemon_beats(instance)
        assert beats["SENSOR"] == Beat(datetime.fromtimestamp(1_795_000_030, UTC), "new")
        assert "not needed" not in beats
        assert beats["SCHEDULER"] is None


def _state(name: str, kind: InstigatorType, status: InstigatorStatus, data: InstigatorData | None) -> InstigatorState:
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name="s3_assets")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
    return InstigatorState(origin, kind, status, data)


def test_sensors_and_schedules_are_known_without_their_code() -> None:
    """On or off, since when, how often, and their last ticks: the last one may be under way, others failed."""
    at = 1_795_000_000.0
    sensor = _state(
        "source_sensor",
        InstigatorType.SENSOR,
        InstigatorStatus.RUNNING,
        SensorInstigatorData(min_interval=30, last_sensor_start_timestamp=at),
    )
    schedule = _state(
        "daily", InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, ScheduleInstigatorData("0 20 * * *", at)
    )
    other = _state("other", InstigatorType.SENSOR, InstigatorStatus.RUNNING, None)
    unreachable = SerializableErrorInfo(
        "dagster._core.errors.DagsterUserCodeUnreachableError: Unable to reach the user code server\n",
        [],
        "DagsterUserCodeUnreachableError",
        SerializableErrorInfo("<_InactiveRpcError ...>", [], "_InactiveRpcError"),
    )
    with dg.instance_for_test() as instance:
        for state in (sensor, schedule, other):
            instance.add_instigator_state(state)
        for seconds, status in ((30, TickStatus.SUCCESS), (60, TickStatus.FAILURE), (90, TickStatus.STARTED)):
            instance.create_tick(
                TickData(
                    sensor.instigator_origin_id,
                    sensor.name,
                    InstigatorType.SENSOR,
                    status,
                    at + seconds,
                    run_ids=[],
                    selector_id=sensor.selector_id,
                    error=unreachable if status is TickStatus.FAILURE else None,
                )
            )
        found = {one.name: one for one in automations(instance, {"source_sensor", "daily"}, look_back=10)}
    began = datetime.fromtimestamp(at, UTC)
    assert found == {
        "source_sensor": Automation(
            location="s3_assets",
            name="source_sensor",
            page="sensors",
            is_on=True,
            started=began,
            interval_s=30,
            last=began + timedelta(seconds=90),
            failed=1,
            failing_since=began + timedelta(seconds=60),
            error=ErrorWords("DagsterUserCodeUnreachableError", "Unable to reach the user code server"),
        ),
        "daily": Automation("s3_assets", "daily", "schedules", False, began, None, None, 0, None, None),
    }


def test_a_resource_is_given_as_it_was_defined():
    """`context.resources` has a client in place of an S3Resource."""
    found = []

    @dg.op(required_resource_keys={"s3"})
    def look(context):
        found.append((context.resources.s3, resource_itself(context.resources, "s3")))

    @dg.job(resource_defs={"s3": S3Resource(region_name="eu-west-1")})
    def looking():
        look()

    looking.execute_in_process()
    [(client, resource)] = found
    assert not isinstance(client, S3Resource)
    assert isinstance(resource, S3Resource)
    assert resource.region_name == "eu-west-1"


def test_the_limits_of_an_instance_are_those_of_its_configuration_and_of_what_was_set_since(tmp_path) -> None:
    """A pool's own limit goes before the one for all; without a configuration there is none."""
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        plain = run_limits(instance, "hour_files")
        assert (plain.pool, plain.counts_ops, plain.has_queue) == (None, False, True)
        assert (plain.monitors_runs, plain.retries_runs) == (False, False)
        instance.event_log_storage.set_concurrency_slots("hour_files", 3)
        assert (run_limits(instance, "hour_files").pool, run_limits(instance, "other").pool) == (3, None)
    (tmp_path / "dagster.yaml").write_text(
        "concurrency: {pools: {default_limit: 1, granularity: op}}\n"
        "run_monitoring: {enabled: true}\nrun_retries: {enabled: true}\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        full = run_limits(instance, "other")
        assert (full.pool, full.counts_ops, full.monitors_runs, full.retries_runs) == (1, True, True, True)
        assert run_limits(instance, "hour_files").pool == 3


def test_texts_are_kept_by_key(tmp_path) -> None:
    """Over the end of the instance, each under its own key, the last one."""
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    for number in (1, 2):
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            assert kept_text(instance, "ours") == (None if number == 1 else "1")
            keep_text(instance, "ours", str(number))
            keep_text(instance, "other", "x")
            assert kept_text(instance, "ours") == str(number)
