"""`hourly_gzip` through Dagster: single partitions, ranges, scattered sets, and hours that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets_tests.dagster.conftest import Location, materializations
from s3_assets_tests.deployment import FIVE_FILES, Deployment

if TYPE_CHECKING:
    import dagster as dg

EVENT = "customer_new_customer_event"
SEVEN, EIGHT = f"{EVENT}|2021-09-01-07:00", f"{EVENT}|2021-09-01-08:00"


def _drop_five(deployment: Deployment, location: Location) -> None:
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    location.instance.add_dynamic_partitions("event", [EVENT])


def _config(*keys: str, **more: bool) -> dict[str, object]:
    return {"ops": {"hourly_gzip": {"config": {"partition_keys": list(keys), **more}}}}


def test_materializing_one_partition_makes_that_hour_and_no_other(deployment: Deployment, location: Location) -> None:
    """As the UI's button does, and as `dagster asset materialize --partition` does."""
    _drop_five(deployment, location)
    result = location.run(partition=SEVEN)
    assert result.success
    assert list(materializations(result)) == [SEVEN]
    assert deployment.hour_file(f"{EVENT}/2021-09-01/07.csv.gz") == b"id,name\n123,a\n124,b\n125,c\n126,d\n"
    assert deployment.etag(f"{EVENT}/2021-09-01/08.csv.gz") == ""


def test_a_range_runs_many_partitions_each_with_its_own_event(deployment: Deployment, location: Location) -> None:
    """A backfill's run carries a range of partitions in its tags."""
    _drop_five(deployment, location)
    tags = {"dagster/asset_partition_range_start": SEVEN, "dagster/asset_partition_range_end": EIGHT}
    result = location.run(tags=tags)
    assert result.success
    found = materializations(result)
    assert sorted(found) == [SEVEN, EIGHT]
    assert {key: one.metadata["rows"].value for key, one in found.items()} == {SEVEN: 4, EIGHT: 1}


def test_a_mistyped_event_in_a_range_is_no_job_well_done(deployment: Deployment, location: Location) -> None:
    """It is refused by name, and nothing is done; a known one without an hour in the range is none."""
    _drop_five(deployment, location)
    range_of = {"first": "2021-09-01-00:00", "last": "2021-09-01-23:00"}
    result = location.run({"ops": {"hourly_gzip": {"config": {**range_of, "events": [EVENT, "paymnets"]}}}})
    assert not result.success
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert "no event 'paymnets' of hourly_gzip" in failed.event_specific_data.user_failure_data.description
    assert materializations(result) == {}
    quiet = {"first": "2021-09-02-00:00", "last": "2021-09-02-23:00", "events": [EVENT]}
    assert location.run({"ops": {"hourly_gzip": {"config": quiet}}}).success


def test_metadata_tells_what_happened_without_opening_s3(deployment: Deployment, location: Location) -> None:
    """Rows, bytes, sources, late and quarantined ones, the URI, the newest sources, the columns."""
    _drop_five(deployment, location)
    deployment.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    result = location.run(_config(SEVEN))
    one = materializations(result)[SEVEN]
    metadata = {name: value.value for name, value in one.metadata.items() if hasattr(value, "value")}
    assert metadata["dagster/uri"].endswith(f"/target/{EVENT}/2021-09-01/07.csv.gz")
    assert metadata["dagster/partition_row_count"] == metadata["rows"] == 4
    assert metadata["sources"] == metadata["late_sources"] == 5
    assert metadata["quarantined_sources"] == 1
    good = sum(len(data) for key, data in FIVE_FILES.items() if "/07_" in key)
    assert metadata["bytes_downloaded"] == metadata["source_bytes"] + good  # read again without the bad one
    assert metadata["bytes_uploaded"] == metadata["hour_file_bytes"]
    assert metadata["plain_bytes"] == len(b"id,name\n123,a\n124,b\n125,c\n126,d\n")
    newest = {record.data["source"]: record.data for record in one.metadata["newest_sources"].records}
    assert newest["07_30_bad.csv"]["state"] == "quarantined: unclosed quote"
    assert newest["07_00_file_123.csv"]["rows"] == 1
    assert [record.data["reason"] for record in one.metadata["quarantined"].records] == ["unclosed quote"]
    columns = [column.name for column in one.metadata["dagster/column_schema"].schema.columns]
    assert columns == ["id", "name"]
    assert one.tags["dagster/data_version"] == metadata["fingerprint"] + "-quarantined-1"


def test_the_check_speaks_for_all_hours(deployment: Deployment, location: Location) -> None:
    """A good run of another hour does not hide a quarantined source; a mended source clears it."""
    _drop_five(deployment, location)
    deployment.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    assert not _quarantine_check(location.run(_config(SEVEN))).passed
    check = _quarantine_check(location.run(_config(EIGHT)))
    assert not check.passed
    [record] = check.metadata["hours"].records
    assert (record.data["hour"], record.data["quarantined"]) == (SEVEN, 1)
    assert str(record.data["which"]).startswith("07_30_bad.csv: ")
    deployment.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"closed"\n')
    assert _quarantine_check(location.run(_config(SEVEN))).passed
    assert b'1,"closed"\n' in deployment.hour_file(f"{EVENT}/2021-09-01/07.csv.gz")


def test_a_failing_hour_hides_no_other_and_the_run_is_red(deployment: Deployment, location: Location) -> None:
    """The foreign file is left alone; the message says which hour, why, and what to do."""
    _drop_five(deployment, location)
    deployment.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"someone's data")
    result = location.run(_config(SEVEN, EIGHT))
    assert not result.success
    assert list(materializations(result)) == [EIGHT]
    assert deployment.store.get(f"target/{EVENT}/2021-09-01/07.csv.gz").read() == b"someone's data"
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    description = str(failure.user_failure_data.description)
    assert description.startswith("1 of 2 hours failed; the other is right. First: ")
    assert f"{EVENT} 2021-09-01-07:00" in description
    assert "s3-assets sync --rebuild" in description
    [record] = failure.user_failure_data.metadata["failed_hours"].records
    assert record.data["hour"] == SEVEN
    [alone] = [event.step_failure_data for event in location.run(_config(SEVEN)).all_events if event.is_step_failure]
    assert str(alone.user_failure_data.description).startswith("1 of 1 hour failed. First: ")
    rebuilt = location.run(_config(SEVEN, rebuild=True))
    assert rebuilt.success
    assert deployment.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5


def test_materializing_again_writes_nothing_and_says_so(deployment: Deployment, location: Location) -> None:
    """The partition is recorded again, the object is the same."""
    _drop_five(deployment, location)
    location.run(_config(SEVEN))
    before = deployment.etag(f"{EVENT}/2021-09-01/07.csv.gz")
    [one] = materializations(location.run(_config(SEVEN))).values()
    assert one.metadata["verdict"].value == "nothing"
    assert one.metadata["bytes_uploaded"].value == 0
    assert deployment.etag(f"{EVENT}/2021-09-01/07.csv.gz") == before


def test_an_hour_without_sources_is_recorded_as_right_and_nothing_is_written(
    deployment: Deployment, location: Location
) -> None:
    """Without an event, Dagster would call it failed in a backfill; it says that there is no file."""
    _drop_five(deployment, location)
    result = location.run(partition=f"{EVENT}|2021-09-01-03:00")
    assert result.success
    [one] = materializations(result).values()
    assert one.metadata["verdict"].value == "empty"
    assert "nothing to write" in str(one.description)
    assert "dagster/uri" not in one.metadata
    assert deployment.etag(f"{EVENT}/2021-09-01/03.csv.gz") == ""


def test_a_run_for_no_hours_says_what_to_do(location: Location) -> None:
    """The job launched from the launchpad without a partition and without a config."""
    result = location.run(_config())
    assert not result.success
    assert "not clear which hours the run is for" in _failure_text(result)


def test_a_partition_and_hours_in_the_config_are_one_too_many(deployment: Deployment, location: Location) -> None:
    """Neither is ignored silently."""
    _drop_five(deployment, location)
    assert "Give one of three" in _failure_text(location.run(_config(EIGHT), partition=SEVEN))


def test_a_malformed_partition_key_is_named(location: Location) -> None:
    """Before anything is done."""
    result = location.run(_config("payments 2021-09-01"))
    assert "payments 2021-09-01" in _failure_text(result)


def test_bad_settings_fail_the_run_with_all_of_them(location: Location, monkeypatch) -> None:
    """Not one after the other."""
    monkeypatch.setenv("S3_ASSETS_SOURCE", "bucket/source")
    monkeypatch.setenv("S3_ASSETS_FETCH_THREADS", "many")
    text = _failure_text(location.run(_config(SEVEN)))
    assert "S3_ASSETS_SOURCE" in text
    assert "S3_ASSETS_FETCH_THREADS" in text


def _quarantine_check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "no_quarantined_sources"]
    return check


def _failure_text(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    return str(failure.user_failure_data.description)
