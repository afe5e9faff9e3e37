"""What `internals` leans on is still there and means the same: these fail when Dagster changes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from s3_assets.dagster.internals import (
    DATA_VERSION_TAG,
    day_asked_for,
    error_of_run,
    hours_asked_for,
    last_cron_tick,
    latest_event_ids,
    latest_tags,
    location_of,
    location_of_run,
    make_storage,
    op_config,
    range_asked_for,
    report_planned,
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
