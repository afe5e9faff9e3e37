"""`source_sensor`: what it asks for, and what it never asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import failing_hours
from s3_assets_tests.dagster.conftest import Location, asked_for
from s3_assets_tests.deployment import FIVE_FILES, Deployment

if TYPE_CHECKING:
    from pathlib import Path

EVENT = "customer_new_customer_event"
SEVEN, EIGHT = f"{EVENT}|2021-09-01-07:00", f"{EVENT}|2021-09-01-08:00"


@pytest.fixture
def five(deployment: Deployment) -> Deployment:
    """The five files of the layout that the pipeline replaces."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    return deployment


def test_hours_that_differ_are_asked_for_newest_first_with_their_event(five: Deployment, location: Location) -> None:
    """In one run; the event becomes a partition."""
    result = location.tick()
    assert asked_for(result) == [EIGHT, SEVEN]
    assert len(result.run_requests or ()) == 1
    assert location.instance.get_dynamic_partitions("event") == [EVENT]
    assert all(request.run_key is None for request in result.run_requests or ())
    assert len(result.cursor or "") < 300  # a place, and no state of S3


def test_once_made_right_nothing_is_asked_for(five: Deployment, location: Location) -> None:
    """And the tick says so in words."""
    location.tick_and_launch()
    result = location.tick()
    assert asked_for(result) == []
    assert "5 source objects listed in 2 hours; none differs from what was last made" in _said(result)


def test_a_late_file_asks_for_its_hour_alone(five: Deployment, location: Location) -> None:
    """07 gets its row, 08 is not touched."""
    location.tick_and_launch()
    eight = five.etag(f"{EVENT}/2021-09-01/08.csv.gz")
    five.drop(f"{EVENT}/2021-09-01/07_59_file_200.csv", b"id,name\n200,z\n")
    assert asked_for(location.tick_and_launch()) == [SEVEN]
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").endswith(b"126,d\n200,z\n")
    assert five.etag(f"{EVENT}/2021-09-01/08.csv.gz") == eight


def test_rewritten_gone_and_restored_sources_are_seen(five: Deployment, location: Location) -> None:
    """A, B in its place, gone, A again: each is a change of the set, although Dagster never forgets a run key."""
    key = f"{EVENT}/2021-09-01/08_15_file_127.csv"
    location.tick_and_launch()
    five.drop(key, b"id,name\n127,E\n")
    assert asked_for(location.tick_and_launch()) == [EIGHT]
    assert five.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,E\n"
    five.store.delete(f"source/{key}")
    assert asked_for(location.tick_and_launch()) == []
    five.drop(key, FIVE_FILES[key])
    assert asked_for(location.tick_and_launch()) == [EIGHT]
    assert five.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"


def test_a_lost_instance_costs_a_look_and_rewrites_nothing(five: Deployment, location: Location) -> None:
    """All state that matters is on S3."""
    location.tick_and_launch()
    before = [five.etag(f"{EVENT}/2021-09-01/{hour}.csv.gz") for hour in ("07", "08")]
    with dg.DagsterInstance.ephemeral() as fresh:
        again = Location(fresh, location.definitions)
        assert sorted(asked_for(again.tick_and_launch())) == [SEVEN, EIGHT]
        assert asked_for(again.tick()) == []
    assert [five.etag(f"{EVENT}/2021-09-01/{hour}.csv.gz") for hour in ("07", "08")] == before


def test_hours_of_live_runs_are_not_asked_for_twice(five: Deployment, location: Location) -> None:
    """A run under way holds its hours, by its config or by its partition."""
    job = location.definitions.resolve_job_def("hourly_gzip_job")
    config = {"ops": {"hourly_gzip": {"config": {"partition_keys": [SEVEN]}}}}
    location.instance.create_run_for_job(job, run_config=config, status=dg.DagsterRunStatus.STARTED)
    result = location.tick()
    assert asked_for(result) == [EIGHT]
    location.instance.create_run_for_job(job, tags={"dagster/partition": EIGHT}, status=dg.DagsterRunStatus.STARTED)
    result = location.tick()
    assert asked_for(result) == []
    assert "2 under way" in _said(result)


def test_an_hour_that_is_stuck_is_named_and_asked_for_once_its_hour_file_was_replaced(
    five: Deployment, location: Location
) -> None:
    """Trying again can't help with a foreign file in its place: ticks say so, the check is red, the grid too."""
    five.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"foreign")
    [request] = location.tick().run_requests or ()
    checks = {check.check_name: check for check in location.launch(request).get_asset_check_evaluations()}
    assert not checks["no_failing_hours"].passed
    [row] = checks["no_failing_hours"].metadata["hours"].records
    assert (row.data["hour"], row.data["state"], row.data["tries"]) == (SEVEN, "stuck", 1)
    assert "sync --rebuild" in str(row.data["error"])
    for _ in range(2):
        result = location.tick()
        assert asked_for(result) == []
        assert f"1 stuck until somebody does something ({EVENT} 2021-09-01-07:00: ForeignTargetError)" in _said(result)
    five.store.delete(f"target/{EVENT}/2021-09-01/07.csv.gz")
    [request] = location.tick().run_requests or ()
    assert asked_for(dg.SensorResult(run_requests=[request])) == [SEVEN]
    checks = {check.check_name: check for check in location.launch(request).get_asset_check_evaluations()}
    assert checks["no_failing_hours"].passed
    assert "none differs" in _said(location.tick())


def test_an_hour_that_fails_is_tried_again_with_growing_pauses_until_it_heals(
    five: Deployment, location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breaker holds it three times; then the sources are back, and it is on record as right, at once."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\nmax_vanished_share = 0.1\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    location.tick_and_launch()
    gone = [key for key in FIVE_FILES if "/07_" in key][:2]
    for key in gone:
        five.store.delete(f"source/{key}")
    pause = timedelta(minutes=1)
    for tries in (1, 2, 3):
        assert asked_for(location.tick_and_launch()) == [SEVEN]
        [failing] = failing_hours(location.instance, dg.AssetKey("hourly_gzip")).values()
        assert (failing.tries, failing.permanent, failing.error) == (tries, False, "BreakerOpenError")
        assert failing.next_try - failing.last == pause * 2 ** (tries - 1)
        result = location.tick()
        assert asked_for(result) == []
        assert "1 rest after failing" in _said(result)
        later = failing.next_try + timedelta(seconds=1)
        monkeypatch.setattr("s3_assets.dagster.sensors.clock", lambda later=later: later)
    for key in gone:
        five.drop(key, FIVE_FILES[key])
    assert asked_for(location.tick_and_launch()) == [SEVEN]
    assert failing_hours(location.instance, dg.AssetKey("hourly_gzip")) == {}
    assert "none differs" in _said(location.tick())


def test_healthy_hours_do_not_rest_because_another_of_their_batch_failed(five: Deployment, location: Location) -> None:
    """Only the hour that failed rests; its neighbour's next file is taken in at once."""
    five.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"foreign")
    location.tick_and_launch()
    five.drop(f"{EVENT}/2021-09-01/08_20_more.csv", b"id,name\n128,f\n")
    result = location.tick()
    assert asked_for(result) == [EIGHT]


def test_a_run_that_was_lost_does_not_hold_its_hours_for_ever(
    five: Deployment, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without run monitoring, a killed run stays STARTED: after a while it holds nothing any more."""
    job = location.definitions.resolve_job_def("hourly_gzip_job")
    config = {"ops": {"hourly_gzip": {"config": {"partition_keys": [SEVEN, EIGHT]}}}}
    location.instance.create_run_for_job(job, run_config=config, status=dg.DagsterRunStatus.STARTED)
    assert asked_for(location.tick()) == []
    monkeypatch.setattr("s3_assets.dagster.records.BUSY_AT_MOST", timedelta(0))
    assert asked_for(location.tick()) == [EIGHT, SEVEN]


def test_hours_of_a_running_backfill_are_not_asked_for(five: Deployment, location: Location) -> None:
    """Its run names the first and the last partition of its range."""
    location.instance.add_dynamic_partitions("event", [EVENT])
    job = location.definitions.resolve_job_def("hourly_gzip_job")
    tags = {"dagster/asset_partition_range_start": SEVEN, "dagster/asset_partition_range_end": SEVEN}
    location.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert asked_for(location.tick()) == [EIGHT]


def test_a_run_with_a_broken_config_stops_no_tick(five: Deployment, location: Location) -> None:
    """Of this job or of any other on the instance."""
    job = location.definitions.resolve_job_def("hourly_gzip_job")
    config = {"ops": {"hourly_gzip": {"config": {"partition_keys": None}}}}
    location.instance.create_run_for_job(job, run_config=config, status=dg.DagsterRunStatus.STARTED)
    assert asked_for(location.tick()) == [EIGHT, SEVEN]


def test_an_hour_file_that_is_gone_is_made_again(five: Deployment, location: Location) -> None:
    """Deleted by someone, or the target was moved: what Dagster recorded proves nothing."""
    location.tick_and_launch()
    five.store.delete(f"target/{EVENT}/2021-09-01/07.csv.gz")
    assert asked_for(location.tick_and_launch()) == [SEVEN]
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5


def test_hours_before_a_later_start_date_are_left_alone(
    five: Deployment, location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where vanished sources are dropped: out of range is not gone."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    location.tick_and_launch()
    monkeypatch.setenv("S3_ASSETS_START_DATE", "2022-01-01")
    assert asked_for(location.tick()) == []


def test_the_check_turns_green_when_the_last_source_of_an_hour_was_a_bad_one(
    deployment: Deployment, location: Location
) -> None:
    """Its producer deletes the broken file: the hour is looked at once more, and then no more."""
    key = f"{EVENT}/2021-09-01/07_30_bad.csv"
    deployment.drop(key, b'id,name\n1,"never closed\n')
    location.tick_and_launch()
    deployment.store.delete(f"source/{key}")
    [request] = location.tick().run_requests or ()
    assert all(check.passed for check in location.launch(request).get_asset_check_evaluations())
    assert asked_for(location.tick()) == []


def test_keys_that_do_not_parse_are_counted_and_never_stop_a_tick(five: Deployment, location: Location) -> None:
    """Every kind that the grammar refuses."""
    for key in ("25_61_x.csv", "readme.txt", "07_61_x.csv"):
        five.drop(f"{EVENT}/2021-09-01/{key}", b"a\n1\n")
    five.drop(f"{EVENT}/2021-09-31/07_00_x.csv", b"a\n1\n")
    five.drop(f"{EVENT}/2020-01-01/07_00_x.csv", b"a\n1\n")
    five.drop(f"{EVENT}/2999-01-01/07_00_x.csv", b"a\n1\n")
    five.drop(f"{EVENT}/2021-09-02/", b"")
    location.tick_and_launch()
    said = _said(location.tick())
    assert "7 keys or folders not taken in" in said
    assert "5 source objects listed in 2 hours" in said


def test_an_event_whose_name_no_partition_key_may_have_is_escaped(deployment: Deployment, location: Location) -> None:
    """`|` joins the dimensions of a key; the hour file's own key is not escaped."""
    deployment.drop("a|b/2021-09-01/07_00_x.csv", b"a\n1\n")
    assert asked_for(location.tick_and_launch()) == ["a%7Cb|2021-09-01-07:00"]
    assert deployment.hour_file("a|b/2021-09-01/07.csv.gz") == b"a\n1\n"
    assert asked_for(location.tick()) == []


def test_a_failed_listing_is_an_error_not_an_empty_source(
    five: Deployment, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick fails, with words; nothing is concluded from it."""
    location.tick_and_launch()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(dg.Failure, match="check the credentials") as raised:
        location.tick()
    assert "wrong" not in str(raised.value.description)


def _said(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return str(result.skip_reason.skip_message)


def test_each_group_asks_for_its_own_events(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' are not even looked at; a run that names an event of another group says where it belongs."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[groups]\npayments = ["pay*"]\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    deployment.drop("payments/2021-09-01/07_00_x.csv", b"a\n1\n")
    deployment.drop("clicks/2021-09-01/07_00_x.csv", b"a\n2\n")
    with dg.DagsterInstance.ephemeral() as instance:
        for names, event in ((Names(), "clicks"), (Names("payments"), "payments")):
            group = Location(instance, build_definitions(), names=names)
            key = f"{event}|2021-09-01-07:00"
            result = group.tick_and_launch()
            assert asked_for(result, names) == [key]
            assert instance.get_dynamic_partitions(names.events) == [event]
            assert asked_for(group.tick(), names) == []
            assert deployment.hour_file(f"{event}/2021-09-01/07.csv.gz").startswith(b"a\n")
        wrong = group.run(
            {"ops": {"hourly_gzip_payments": {"config": {"partition_keys": ["clicks|2021-09-01-07:00"]}}}}
        )
        [failure] = [event.step_failure_data for event in wrong.all_events if event.is_step_failure]
        assert failure.user_failure_data is not None
        assert "'clicks' is an event of hourly_gzip, not of hourly_gzip_payments" in str(
            failure.user_failure_data.description
        )


def test_hours_before_the_grid_are_made_right_all_the_same(five: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost because the UI shows less; their materializations are on record."""
    monkeypatch.setenv("S3_ASSETS_GRID_DAYS", "3")
    with dg.DagsterInstance.ephemeral() as instance:
        location = Location(instance, build_definitions())
        assert asked_for(location.tick_and_launch()) == [EIGHT, SEVEN]
        assert "none differs" in _said(location.tick())
        assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5
        assert instance.get_latest_materialization_event(dg.AssetKey("hourly_gzip")) is not None


def test_a_range_is_made_right_in_one_run_and_holds_its_hours(five: Deployment, location: Location) -> None:
    """From the launchpad: what has sources or an hour file; the sensor does not ask for it meanwhile."""
    config = {"first": "2021-09-01-08:00", "events": [EVENT]}
    run_config = {"ops": {"hourly_gzip": {"config": config}}}
    job = location.definitions.resolve_job_def("hourly_gzip_job")
    location.instance.create_run_for_job(job, run_config=run_config, status=dg.DagsterRunStatus.STARTED)
    assert asked_for(location.tick()) == [SEVEN]
    assert location.run(run_config).success
    assert five.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == ""
