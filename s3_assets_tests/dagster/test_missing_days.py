"""Days of the backup that are due and not right, as the sensor finds them; what a run tells its watcher; freshness."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from s3_assets import heartbeat
from s3_assets.backup import site
from s3_assets.backup.bucket import BackupBucket
from s3_assets.backup.verify import Audit, audit
from s3_assets.dagster import backup as backup_module
from s3_assets.dagster.backup import DAILY_BACKUP, LATE_BACKUP_SENSOR, MAX_RUNTIME_S
from s3_assets.dagster.internals import PARTITION_NAME_TAG
from s3_assets.dagster.missing_days import NO_DAY_MISSING, missing_days
from s3_assets.errors import StoreUnavailableError
from s3_assets.settings import BackupCalendar
from s3_assets_tests.backup.conftest import QUICK, Backup, backup_on
from s3_assets_tests.dagster.test_backup import Daily, definitions
from s3_assets_tests.watcher import PROXIES, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets_tests.servers import Server

SEOUL = ZoneInfo("Asia/Seoul")
EVENING = (datetime.now(SEOUL) - timedelta(minutes=90)).replace(second=0, microsecond=0)
"""The last tick of the schedule: runs of these tests are of now, and rest for an hour after they failed."""

DAYS = [EVENING.date() - timedelta(days=ago) for ago in (3, 2, 1)]
FIRST, SECOND, LAST = (day.isoformat() for day in DAYS)
CALENDAR = BackupCalendar(DAYS[0], SEOUL, f"{EVENING.minute} {EVENING.hour} * * *", 1)
NOON = datetime(DAYS[1].year, DAYS[1].month, DAYS[1].day, 12, tzinfo=SEOUL)
NEVER = "there is no manifest: it was never backed up in whole"


@pytest.fixture
def backup(
    running: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Backup:
    """A folder with a file of the second day and a bucket, and the environment set up for them."""
    made = backup_on(running("seaweedfs"), tmp_path_factory.mktemp("local"))
    for name, value in {**made.environment, **made.server.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(site, "Patience", lambda: QUICK)
    made.folder.put("a.json", when=NOON)
    return made


@pytest.fixture
def daily() -> Iterator[Daily]:
    """In memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daily(instance, definitions(CALENDAR))


@pytest.fixture
def go_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Have it that it is so long after the last tick."""

    def go(after: timedelta) -> None:
        now = (EVENING + after).astimezone(UTC)
        later = type("Later", (datetime,), {"now": classmethod(lambda _cls, _zone=None: now)})
        monkeypatch.setattr(backup_module, "datetime", later)

    return go


def look(daily: Daily) -> list[str]:
    """A tick of the sensor; what it puts on record is put there, as the daemon does. The days that are missing."""
    sensor = daily.definitions.get_repository_def().get_sensor_def(LATE_BACKUP_SENSOR)
    context = dg.build_sensor_context(
        daily.instance, definitions=daily.definitions, resources=daily.definitions.resources
    )
    for event in sensor.evaluate_tick(context).asset_events:
        daily.instance.report_runless_asset_event(event)
    return [f"{one.day} {one.words}" for one in missing_days(daily.instance, DAILY_BACKUP).values()]


def test_a_day_that_is_due_and_not_right_is_on_record_until_it_is_backfilled(daily, backup, go_to) -> None:
    """The newest has an hour, as its run may not have begun; the check of each run says what is left."""
    assert daily.run(SECOND).success
    go_to(timedelta(minutes=30))
    assert look(daily) == [f"{FIRST} {NEVER}"]
    go_to(timedelta(minutes=90))
    assert look(daily) == look(daily) == [f"{FIRST} {NEVER}", f"{LAST} {NEVER}"]
    for day, left in ((LAST, False), (FIRST, True)):
        [evaluation] = daily.run(day).get_asset_check_evaluations()
        assert (evaluation.check_name, evaluation.passed) == (NO_DAY_MISSING, left)
    assert missing_days(daily.instance, DAILY_BACKUP) == {}
    assert look(daily) == []


def test_a_day_with_late_files_is_missing_only_where_another_run_did_not_help(daily, backup, go_to) -> None:
    """The sensor asks for it first; a day that was made right outside of Dagster is taken back by the next look."""
    for day in DAYS:
        assert daily.run(day.isoformat()).success
    go_to(timedelta(minutes=90))
    backup.folder.put("late.json", when=NOON)
    (backup.folder.path / "circle").symlink_to(".")
    assert look(daily) == []
    assert not daily.run(SECOND).success
    assert look(daily) == [f"{SECOND} its backup lacks 1 local file as now on disk"]
    (backup.folder.path / "circle").unlink()
    assert look(daily) == [f"{SECOND} its backup lacks 1 local file as now on disk"]
    backup_outside_of_dagster(backup)
    assert look(daily) == []


def backup_outside_of_dagster(backup: Backup) -> None:
    """As `s3-assets backup run` does it."""
    assert backup.run(DAYS[1]).right


def test_a_day_whose_manifest_was_damaged_is_missing_until_it_is_made_anew(daily, backup, go_to) -> None:
    """The folder is as it was, so nothing but the manifest's ETag tells; a right one costs no request."""
    for day in DAYS:
        assert daily.run(day.isoformat()).success
    go_to(timedelta(minutes=90))
    assert look(daily) == []
    key = f"backup/.s3_assets-manifests/{SECOND}.json"
    data = backup.client.get_object(Bucket=backup.bucket, Key=key)["Body"].read()
    backup.client.put_object(Bucket=backup.bucket, Key=key, Body=data[:-9])
    [words] = look(daily)
    assert words.startswith(f"{SECOND} manifest")
    assert "is damaged: no JSON" in words
    backup.client.delete_object(Bucket=backup.bucket, Key=key)
    assert look(daily) == [f"{SECOND} {NEVER}"]
    assert daily.run(SECOND).success
    assert look(daily) == []


def test_the_sensor_reads_no_manifest_of_a_day_that_is_as_it_was_recorded(daily, backup, monkeypatch) -> None:
    """What a run records is what the bucket lists: of a manifest that it wrote, and of one that stood."""
    reads: list[str] = []
    read = BackupBucket.read
    monkeypatch.setattr(BackupBucket, "read", lambda self, key: reads.append(key) or read(self, key))
    for _ in range(2):
        assert daily.run(SECOND).success
        reads.clear()
        look(daily)
        assert reads == []


def test_a_day_that_a_run_from_the_assets_page_is_at_is_not_missing(daily, backup, go_to) -> None:
    """Such a run has Dagster's own job; one of other assets with the same partition key counts for nothing."""
    go_to(timedelta(minutes=90))
    for day, asset in ((FIRST, DAILY_BACKUP), (LAST, dg.AssetKey("another"))):
        under_way(daily, day, "__ASSET_JOB", asset)
    assert look(daily) == [f"{SECOND} {NEVER}", f"{LAST} {NEVER}"]


def test_a_day_whose_run_ends_while_the_sensor_looks_is_not_missing(daily, backup, go_to, monkeypatch) -> None:
    """What was listed may be older than its manifest."""
    go_to(timedelta(minutes=90))
    run = under_way(daily, LAST, "daily_backup_job", DAILY_BACKUP)

    def slow(*given: object) -> Audit:
        found = audit(*given)
        daily.instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name), run_id=run.run_id)
        return found

    monkeypatch.setattr(backup_module, "audit", slow)
    assert look(daily) == [f"{FIRST} {NEVER}", f"{SECOND} {NEVER}"]
    assert daily.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.SUCCESS


def under_way(daily: Daily, day: str, job: str, asset: dg.AssetKey) -> dg.DagsterRun:
    """A run that was launched and has not ended."""
    run = dg.DagsterRun(
        job, status=dg.DagsterRunStatus.STARTED, tags={PARTITION_NAME_TAG: day}, asset_selection=frozenset({asset})
    )
    return daily.instance.add_run(run)


# --- what a run tells its watcher --------------------------------------------------------------------------


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    """Named by the settings; waited for, however busy this machine is."""
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 60)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with Watcher() as made:
        monkeypatch.setenv("S3_ASSETS_BACKUP_HEARTBEAT_URL", made.url)
        yield made


def test_a_run_for_the_day_that_is_due_tells_how_it_went(daily, backup, go_to, watcher) -> None:
    """One for an older day says nothing of it, and tells nobody."""
    go_to(timedelta(minutes=5))
    assert daily.run(SECOND).success
    assert watcher.told == []
    assert daily.run(LAST).success
    assert [(told.word, told.body) for told in watcher.told] == [("/start", ""), ("", f"{LAST} is backed up")]
    (backup.folder.path / "circle").symlink_to(".")
    assert not daily.run(LAST).success
    assert watcher.words[2:] == ["/start", "/fail"]
    assert "circle: a link that leads back" in watcher.told[-1].body


@pytest.mark.parametrize("fault", [StoreUnavailableError("PutObject", "x", "no answer"), OSError("no disk")])
def test_a_run_that_dagster_tries_again_has_not_failed_yet(daily, backup, go_to, watcher, monkeypatch, fault) -> None:
    """The last try tells how it ended, whatever made the others fail."""
    go_to(timedelta(minutes=5))
    monkeypatch.setattr(backup_module, "RETRIES", dg.RetryPolicy(max_retries=1, delay=0))
    faults, back_up = [1], backup_module.back_up

    def unavailable(*arguments, **more):
        if faults:
            faults.pop()
            raise fault
        return back_up(*arguments, **more)

    monkeypatch.setattr(backup_module, "back_up", unavailable)
    again = Daily(daily.instance, definitions(CALENDAR))
    assert again.run(LAST).success
    assert watcher.words == ["/start", "/start", ""]
    faults.extend([1, 1])
    assert not again.run(LAST).success
    assert watcher.words[3:] == ["/start", "/start", "/fail"]


# --- freshness ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cron, longest", [("0 20 * * *", timedelta(days=1)), ("30 4 * * 1-5", timedelta(days=3))], ids=["daily", "weekdays"]
)
def test_the_asset_is_fresh_within_the_longest_pause_of_its_cron(cron: str, longest: timedelta) -> None:
    """And the time that a run may take."""
    calendar = BackupCalendar(date(2026, 11, 1), SEOUL, cron, 1)
    asset = definitions(calendar).resolve_asset_graph().get(DAILY_BACKUP)
    assert asset.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=longest + timedelta(seconds=MAX_RUNTIME_S), warn_window=longest + timedelta(hours=2)
    )
