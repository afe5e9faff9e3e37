"""The command: what it says, to whom, how often, and how it ends."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import subprocess
import sys
import sysconfig
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from s3_assets.alerts.groups import Destination
from s3_assets.alerts.problems import Kind, Problem
from s3_assets.alerts.reconcile import decide
from s3_assets.alerts.state import AlertState
from s3_assets.cli.main import cli
from s3_assets.cli.watchdog import Noting, _tell
from s3_assets.errors import SettingsError
from s3_assets.settings import load_alert_settings
from s3_assets_tests.alerts.slack_stand_in import FAILS, TOKEN, SlackStandIn, refuses

if TYPE_CHECKING:
    from s3_assets.alerts.compose import Composed
    from s3_assets.alerts.deliver import Delivered
    from s3_assets_tests.watchdog.instance import Home


@dataclass
class Watchdog:
    """The command in this process, with a Slack and an instance."""

    home: Home
    slack: SlackStandIn
    state: Path

    def look(self, *arguments: str, code: int) -> Result:
        """Look once, and end so."""
        found = CliRunner().invoke(cli, ["watchdog", "--state", str(self.state), *arguments])
        assert found.exit_code == code, found.output
        return found


@pytest.fixture
def watchdog(home: Home, slack: SlackStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watchdog:
    """Over a new instance, with the settings in the environment."""
    for name, value in environment(home, slack).items():
        monkeypatch.setenv(name, value)
    return Watchdog(home, slack, tmp_path / "state" / "watchdog.json")


def environment(home: Home, slack: SlackStandIn) -> dict[str, str]:
    """What cron would have."""
    return {
        "DAGSTER_HOME": str(home.folder),
        "S3_ASSETS_SLACK_TOKEN": TOKEN,
        "S3_ASSETS_SLACK_CHANNEL": "#data",
        "S3_ASSETS_SLACK_URL": slack.url,
        "S3_ASSETS_DAGSTER_URL": "https://dagster.example.com",
    }


def test_it_says_once_that_daemons_died_and_once_that_they_are_back(watchdog: Watchdog) -> None:
    """Each look tells all that is down; Slack is told what changed."""
    home, slack = watchdog.home, watchdog.slack
    home.well()
    assert "DOWN" not in watchdog.look(code=0).stdout
    home.beat(600)
    for _ in range(2):
        assert "DOWN  daemons" in watchdog.look(code=1).stdout
    assert len(slack.titles) == 1
    assert slack.titles[0].endswith("daemons without a heartbeat")
    assert "https://dagster.example.com/deployment/daemons" in slack.posted[0]["text"]
    home.well()
    for _ in range(2):
        watchdog.look(code=0)
    assert len(slack.titles) == 2
    assert slack.titles[1].endswith("daemons beating again")


def test_a_daemon_that_comes_back_is_not_reported_for_what_was_late_because_of_it(watchdog: Watchdog) -> None:
    """Its sensors have not ticked for an hour, and need a moment."""
    home, slack = watchdog.home, watchdog.slack
    home.sensor("source_sensor", 3600)
    home.sensor("alerts_sensor", 3600)
    home.beat(3600, process="old")
    watchdog.look(code=1)
    home.beat(process="new")
    found = watchdog.look(code=0)
    assert "the daemon has only just begun" in found.stdout
    assert [title.split(" ", 1)[1] for title in slack.titles] == [
        "daemons without a heartbeat",
        "daemons beating again",
    ]


def test_nothing_counts_as_said_that_slack_did_not_take(watchdog: Watchdog) -> None:
    """It is said when Slack takes it; that it could not be said is an error of the look."""
    watchdog.home.well()
    watchdog.home.beat(600)
    watchdog.slack.answers.extend([FAILS, FAILS])
    for _ in range(2):
        assert "HTTP 500" in watchdog.look(code=1).stderr
    watchdog.look(code=1)
    watchdog.look(code=1)
    assert len(watchdog.slack.asked) == 3
    assert len(watchdog.slack.posted) == 1
    watchdog.home.well()
    watchdog.slack.answers.append(refuses("channel_not_found"))
    assert "channel_not_found" in watchdog.look(code=1).stderr  # all is well, and nobody could be told
    assert TOKEN not in watchdog.state.read_text()


def test_a_damaged_memory_costs_one_message(watchdog: Watchdog) -> None:
    """And so does a lost one."""
    watchdog.home.well()
    watchdog.home.beat(600)
    watchdog.look(code=1)
    watchdog.state.write_bytes(watchdog.state.read_bytes()[:-40])
    for _ in range(3):
        watchdog.look(code=1)
    assert len(watchdog.slack.posted) == 2


def test_a_memory_that_can_not_be_written_is_said(watchdog: Watchdog) -> None:
    """Silence would be worse than a message a minute."""
    watchdog.home.well()
    watchdog.home.beat(600)
    watchdog.state.parent.write_text("a file is in the way")
    for number in (1, 2):
        assert "said again" in watchdog.look(code=1).stderr
        assert len(watchdog.slack.posted) == number


def test_a_dry_run_sends_and_remembers_nothing(watchdog: Watchdog) -> None:
    """It shows each message as it would be."""
    watchdog.home.beat(600)
    found = watchdog.look("--dry-run", code=1)
    assert "would be sent to #data:" in found.stdout
    assert "daemons without a heartbeat" in found.stdout
    assert watchdog.slack.asked == []
    assert not watchdog.state.exists()


def test_without_a_token_messages_are_printed_once(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    """And stderr says why."""
    monkeypatch.delenv("S3_ASSETS_SLACK_TOKEN")
    watchdog.home.beat(600)
    first, second = watchdog.look(code=1), watchdog.look(code=1)
    assert "daemons without a heartbeat" in first.stdout
    assert "daemons without a heartbeat" not in second.stdout
    assert "S3_ASSETS_SLACK_TOKEN is not set" in first.stderr
    assert watchdog.slack.asked == []


def test_one_json_document_says_it_all(watchdog: Watchdog) -> None:
    """What is down by name, each check, and what was sent."""
    watchdog.home.well(alerts_s=600)
    document = json.loads(watchdog.look("--json", code=1).stdout)
    assert document["down"] == ["alerts_sensor"]
    assert [check["name"] for check in document["checks"]][:3] == ["storage", "daemons", "source_sensor"]
    [message] = document["messages"]
    assert (message["channel"], document["sent"], document["troubles"]) == ("#data", True, [])
    assert "not ticking" in message["text"]


def test_a_check_can_be_left_out_and_one_that_is_not_there_is_refused(watchdog: Watchdog) -> None:
    """A mistyped name must not leave out nothing, and look as if it had."""
    watchdog.home.well()
    watchdog.home.sensor("source_sensor", 5, on=False)
    watchdog.look(code=1)
    assert watchdog.slack.titles == ["1 sensor or schedule switched off"]
    assert "source_sensor" not in watchdog.look("--without", "source_sensor", code=0).stdout
    watchdog.look(code=1)
    assert len(watchdog.slack.posted) == 1  # it is neither over nor new
    assert "the checks are daemons, source_sensor" in watchdog.look("--without", "sauce", code=2).stderr
    assert "--without storage: the checks are daemons" in watchdog.look("--without", "storage", code=2).stderr


def test_more_sensors_can_be_watched(watchdog: Watchdog) -> None:
    """As those of another pipeline in the same code location; one that nobody knows is not taken for well."""
    watchdog.home.well()
    watchdog.home.sensor("eu_source_sensor", 5)
    watchdog.look("--also", "eu_source_sensor", "--also", "alerts_sensor", code=0)
    assert "us_source_sensor  was never switched on" in watchdog.look("--also", "us_source_sensor", code=1).stdout


def test_settings_that_can_not_be_used_are_told_and_exit_2(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those of the code location in Slack too; those of Slack can't be."""
    watchdog.home.well()
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(tmp_path / "none.toml"))
    assert "DOWN  settings" in watchdog.look(code=2).stdout
    assert "that can't be used" in watchdog.slack.titles[0]
    monkeypatch.delenv("S3_ASSETS_CONFIG")
    watchdog.look(code=0)
    assert "usable again" in watchdog.slack.titles[1]
    for name, value in (("S3_ASSETS_SLACK_TOKEN", "nonsense"), ("DAGSTER_HOME", "")):
        monkeypatch.setenv(name, value)
        found = CliRunner().invoke(cli, ["watchdog"])
        assert isinstance(found.exception, SettingsError)
        assert name in str(found.exception)


def test_a_storage_that_can_not_be_read_is_told_and_nothing_else_is_concluded(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was open stays open; once it is read again, both ends are told."""
    home, slack = watchdog.home, watchdog.slack
    home.well(alerts_s=600)
    watchdog.look(code=1)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "not mounted"))
    for _ in range(2):
        assert "DOWN  storage" in watchdog.look(code=1).stdout
    assert [title.split(" ", 1)[1] for title in slack.titles] == [
        "sensor or schedule not ticking",
        "Dagster storage that can't be read (NoInstanceError)",
    ]
    monkeypatch.setenv("DAGSTER_HOME", str(home.folder))
    home.well()
    watchdog.look(code=0)
    assert {title.split(" ", 1)[1] for title in slack.titles[2:]} == {
        "sensor or schedule ticking again",
        "Dagster storage read again",
    }


def test_a_storage_that_is_gone_from_its_home_is_down_and_none_is_made_in_its_place(watchdog: Watchdog) -> None:
    """dagster.yaml is there, its disk is not: an empty storage would say that nothing was ever switched on."""
    for name in ("history", "schedules"):
        (watchdog.home.folder / name).rename(watchdog.home.folder / f"{name} elsewhere")
    before = sorted(path.name for path in watchdog.home.folder.rglob("*"))
    found = watchdog.look(code=1)
    assert "DOWN  storage" in found.stdout
    assert "is not there: no history/runs.db, history/runs/index.db, schedules/schedules.db" in found.stdout
    assert "source_sensor" not in found.stdout
    assert sorted(path.name for path in watchdog.home.folder.rglob("*")) == before


def test_a_user_without_a_home_folder_has_no_memory_and_is_told_so(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that no user has, without HOME: too loud rather than silent, and no trace."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(_uid: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    watchdog.home.well()
    watchdog.home.beat(600)
    for number in (1, 2):
        found = CliRunner().invoke(cli, ["watchdog"])
        assert found.exit_code == 1
        assert isinstance(found.exception, SystemExit)
        assert "this user has no home folder; name the file by --state" in found.stderr
        assert "DOWN  daemons" in found.stdout
        assert len(watchdog.slack.posted) == number


def test_a_storage_that_hangs_is_told_in_time(home: Home, slack: SlackStandIn, tmp_path: Path) -> None:
    """The database is locked for longer than anybody would wait; the process ends although a thread of it does not."""
    home.well()
    program = Path(sysconfig.get_path("scripts")) / "s3-assets"
    with closing(sqlite3.connect(home.folder / "history" / "runs.db", isolation_level=None)) as other:
        for statement in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
            other.execute(statement)
        found = subprocess.run(
            [str(program), "watchdog", "--patience", "1", "--state", str(tmp_path / "state.json")],
            env={**os.environ, **environment(home, slack)},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert found.returncode == 1, found.stderr
    assert "Dagster's storage was not read within 1 s" in found.stdout
    assert slack.titles == ["1 Dagster storage that can't be read (no answer)"]


def test_what_a_slow_slack_took_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look ends sending in time to remember what was sent; the rest goes with the next look."""
    monkeypatch.setattr("s3_assets.cli.watchdog.SENDING_S", 1.0)
    settings = load_alert_settings({"S3_ASSETS_SLACK_TOKEN": TOKEN, "S3_ASSETS_SLACK_CHANNEL": "#data"})
    problems = [Problem(Kind(f"kind {number}", "one", "many", "wrong", "right"), "x", "no") for number in range(5)]
    took: list[str] = []

    class Slow:
        def post(self, composed: Composed) -> None:
            time.sleep(0.3)
            took.append(composed.plain)

    def look(state: AlertState, at: datetime) -> Delivered | None:
        decision = decide(problems, state, at, route=lambda _: Destination("#data", ""), repeat_s=14_400)
        return _tell(decision, Noting(Slow), settings, at, [])

    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    first = look(AlertState(), now)
    assert first is not None
    assert 1 <= first.sent < 5
    assert "this look has no more time" in first.troubles[0]
    rest = look(look(first.state, now).state, now)
    assert len(took) == 5
    assert rest.state.open.keys() == {
        each.after.key
        for each in decide(
            problems, AlertState(), now, route=lambda _: Destination("#data", ""), repeat_s=14_400
        ).messages
    }


def test_settings_that_can_not_be_used_end_no_alert_of_the_storage(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looked at it: it is not read again."""
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere")
    watchdog.look(code=1)
    monkeypatch.setenv("S3_ASSETS_BACKUP_DIR", "/srv")
    monkeypatch.setenv("S3_ASSETS_BACKUP_START_DATE", "soon")
    watchdog.look(code=2)
    assert not any("read again" in title for title in watchdog.slack.titles)
    assert len(watchdog.slack.titles) == 2


def test_a_dagster_that_never_loads_is_said_in_time(home: Home, slack: SlackStandIn, tmp_path: Path) -> None:
    """What sends needs Dagster, too: the look ends all the same, without a trace, and the next one tries again."""
    (tmp_path / "dagster.py").write_text("import time\ntime.sleep(300)\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import s3_assets.cli.watchdog as watchdog\n"
        "from s3_assets.cli.main import main\n"
        "watchdog.LOADING_S = watchdog.SENDING_S = 1\n"
        "main(['watchdog', '--state', 'state.json'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment(home, slack)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Dagster's package was not loaded within 1 s" in ended.stdout
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
    assert slack.posted == []
