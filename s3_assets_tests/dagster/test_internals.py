"""What `internals` leans on is still there and means the same: these fail when Dagster changes it."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from s3_assets.dagster.internals import (
    DATA_VERSION_TAG,
    hours_asked_for,
    latest_tags,
    make_storage,
    range_asked_for,
    tag_run,
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
