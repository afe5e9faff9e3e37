"""The daily backup through Dagster: its partitions, its asset, what its schedule and its sensor ask for, and when."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.storage.tags import SCHEDULED_EXECUTION_TIME_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster._utils.schedules import schedule_execution_time_iterator
from dagster_aws.s3 import S3Resource

from s3_assets.backup import site
from s3_assets.backup.days import day_for_tick, due_days
from s3_assets.dagster.backup import (
    BACKUP_POOL,
    DAILY_BACKUP,
    DAILY_BACKUP_JOB,
    DAYS_PER_TICK,
    backup_definitions,
)
from s3_assets.errors import SettingsError
from s3_assets.settings import BackupCalendar
from s3_assets_tests.backup.conftest import QUICK, Backup, backup_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3_assets_tests.servers import Server

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
CALENDAR = BackupCalendar(date(2026, 11, 1), SEOUL, "0 20 * * *", 1)
DAY = "2026-11-20"


@dataclass(frozen=True)
class Daily:
    """The backup's definitions and an instance, as a daemon would use them."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions

    def tick(self, when: datetime) -> tuple[list[str], str | None]:
        """What the schedule asks for at a scheduled time, and why nothing."""
        schedule = self.definitions.get_repository_def().get_schedule_def("daily_backup_schedule")
        repository = self.definitions.get_repository_def()
        context = dg.build_schedule_context(self.instance, when, repository_def=repository)
        data = schedule.evaluate_tick(context)
        assert all(request.run_key == request.partition_key for request in data.run_requests or ())
        return [str(request.partition_key) for request in data.run_requests or ()], data.skip_message

    def look(self) -> tuple[list[str], str | None]:
        """What the sensor asks for, and why nothing."""
        sensor = self.definitions.get_repository_def().get_sensor_def("late_backup_sensor")
        context = dg.build_sensor_context(
            self.instance, definitions=self.definitions, resources=self.definitions.resources
        )
        data = sensor.evaluate_tick(context)
        return [str(request.partition_key) for request in data.run_requests or ()], data.skip_message

    def run(self, day: str) -> dg.ExecuteInProcessResult:
        """Materialize a day; errors are left to the result."""
        job = self.definitions.resolve_job_def(DAILY_BACKUP_JOB)
        return job.execute_in_process(instance=self.instance, partition_key=day, raise_on_error=False)

    def report(self, *days: date) -> None:
        """Have it that these days were backed up."""
        for day in days:
            event = dg.AssetMaterialization(
                DAILY_BACKUP, partition=day.isoformat(), tags={"dagster/data_version": "x.y"}
            )
            self.instance.report_runless_asset_event(event)


def definitions(calendar: BackupCalendar) -> dg.Definitions:
    """Those of the backup, with what they take from the others."""
    return dg.Definitions.merge(
        backup_definitions(calendar),
        dg.Definitions(resources={"s3": S3Resource()}, executor=dg.in_process_executor),
    )


@pytest.fixture
def daily() -> Iterator[Daily]:
    """With Seoul's calendar; in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daily(instance, definitions(CALENDAR))


@pytest.fixture
def scheduled(tmp_path: Path) -> Iterator[Daily]:
    """The same on disk: a schedule opens the instance by itself. What runs print is not kept, which needs processes."""
    nowhere = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    with dg.instance_for_test({"compute_logs": nowhere}, temp_dir=str(tmp_path)) as instance:
        yield Daily(instance, definitions(CALENDAR))


@pytest.fixture
def backup(running: Callable[[str], Server], tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> Backup:
    """A folder and a bucket, and the environment set up for them."""
    path = tmp_path_factory.mktemp("local")
    (path / "other").mkdir()
    made = backup_on(running("seaweedfs"), path)
    for name, value in {**made.environment, **made.server.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(site, "Patience", lambda: QUICK)  # files of tests are new, and would be let settle for 2 s
    return made


def materialization(result: dg.ExecuteInProcessResult) -> dg.AssetMaterialization:
    """The one of a run."""
    [event] = [event for event in result.all_events if event.is_step_materialization]
    return event.materialization


def failure(result: dg.ExecuteInProcessResult) -> Any:
    """What a failed run says."""
    assert not result.success
    [data] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert data.user_failure_data is not None
    return data.user_failure_data


# --- definitions -------------------------------------------------------------------------------------------


def test_without_a_folder_there_is_no_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with one, its settings for loading are all that it needs to be there."""
    from s3_assets.dagster.definitions import build_definitions

    assert not build_definitions().resolve_asset_graph().has(DAILY_BACKUP)
    monkeypatch.setenv("S3_ASSETS_BACKUP_DIR", "/nowhere/yet")
    with pytest.raises(SettingsError, match="S3_ASSETS_BACKUP_START_DATE: not set"):
        build_definitions()
    monkeypatch.setenv("S3_ASSETS_BACKUP_START_DATE", "2026-11-01")
    loaded = build_definitions()
    assert loaded.resolve_asset_graph().has(DAILY_BACKUP)
    schedule = loaded.get_repository_def().get_schedule_def("daily_backup_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 20 * * *", "Asia/Seoul")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    job = loaded.resolve_job_def(DAILY_BACKUP_JOB)
    assert job.tags["dagster/max_runtime"] == "36000"
    assert loaded.resolve_assets_def(DAILY_BACKUP).op.pool == BACKUP_POOL


def test_a_partition_is_a_day_of_the_zone_also_where_clocks_change() -> None:
    """23 and 25 hours in Berlin; 24 in Seoul, from 15:00 UTC to 15:00 UTC."""
    for zone, day, hours in (
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2026-10-25", 25),
        (SEOUL, "2026-03-29", 24),
    ):
        asset = definitions(BackupCalendar(date(2026, 1, 1), zone, "0 20 * * *", 1)).resolve_assets_def(DAILY_BACKUP)
        partitions = asset.partitions_def
        assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
        window = partitions.time_window_for_partition_key(day)
        assert (window.end.timestamp() - window.start.timestamp()) / 3600 == hours
        assert window.start.astimezone(zone).strftime("%Y-%m-%d %H:%M") == f"{day} 00:00"


# --- the schedule ------------------------------------------------------------------------------------------


def days(*numbers: int) -> list[str]:
    """Of November 2026."""
    return [f"2026-11-{number:02d}" for number in numbers]


def all_before(scheduled: Daily, number: int) -> None:
    """Have it that the days from the first to before this one were backed up."""
    scheduled.report(*(date(2026, 11, one) for one in range(1, number)))


def test_a_tick_asks_for_yesterday_by_its_scheduled_time_however_late_it_comes(scheduled: Daily) -> None:
    """At 20:00 in Seoul, given in any zone. The daemon was down from 19:50 to 21:10, or for days: no clock is asked.

    On the first day itself there is nothing to do yet.
    """
    asked, why = scheduled.tick(datetime(2026, 11, 1, 20, tzinfo=SEOUL))
    assert asked == []
    assert "2026-10-31 is before the first day" in str(why)
    assert scheduled.tick(datetime(2026, 11, 2, 20, tzinfo=SEOUL))[0] == days(1)
    all_before(scheduled, 10)
    tick = datetime(2026, 11, 11, 20, tzinfo=SEOUL)
    assert datetime.now(UTC) > tick + timedelta(days=1)  # by the clock it would be another day
    assert scheduled.tick(tick) == (days(10), None)
    assert scheduled.tick(tick.astimezone(UTC)) == (days(10), None)


def test_days_that_were_missed_are_asked_for_too_a_few_at_a_time(scheduled: Daily) -> None:
    """The newest first; a day that is right is left alone; what is left over is asked for by later ticks."""
    all_before(scheduled, 10)
    scheduled.report(date(2026, 11, 18))
    first, _ = scheduled.tick(datetime(2026, 11, 21, 20, tzinfo=SEOUL))
    assert first == days(20, 19, 17, 16, 15)
    assert len(first) == DAYS_PER_TICK
    scheduled.report(*map(date.fromisoformat, first))
    assert scheduled.tick(datetime(2026, 11, 22, 20, tzinfo=SEOUL))[0] == days(21, 14, 13, 12, 11)
    scheduled.report(*(date(2026, 11, number) for number in (21, 14, 13, 12, 11)))
    assert scheduled.tick(datetime(2026, 11, 23, 20, tzinfo=SEOUL))[0] == days(22, 10)


def test_over_a_change_of_clocks_each_day_has_its_tick() -> None:
    """Berlin in March and October, at 02:30, which is not there on one day and twice on another."""
    calendar = BackupCalendar(date(2026, 1, 1), BERLIN, "30 2 * * *", 1)
    schedule = definitions(calendar).get_repository_def().get_schedule_def("daily_backup_schedule")
    for start in (datetime(2026, 3, 25, tzinfo=BERLIN), datetime(2026, 10, 22, tzinfo=BERLIN)):
        ticks = schedule_execution_time_iterator(
            start.timestamp(), str(schedule.cron_schedule), schedule.execution_timezone
        )
        found = [day_for_tick(tick, BERLIN, calendar.lag_days) for tick in islice(ticks, 10)]
        assert found == [start.date() + timedelta(days=number - 1) for number in range(10)]


# --- the daemon --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.soak
def test_a_daemon_that_was_down_at_the_tick_makes_up_for_it(scheduled: Daily, tmp_path: Path, monkeypatch) -> None:
    """Dagster's own scheduler, down from 19:50 to 21:10, then for nine days: one tick, by its scheduled time.

    It makes up for the last missed tick only, whatever was missed before: those days are asked for by the schedule.
    """
    location = tmp_path / "location.py"
    location.write_text(
        "import dagster as dg\n"
        "from dagster_aws.s3 import S3Resource\n"
        "from datetime import date\n"
        "from zoneinfo import ZoneInfo\n"
        "from s3_assets.dagster.backup import backup_definitions\n"
        "from s3_assets.settings import BackupCalendar\n"
        "defs = dg.Definitions.merge(\n"
        "    backup_definitions(BackupCalendar(date(2026, 11, 1), ZoneInfo('Asia/Seoul'), '0 20 * * *', 1)),\n"
        "    dg.Definitions(resources={'s3': S3Resource()}, executor=dg.in_process_executor),\n"
        ")\n"
    )
    all_before(scheduled, 10)
    target = PythonFileTarget(str(location), attribute=None, working_directory=None, location_name="here")
    launched: list[str] = []
    monkeypatch.setattr(type(scheduled.instance), "submit_run", lambda _, run_id, __: launched.append(run_id))
    with create_test_daemon_workspace_context(target, scheduled.instance) as workspace:
        logger = dg.get_dagster_logger()

        def wake(when: datetime) -> list[tuple[str, str]]:
            """What the daemon launches when it looks at that time: scheduled time and partition of each run."""
            launched.clear()
            with freeze_time(when):
                for error in launch_scheduled_runs(workspace, logger, when.astimezone(UTC), {}):
                    assert not hasattr(error, "message"), error
            runs = [scheduled.instance.get_run_by_id(run_id) for run_id in launched]
            return [
                (run.tags[SCHEDULED_EXECUTION_TIME_TAG][:16], run.tags["dagster/partition"])
                for run in runs
                if run is not None
            ]

        assert wake(datetime(2026, 11, 11, 19, 50, tzinfo=SEOUL)) == []
        assert wake(datetime(2026, 11, 11, 21, 10, tzinfo=SEOUL)) == [("2026-11-11T11:00", "2026-11-10")]
        assert wake(datetime(2026, 11, 11, 21, 11, tzinfo=SEOUL)) == []
        scheduled.report(date(2026, 11, 10))
        after = wake(datetime(2026, 11, 20, 9, 0, tzinfo=SEOUL))
        assert {when for when, _ in after} == {"2026-11-19T11:00"}
        assert [day for _, day in after] == days(18, 17, 16, 15, 14)
        assert wake(datetime(2026, 11, 20, 9, 1, tzinfo=SEOUL)) == []


# --- the asset ---------------------------------------------------------------------------------------------


def test_materializing_a_day_backs_it_up_and_says_how(daily: Daily, backup: Backup, tmp_path, monkeypatch) -> None:
    """And a second time nothing is sent."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[backup.groups]\noverspeed = ["overspeed/**"]\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    backup.folder.put("overspeed/과속.json", b"[1]")
    backup.folder.put("error/1.json", b"[22]")
    result = daily.run(DAY)
    assert result.success
    found = materialization(result)
    values = {name: value.value for name, value in found.metadata.items() if hasattr(value, "value")}
    assert values["dagster/uri"] == f"s3://{backup.bucket}/backup/.s3_assets-manifests/{DAY}.json"
    assert {name: values[name] for name in ("files", "files_sent", "bytes", "bytes_sent", "manifest_written")} == {
        "files": 2,
        "files_sent": 2,
        "bytes": 7,
        "bytes_sent": 7,
        "manifest_written": True,
    }
    assert [record.data for record in found.metadata["groups"].records] == [
        {"group": "other", "files": 1, "bytes": 4, "sent": 1},
        {"group": "overspeed", "files": 1, "bytes": 3, "sent": 1},
    ]
    assert backup.body(f"{DAY}/overspeed/과속.json") == b"[1]"
    again = materialization(daily.run(DAY))
    assert (again.metadata["files_sent"].value, again.metadata["manifest_written"].value) == (0, False)
    assert again.tags["dagster/data_version"] == found.tags["dagster/data_version"]


def test_a_run_that_could_not_back_up_all_is_red_and_names_each(daily: Daily, backup: Backup) -> None:
    """The day has no materialization, so it is still due; the other files are there."""
    backup.folder.put("good.json")
    (backup.folder.path / "circle").symlink_to(".")
    told = failure(daily.run(DAY))
    assert f"{DAY} is not backed up in whole: 1 problem, 1 file. First: circle: a link that leads back" in str(
        told.description
    )
    assert [record.data["path"] for record in told.metadata["problems"].records] == ["circle"]
    assert backup.keys() == [f"{DAY}/good.json"]
    assert daily.instance.get_materialized_partitions(DAILY_BACKUP) == set()


def test_a_folder_that_is_not_mounted_fails_the_run(daily: Daily, backup: Backup) -> None:
    """It is not a day without files."""
    (backup.folder.path / "other").rmdir()
    assert "mounted" in str(failure(daily.run(DAY)).description)
    assert backup.keys() == []


def test_bad_settings_fail_the_run_with_all_of_them(daily: Daily, backup: Backup, monkeypatch) -> None:
    """No secret in it."""
    monkeypatch.setenv("S3_ASSETS_BACKUP_TARGET", "s3://key:hunter2@bucket/")
    monkeypatch.setenv("S3_ASSETS_BACKUP_THREADS", "many")
    text = str(failure(daily.run(DAY)).description)
    assert "S3_ASSETS_BACKUP_TARGET" in text
    assert "S3_ASSETS_BACKUP_THREADS" in text
    assert "hunter2" not in text


def test_old_files_go_where_that_is_set_and_are_listed(daily: Daily, backup: Backup, monkeypatch) -> None:
    """Each was read back; without the setting nothing goes."""
    backup.folder.put("old.json", b"[1]")
    assert "removed_files" not in materialization(daily.run(DAY)).metadata
    long_ago = (datetime.now(SEOUL).date() - timedelta(days=400)).isoformat()
    monkeypatch.setenv("S3_ASSETS_BACKUP_KEEP_DAYS", "300")
    monkeypatch.setenv("S3_ASSETS_BACKUP_START_DATE", "2020-01-01")
    early = Daily(daily.instance, definitions(BackupCalendar(date(2020, 1, 1), SEOUL, "0 20 * * *", 1)))
    backup.folder.put("ancient.json", b"[2]", datetime.fromisoformat(f"{long_ago}T12:00:00+09:00"))
    found = materialization(early.run(long_ago))
    assert found.metadata["removed_files"].value == 1
    [record] = found.metadata["removed"].records
    assert record.data == {"day": long_ago, "path": "ancient.json", "bytes": 3}
    assert sorted(path.name for path in backup.folder.path.glob("*.json")) == ["old.json"]
    assert backup.body(f"{long_ago}/ancient.json") == b"[2]"


def test_a_day_waits_while_another_run_has_the_pools_one_slot(scheduled: Daily, backup: Backup) -> None:
    """Nothing is sent before the slot is free; then the run ends right."""
    storage = scheduled.instance.event_log_storage
    storage.set_concurrency_slots(BACKUP_POOL, 1)
    storage.claim_concurrency_slot(BACKUP_POOL, "another run", "daily_backup")
    backup.folder.put("a.json")
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(scheduled.run(DAY).success), daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while not any(step.run_id != "another run" for step in storage.get_concurrency_info(BACKUP_POOL).pending_steps):
        assert time.monotonic() < until, "the run did not ask for a slot"
        time.sleep(0.05)
    assert backup.keys() == []
    storage.free_concurrency_slots_for_run("another run")
    thread.join(timeout=120)
    assert results == [True]
    assert backup.keys() != []


# --- the sensor --------------------------------------------------------------------------------------------


def test_a_late_file_of_last_week_has_its_day_asked_for_again(daily: Daily, backup: Backup) -> None:
    """Until it is backed up; a file that went, or is of a day that is not due, asks for nothing."""
    backup.folder.put("a.json")
    daily.run(DAY)
    asked, why = daily.look()
    assert asked == []
    assert "1 day backed up; no file is late" in str(why)
    assert "due and not backed up" in str(why)
    backup.folder.put("late.json")
    assert daily.look()[0] == [DAY]
    assert daily.run(DAY).success
    assert daily.look()[0] == []
    (backup.folder.path / "a.json").unlink()
    assert daily.look()[0] == []


def test_a_day_that_is_not_due_yet_or_before_the_first_is_not_asked_for(daily: Daily, backup: Backup) -> None:
    """Files of before the first day are named, as nothing will ever ask for them."""
    backup.folder.put("early.json", when=datetime(2026, 10, 3, 12, tzinfo=SEOUL))
    backup.folder.put("today.json", when=datetime.now(SEOUL))
    asked, why = daily.look()
    assert asked == []
    assert "1 file from before 2026-11-01 (2026-10-03)" in str(why)


def test_a_day_whose_run_just_failed_rests(daily: Daily, backup: Backup) -> None:
    """A late file that can't be read does not make a run at each tick; the message says so."""
    backup.folder.put("a.json")
    daily.run(DAY)
    backup.folder.put("late.json")
    (backup.folder.path / "circle").symlink_to(".")
    assert daily.look()[0] == [DAY]
    assert not daily.run(DAY).success
    asked, why = daily.look()
    assert asked == []
    assert "rest after failing" in str(why)
    assert "circle: a link that leads back" in str(why)


def test_what_alerts_need_can_be_asked_for(daily: Daily, backup: Backup) -> None:
    """`due_days` over what the bucket has: the day that was missed is named, whatever Dagster remembers."""
    backup.folder.put("a.json")
    daily.run(DAY)
    right = backup.site().backed_up_days()
    tick = datetime(2026, 11, 22, 20, tzinfo=SEOUL)
    assert due_days(date(2026, 11, 19), tick, SEOUL, 1, right) == [date(2026, 11, 19), date(2026, 11, 21)]
