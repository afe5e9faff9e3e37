"""What is read of a real instance on disk, and what of it is ours."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from s3_assets.dagster.alerts import ALERTS_SENSOR
from s3_assets.dagster.backup import DAILY_BACKUP
from s3_assets.dagster.definitions import build_definitions
from s3_assets.settings import BackupCalendar
from s3_assets.watchdog import look as module
from s3_assets.watchdog import ticks
from s3_assets.watchdog.checks import Limits, Look, State
from s3_assets.watchdog.home import NoInstanceError, check_home
from s3_assets.watchdog.judge import judge
from s3_assets.watchdog.look import look, what_ticks
from s3_assets.watchdog.picture import BackupDay, Expected

if TYPE_CHECKING:
    from pathlib import Path

    from s3_assets.watchdog.picture import Picture
    from s3_assets_tests.watchdog.instance import Home

HOUR = timedelta(hours=1)
SENSORS = [Expected("source_sensor", starts_on=False), Expected("alerts_sensor")]
UTC_DAYS = BackupCalendar(date(2026, 11, 1), ZoneInfo("UTC"), "0 20 * * *", 1)


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def looked(
    home: Home, at: datetime | None = None, *, location: str | None = None, calendar: BackupCalendar | None = None
) -> Picture:
    """What is seen at a time; now where none is given."""
    expected = SENSORS if calendar is None else [*SENSORS, Expected(module.BACKUP_SCHEDULE, "SCHEDULER")]
    return look(home.instance, expected, calendar, Limits(), at or now(), location=location)


def states(picture: Picture, at: datetime | None = None) -> dict[str, State]:
    """How the checks end."""
    checks = judge(picture, Look(at or now(), Limits(), datetime.fromtimestamp(0, UTC)))
    return {check.name: check.state for check in checks}


def test_what_is_expected_is_in_the_definitions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its name, on or off as there, and of the daemon that is said: with groups of events and a backup too."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[groups]\nmoney = ["pay*"]\n')
    for name, value in {
        "S3_ASSETS_CONFIG": str(config),
        "S3_ASSETS_BACKUP_DIR": str(tmp_path),
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
    }.items():
        monkeypatch.setenv(name, value)
    expected, calendar = what_ticks(os.environ)
    assert calendar is not None
    repository = build_definitions().get_repository_def()
    sensors = {one.name: one.default_status is dg.DefaultSensorStatus.RUNNING for one in repository.sensor_defs}
    schedules = {one.name: one.default_status is dg.DefaultScheduleStatus.RUNNING for one in repository.schedule_defs}
    assert {one.name for one in expected} >= {"source_sensor", "source_sensor_money", "late_backup_sensor"}
    for one in expected:
        there = sensors if one.daemon == "SENSOR" else schedules
        assert there[one.name] is one.starts_on, one
    assert (module.DAILY_BACKUP, ticks.ALERTS_SENSOR) == (DAILY_BACKUP, ALERTS_SENSOR)


def test_an_instance_that_lives_is_well(home: Home) -> None:
    """Heartbeats of what it needs, ticks, no runs."""
    home.well()
    picture = looked(home)
    assert {daemon.name for daemon in picture.daemons} >= {"SENSOR", "SCHEDULER", "MONITORING"}
    assert set(states(picture).values()) == {State.OK}
    assert set(states(picture, now() + HOUR).values()) == {State.DOWN, State.UNKNOWN, State.OK}


def test_daemons_sensors_and_their_ticks_are_seen_as_they_are(home: Home) -> None:
    """One daemon is dead, one sensor is off, one is silent and failed."""
    home.beat(but="BACKFILL")
    home.sensor("source_sensor", 5, on=False)
    home.sensor("alerts_sensor", 600, 630, fails="no bucket")
    picture = looked(home)
    assert [daemon.name for daemon in picture.daemons if daemon.beat is None] == ["BACKFILL"]
    assert not picture.ticking["source_sensor"].is_on
    silent = picture.ticking["alerts_sensor"]
    assert (silent.failed, silent.error, silent.words) == (2, "Failure", "no bucket")
    assert silent.page == "locations/s3_assets/sensors/alerts_sensor"
    found = states(picture)
    assert [name for name, state in found.items() if state is State.DOWN] == [
        "daemons",
        "source_sensor",
        "alerts_sensor",
    ]


def test_a_sensor_that_is_on_and_never_ticked_is_due_since_it_was_switched_on(home: Home) -> None:
    """Not since ever, and not never."""
    home.beat()
    home.sensor("source_sensor")
    seen = looked(home).ticking["source_sensor"]
    assert seen.last is None
    assert timedelta(0) <= now() - timedelta(days=1) + timedelta(seconds=30) - seen.due < HOUR


def test_of_sensors_of_one_name_the_one_that_lives_counts(home: Home) -> None:
    """A code location that was renamed leaves the old ones; with `location`, only its own are looked at."""
    home.well()
    for name in ("source_sensor", "alerts_sensor"):
        home.sensor(name, 7200, location="its old name")
    assert set(states(looked(home)).values()) == {State.OK}
    old = states(looked(home, location="its old name"))
    assert (old["source_sensor"], old["alerts_sensor"]) == (State.DOWN, State.DOWN)
    assert looked(home, location="nobody's").ticking == {}


def test_queued_and_running_runs_are_ours_with_their_ages(home: Home) -> None:
    """Those of another code location are its own business; the time since a run was started is the queue's."""
    home.well()
    queued = home.run(dg.DagsterRunStatus.QUEUED)
    home.run(dg.DagsterRunStatus.QUEUED, "another")
    picture = looked(home)
    assert picture.queue.count == 1
    assert picture.queue.oldest is not None
    assert picture.queue.oldest.run_id == queued
    assert abs(now() - picture.queue.oldest.since) < HOUR
    assert picture.queue.last_start is None
    started = home.run(dg.DagsterRunStatus.STARTED)
    launched = home.run(dg.DagsterRunStatus.STARTING)
    home.run(dg.DagsterRunStatus.STARTED, "another")
    picture = looked(home)
    assert {run.run_id: run.is_started for run in picture.runs} == {started: True, launched: False}
    assert all(abs(now() - run.since) < HOUR for run in picture.runs)
    assert abs(now() - picture.queue.last_start) < HOUR
    later = now() + 2 * HOUR
    found = states(looked(home, later), later)
    assert (found["queue"], found["runs"]) == (State.UNKNOWN, State.DOWN)


@pytest.mark.parametrize("at, due", [("2026-11-22T07:59", "2026-11-19"), ("2026-11-22T08:00", "2026-11-20")])
def test_the_backup_of_the_newest_due_day_is_looked_for(home: Home, at: str, due: str) -> None:
    """Twelve hours after its tick: that of 20:00 is for the day before, which has to be there at 08:00."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert looked(home, moment, calendar=UTC_DAYS).backup == BackupDay(date.fromisoformat(due), is_made=False)
    home.instance.report_runless_asset_event(dg.AssetMaterialization(DAILY_BACKUP, partition=due))
    assert looked(home, moment, calendar=UTC_DAYS).backup == BackupDay(date.fromisoformat(due), is_made=True)
    first = datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert looked(home, first - timedelta(days=1), calendar=UTC_DAYS).backup is None


def test_a_schedule_is_due_only_when_it_lacks_a_tick(home: Home) -> None:
    """By the cron of the settings."""
    home.schedule(module.BACKUP_SCHEDULE, 5)
    assert looked(home, calendar=UTC_DAYS).ticking[module.BACKUP_SCHEDULE].due is None
    tomorrow = now() + timedelta(days=1, hours=1)
    due = looked(home, tomorrow, calendar=UTC_DAYS).ticking[module.BACKUP_SCHEDULE].due
    assert due is not None
    assert due.hour == 20
    assert due <= tomorrow - Limits().tolerance


def test_a_folder_that_is_no_instance_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A watchdog with a wrong DAGSTER_HOME must not make a new instance, and call it well or dead."""
    with pytest.raises(NoInstanceError, match="no folder"):
        check_home(str(tmp_path / "none"), {})
    with pytest.raises(NoInstanceError, match="neither"):
        check_home(str(tmp_path), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("base", ["home", "{mount}", "env"])
def test_an_instance_whose_sqlite_storage_is_not_there_is_refused_and_left_as_it_is(
    new_home: Path, tmp_path: Path, base: str
) -> None:
    """In DAGSTER_HOME, or where dagster.yaml says, by its path or by a variable: with what is missing."""
    folder, mount = tmp_path / "home", tmp_path / "mount"
    folder.mkdir()
    mount.mkdir()
    told = {"home": "", "env": "storage: {sqlite: {base_dir: {env: STATE}}}\n"}
    storage = told.get(base, f"storage: {{sqlite: {{base_dir: {mount}}}}}\n")
    (folder / "dagster.yaml").write_text(storage)
    where, environ = folder if base == "home" else mount, {"STATE": str(mount)}
    with pytest.raises(NoInstanceError) as raised:
        check_home(str(folder), environ)
    assert str(raised.value).startswith(
        f"the storage in {where} is not there: no history/runs.db, history/runs/index.db, schedules/schedules.db;"
    )
    assert [path.name for path in folder.iterdir()] == ["dagster.yaml"]
    assert list(mount.iterdir()) == []
    for name in ("history", "schedules"):
        shutil.copytree(new_home / name, where / name)
    check_home(str(folder), environ)
    (where / "schedules" / "schedules.db").write_bytes(b"")
    with pytest.raises(NoInstanceError, match=r"no schedules/schedules\.db;"):
        check_home(str(folder), environ)


@pytest.mark.parametrize(
    "storage",
    [
        "{postgres: {postgres_url: 'postgresql://u@127.0.0.1:1/d'}}",
        "{sqlite: {base_dir: {env: NOT_SET}}}",
        "{sqlite: {}}",
        "a word",
    ],
)
def test_a_storage_that_is_no_sqlite_or_whose_settings_are_wrong_is_dagsters_to_tell(
    tmp_path: Path, storage: str
) -> None:
    """It has its own words for it, and makes nothing in DAGSTER_HOME."""
    (tmp_path / "dagster.yaml").write_text(f"storage: {storage}\n")
    check_home(str(tmp_path), {})
