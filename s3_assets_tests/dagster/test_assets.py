"""`hourly_gzip` through Dagster: single partitions, ranges, scattered sets, and hours that fail."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest
from dagster_shared.serdes import serialize_value

from s3_assets.builder.history import made_changes
from s3_assets.builder.pipeline import Workers
from s3_assets.dagster.metadata import MOST_BYTES, MOST_HEADER_BYTES, MOST_NAME, hour_metadata, materialization_text
from s3_assets.hour_file.ledger import Quarantined
from s3_assets_tests.builder.bench import Bench
from s3_assets_tests.dagster.conftest import Location, materializations
from s3_assets_tests.deployment import FIVE_FILES, Deployment

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
    assert one.tags["dagster/data_version"] == metadata["fingerprint"] + "-left-out-1"


def test_rows_that_came_and_left_are_in_metadata_description_and_log(
    deployment: Deployment, location: Location
) -> None:
    """With the sources they came from and left with; a run that wrote nothing says that, too."""
    _drop_five(deployment, location)
    result = location.run(_config(SEVEN, EIGHT))
    assert materializations(result)[SEVEN].metadata["rows_added"].value == 4
    names = [f"{EVENT}/2021-09-01/{name}.csv" for name in ("07_00_file_123", "07_15_file_124", "07_27_file_125")]
    assert f"2 hours written: +5 rows (added by 5 sources: {', '.join(names)} and 2 more)" in _log(location, result)
    deployment.drop(names[0], b"id,name\n1,x\n2,y\n")
    deployment.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    result = location.run(_config(SEVEN, EIGHT))
    one = materializations(result)[SEVEN]
    rows = f"+2 rows, -1 row (from 1 source: {names[0]} rewritten; added by 1 source: {names[0]} rewritten)"
    assert (one.metadata["rows_added"].value, one.metadata["rows_removed"].value) == (2, 1)
    assert one.metadata["rows_changed"].value == rows
    assert str(one.description).endswith(f"; {rows}")
    left = (
        "1 source is quarantined: 07_30_bad.csv (unclosed quote) "
        "(the producer must fix it; it is ingested when its content changes)"
    )
    assert one.metadata["left_out"].value == left
    in_full = left.replace("07_30_bad", f"{EVENT}/2021-09-01/07_30_bad")
    assert f"1 hour written: {rows}; 1 hour as it was; {in_full}" in _log(location, result)
    result = location.run(_config(SEVEN))
    assert f"0 hours written; 1 hour as it was; {in_full}" in _log(location, result)
    [one] = materializations(result).values()
    words = "the hour file holds all usable sources; 1 source is quarantined: 07_30_bad.csv (unclosed quote)"
    assert (one.metadata["why"].value, one.description) == (words, words)
    assert "rows_changed" not in one.metadata


def test_columns_are_a_table_up_to_300_and_then_a_count(deployment: Deployment, location: Location) -> None:
    """With the names of the first few; a long name is shortened."""
    location.instance.add_dynamic_partitions("event", [EVENT])
    many = [f"column_{number}" for number in range(301)]
    for columns in ([*many[:299], "x" * 500], many):
        row = ",".join("1" * len(columns))
        deployment.drop(f"{EVENT}/2021-09-01/07_00_a.csv", f"{','.join(columns)}\n{row}\n".encode())
        [one] = materializations(location.run(_config(SEVEN, rebuild=True))).values()
        if len(columns) == len(many):
            assert "dagster/column_schema" not in one.metadata
            assert one.metadata["column_count"].value == 301
            said = str(one.metadata["columns"].value)
            assert said.startswith("301 columns, of which the first are: column_0, column_1, column_2, ")
            assert len(said) < 1000
        else:
            names = [column.name for column in one.metadata["dagster/column_schema"].schema.columns]
            assert names[:299] == columns[:299]
            assert (len(names), len(names[299]), names[299][:100]) == (300, 200, "x" * 100)


@pytest.mark.parametrize("char", ["x", "상", "\U0001f600", "\x01"], ids=["ASCII", "Korean", "emoji", "control"])
@pytest.mark.parametrize("columns", [1, 300, 300_000])
def test_metadata_is_bounded_whatever_sources_are_called_and_hold(char: str, columns: int) -> None:
    """As Dagster writes it: with the longest keys there can be, and reasons, details and columns that are longer."""
    with Workers(fetch_threads=1, hour_threads=1, compress_threads=1) as workers:
        bench = Bench(workers)
        for number in range(10):
            bench.put(f"07_0{number}_{number}{char * (980 // len(char.encode()))}.csv", b"id,name\n1,a\n")
        result = bench.build()
        assert result.ledger is not None
        bad = tuple(
            Quarantined(
                source.key, source.etag, source.size, char * 100_000, char * 100_000, None, alone=number % 2 == 0
            )
            for number, source in enumerate(result.sources)
        )
        many = tuple(replace(one, key=f"{one.key}{number}") for number in range(1000) for one in bad)
        header = ",".join(f"{number}{char * 300}" for number in range(columns)).encode()
        gone = frozenset(one.key for one in many)
        for unusable, vanished in ((bad, frozenset()), (many, gone)):
            plan = replace(result.plan, reason=char * 100_000, vanished=vanished)
            ledger = replace(result.ledger, header=header, quarantined=unusable)
            hostile = replace(
                result, plan=plan, ledger=ledger, left_out=unusable, sources=(*result.sources, *result.sources)
            )
            metadata = hour_metadata(bench.pipeline, hostile, console="https://console.example")
            described = materialization_text(hostile, made_changes(hostile))
            event = dg.AssetMaterialization("a", metadata=metadata, description=described)
            assert len(serialize_value(event)) <= MOST_BYTES
            for name in ("quarantined", "newest_sources"):
                texts = [str(text) for record in metadata[name].records for text in record.data.values()]
                assert texts
                assert max(map(len, texts)) <= MOST_NAME + len("quarantined: ")
            if len(header) > MOST_HEADER_BYTES:
                assert metadata["columns"].startswith(f"a header row of {len(header):,} bytes, which begins: 0{char}")


def test_metadata_of_an_ordinary_hour_is_slim(deployment: Deployment, location: Location) -> None:
    """As Dagster writes it, with all of it: Dagster keeps one for each time that an hour is made."""
    _drop_five(deployment, location)
    assert len(serialize_value(materializations(location.run(_config(SEVEN)))[SEVEN])) < 8000


def test_an_hour_without_a_usable_row_is_recorded_with_what_it_leaves_out(
    deployment: Deployment, location: Location
) -> None:
    """There is no hour file; its sources are in metadata, in the version, and in the check."""
    location.instance.add_dynamic_partitions("event", [EVENT])
    deployment.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    result = location.run(_config(SEVEN))
    [one] = materializations(result).values()
    assert deployment.etag(f"{EVENT}/2021-09-01/07.csv.gz") == ""
    assert (one.metadata["quarantined_sources"].value, one.metadata["rows"].value) == (1, 0)
    assert [record.data["reason"] for record in one.metadata["quarantined"].records] == ["unclosed quote"]
    assert str(one.description).endswith("; 1 source is quarantined: 07_30_bad.csv (unclosed quote)")
    assert one.tags["dagster/data_version"] == f"{one.metadata['fingerprint'].value}-left-out-1-no-file"
    assert not _quarantine_check(result).passed


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
    assert description.startswith("1 of 2 hours failed; the other is up to date. First: ")
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


def _log(location: Location, result: dg.ExecuteInProcessResult) -> list[str]:
    """What the run wrote to its log by itself."""
    entries = location.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.dagster_event is None]


def _quarantine_check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "no_quarantined_sources"]
    return check


def _failure_text(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    return str(failure.user_failure_data.description)
