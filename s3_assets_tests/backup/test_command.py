"""`s3-assets backup` without a command: the backup of a day. With one it is as ever (`cli/test_backup.py`)."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.backup import site
from s3_assets.cli.main import main
from s3_assets_tests.backup.conftest import DAY, QUICK, SEOUL, Backup
from s3_assets_tests.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def call(
    backup: Backup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs `backup …` over two files; its exit code, stdout and stderr."""
    for name, value in {**backup.environment, **backup.server.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(site, "Patience", lambda: QUICK)
    backup.folder.put("a.json", b"[1]")
    backup.folder.put("x/과속.json", b"[22]")
    handlers = list(logging.getLogger().handlers)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["backup", *arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    yield run
    logging.getLogger().handlers[:] = handlers


def test_without_a_command_it_is_run(backup: Backup, call) -> None:
    """The same announcement, the same backup; without a date it is the day that today's schedule is for."""
    announced = [json.loads(call(*words, "--date", str(DAY), "--dry-run", "--json")[1]) for words in ([], ["run"])]
    assert [one.pop("seconds") >= 0 for one in announced] == [True, True]
    assert announced[0] == announced[1]
    assert announced[0]["sent"] == ["a.json", "x/과속.json"]
    assert backup.keys() == []
    code, out, err = call("--date", str(DAY))
    assert (code, err) == (0, "")
    assert f"{DAY}: 2 files, 7 B: 2 sent, 7 B; 0 as they were" in out
    assert "0 sent" in call("run", "--date", str(DAY))[1]
    before = datetime.now(SEOUL).date()
    told = json.loads(call("--json", "--dry-run")[1])["date"]
    assert told in {str(today - timedelta(days=1)) for today in (before, datetime.now(SEOUL).date())}


def test_a_watcher_is_told_of_the_backup_that_it_waits_for(backup: Backup, call, monkeypatch) -> None:
    """As by the asset: not of another day's, nor of a dry run; and that it failed."""
    with Watcher() as watcher:
        monkeypatch.setenv("S3_ASSETS_BACKUP_HEARTBEAT_URL", watcher.url)
        call("--date", str(DAY))
        call("--dry-run")
        assert watcher.words == []
        assert call()[0] == 0
        assert watcher.words == ["/start", ""]
        (backup.folder.path / "circle").symlink_to(".")
        assert call()[0] == 1
        assert watcher.words[2:] == ["/start", "/fail"]
        assert "1 problem" in watcher.told[-1].body


def test_options_before_a_command_are_refused(backup: Backup, call) -> None:
    """They would be those of a run, and pass unseen."""
    for options in (["--date", str(DAY)], ["--dry-run"], ["--json"]):
        code, out, err = call(*options, "verify")
        assert (code, out) == (2, "")
        assert "Error: options of `verify` go behind it" in err
    assert backup.keys() == []


def test_each_problem_is_in_the_log_files(backup: Backup, call, monkeypatch, tmp_path) -> None:
    """As on the console, where they are not said twice."""
    monkeypatch.setenv("S3_ASSETS_LOG_DIR", str(tmp_path / "logs"))
    (backup.folder.path / "circle").symlink_to(".")
    code, _, err = call("--date", str(DAY))
    assert (code, err.count("circle: a link that leads back")) == (1, 1)
    [path] = (tmp_path / "logs").glob("error_*.log")
    problem, end = path.read_text().splitlines()
    assert f": {DAY}: circle: a link that leads back" in problem
    assert end.endswith(f"s3-assets backup --date {DAY}: exit 1")
