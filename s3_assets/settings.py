"""Every setting: what it is called, what it means, which values it takes, and reading them all at once.

The environment comes in as a mapping, so nothing here depends on the process. AWS's own variables (credentials,
region, endpoint) are read by the AWS clients and by nothing here, so no message can hold their values. All problems
are reported together, in one `SettingsError`.

`python -m s3_assets.settings` prints docs/settings.md, which is made from `SETTINGS` and from `EventPolicy`.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import tomllib
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args, get_type_hints

from s3_assets.errors import KeyGrammarError, SettingsError
from s3_assets.hour_file.keys import DEFAULT_SOURCE_PATTERN, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

VARIABLE_PREFIX: Final = "S3_ASSETS_"

LargeCommit = Literal["auto", "complete", "stage", "spool"]

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
"""What botocore lets pass, upper case of old buckets included; the server has the last word."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_BARE_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+")
_EARLIEST = date(1970, 1, 1)
_SHOWN_CHARACTERS = 80


class _RefusedError(ValueError):
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
class Settings:
    """All settings, checked. The fields are the rows of `SETTINGS`, and the policies of the TOML file."""

    source: Location
    target: Location
    start_date: date
    source_pattern: str
    fetch_threads: int
    hour_threads: int
    hours_per_run: int
    large_commit: LargeCommit
    defaults: EventPolicy = field(default_factory=EventPolicy)
    events: Mapping[str, EventPolicy] = field(default_factory=dict, hash=False)

    def policy(self, event: str) -> EventPolicy:
        """The policy of `event`, by its name as it is in the keys: its own table over the defaults."""
        return self.events.get(event, self.defaults)

    @property
    def source_bucket(self) -> str:
        """Where producers drop their objects."""
        return self.source.bucket

    @property
    def source_prefix(self) -> str:
        """Empty, or ends in `/`."""
        return self.source.prefix

    @property
    def target_bucket(self) -> str:
        """Where hour files go."""
        return self.target.bucket

    @property
    def target_prefix(self) -> str:
        """Empty, or ends in `/`."""
        return self.target.prefix


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable.

    Attributes:
        name: Of the field in `Settings`; the variable is this in capitals, after `S3_ASSETS_`.
        meaning: For the docs: Markdown, one paragraph.
        values: What is valid, to follow 'needs'.
        example: A valid value.
        read: Text to value; raises `_RefusedError`.
        default: As one would write it; None where there is none.
        required: Whether it must be given.
        unit: Of the number; empty where it is none.
    """

    name: str
    meaning: str
    values: str
    example: str
    read: Callable[[str], Any]
    default: str | None = None
    required: bool = False
    unit: str = ""

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return VARIABLE_PREFIX + self.name.upper()

    def problem(self, found: object) -> str:
        """The line for `SettingsError`."""
        return f"{self.variable}: {found}; needs {self.values}, for example {self.example}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _refuse(value: object, why: str = "") -> NoReturn:
    raise _RefusedError(f"found {_shown(value)}{f', which {why}' if why else ''}")


def _read_location(text: str) -> Location:
    if not text.startswith("s3://"):
        if "://" in text or "@" in text:
            raise _RefusedError("found an address of another kind (not shown: it may hold credentials)")
        _refuse(text)
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if "@" in bucket or ":" in bucket:
        raise _RefusedError("found credentials or a port in the address (not shown)")
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


def _read_date(text: str) -> date:
    if not _DATE.fullmatch(text):
        _refuse(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        _refuse(text, "is no day of the calendar")
    if day < _EARLIEST:
        _refuse(text, f"is before {_EARLIEST}")
    return day


def _read_pattern(text: str) -> str:
    try:
        KeyGrammar(text)
    except KeyGrammarError as error:
        raise _RefusedError(f"found one that can't be used ({error})") from error
    return text


def _read_whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not least <= int(text) <= most:
            _refuse(text)
        return int(text)

    return read


def _read_large_commit(text: str) -> str:
    if text not in get_args(LargeCommit):
        _refuse(text)
    return text


SETTINGS: Final = (
    Setting(
        name="source",
        meaning="Where producers drop their CSV objects. Read only.",
        values="s3://bucket/prefix/, neither holding the target nor in it",
        example="s3://my-raw-bucket/source/",
        read=_read_location,
        required=True,
    ),
    Setting(
        name="target",
        meaning="Where the hour files go: `{event}/{YYYY-MM-DD}/{HH}.csv.gz` below it.",
        values="s3://bucket/prefix/, neither holding the source nor in it",
        example="s3://my-hourly-bucket/target/",
        read=_read_location,
        required=True,
    ),
    Setting(
        name="start_date",
        meaning="The first day of the hour partitions. Source objects of earlier days are counted and left alone.",
        values=f"a day as YYYY-MM-DD, not before {_EARLIEST}",
        example="2024-06-01",
        read=_read_date,
        default="2021-01-01",
    ),
    Setting(
        name="config",
        meaning="Path of a TOML file with a policy for all events and for single ones, see below.",
        values="the path of a file that can be read",
        example="/etc/s3_assets.toml",
        read=str,
    ),
    Setting(
        name="source_pattern",
        meaning="How source keys are written, below the source prefix.",
        values="folders with `{event}` and `{date}` and a file name with `{HH}`, `{MM}` and `{name}`",
        example="exports/{event}/{date}/{HH}_{MM}_{name}.csv",
        read=_read_pattern,
        default=DEFAULT_SOURCE_PATTERN,
    ),
    Setting(
        name="fetch_threads",
        meaning="How many source objects one process downloads at the same time.",
        values="a whole number from 1 to 256",
        example="32",
        read=_read_whole_number(1, 256),
        default="16",
        unit="threads",
    ),
    Setting(
        name="hour_threads",
        meaning="How many hours one run builds at the same time.",
        values="a whole number from 1 to 64",
        example="8",
        read=_read_whole_number(1, 64),
        default="4",
        unit="threads",
    ),
    Setting(
        name="hours_per_run",
        meaning="How many hours the sensor puts into one run at most.",
        values="a whole number from 1 to 10000",
        example="500",
        read=_read_whole_number(1, 10_000),
        default="200",
        unit="hours",
    ),
    Setting(
        name="large_commit",
        meaning=(
            "How a multipart upload takes its final place: `complete` (CompleteMultipartUpload on a condition), "
            "`stage` (upload next to it, then copy on a condition) or `spool` (one conditional PUT). `auto` asks the "
            "server what it honours and takes the first that is safe."
        ),
        values=", ".join(get_args(LargeCommit)[:-1]) + f" or {get_args(LargeCommit)[-1]}",
        example="complete",
        read=_read_large_commit,
        default="auto",
    ),
)
"""Every environment variable, in the order of the docs. What is not here is refused."""

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def load_settings(environ: Mapping[str, str], *, read_file: Callable[[str], bytes] | None = None) -> Settings:
    """Read and check all settings.

    Args:
        environ: The environment. An empty value counts as not set.
        read_file: Gives the bytes at `S3_ASSETS_CONFIG`; None reads the file.

    Raises:
        SettingsError: With every problem there is, a line each.
    """
    problems = [_unknown_variable(name) for name in sorted(environ) if _is_unknown(name)]
    values = {setting.name: _value(setting, environ, problems) for setting in SETTINGS}
    problems += _overlap(values["source"], values["target"])
    defaults, events = EventPolicy(), dict[str, EventPolicy]()
    path = values.pop("config")
    if path is not None:
        defaults, events = _read_policies(path, read_file or (lambda name: Path(name).read_bytes()), problems)
    if problems:
        raise SettingsError(problems)
    return Settings(**values, defaults=defaults, events=events)


def start_date(environ: Mapping[str, str]) -> date:
    """The start date alone: definitions need it when they load, before source and target are given.

    Raises:
        SettingsError: It is no date.
    """
    problems: list[str] = []
    day = _value(_BY_NAME["start_date"], environ, problems)
    if not isinstance(day, date):
        raise SettingsError(problems)
    return day


def _is_unknown(name: str) -> bool:
    return name.startswith(VARIABLE_PREFIX) and name not in {setting.variable for setting in SETTINGS}


def _unknown_variable(name: str) -> str:
    close = difflib.get_close_matches(name.removeprefix(VARIABLE_PREFIX).lower(), _BY_NAME, n=1)
    known = ", ".join(setting.variable for setting in SETTINGS)
    hint = f"did you mean {_BY_NAME[close[0]].variable}?" if close else f"the settings are {known}"
    return f"{_shown(name)[1:-1]}: there is no such setting; {hint}"


def _value(setting: Setting, environ: Mapping[str, str], problems: list[str]) -> Any:
    text = environ.get(setting.variable, "") or setting.default
    if text is None:
        if setting.required:
            problems.append(setting.problem("not set"))
        return None
    try:
        return setting.read(text)
    except _RefusedError as error:
        problems.append(setting.problem(error))
        return None


def _overlap(source: Location | None, target: Location | None) -> list[str]:
    if source is None or target is None or not (source.holds(target) or target.holds(source)):
        return []
    relation = "the same as" if source == target else "inside" if source.holds(target) else "around"
    found = (
        f"found {_shown(str(target))}, which is {relation} {_BY_NAME['source'].variable} {_shown(str(source))}: "
        "hour files would be taken for sources"
    )
    return [_BY_NAME["target"].problem(found)]


# --- the TOML file -----------------------------------------------------------------------------------------


def _read_policies(
    path: str, read_file: Callable[[str], bytes], problems: list[str]
) -> tuple[EventPolicy, dict[str, EventPolicy]]:
    config = _BY_NAME["config"]
    try:
        document = tomllib.loads(read_file(path).decode())
    except OSError as error:
        problems.append(config.problem(f"found {_shown(path)}, which can't be read: {error.strerror or error}"))
    except UnicodeError:
        problems.append(config.problem(f"found {_shown(path)}, which is not UTF-8"))
    except RecursionError:
        problems.append(config.problem(f"found {_shown(path)}, which is nested too deeply"))
    except ValueError as error:  # TOMLDecodeError, and the likes of a NUL in the path
        problems.append(config.problem(f"found {_shown(path)}, which is no valid TOML: {error}"))
    else:
        return _Policies(path, problems).read(document)
    return EventPolicy(), {}


@dataclass(frozen=True, slots=True)
class _Policies:
    """Reads one parsed document; what is wrong goes to `problems`."""

    path: str
    problems: list[str]

    def read(self, document: dict[str, Any]) -> tuple[EventPolicy, dict[str, EventPolicy]]:
        for key in document:
            if key not in ("defaults", "events"):
                self._unknown((), key, ("defaults", "events"))
        defaults = self._policy(("defaults",), document.get("defaults", {}), EventPolicy())
        events: dict[str, EventPolicy] = {}
        for event, table in self._table(("events",), document.get("events", {})).items():
            if not event or "/" in event:
                self._problem(("events", event), "an event is the name of one folder", '[events."payments"]')
            events[event] = self._policy(("events", event), table, defaults)
        return defaults, events

    def _policy(self, where: tuple[str, ...], table: object, base: EventPolicy) -> EventPolicy:
        good: dict[str, Any] = {}
        for key, value in self._table(where, table).items():
            if key not in _POLICY_TYPES:
                self._unknown(where, key, _POLICY_TYPES)
            elif _fits(value, _POLICY_TYPES[key]):
                good[key] = value
            else:
                needs = f"found {_shown(value)}; needs {_values(_POLICY_TYPES[key])}"
                self._problem((*where, key), needs, f"{key} = {_toml(getattr(EventPolicy(), key))}")
        return replace(base, **good)

    def _table(self, where: tuple[str, ...], value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        example = "[defaults]" if where == ("defaults",) else '[events."payments"]'
        self._problem(where, f"found {_shown(value)}; needs a table", example)
        return {}

    def _unknown(self, where: tuple[str, ...], key: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(key, list(known), n=1)
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(known)}"
        self.problems.append(f"{_dotted((*where, key))} in {_shown(self.path)}: there is no such key; {hint}")

    def _problem(self, where: tuple[str, ...], what: str, example: str) -> None:
        self.problems.append(f"{_dotted(where)} in {_shown(self.path)}: {what}, for example {example}")


_POLICY_TYPES: Final[dict[str, Any]] = get_type_hints(EventPolicy)


def _fits(value: object, kind: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return isinstance(value, str) and value in get_args(kind)


def _values(kind: Any) -> str:
    if kind is bool:
        return "true or false"
    if kind is float:
        return "a number from 0 to 1"
    return " or ".join(_toml(value) for value in get_args(kind))


def _toml(value: str | float) -> str:
    return json.dumps(value)


def _dotted(where: tuple[str, ...]) -> str:
    return ".".join(part if _BARE_TOML_KEY.fullmatch(part) else json.dumps(part) for part in where)


# --- the document ------------------------------------------------------------------------------------------

_HEAD = """\
# Settings

<!-- Made by `python -m s3_assets.settings` from s3_assets/settings.py and s3_assets/hour_file/policy.py. -->

Settings are environment variables. They are read when a run, a sensor or a command starts, never at import, and all
problems are reported at once. An empty value counts as not set. A variable that begins with `S3_ASSETS_` and is not
listed here is refused, so that a typing error can't pass for a default.

Credentials, region and endpoint come from where AWS's own tools take them (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`AWS_REGION`, `AWS_ENDPOINT_URL`, a role, ...). They are not settings of this package, and never go into an address:
`s3://key:secret@bucket/` is refused, and not repeated in the message.

"""

_POLICY_HEAD = """\
## Policies of events

`S3_ASSETS_CONFIG` names a TOML file. `[defaults]` holds for every event; `[events."name"]` changes single fields for
the event of exactly this name. There are no patterns: what holds for an event stands in at most two places.

```toml
[defaults]
on_schema_change = "quarantine"

[events."payments"]
on_vanished = "drop"
max_vanished_share = 0.1

[events."raw.clicks"]
header = false
compression = "fast"
```

A change of `header`, `on_schema_change` or `on_vanished` makes the hours of the event be looked at again; a change of
the others counts for what is written from then on.

"""


def markdown() -> str:
    """The text of docs/settings.md."""
    lines = [_HEAD]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "none: it is required" if setting.required else "none"
        lines.append(
            f"## `{setting.variable}`\n\n{setting.meaning}\n\n"
            f"- Values: {setting.values}\n"
            f"- Default: {default}{f' {setting.unit}' if setting.unit else ''}\n"
            f"- Example: `{setting.example}`\n\n"
        )
    lines.append(_POLICY_HEAD)
    lines.append("| Field | Values | Default | Meaning |\n|---|---|---|---|\n")
    for spec in fields(EventPolicy):
        values, default = _values(_POLICY_TYPES[spec.name]), _toml(spec.default)  # type: ignore[arg-type]
        lines.append(f"| `{spec.name}` | {values} | `{default}` | {spec.metadata['meaning']} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown())
