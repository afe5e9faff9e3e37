"""Logs: what a line holds and what it must not, which files there are, and that trouble with them fails nothing."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.main import main
from s3_assets.errors import SettingsError
from s3_assets.logs import MOST_SHOWN, Console, Lines, LogFiles, set_up
from s3_assets.settings import LogSettings, load_log_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TEXT, JSON = LogSettings(), LogSettings(log_format="json")


def record(
    message: str = "seen", *args: object, level: int = logging.INFO, when: datetime = NOON, **more: object
) -> logging.LogRecord:
    """Of line 7 of this file."""
    exc_info = sys.exc_info() if more.pop("trace", False) else None
    made = logging.LogRecord("s3_assets.some.module", level, __file__, 7, message, args, exc_info)
    made.created, made.msecs = when.timestamp(), when.microsecond / 1000
    made.__dict__.update(more)
    return made


def failed(reason: str) -> logging.LogRecord:
    """An error with a trace, logged elsewhere than it was raised: in the reader of a setting."""
    try:
        load_log_settings({"S3_ASSETS_LOG_FORMAT": reason})
    except SettingsError:
        return record("it failed", level=logging.ERROR, trace=True)
    raise AssertionError


@pytest.fixture
def unset() -> Iterator[None]:
    """The process's logs as they were, afterwards."""
    root, package = logging.getLogger(), logging.getLogger("s3_assets")
    handlers, level = list(root.handlers), package.level
    yield
    root.handlers[:] = handlers
    package.setLevel(level)


@pytest.fixture(autouse=True)
def _told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is the first to be told of a trouble."""
    monkeypatch.setattr(LogFiles, "_told", set())


# --- lines -------------------------------------------------------------------------------------------------


def test_a_line_says_when_who_and_what_and_an_error_where() -> None:
    """Times in UTC; whose run or step it is, where Dagster says so, without Dagster's words before the message."""
    lines = Lines(TEXT, {})
    pid = os.getpid()
    line = lines.file_line(record("%d hours", 3, when=NOON.replace(microsecond=45_000)))
    assert line == f"2026-11-22T12:00:00.045Z INFO s3_assets.some.module pid={pid}: 3 hours"
    meta = {"run_id": "r1", "job_name": "j", "step_key": "s", "orig_message": "3 hours", "dagster_event": None}
    line = lines.file_line(record("j - r1 - s - 3 hours", level=logging.ERROR, dagster_meta=meta))
    assert line == (
        f"2026-11-22T12:00:00.000Z ERROR s3_assets.some.module pid={pid} run=r1 job=j step=s "
        "s3_assets_tests/test_logs.py:7: 3 hours"
    )
    assert lines.console_line(record()) == "INFO s3_assets.some.module: seen"


def test_a_trace_is_set_in_below_its_line_and_the_place_is_where_it_was_raised() -> None:
    """Each line that begins with a time is a new record."""
    first, *rest = Lines(TEXT, {}).file_line(failed("x")).splitlines()
    assert re.search(r" s3_assets/settings/logs\.py:[0-9]+: it failed$", first)
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1].startswith("      - S3_ASSETS_LOG_FORMAT: found 'x'")
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in Lines(TEXT, {}).file_line(record("a\x1b[2J\nb"))


def test_json_is_one_object_a_line_with_the_same_facts() -> None:
    """Line breaks, lone surrogates and traces included."""
    line = Lines(JSON, {}).file_line(failed("a\nb"))
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == "it failed"
    assert told["trace"].startswith("Traceback (most recent call last):\n")
    assert (told["time"], told["level"], told["file"]) == (
        "2026-11-22T12:00:00.000Z",
        "ERROR",
        "s3_assets/settings/logs.py",
    )
    assert json.loads(Lines(JSON, {}).console_line(record("한\udcff\n"))) == {
        "time": "2026-11-22T12:00:00.000Z",
        "level": "INFO",
        "logger": "s3_assets.some.module",
        "pid": os.getpid(),
        "message": "한\\udcff\n",
        "file": "s3_assets_tests/test_logs.py",
        "line": 7,
    }


@pytest.mark.parametrize("char", ["\x9b", "\x7f", "\u202e", "\u2028", "\U000e0001"])
def test_json_steers_no_terminal(char: str) -> None:
    """C1 and what turns the direction of writing are escapes, and read as what they are; letters stay as they are."""
    for make in (Lines(JSON, {}).console_line, Lines(JSON, {}).file_line):
        line = make(record(f"한 {char}31m"))
        assert line.isprintable()
        assert "한 \\u" in line
        assert json.loads(line)["message"] == f"한 {char}31m"


@pytest.mark.parametrize("settings", [TEXT, JSON])
def test_no_secret_is_in_a_line(settings: LogSettings) -> None:
    """What looks like one, and what the environment says is one; in a message, in its arguments and in a trace."""
    environ = {"AWS_SECRET_ACCESS_KEY": "weed-secret", "MY_HEARTBEAT_URL": "http://hc/uuid", "TOKEN_FILE": "/etc/t"}
    lines = Lines(settings, {**environ, "SHORT_TOKEN": "abc", "AWS_REGION": "eu-west-1"})
    some = [record("%s and weed-secret", f"https://u:hunter2@h/ {KEY}"), record("abc http://hc/uuid/fail in eu-west-1")]
    told = "".join(
        make(each) for each in [*some, failed("weed-secret")] for make in (lines.file_line, lines.console_line)
    )
    assert [secret for secret in ("weed-secret", "hunter2", KEY, "hc/uuid") if secret in told] == []
    assert "abc" in told  # too short to be looked for
    assert "eu-west-1" in told
    assert "/etc/t" in lines.file_line(record("/etc/t"))


def test_of_a_long_message_the_middle_goes() -> None:
    """And no part of a secret is left at the cut."""
    lines = Lines(TEXT, {"A_TOKEN": "s" * 40})
    line = lines.file_line(record("a" * (2 * MOST_SHOWN - 20) + "s" * 40 + "b" * 2 * MOST_SHOWN))
    assert MOST_SHOWN < len(line) < MOST_SHOWN + 300
    assert "characters are left out" in line
    assert "s" * 20 not in line
    assert line.endswith("b")


def test_a_message_that_can_not_be_put_together_is_told_all_the_same() -> None:
    """Neither a wrong number of arguments nor an argument that breaks fails the one who logs."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert "'%d and %d', which could not be put together" in Lines(TEXT, {}).file_line(record("%d and %d", 1))
    assert "could not be put together (RuntimeError)" in Lines(TEXT, {}).file_line(record("%s", Broken()))


# --- files -------------------------------------------------------------------------------------------------


def files_of(folder: Path, **settings: object) -> LogFiles:
    """Made anew, as each process makes its own."""
    return LogFiles(LogSettings(log_dir=folder, **settings), {})


def messages(path: Path) -> list[str]:
    """Of a file in text."""
    return [line.rpartition(": ")[2] for line in path.read_text().splitlines()]


def test_files_are_by_date_in_utc_and_errors_are_in_both(tmp_path: Path) -> None:
    """By the record's own time; debug is in none; several processes' lines stand one after the other."""
    folder = tmp_path / "not" / "there yet"
    one, two = files_of(folder), files_of(folder)
    before, after = datetime(2026, 11, 22, 23, 59, 59, 999_000, UTC), datetime(2026, 11, 23, tzinfo=UTC)
    for number, handler in enumerate([one, two, one, two]):
        handler.handle(record(f"{number}", level=logging.ERROR if number == 2 else logging.WARNING, when=before))
    one.handle(record("4", when=after))
    for handler in (one, two):
        assert handler.level == logging.INFO  # whoever hands records on looks at it
    assert {path.name: messages(path) for path in folder.iterdir()} == {
        "info_20261122.log": ["0", "1", "2", "3"],
        "error_20261122.log": ["2"],
        "info_20261123.log": ["4"],
    }


def test_a_record_is_written_once_and_a_closed_handler_goes_on(tmp_path: Path) -> None:
    """It may come by the root and by Dagster; Dagster closes all handlers whenever it makes its own."""
    same = record("once")
    for handler in (files_of(tmp_path), files_of(tmp_path)):
        handler.handle(same)
        handler.close()
        handler.handle(same)
        handler.handle(record("closed"))
    assert messages(tmp_path / "info_20261122.log") == ["once", "closed", "closed"]


def test_a_file_that_is_taken_away_is_made_again(tmp_path: Path) -> None:
    """Also with its folder: by logrotate, or by hand."""
    files = files_of(tmp_path / "logs")
    files.handle(record("before"))
    (tmp_path / "logs").rename(tmp_path / "old")
    files.handle(record("after"))
    assert messages(tmp_path / "logs" / "info_20261122.log") == ["after"]


def test_only_log_files_of_old_dates_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three days are kept: the 22nd, the 21st, the 20th. Nothing that is not exactly such a file is touched."""
    old = ["info_20261119.log", "error_20261119.log", "info_20200101.log"]
    stay = ["info_20261120.log", "error_20261121.log", "info_20300101.log", "error_20261119.log.gz", "20261119.log"]
    stay += ["info_20261399.log", "info_2026111.log", "xinfo_20261119.log", "warning_20261119.log", "INFO_20261119.log"]
    for name in [*old, *stay]:
        (tmp_path / name).write_text("x\n")
    (tmp_path / "info_20261101.log").mkdir()
    (tmp_path / "error_20261101.log").symlink_to("20261119.log")
    files = files_of(tmp_path, log_days=3)
    assert {path.name for path in tmp_path.iterdir()} >= set(old)  # nothing is touched before something is written
    files.handle(record())
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {*stay, "info_20261101.log", "error_20261101.log", "info_20261122.log"}
    files.handle(record(when=datetime(2026, 11, 23, tzinfo=UTC)))  # past midnight, in the same process
    assert there - {path.name for path in tmp_path.iterdir()} == {"info_20261120.log"}


def test_a_clock_that_is_ahead_does_not_take_all_files_along(tmp_path: Path) -> None:
    """Of the dates that there are as many stay as are kept: one of them goes for the wrong one."""
    for day in range(20, 23):
        for kind in ("info", "error"):
            (tmp_path / f"{kind}_202611{day}.log").write_text("x\n")
    files = files_of(tmp_path, log_days=3)
    files.handle(record(when=datetime(2027, 1, 5, tzinfo=UTC)))
    assert sorted(path.name for path in tmp_path.glob("info_*")) == [
        "info_20261121.log",
        "info_20261122.log",
        "info_20270105.log",
    ]
    files.handle(record())  # and when it is right again
    assert {path.name[-12:-4] for path in tmp_path.iterdir()} == {"20261121", "20261122", "20270105"}


WRITER = """
import logging, sys
from s3_assets.logs import set_up
set_up({"S3_ASSETS_LOG_DIR": sys.argv[1], "S3_ASSETS_LOG_FORMAT": "json"})
print("ready", flush=True)
sys.stdin.readline()
log, files_only = logging.getLogger("s3_assets.test"), {"s3_assets_on_screen": True}
for number in range(100):
    log.error("%s %d %s", sys.argv[2], number, "x" * 5000, extra=files_only)
"""


def test_lines_of_many_processes_stay_whole(tmp_path: Path) -> None:
    """Three that begin at once, and lines longer than a page of memory: each is there once, in one piece."""
    pipe = subprocess.PIPE
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), f"w{number}"], stdin=pipe, stdout=pipe)
        for number in range(3)
    ]
    try:
        assert [writer.stdout.readline() for writer in writers] == [b"ready\n"] * 3
        for writer in writers:
            writer.stdin.close()
        for writer in writers:
            writer.stdout.close()
            writer.wait(timeout=120)
        assert [writer.returncode for writer in writers] == [0] * 3
    finally:
        for writer in writers:
            writer.kill()
    for kind in ("info", "error"):
        lines = "".join(path.read_text() for path in sorted(tmp_path.glob(f"{kind}_*.log"))).splitlines()
        told = sorted(json.loads(line)["message"] for line in lines)
        assert told == sorted(f"w{writer} {number} {'x' * 5000}" for writer in range(3) for number in range(100))


# --- trouble -----------------------------------------------------------------------------------------------


def test_a_folder_that_can_not_be_written_is_told_once_and_tried_again(tmp_path: Path, capsys) -> None:
    """Something in its place: whoever logs goes on. When it is mended, the next record is written."""
    (tmp_path / "logs").write_text("a file")
    files = files_of(tmp_path / "logs")
    for number in range(3):
        files.handle(record(f"{number}", level=logging.ERROR))
    [line] = capsys.readouterr().err.splitlines()
    assert (
        line
        == f"WARNING s3_assets.logs: {tmp_path}/logs/info_20261122.log: Not a directory; it goes on without log files"
    )
    (tmp_path / "logs").unlink()
    files.handle(record("mended"))
    assert messages(tmp_path / "logs" / "info_20261122.log") == ["mended"]


def test_old_files_that_can_not_be_removed_stop_no_line(tmp_path: Path, capsys, monkeypatch) -> None:
    """Those of another user, say: it is told once."""
    (tmp_path / "info_20200101.log").write_text("x")

    def refused(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    for handler in (files_of(tmp_path, log_days=1), files_of(tmp_path, log_days=1)):
        handler.handle(record())
    assert messages(tmp_path / "info_20261122.log") == ["seen", "seen"]
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("info_20200101.log: Permission denied; old log files stay")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_fails_nothing(tmp_path: Path, capsys) -> None:
    """The system says so when the line is written."""
    (tmp_path / "info_20261122.log").symlink_to("/dev/full")
    files_of(tmp_path).handle(record())
    assert "No space left on device; it goes on without log files" in capsys.readouterr().err


def test_settings_that_can_not_be_used_fail_no_run(tmp_path: Path, capsys) -> None:
    """Dagster makes the handler in the midst of a run; the CLI says it before it begins."""
    environ = {"S3_ASSETS_LOG_DIR": str(tmp_path), "S3_ASSETS_LOG_DAYS": "0", "S3_ASSETS_LOG_FORMAT": "xml"}
    LogFiles(None, environ).handle(record())
    told = capsys.readouterr().err
    assert told.startswith("WARNING s3_assets.logs: 2 problems in the settings:")
    assert "S3_ASSETS_LOG_DAYS: found '0'; needs a whole number from 1 to 36500" in told
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError) as caught:
        set_up(environ)
    assert len(caught.value.problems) == 2


# --- a process ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unset")
def test_the_console_has_what_was_asked_for_and_files_have_all(tmp_path: Path, capsys) -> None:
    """Others are heard from warnings on; what Dagster prints, or a person was told, is not printed again."""
    for level in (logging.DEBUG, logging.WARNING):  # the second takes the place of the first
        set_up({"S3_ASSETS_LOG_DIR": str(tmp_path)}, level)
    ours, others = logging.getLogger("s3_assets.x"), logging.getLogger("botocore.x")
    ours.debug("a")
    ours.info("b")
    ours.warning("c")
    others.info("d")
    others.warning("e")
    ours.error("f", extra={"s3_assets_on_screen": True})
    ours.warning("g", extra={"dagster_meta": {"run_id": "r"}})
    logging.getLogger("dagster.x").warning("h")
    assert capsys.readouterr().err == "WARNING s3_assets.x: c\nWARNING botocore.x: e\n"
    [info] = tmp_path.glob("info_*.log")
    assert messages(info) == ["b", "c", "e", "f", "g", "h"]
    set_up({}, logging.INFO)
    ours.info("i")
    assert capsys.readouterr().err == "INFO s3_assets.x: i\n"
    assert messages(info)[-1] == "h"
    mine = [type(one) for one in logging.getLogger().handlers if isinstance(one, Console | LogFiles)]
    assert mine == [Console]


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(
    "arguments, environ, ends, level",
    [
        (["backup", "--date", "2026-11-20"], {}, 2, "ERROR"),
        (["backup", "--date", "x"], {}, 2, "ERROR"),
        (["backup"], {"S3_ASSETS_BACKUP_DIR": "/nowhere/at/all"}, 1, "ERROR"),
        (["backup", "--help"], {}, 0, "INFO"),
    ],
)
def test_a_command_leaves_what_it_was_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, arguments, environ, ends, level
) -> None:
    """What the console says in a line, the files have with its trace; the console is what it is without files."""
    for name, value in (
        environ.items()
        and {
            **environ,
            "S3_ASSETS_BACKUP_TARGET": "s3://bucket/x/",
            "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items()
    ):
        monkeypatch.setenv(name, value)
    told = []
    for folder in ("", str(tmp_path)):
        monkeypatch.setenv("S3_ASSETS_LOG_DIR", folder)
        monkeypatch.setenv("S3_ASSETS_LOG_FORMAT", "json" if folder else "text")
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == ends
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    [info] = tmp_path.glob("info_*.log")
    line = json.loads(info.read_text())
    assert line["level"] == level
    assert line["message"].startswith(f"s3-assets {' '.join(arguments)}: ")
    assert line["message"] != f"s3-assets {' '.join(arguments)}: "
    assert ("trace" in line) == (ends == 1)
    assert len(list(tmp_path.glob("error_*.log"))) == (ends != 0)
