"""What is due and not there, from the look at a real store to the words in Slack: events overdue, days missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from s3_assets import heartbeat
from s3_assets.controller.rhythm import Standing
from s3_assets.dagster.backup import DAILY_BACKUP, backup_definitions
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.internals import DATA_VERSION_TAG
from s3_assets.dagster.missing_days import NO_DAY_MISSING, missing_days, news
from s3_assets.dagster.names import Names
from s3_assets.dagster.rhythm import RHYTHM_KEPT, _note, standings
from s3_assets.dagster.watched.due import overdue_problems
from s3_assets.dagster.watched.hours import SETTLES_WITHIN
from s3_assets.hour_file.keys import label_of
from s3_assets_tests.dagster.alerting import Daemon, slack_for, wipe
from s3_assets_tests.dagster.conftest import Location
from s3_assets_tests.dagster.test_backup import CALENDAR
from s3_assets_tests.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_assets_tests.alerts.slack_stand_in import SlackStandIn
    from s3_assets_tests.deployment import Deployment

SOURCE = dg.AssetKey("source_csv")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def on_disk() -> Iterator[dg.DagsterInstance]:
    """An instance on SQLite."""
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def instance(on_disk: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """The same, as new."""
    yield on_disk
    wipe(on_disk)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStandIn]:
    """A Slack on loopback, and a deployment that uses it."""
    with slack_for(monkeypatch) as stand_in:
        yield stand_in


def expect(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Let the TOML file say so."""
    path = folder / "s3_assets.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(path))


def at(moment: datetime) -> str:
    """As messages write a time."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


class Deployed(Location):
    """The source sensor and the alerts sensor over one store and one instance, at a time of the test's own."""

    def __init__(self, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(instance, build_definitions())
        self.daemon = Daemon(instance, self.definitions)
        self._monkeypatch = monkeypatch
        self.go_to(datetime.now(UTC))

    def go_to(self, now: datetime) -> None:
        """Have it that it is `now`; what is put on the store still has the time of the machine."""
        self.now = now
        later = type("Later", (datetime,), {"now": classmethod(lambda _cls, _zone=None: now)})
        self._monkeypatch.setattr("s3_assets.dagster.sensors.clock", lambda: now)
        self._monkeypatch.setattr("s3_assets.dagster.alerts.datetime", later)

    def look(self) -> list[dg.AssetObservation | dg.AssetMaterialization | dg.AssetCheckEvaluation]:
        """A tick of the source sensor; what it puts on record is put there, as the daemon does."""
        result = self.tick()
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return list(result.asset_events)

    def make(self, label: str) -> None:
        """Have it that the hour of payments was made."""
        partition = dg.MultiPartitionKey({"event": "payments", "hour": label})
        event = dg.AssetMaterialization(Names().asset, partition=partition, tags={DATA_VERSION_TAG: "x"})
        self.instance.report_runless_asset_event(event)


@pytest.fixture
def deployed(
    slack: SlackStandIn,
    deployment: Deployment,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployed:
    """Over SeaweedFS; a test that begins after midnight looks at yesterday's hours, and they are not the oldest."""
    monkeypatch.setenv("S3_ASSETS_HOT_DAYS", "3")
    for name, value in deployment.environment.items():  # Slack's S3 is nowhere
        monkeypatch.setenv(name, value)
    return Deployed(instance, monkeypatch)


def drop(deployment: Deployment, event: str, label: str) -> None:
    """A source of the hour `label`."""
    deployment.drop(f"{event}/{label[:10]}/{label[11:13]}_00_a.csv", b"n\n1\n")


# --- the two faults of an event ----------------------------------------------------------------------------


def test_an_event_without_new_sources_is_told_and_its_end_is(
    deployed: Deployed, deployment: Deployment, slack: SlackStandIn, monkeypatch, tmp_path
) -> None:
    """The exact words, in Slack and in the check; nothing in between, and nothing of an event that is in time."""
    expect(monkeypatch, tmp_path, "[defaults]\nexpect_every_hours = 1\n[events.clicks]\nexpect_every_hours = 96\n")
    old, now_label = label_of(deployed.now - 3 * HOUR), label_of(deployed.now)
    due = deployed.now.replace(minute=0, second=0, microsecond=0) - 3 * HOUR + 150 * timedelta(minutes=1)
    drop(deployment, "payments", old)
    drop(deployment, "clicks", old)
    note, check = deployed.look()
    assert isinstance(note, dg.AssetObservation)
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert (note.asset_key, note.partition) == (SOURCE, "payments")
    words = f"no sources since {old}; the next hour with some was expected by {at(due)}"
    assert note.description == words
    assert (check.check_name, check.passed, check.description) == (RHYTHM_KEPT, False, "1 event without new sources")
    [row] = check.metadata["events"].value.records
    assert row.data == {"event": "payments", "fault": words, "newest": old, "made": ""}
    assert deployed.daemon.tick() == "1 problem; 1 alert open; 1 message sent"
    late = deployed.now - due
    since = (
        f"{late // HOUR} h {late % HOUR // timedelta(minutes=1)} min" if late >= HOUR else f"{late.seconds // 60} min"
    )
    assert slack.posted[0]["text"] == (
        "payments without new sources\n"
        f"  {words}\n"
        f"Since: {at(due)} ({since})\n"
        "Heals by itself: no: its producer, or what brings its objects to the source, has to be looked at\n"
        "Look: source_csv"
    )
    assert deployed.look() == []
    assert deployed.daemon.tick() == "1 problem; 1 alert open"
    drop(deployment, "payments", now_label)
    note, check = deployed.look()
    assert (note.description, check.passed, check.description) == ("in time", True, "none is overdue")
    assert deployed.daemon.tick() == "no problem; no alert open; 1 message sent"
    assert slack.titles[1] == "payments with new sources again"


def test_sources_that_are_not_made_into_hours_are_another_fault(
    deployed: Deployed, deployment: Deployment, slack: SlackStandIn, monkeypatch, tmp_path
) -> None:
    """While they arrive: the exact words; over when the hour was made."""
    expect(monkeypatch, tmp_path, "[events.payments]\nexpect_every_hours = 5\n")
    old, new = label_of(deployed.now - 2 * HOUR), label_of(deployed.now - HOUR)
    drop(deployment, "payments", old)
    assert deployed.look() == []
    deployed.make(old)
    drop(deployment, "payments", new)
    came = datetime.now(UTC)
    assert deployed.look() == []
    deployed.go_to(came + 85 * timedelta(minutes=1))
    assert deployed.look() == []
    deployed.go_to(came + 92 * timedelta(minutes=1))
    [note, check] = deployed.look()
    words = f"no new hour since {old}; sources are arriving, the newest of {new}"
    assert (note.description, check.description) == (words, "1 event without new hour files")
    assert deployed.look() == []
    assert deployed.daemon.tick() == "1 problem; 1 alert open; 1 message sent"
    lines = slack.posted[0]["text"].split("\n")
    assert lines[:2] == ["payments without new hour files", f"  {words}"]
    assert lines[3:] == [
        "Heals by itself: no: the runs have to be looked at: one fails, hangs or waits, or none is launched",
        "Look: runs",
    ]
    deployed.make(new)
    [note, check] = deployed.look()
    assert (note.description, check.passed) == ("in time", True)
    assert deployed.daemon.tick() == "no problem; no alert open; 1 message sent"
    assert slack.titles[1] == "payments with new hour files again"


def test_an_event_that_was_never_there_is_told_once_its_time_is_over(
    deployed: Deployed, slack: SlackStandIn, monkeypatch, tmp_path
) -> None:
    """From the first look on, over a restart; until it is expected no more."""
    expect(monkeypatch, tmp_path, '[events."a|b"]\nexpect_every_hours = 1\n')
    began = deployed.now
    [note] = deployed.look()
    assert (note.partition, note.description) == ("a%7Cb", "in time")
    deployed.go_to(began + 149 * timedelta(minutes=1))
    assert deployed.look() == []
    deployed.cursor = None
    deployed.go_to(began + 151 * timedelta(minutes=1))
    deployed.look()
    assert deployed.daemon.tick() == "1 problem; 1 alert open; 1 message sent"
    due = at(began + 150 * timedelta(minutes=1))
    assert slack.posted[0]["text"].split("\n")[:2] == [
        "a|b without new sources",
        f"  no recent sources seen since {at(began)}; the first hour with some was expected by {due}",
    ]
    expect(monkeypatch, tmp_path, "")
    [_, check] = deployed.look()
    assert check.passed
    assert deployed.daemon.tick() == "no problem; no alert open; 1 message sent"
    assert deployed.look() == []


def test_a_sensor_that_stands_still_makes_no_event_silent(instance: dg.DagsterInstance) -> None:
    """Only a look can say so: what is on record is not measured against the time."""
    long_ago = datetime(2024, 6, 1, tzinfo=UTC)
    instance.report_runless_asset_event(_note(Standing("payments", "2024-06-01-07:00", "", long_ago), SOURCE))
    assert list(overdue_problems([Names()])(instance, datetime.now(UTC))) == []


def test_sources_that_wait_are_told_once_the_runs_that_were_asked_for_had_their_time(
    instance: dg.DagsterInstance,
) -> None:
    """After a standstill the first look finds much that has waited for long, and that is made within minutes."""
    long_ago = datetime(2024, 6, 1, tzinfo=UTC)
    one = Standing("payments", "2024-06-01-07:00", "", long_ago, not_made_since=long_ago)
    instance.report_runless_asset_event(_note(one, SOURCE))
    for after, settled in ((timedelta(0), False), (SETTLES_WITHIN, True)):
        [problem] = overdue_problems([Names()])(instance, datetime.now(UTC) + after)
        assert (problem.kind.name, problem.settled, problem.since) == ("not_made", settled, long_ago)


def test_other_observations_of_the_source_are_none_of_ours(instance: dg.DagsterInstance) -> None:
    """Somebody else's, with a partition or without."""
    for partition in (None, "payments"):
        instance.report_runless_asset_event(dg.AssetObservation(SOURCE, partition=partition, metadata={"newest": 3}))
    assert standings(instance, SOURCE) == {}


def test_both_faults_of_an_event_are_two_alerts(
    slack: SlackStandIn, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And many events share one."""
    hour_ago = datetime.now(UTC) - HOUR
    for event in ("payments", *(f"e{number}" for number in range(7))):
        unmade = hour_ago if event == "payments" else None
        one = Standing(event, "2024-06-01-09:00", "2024-06-01-07:00", hour_ago, hour_ago, unmade)
        instance.report_runless_asset_event(_note(one, SOURCE))
    later = type("Later", (datetime,), {"now": classmethod(lambda _cls, _zone=None: hour_ago + 2 * HOUR)})
    monkeypatch.setattr("s3_assets.dagster.alerts.datetime", later)
    daemon = Daemon(instance, build_definitions())
    assert daemon.tick() == "9 problems; 2 alerts open; 2 messages sent"
    texts = {text.split("\n")[0]: text.split("\n")[1] for text in (message["text"] for message in slack.posted)}
    assert texts == {
        "8 events without new sources": "e0, e1, e2 and 5 more events",
        "payments without new hour files": "  no new hour since 2024-06-01-07:00; sources are waiting, the newest of "
        "2024-06-01-09:00",
    }


def test_the_check_can_be_executed_by_hand(instance: dg.DagsterInstance) -> None:
    """It reads what is on record, and no setting."""
    definitions = build_definitions()
    [check] = [one for one in definitions.asset_checks or () if RHYTHM_KEPT in {key.name for key in one.check_keys}]
    job = dg.Definitions(
        assets=[dg.AssetSpec(SOURCE)],
        asset_checks=[check],
        jobs=[dg.define_asset_job("look", selection=dg.AssetSelection.all_asset_checks())],
    ).resolve_job_def("look")
    now = datetime.now(UTC)
    instance.report_runless_asset_event(_note(Standing("payments", "2024-06-01-09:00", "", now, now), SOURCE))
    [evaluation] = job.execute_in_process(instance=instance).get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.description) == (False, "1 event without new sources")


# --- heartbeats of the sensor ------------------------------------------------------------------------------


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    """Named by the settings; waited for, however busy this machine is."""
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 60)
    with Watcher() as made:
        monkeypatch.setenv("S3_ASSETS_HEARTBEAT_URL", made.url)
        yield made


def test_a_look_of_the_sensor_tells_the_watcher_how_it_went(
    deployed: Deployed, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun and done, with the tick's words; failed, with the error's; nothing changes where the watcher is broken."""
    deployed.look()
    assert watcher.words == ["/start", ""]
    assert "0 source objects listed in 0 hours" in watcher.told[1].body
    watcher.answer = "fails"
    deployed.look()
    assert watcher.words == ["/start", ""] * 2
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(dg.Failure, match="check the credentials"):
        deployed.look()
    assert watcher.words[4:] == ["/start", "/fail"]
    assert "check the credentials" in watcher.told[-1].body


def test_a_broken_watcher_is_a_line_in_the_ticks_log_without_its_url(
    deployed: Deployed, watcher: Watcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the tick is as good as ever."""
    watcher.answer = "drops"
    deployed.look()
    said = capsys.readouterr()
    assert "WARNING - the heartbeat 'start' did not get through: RemoteDisconnected" in said.err
    assert watcher.url not in said.err + said.out


# --- days of the backup ------------------------------------------------------------------------------------


@pytest.fixture
def with_backup(instance: dg.DagsterInstance) -> Daemon:
    """The alerts sensor in a code location with a backup."""
    return Daemon(instance, dg.Definitions.merge(build_definitions(), backup_definitions(CALENDAR)))


def report(instance: dg.DagsterInstance, missing: dict[date, str]) -> None:
    """As the sensor does it that looked."""
    for event in news(missing_days(instance, DAILY_BACKUP), missing, DAILY_BACKUP):
        instance.report_runless_asset_event(event)


def test_missing_days_are_named_until_they_are_backed_up(
    with_backup: Daemon, slack: SlackStandIn, instance: dg.DagsterInstance
) -> None:
    """By their dates, in one alert; a day that was backfilled is out of it at once, also before another look."""
    never = "there is no manifest: it was never backed up in whole"
    days = {date(2026, 11, 19): never, date(2026, 11, 20): never}
    report(instance, days)
    assert with_backup.tick() == "2 problems; 1 alert open; 1 message sent"
    lines = slack.posted[0]["text"].split("\n")
    assert lines[:3] == ["2 backup days due and not right", "2026-11-19, 2026-11-20", f"  {never}"]
    assert lines[4] == (
        "Heals by itself: no: backfill daily_backup for these days; of those that were never backed up the schedule "
        "asks for the newest 5 at its next tick"
    )
    report(instance, days)
    assert with_backup.tick() == "2 problems; 1 alert open"
    for day in days:
        event = dg.AssetMaterialization(DAILY_BACKUP, partition=day.isoformat(), tags={DATA_VERSION_TAG: "x.y"})
        instance.report_runless_asset_event(event)
    assert with_backup.tick() == "no problem; no alert open; 1 message sent"
    assert slack.titles[1] == "2 backup days missing no more"


def test_what_is_on_record_of_days_changes_only_where_they_do() -> None:
    """One that is right, by whatever means, is taken back; the check says what is left."""
    found = news({}, {date(2026, 11, 20): "x"}, DAILY_BACKUP)
    assert [type(one).__name__ for one in found] == ["AssetObservation", "AssetCheckEvaluation"]
    check = found[1]
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert (check.check_name, check.passed) == (NO_DAY_MISSING, False)
    assert check.description == "1 day due and not right"
