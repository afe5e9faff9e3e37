"""`s3-assets backup` as a person calls it, against a real server."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.backup import site
from s3_assets.cli.main import main
from s3_assets_tests.backup.conftest import QUICK, SEOUL, Backup, backup_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3_assets_tests.servers import Server

DATE = "2026-11-20"


@pytest.fixture
def backup(running: Callable[[str], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backup:
    """Two files in a folder, and the environment set up for them; no setting of hour files."""
    path = tmp_path / "local"
    (path / "other").mkdir(parents=True)
    made = backup_on(running("seaweedfs"), path)
    for name, value in {**made.environment, **made.server.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(site, "Patience", lambda: QUICK)
    made.folder.put("a.json", b"[1]")
    made.folder.put("x/과속.json", b"[22]")
    return made


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `backup …`; its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["backup", *arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


def test_a_run_announces_sends_and_is_quiet_the_second_time(backup: Backup, call) -> None:
    """What the dry run says is what is then sent."""
    code, out, err = call("run", "--date", DATE, "--dry-run", "--json")
    announced = json.loads(out)
    assert (code, err, backup.keys()) == (0, "", [])
    code, out, err = call("run", "--date", DATE, "--json")
    done = json.loads(out)
    assert (code, err) == (0, "")
    assert announced["sent"] == done["sent"] == ["a.json", "x/과속.json"]
    assert (done["right"], done["manifest_written"], done["bytes_sent"]) == (True, True, 7)
    assert len(backup.keys()) == 3
    code, out, err = call("run", "--date", DATE)
    assert (code, err) == (0, "")
    assert f"{DATE}: 2 files, 7 B: 0 sent, 0 B; 2 as they were" in out
    code, out, _ = call("run", "--date", DATE, "--dry-run")
    assert "2 files, 7 B; 0 would be sent" in out


def test_without_a_date_it_is_the_one_that_todays_schedule_is_for(backup: Backup, call) -> None:
    """Yesterday, in Seoul."""
    before = datetime.now(SEOUL).date()
    _, out, _ = call("run", "--json")
    after = datetime.now(SEOUL).date()
    assert json.loads(out)["date"] in {str(today - timedelta(days=1)) for today in (before, after)}


def test_what_can_not_be_backed_up_is_named_and_the_exit_code_is_1(backup: Backup, call) -> None:
    """The rest is sent; no name steers the terminal."""
    (backup.folder.path / "circle\x1b]0;x").symlink_to(".")
    code, out, err = call("run", "--date", DATE)
    assert code == 1
    assert "2 sent" in out
    assert "not backed up in whole" in err
    assert "circle\\x1b]0;x: a link that leads back" in err
    assert "\x1b" not in out + err


def test_verify_reads_back_and_names_what_is_wrong(backup: Backup, call) -> None:
    """Right, then with a damaged copy and a late file; a day that is not backed up says how to."""
    call("run", "--date", DATE)
    code, out, err = call("verify", "--date", DATE)
    assert (code, out.strip(), err) == (0, f"{DATE}: right, 2 files, 7 B read back", "")
    backup.client.put_object(Bucket=backup.bucket, Key=f"backup/{DATE}/a.json", Body=b"[9]")
    backup.folder.put("late.json")
    code, out, err = call("verify", "--date", DATE, "--list-only")
    assert (code, out) == (1, "")
    assert "a.json: on S3, the copy" in err
    assert "late.json: the local file is not backed up as it is" in err
    code, out, _ = call("verify", "--from", "2026-11-19", "--to", DATE, "--json")
    first, second = json.loads(out)["days"]
    assert (code, first["right"], second["right"]) == (1, False, False)
    assert "`s3-assets backup run --date 2026-11-19`" in first["problems"][0]["reason"]


def test_restore_brings_a_day_back_and_overwrites_only_when_asked(backup: Backup, call, tmp_path) -> None:
    """Exit 1 while a file differs."""
    call("run", "--date", DATE)
    into = tmp_path / "into"
    code, out, err = call("restore", DATE, str(into))
    assert (code, err) == (0, "")
    assert f"2 files of {DATE} are in {into}: 2 restored, 7 B; 0 were there" in out
    assert (into / "x/과속.json").read_bytes() == b"[22]"
    (into / "a.json").write_bytes(b"mine")
    code, _, err = call("restore", DATE, str(into))
    assert code == 1
    assert "a.json: it is there and differs: left alone (`--overwrite` replaces it)" in err
    code, out, _ = call("restore", DATE, str(into), "--overwrite", "--json")
    assert (code, json.loads(out)["restored"]) == (0, ["a.json"])
    assert (into / "a.json").read_bytes() == b"[1]"


def test_clean_removes_only_what_it_announced(backup: Backup, call) -> None:
    """And wants to be told how old is old."""
    call("run", "--date", DATE)
    code, _, err = call("clean")
    assert code == 2
    assert "--older-than DAYS" in err
    old = datetime.now(SEOUL) - timedelta(days=40)
    backup.folder.put("old.json", b"[3]", old)
    call("run", "--date", str(old.date()))
    _, out, _ = call("clean", "--older-than", "30", "--dry-run", "--json")
    announced = json.loads(out)["removed"]
    assert [one["path"] for one in announced if one["date"] == str(old.date())] == ["old.json"]
    assert (backup.folder.path / "old.json").exists()
    code, out, _ = call("clean", "--older-than", "30")
    assert code == 0
    assert f"removed {old.date()} old.json" in out
    assert not (backup.folder.path / "old.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--date", "yesterday"],
        ["run", "--date", "2026-02-30"],
        ["verify", "--from", "2026-11-20", "--to", "2026-11-19"],
        ["verify", "--date", "2026-11-20", "--from", "2026-11-19"],
        ["clean", "--older-than", "1"],
        ["restore", "2026-11-20"],
        ["back"],
    ],
)
def test_bad_usage_exits_2(backup: Backup, call, arguments) -> None:
    """With what is wrong, and nothing done."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_bad_settings_exit_2_and_are_all_named(backup: Backup, call, monkeypatch) -> None:
    """Of the backup; source and target of hour files are not asked for."""
    for name in ("S3_ASSETS_BACKUP_DIR", "S3_ASSETS_BACKUP_TARGET", "S3_ASSETS_BACKUP_START_DATE"):
        monkeypatch.delenv(name)
    code, out, err = call("run")
    assert (code, out) == (2, "")
    assert err.count(": not set; needs ") == 3
    assert "S3_ASSETS_SOURCE: not set" not in err


def test_a_folder_that_is_not_there_is_one_line_and_exit_1(backup: Backup, call, monkeypatch) -> None:
    """With what to look at."""
    monkeypatch.setenv("S3_ASSETS_BACKUP_DIR", "/nowhere/at/all")
    code, _, err = call("run", "--date", DATE)
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "is mounted" in err
