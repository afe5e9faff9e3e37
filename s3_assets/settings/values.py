"""Text to value: what the text of one variable may be, and what it becomes.

No names of variables and no defaults (those are in `table`), and nothing that compares two values. A message shows
what was found, unless that may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NoReturn, get_args
from zoneinfo import ZoneInfo

from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.keys import KeyGrammar

if TYPE_CHECKING:
    from collections.abc import Callable

LargeCommit = Literal["auto", "complete", "stage", "spool"]

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
"""What botocore lets pass, upper case of old buckets included; the server has the last word."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_QUEUE_ARN = re.compile(r"arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_.-]+")
_QUEUE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_.-]+)+")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_CRON = re.compile(r"[0-9A-Za-z*/,#-]+(?: [0-9A-Za-z*/,#-]+){4}")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9_.~-]+)*/?")
_LISTEN_ADDRESS = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>[0-9]{1,5})")
_SLACK_TOKEN = re.compile(r"xox[a-z](?:[.-][A-Za-z0-9_-]+)+")

LOOPBACK: Final = "127.0.0.1"
"""Where is listened, if nobody says where."""

MOST_PORT: Final = 65_535

EARLIEST: Final = date(1970, 1, 1)
"""The first day that a date may be."""

SLACK_CHANNEL: Final = re.compile(r"#[^\s#@<>&,|\x00-\x1f\x7f]{1,79}|[CGDU][A-Z0-9]{8,20}")
"""A name with its sign, or an id."""

SHOWN_CHARACTERS: Final = 80
"""More of a value than this is in no message."""


class RefusedError(ValueError):
    """One value can't be used. The text says what was found, without anything that may be a secret."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A bucket and a prefix in it; the prefix is empty or ends in `/`."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def holds(self, other: Location) -> bool:
        """Whether every key under `other` is under this one too."""
        return self.bucket == other.bucket and other.prefix.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def shown(value: object) -> str:
    """`value` as messages show it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _refuse(value: object, why: str = "") -> NoReturn:
    raise RefusedError(f"found {shown(value)}{f', which {why}' if why else ''}")


def read_location(text: str) -> Location:
    """A bucket and a prefix."""
    if not text.startswith("s3://"):
        if "://" in text or "@" in text:
            raise RefusedError("found an address of another kind (not shown: it may hold credentials)")
        _refuse(text)
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if "@" in bucket or ":" in bucket:
        raise RefusedError("found credentials or a port in the address (not shown)")
    if not _BUCKET.fullmatch(bucket):
        _refuse(text, "names no bucket that can be")
    if _CONTROL.search(prefix):
        _refuse(text, "has a line break or another control character")
    try:
        prefix.encode()
    except UnicodeEncodeError:
        _refuse(text, "is not UTF-8")
    prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    if any(folder in ("", ".", "..") for folder in prefix.split("/")[:-1]):
        _refuse(text, "has a folder without a name, or `.` or `..`")
    return Location(bucket, prefix)


def read_date(text: str) -> date:
    """A day of the calendar, written YYYY-MM-DD."""
    if not _DATE.fullmatch(text):
        _refuse(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        _refuse(text, "is no day of the calendar")
    if day < EARLIEST:
        _refuse(text, f"is before {EARLIEST}")
    return day


def read_pattern(text: str) -> str:
    """A pattern of keys that `KeyGrammar` takes."""
    try:
        KeyGrammar(text)
    except KeyGrammarError as error:
        raise RefusedError(f"found one that can't be used ({error})") from error
    return text


def read_whole_number(least: int, most: int) -> Callable[[str], int]:
    """What reads a number from `least` to `most`."""

    def read(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not least <= int(text) <= most:
            _refuse(text)
        return int(text)

    return read


def read_directory(text: str) -> Path:
    """An absolute path; whether a folder is there is not asked."""
    if not text.startswith("/"):
        _refuse(text, "is not absolute")
    if "\0" in text:
        _refuse(text, "can't be the path of a folder")
    return Path(text)


def read_prom_file(text: str) -> Path:
    """An absolute path that ends in `.prom`; whether its folder is there is not asked."""
    path = read_directory(text)
    if not text.endswith(".prom") or path.name.startswith("."):
        _refuse(text, "node_exporter would not read")
    return path


def read_listen_address(text: str) -> ListenAddress:
    """A host and a port, or a port alone for this machine's own use."""
    found = _LISTEN_ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= MOST_PORT:
        _refuse(text)
    return ListenAddress((found["host"] or LOOPBACK).strip("[]"), int(found["port"]))


def read_zone(text: str) -> ZoneInfo:
    """A time zone that this machine knows."""
    if not _ZONE.fullmatch(text):
        _refuse(text)
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):  # not there, a folder, no time zone file
        _refuse(text, "this machine does not know")


def read_cron(text: str) -> str:
    """Five fields."""
    if not _CRON.fullmatch(text):
        _refuse(text)
    return text


def read_large_commit(text: str) -> str:
    """One of the ways of `LargeCommit`."""
    if text not in get_args(LargeCommit):
        _refuse(text)
    return text


def read_log_format(text: str) -> str:
    """One of the two."""
    if text not in ("text", "json"):
        _refuse(text)
    return text


def read_web_address(text: str) -> str:
    """An address without credentials, and without a slash at its end."""
    if not _WEB_ADDRESS.fullmatch(text):
        raise RefusedError("found something else (not shown: it may hold credentials)")
    return text.rstrip("/")


def read_slack_token(text: str) -> str:
    """A token of Slack's, never shown."""
    if not _SLACK_TOKEN.fullmatch(text):
        raise RefusedError("found something else (not shown: it may be a secret)")
    return text


def read_slack_channel(text: str) -> str:
    """The name of a channel with its sign, or its id."""
    if not SLACK_CHANNEL.fullmatch(text):
        _refuse(text)
    return text


def read_queue_url(text: str) -> str:
    """The URL of an SQS queue."""
    if _QUEUE_ARN.fullmatch(text):
        _refuse(text, "is the queue's ARN, not its URL")
    if not _QUEUE_URL.fullmatch(text):
        raise RefusedError("found an address of another kind (not shown: it may hold credentials)")
    return text
