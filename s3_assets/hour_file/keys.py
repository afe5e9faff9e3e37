"""The key grammar: source and target keys to hours and back, and hours to partition keys and back.

The one place that knows how a key is written. Nothing else splits a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from s3_assets.errors import KeyGrammarError

DEFAULT_SOURCE_PATTERN = "{event}/{date}/{HH}_{MM}_{name}.csv"

_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")
_CAPTURE = {
    "event": "(?P<event>[^/]+)",
    "date": "(?P<date>[^/]+)",
    "HH": "(?P<HH>[0-9]{2})",
    "MM": "(?P<MM>[0-9]{2})",
    "name": "(?P<name>.*)",
}
_LABEL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[-T ]([0-9]{2})(?::?00(?::?00)?)?(?:Z|\+00:00)?")
_DIGITS = re.compile(r"([0-9]+)")
_TARGET_NAME = re.compile(r"(?P<event>[^/]+)/(?P<date>[^/]+)/(?P<HH>[0-9]{2})\.csv\.gz", re.DOTALL)
_MAX_HOUR, _MAX_MINUTE = 23, 59

# What Dagster forbids in a dynamic partition key, what joins the dimensions of a multi-partition key, and the
# escape character itself. A test compares it with the installed Dagster.
_ESCAPED = re.compile(r"[\x00-\x1f\x7f%|]|\.(?=\.\.)")


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """One event in one nominal hour: what one hour file holds.

    Attributes:
        event: Folder name under the source prefix, as it is in the key.
        label: The hour as Dagster writes it, `YYYY-MM-DD-HH:00`. A name in a key, labelled UTC, not an instant
            that a local clock could double or skip.
    """

    event: str
    label: str

    @property
    def date(self) -> str:
        """`YYYY-MM-DD`."""
        return self.label[:10]

    @property
    def hh(self) -> str:
        """Two digits."""
        return self.label[11:13]

    @property
    def start(self) -> datetime:
        """First instant of the hour, were the label UTC."""
        return datetime.fromisoformat(f"{self.date}T{self.hh}:00+00:00")

    @property
    def end(self) -> datetime:
        """First instant after the hour."""
        return self.start + timedelta(hours=1)

    @property
    def partition_key(self) -> str:
        """The key of the event x hour partition: dimensions in order of their names, joined by `|`."""
        return f"{escape_event(self.event)}|{self.label}"

    @classmethod
    def of_partition_key(cls, key: str) -> Hour:
        """Read `event|YYYY-MM-DD-HH:00`.

        Raises:
            KeyGrammarError: It is not of that form.
        """
        event, separator, label = key.rpartition("|")
        if not separator or not event:
            msg = f"partition key {key!r} is not of the form event|2021-09-01-07:00"
            raise KeyGrammarError(msg)
        return cls(unescape_event(event), parse_label(label))

    def __str__(self) -> str:
        return f"{self.event} {self.label}"


def parse_label(text: str) -> str:
    """The hour label `YYYY-MM-DD-HH:00` of Dagster's form or an ISO one (`2021-09-01T07`, `…T07:00Z`).

    Raises:
        KeyGrammarError: It names no whole hour.
    """
    match = _LABEL.fullmatch(text.strip())
    if match is None or not _is_date(match[1]) or int(match[2]) > _MAX_HOUR:
        msg = f"{text!r} is no hour: write it as 2021-09-01-07:00 or 2021-09-01T07:00"
        raise KeyGrammarError(msg)
    return f"{match[1]}-{match[2]}:00"


def label_of(moment: datetime) -> str:
    """The label of the hour that holds `moment` (aware)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d-%H:00")


def escape_event(event: str) -> str:
    """The event's name as a partition key: `%`, `|`, control characters and `...` percent-encoded, reversibly."""
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", event)


def unescape_event(key: str) -> str:
    """Undo `escape_event`."""
    return re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), key)


def order_key(key: str) -> tuple[tuple[str | int, ...], str]:
    """Sort key of source objects within an hour: minute, then natural order (`file_9` < `file_10`), then the key.

    The whole key is compared in natural order; keys of one hour agree up to the minute, so that this is the order
    by (HH, MM, rest). Names only, never a listing's order or a time.
    """
    return tuple(int(part) if index % 2 else part for index, part in enumerate(_DIGITS.split(key))), key


@lru_cache(maxsize=4096)
def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


class KeyGrammar:
    """Source and target keys, relative to their prefixes.

    A source pattern is folders, each a literal, `{event}` or `{date}`, and a file name in which `{HH}` and `{MM}`
    come before `{name}`. A pattern that ends in `.csv` also takes `.csv.gz`; what the bytes are is decided by the
    bytes.
    """

    def __init__(self, source_pattern: str = DEFAULT_SOURCE_PATTERN) -> None:
        """Compile `source_pattern`.

        Raises:
            KeyGrammarError: It is not such a pattern.
        """
        self.source_pattern = source_pattern
        folders, _, name = source_pattern.rpartition("/")
        self._folders = folders.split("/")
        if [part for part in self._folders if part in ("{event}", "{date}")] != ["{event}", "{date}"]:
            self._refuse("its folders need {event} and then {date}, each a whole folder")
        if any(_PLACEHOLDER.search(part) for part in self._folders if part not in ("{event}", "{date}")):
            self._refuse("a folder is a literal, {event} or {date}")
        if any(part in ("", ".", "..") for part in self._folders):
            self._refuse("a folder has no name")
        if _PLACEHOLDER.findall(name) != ["HH", "MM", "name"]:
            self._refuse("its file name needs {HH}, {MM} and {name}, in this order, once each")
        if not re.search(r"\{MM\}[^0-9{]", name):
            self._refuse("a character that is no digit must follow {MM}, or names would not sort by minute")
        self._hour_start = name[: name.index("{MM}")]
        expression = "".join(
            _CAPTURE[part] if index % 2 else re.escape(part)
            for index, part in enumerate(_PLACEHOLDER.split(source_pattern))
        )
        if source_pattern.endswith(".csv"):
            expression += r"(?:\.gz)?"
        self._expression = re.compile(expression, re.DOTALL)

    def _refuse(self, reason: str) -> None:
        msg = f"source pattern {self.source_pattern!r}: {reason}; for example {DEFAULT_SOURCE_PATTERN}"
        raise KeyGrammarError(msg)

    def source_hour(self, key: str) -> Hour:
        """The hour that a source key (relative to the source prefix) belongs to.

        Raises:
            KeyGrammarError: It is no source key; the message names the kind of reason only, so that it can be counted.
        """
        if key.endswith("/"):
            raise KeyGrammarError("a folder marker")
        match = self._expression.fullmatch(key)
        if match is None:
            msg = f"not of the form {self.source_pattern}"
            raise KeyGrammarError(msg)
        if not _is_date(match["date"]):
            raise KeyGrammarError("no such date")
        if int(match["HH"]) > _MAX_HOUR:
            raise KeyGrammarError("no such hour")
        if int(match["MM"]) > _MAX_MINUTE:
            raise KeyGrammarError("no such minute")
        return Hour(match["event"], f"{match['date']}-{match['HH']}:00")

    def events_prefix(self) -> str:
        """The prefix under which each folder is an event."""
        return self._folder_prefix(self._folders.index("{event}"), "", "")

    def dates_prefix(self, event: str) -> str:
        """The prefix under which each folder is a date of `event`."""
        return self._folder_prefix(self._folders.index("{date}"), event, "")

    def date_prefix(self, event: str, day: str) -> str:
        """The prefix of all source keys of an event and date (`YYYY-MM-DD`); ends in `/`."""
        return self._folder_prefix(len(self._folders), event, day)

    def hour_prefix(self, hour: Hour) -> str:
        """The longest prefix that all source keys of `hour` share."""
        return self.date_prefix(hour.event, hour.date) + self._hour_start.replace("{HH}", hour.hh)

    def period_prefix(self, event: str, period: str) -> str:
        """The longest prefix that all source keys of `event` in a month, a date or an hour share.

        `period` is `2024-06`, `2024-06-12` or `2024-06-12-07`.
        """
        if len(period) == len("2024-06"):
            return f"{self.dates_prefix(event)}{period}-"
        if len(period) == len("2024-06-12"):
            return self.date_prefix(event, period)
        return self.hour_prefix(Hour(event, f"{period}:00"))

    @staticmethod
    def target_period_prefix(event: str, period: str) -> str:
        """The same of target keys."""
        date, hour = period[: len("2024-06-12")], period[len("2024-06-12-") :]
        return f"{event}/{date}-" if len(date) == len("2024-06") else f"{event}/{date}/{hour}"

    def _folder_prefix(self, count: int, event: str, day: str) -> str:
        names = {"{event}": event, "{date}": day}
        return "".join(f"{names.get(part, part)}/" for part in self._folders[:count])

    @staticmethod
    def target_key(hour: Hour) -> str:
        """`{event}/{YYYY-MM-DD}/{HH}.csv.gz`, relative to the target prefix."""
        return f"{hour.event}/{hour.date}/{hour.hh}.csv.gz"

    @staticmethod
    def target_hour(key: str) -> Hour | None:
        """The hour of a target key relative to the target prefix; None where it is no target key."""
        match = _TARGET_NAME.fullmatch(key)
        if match is None or not _is_date(match["date"]) or int(match["HH"]) > _MAX_HOUR:
            return None
        return Hour(match["event"], f"{match['date']}-{match['HH']}:00")
