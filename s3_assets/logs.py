"""Logs: what a line looks like, and where lines go: the console, and files by date. Set up here and nowhere else.

What is logged, and at which level, is the business of those who say it; Dagster's own event log and its console are
Dagster's. Nothing here renames a file, so any number of processes may write one date's at the same time, whole lines
each. A file goes by the date in its name, and nothing else ever goes. No trouble with logs fails what is logged.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from s3_assets.alerts.foreign_text import REDACTED, redact, visible
from s3_assets.errors import SettingsError
from s3_assets.settings import LogSettings, load_log_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_SHOWN: Final = 20_000
"""Characters of a message, and of a trace; of a longer one the middle goes."""

SHORTEST_SECRET: Final = 6
"""A shorter value is left in: it would be found in half of all words."""

ON_SCREEN: Final = "s3_assets_on_screen"
"""As `extra` of a log call: a person was told on the console already, so only files get it."""

_META: Final = "dagster_meta"
"""Where Dagster leaves on a record whose run, step or tick it is."""

_WRITTEN: Final = "s3_assets_written"
_NAME: Final = re.compile(r"(?:info|error)_([0-9]{8})\.log")
_SECRET_NAME: Final = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|HEARTBEAT|WEBHOOK")
_PACKAGE: Final = f"{Path(__file__).parent}{os.sep}"


class Lines:
    """Makes a line of a record. In text, the lines of a trace or a long message are set in; in JSON it is one object.

    No line holds a secret: neither what looks like one, nor the value of a variable whose name says that it is one.
    """

    def __init__(self, settings: LogSettings, environ: Mapping[str, str]) -> None:
        self._json = settings.log_format == "json"
        secrets = {value for name, value in environ.items() if _is_secret(name, value)}
        self._secrets = sorted(secrets, key=len, reverse=True)

    def file_line(self, record: logging.LogRecord) -> str:
        """With time, process, and whose run, step or tick it is; in text, only errors say their place in the code."""
        facts = self._facts(record)
        if self._json:
            return _visible_json(json.dumps(facts, ensure_ascii=False))
        words = [f"{name}={facts[name]}" for name in ("pid", "run", "job", "step", "tick", "event") if name in facts]
        return self._text(facts, [facts["time"], facts["level"], facts["logger"], *words], record)

    def console_line(self, record: logging.LogRecord) -> str:
        """Shorter in text: a person is looking on."""
        if self._json:
            return self.file_line(record)
        facts = self._facts(record)
        return self._text(facts, [facts["level"], facts["logger"]], record)

    def _text(self, facts: Mapping[str, Any], head: list[str], record: logging.LogRecord) -> str:
        if record.levelno >= logging.ERROR:
            head.append(f"{facts['file']}:{facts['line']}")
        trace = f"\n{facts['trace']}" if "trace" in facts else ""
        return visible(f"{' '.join(head)}: {facts['message']}{trace}", lines=True).replace("\n", "\n    ")

    def _facts(self, record: logging.LogRecord) -> dict[str, Any]:
        meta = getattr(record, _META, None) or {}
        event = meta.get("dagster_event")
        told = {
            "run": meta.get("run_id"),
            "job": meta.get("job_name"),
            "step": meta.get("step_key"),
            "tick": meta.get("name"),
            "event": event and event.event_type_value,
        }
        facts = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            **{name: value for name, value in told.items() if value},
            "message": self._clean(_message(record, meta.get("orig_message"))),
            **_place(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            facts["trace"] = self._clean("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return facts

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return _shorten(redact(_shorten(text, 2 * MOST_SHOWN)), MOST_SHOWN).encode("utf-8", "backslashreplace").decode()


class LogFiles(logging.Handler):
    """Appends each record to the files of its date (UTC): to `info_` from INFO up, and to `error_` too from ERROR up.

    Also named in dagster.yaml, where Dagster makes it without arguments. A record is written once, however many of
    these it comes by. A folder that can't be written is told on stderr, once, and nothing fails.
    """

    _told: ClassVar[set[str]] = set()

    def __init__(self, settings: LogSettings | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Touches nothing yet.

        Args:
            settings: None reads them from `environ`; bad ones are told on stderr, and nothing is written.
            environ: The environment; None is the process's.
        """
        super().__init__(logging.INFO)
        environ = os.environ if environ is None else environ
        self._settings = settings or self._read(environ)
        self._lines = Lines(self._settings, environ)
        self._day: date | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        folder = self._settings.log_dir
        if folder is None or getattr(record, _WRITTEN, False):
            return
        setattr(record, _WRITTEN, True)
        line = f"{self._lines.file_line(record)}\n".encode()
        day = datetime.fromtimestamp(record.created, UTC).date()
        try:
            for kind in ("info", "error") if record.levelno >= logging.ERROR else ("info",):
                _append(folder / f"{kind}_{day:%Y%m%d}.log", line)
        except OSError as error:  # the next record tries again: the disk may be mended by then
            self._tell(f"{error.filename or folder}: {error.strerror or error}; it goes on without log files")
            return
        if day != self._day:
            self._day = day
            self._prune(folder, day, self._settings.log_days)

    def _prune(self, folder: Path, today: date, days: int) -> None:
        """Remove log files that are older than `days` and not of the newest dates that there are, as many.

        So a clock that is weeks ahead takes no more than one date along. Another process may be doing the same.
        """
        first = f"{today - timedelta(days=days - 1):%Y%m%d}"
        try:
            found = dict(_log_files(folder))
            newest = sorted(set(found.values()))[-days:]
            for path, date_ in found.items():
                if date_ < first and date_ not in newest:
                    path.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"{error.filename or folder}: {error.strerror or error}; old log files stay")

    def _read(self, environ: Mapping[str, str]) -> LogSettings:
        try:
            return load_log_settings(environ)
        except SettingsError as error:
            self._tell(f"{error}; it goes on without log files")
            return LogSettings()

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _to_stderr(f"WARNING {__name__}: {visible(what, lines=True)}")


class Console(logging.Handler):
    """Prints records to stderr: not Dagster's, which prints its own, and not what a person was told already."""

    def __init__(self, settings: LogSettings, environ: Mapping[str, str], level: int) -> None:
        super().__init__(level)
        self._lines = Lines(settings, environ)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        dagsters = hasattr(record, _META) or record.name.partition(".")[0] == "dagster"
        if not dagsters and not getattr(record, ON_SCREEN, False):
            _to_stderr(self._lines.console_line(record))


def set_up(environ: Mapping[str, str], level: int = logging.WARNING) -> None:
    """Set up the logs of this process; a second call takes the place of the first.

    Args:
        environ: The environment.
        level: From which on this package is heard on the console; of others, warnings are. Files have all from INFO up.

    Raises:
        SettingsError: A setting of logs can't be used.
    """
    settings = load_log_settings(environ)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, Console | LogFiles)]:
        root.removeHandler(handler)
    root.addHandler(Console(settings, environ, level))
    if settings.log_dir is not None:
        root.addHandler(LogFiles(settings, environ))
        level = min(level, logging.INFO)
    logging.getLogger("s3_assets").setLevel(level)  # not botocore's: it logs credentials


def _append(path: Path, line: bytes) -> None:
    """Whole, behind what others wrote: O_APPEND and one write. The file is opened each time, as it may be removed."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o640)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o640)
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    finally:
        os.close(descriptor)


def _log_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each with the date in its name, as its digits."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = _NAME.fullmatch(entry.name)
            if name and entry.is_file(follow_symlinks=False) and _is_date(name[1]):
                yield Path(entry.path), name[1]


def _visible_json(line: str) -> str:
    """The same JSON, with what can't be seen, or turns the direction of writing, as escapes; letters stay."""
    if line.isprintable():
        return line
    return "".join(char if visible(char) == char else json.dumps(char)[1:-1] for char in line)


def _is_date(digits: str) -> bool:
    try:
        datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _is_secret(name: str, value: str) -> bool:
    return len(value) >= SHORTEST_SECRET and bool(_SECRET_NAME.search(name.upper())) and not name.endswith("_FILE")


def _message(record: logging.LogRecord, original: str | None) -> str:
    """The message, without the job, run and step that Dagster puts before it: those are told apart."""
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001  (whatever an argument's own code raises: a line is better than none)
        text = f"{record.msg!r}, which could not be put together ({type(error).__name__})"
    return text[text.find(original) :] if original and original in text else text


def _place(record: logging.LogRecord) -> dict[str, Any]:
    """Where in this package an error was raised, else where the record was made."""
    place = (record.pathname, record.lineno)
    for frame, line in traceback.walk_tb(record.exc_info[2] if record.exc_info else None):
        if frame.f_code.co_filename.startswith(_PACKAGE):
            place = (frame.f_code.co_filename, line)
    return {"file": _below(place[0]), "line": place[1]}


def _below(pathname: str) -> str:
    """`s3_assets/builder/build.py`, and the like of a library: not where on this machine."""
    _, found, below = pathname.rpartition(f"{os.sep}site-packages{os.sep}")
    if found:
        return below
    above = f"{Path(_PACKAGE).parent}{os.sep}"
    return pathname.removeprefix(above) if pathname.startswith(above) else Path(pathname).name


def _shorten(text: str, most: int) -> str:
    """The start and the end: of a trace, the end says most."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters are left out …\n{text[-half:]}"


def _to_stderr(text: str) -> None:
    """To what stderr is now; one that is closed or gone is no reason to fail."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return
