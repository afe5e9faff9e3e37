"""The TOML file that `S3_ASSETS_CONFIG` names: which tables and keys it may hold, and what they become.

It is read to its end, however much of it is wrong, and every problem is named with its key. No variables here, and
nothing that depends on one but the path of the file.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings.table import BY_NAME
from s3_assets.settings.values import SHOWN_CHARACTERS, SLACK_CHANNEL, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TABLES: Final = ("defaults", "events", "groups", "backup", "alerts")
"""What the TOML file may hold."""

POLICY_TYPES: Final[dict[str, Any]] = get_type_hints(EventPolicy)
"""The fields of a policy, and the type of each."""

_POLICY_FIELDS: Final = {field.name: field for field in fields(EventPolicy)}

_GROUP = re.compile(r"[a-z][a-z0-9_]{0,40}")
_BARE_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class AlertRoute:
    """Where alerts about some events go.

    Attributes:
        events: Patterns of their names, as in a shell: `pay*`.
        channel: None leaves it to the owner, or to the channel for all.
        owner: None leaves it to the owner for all.
    """

    events: tuple[str, ...]
    channel: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What the file says; `backup` holds fields of `BackupSettings`, `alerts` of `AlertSettings`."""

    defaults: EventPolicy = field(default_factory=EventPolicy)
    events: dict[str, EventPolicy] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    backup: dict[str, Any] = field(default_factory=dict)
    alerts: dict[str, Any] = field(default_factory=dict)


def read_document(path: str | None, read_file: Callable[[str], bytes] | None, problems: list[str]) -> Document:
    """What the file at `path` says; what is wrong with it goes to `problems`, a line each.

    Args:
        path: Empty or None where there is no file.
        read_file: Gives the bytes at a path; None reads the file.
        problems: Gets what is wrong; what is right is in the document all the same.
    """
    if not path:
        return Document()
    config = BY_NAME["config"]
    try:
        document = tomllib.loads((read_file(path) if read_file else Path(path).read_bytes()).decode())
    except OSError as error:
        problems.append(config.problem(f"found {shown(path)}, which can't be read: {error.strerror or error}"))
    except UnicodeError:
        problems.append(config.problem(f"found {shown(path)}, which is not UTF-8"))
    except RecursionError:
        problems.append(config.problem(f"found {shown(path)}, which is nested too deeply"))
    except ValueError as error:  # TOMLDecodeError, and the likes of a NUL in the path
        problems.append(config.problem(f"found {shown(path)}, which is no valid TOML: {error}"))
    else:
        return _Reader(path, problems).read(document)
    return Document()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one parsed document; what is wrong goes to `problems`."""

    path: str
    problems: list[str]

    def read(self, document: dict[str, Any]) -> Document:
        for key in document:
            if key not in _TABLES:
                self._unknown((), key, _TABLES)
        defaults = self._policy(("defaults",), document.get("defaults", {}), EventPolicy())
        events: dict[str, EventPolicy] = {}
        for event, table in self._table(("events",), document.get("events", {})).items():
            if not event or "/" in event:
                self._problem(("events", event), "an event is the name of one folder", '[events."payments"]')
            events[event] = self._policy(("events", event), table, defaults)
        backup, alerts = self._backup(document.get("backup", {})), self._alerts(document.get("alerts", {}))
        return Document(defaults, events, self._groups(document.get("groups", {})), backup, alerts)

    def _groups(self, value: object) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {}
        for name, patterns in self._table(("groups",), value).items():
            if not _GROUP.fullmatch(name):
                needs = "a group is named by small letters, digits and _, as it becomes part of an asset's name"
                self._problem(("groups", name), needs, 'payments = ["pay*"]')
            elif not isinstance(patterns, list) or not all(isinstance(each, str) and each for each in patterns):
                needs = f"found {shown(patterns)}; needs a list of events or patterns"
                self._problem(("groups", name), needs, 'payments = ["pay*", "refund"]')
            else:
                groups[name] = tuple(patterns)
        return groups

    def _alerts(self, value: object) -> dict[str, Any]:
        where = ("alerts",)
        table = self._table(where, value)
        for key in table:
            if key == "channel":
                self._problem((*where, key), "the channel for all is a variable", "S3_ASSETS_SLACK_CHANNEL=#data")
            elif key not in ("owner", "routes", "owners"):
                self._unknown(where, key, ("owner", "routes", "owners"))
        owners = self._table((*where, "owners"), table.get("owners", {}))
        routes = table.get("routes", [])
        if not isinstance(routes, list):
            self._problem((*where, "routes"), f"found {shown(routes)}; needs tables", "[[alerts.routes]]")
            routes = []
        found = [self._route((*where, "routes", str(place)), each) for place, each in enumerate(routes, start=1)]
        channels = {owner: self._channel((*where, "owners", owner), owners[owner]) for owner in owners}
        return {
            "owner": self._owner((*where, "owner"), table.get("owner")) or "",
            "routes": tuple(route for route in found if route is not None),
            "owners": {owner: channel for owner, channel in channels.items() if channel is not None},
        }

    def _route(self, where: tuple[str, ...], value: object) -> AlertRoute | None:
        table = self._table(where, value)
        for key in table:
            if key not in ("events", "channel", "owner"):
                self._unknown(where, key, ("events", "channel", "owner"))
        events = table.get("events", [])
        if not isinstance(events, list) or not events or not all(isinstance(each, str) and each for each in events):
            needs = f"found {shown(events)}; needs a list of events or patterns"
            self._problem((*where, "events"), needs, 'events = ["pay*"]')
            return None
        if "channel" not in table and "owner" not in table:
            self._problem(where, "names neither a channel nor an owner", 'channel = "#payments"')
        channel = self._channel((*where, "channel"), table.get("channel"))
        return AlertRoute(tuple(events), channel, self._owner((*where, "owner"), table.get("owner")))

    def _channel(self, where: tuple[str, ...], value: object) -> str | None:
        if isinstance(value, str) and SLACK_CHANNEL.fullmatch(value):
            return value
        if value is not None:
            needs = f"found {shown(value)}; needs {BY_NAME['slack_channel'].values}"
            self._problem(where, needs, f'{_dotted(where[-1:])} = "#payments"')
        return None

    def _owner(self, where: tuple[str, ...], value: object) -> str | None:
        if isinstance(value, str) and 0 < len(value) <= SHOWN_CHARACTERS and value.isprintable():
            return value
        if value is not None:
            needs = f"found {shown(value)}; needs a name of at most {SHOWN_CHARACTERS} characters"
            self._problem(where, needs, 'owner = "@payments-team"')
        return None

    def _backup(self, table: object) -> dict[str, Any]:
        good: dict[str, Any] = {}
        for key, value in self._table(("backup",), table).items():
            if key in ("include", "exclude"):
                good[key] = self._globs(("backup", key), value, may_be_empty=key == "exclude")
            elif key == "groups":
                groups = self._table(("backup", key), value)
                good[key] = {name: self._globs(("backup", key, name), globs) for name, globs in groups.items()}
            else:
                self._unknown(("backup",), key, ("include", "exclude", "groups"))
        return good

    def _globs(self, where: tuple[str, ...], value: object, *, may_be_empty: bool = False) -> tuple[str, ...]:
        globs = [glob for glob in value if isinstance(glob, str)] if isinstance(value, list) else []
        whole = isinstance(value, list) and len(globs) == len(value) and (globs or may_be_empty)
        if not whole or any(not name or name in (".", "..") for glob in globs for name in glob.split("/")):
            needs = f"found {shown(value)}; needs a list of paths below the folder, with `*`, `?` and `**`"
            self._problem(where, needs, f'{where[-1]} = ["**/*.json"]')
        return tuple(globs)

    def _policy(self, where: tuple[str, ...], table: object, base: EventPolicy) -> EventPolicy:
        good: dict[str, Any] = {}
        for key, value in self._table(where, table).items():
            if key not in POLICY_TYPES:
                self._unknown(where, key, POLICY_TYPES)
            elif _fits(value, key):
                good[key] = tuple(value) if isinstance(value, list) else value
            else:
                needs = f"found {shown(value)}; needs {valid_values(key)}"
                self._problem((*where, key), needs, f"{key} = {toml(getattr(EventPolicy(), key))}")
        return replace(base, **good)

    def _table(self, where: tuple[str, ...], value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        example = f"[{where[0]}]" if len(where) == 1 and where != ("events",) else '[events."payments"]'
        if where in (("backup", "groups"), ("alerts", "owners")):
            example = f"[{'.'.join(where)}]"
        if where[:2] == ("alerts", "routes"):
            example = "[[alerts.routes]]"
        self._problem(where, f"found {shown(value)}; needs a table", example)
        return {}

    def _unknown(self, where: tuple[str, ...], key: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(key, list(known), n=1)
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(known)}"
        self.problems.append(f"{_dotted((*where, key))} in {shown(self.path)}: there is no such key; {hint}")

    def _problem(self, where: tuple[str, ...], what: str, example: str) -> None:
        self.problems.append(f"{_dotted(where)} in {shown(self.path)}: {what}, for example {example}")


def _fits(value: object, name: str) -> bool:
    kind = POLICY_TYPES[name]
    if kind is bool:
        return isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if kind is int:
        least, most = _bounds(name)
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    if kind == tuple[str, ...]:
        return (
            isinstance(value, list)
            and all(isinstance(each, str) and _is_name(each) for each in value)
            and len(set(value)) == len(value)
        )
    return isinstance(value, str) and value in get_args(kind)


def _is_name(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def _bounds(name: str) -> tuple[int, int]:
    return _POLICY_FIELDS[name].metadata["least"], _POLICY_FIELDS[name].metadata["most"]


def valid_values(name: str) -> str:
    """What the field `name` of the policy may be, to follow 'needs'."""
    kind = POLICY_TYPES[name]
    if kind is bool:
        return "true or false"
    if kind is float:
        return "a number from 0 to 1"
    if kind is int:
        return "a whole number from {} to {}".format(*_bounds(name))
    if kind == tuple[str, ...]:
        return "a list of names of columns, none of them blank or twice"
    return " or ".join(toml(value) for value in get_args(kind))


def toml(value: str | float | tuple[str, ...]) -> str:
    """A value as it is written in TOML."""
    return json.dumps(value)


def _dotted(where: tuple[str, ...]) -> str:
    return ".".join(part if _BARE_TOML_KEY.fullmatch(part) else json.dumps(part) for part in where)
