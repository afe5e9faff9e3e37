"""The settings of the hour files: all of them for runs and ticks, single ones for definitions.

Definitions load before source and target have to be given, so what they need is read alone. Nothing of the backup, and
nothing of alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from s3_assets.errors import SettingsError
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings.reading import read_all, read_value
from s3_assets.settings.table import BY_NAME, SETTINGS
from s3_assets.settings.toml_file import read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets.settings.values import LargeCommit, Location


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the hour files, checked. The fields are their rows of `SETTINGS`, and what the TOML file says."""

    source: Location
    target: Location
    start_date: date
    source_pattern: str
    fetch_threads: int
    hour_threads: int
    hours_per_run: int
    large_commit: LargeCommit
    tick_seconds: int
    tick_requests: int
    hot_days: int
    megabytes_per_run: int
    grid_days: int
    hints_queue: str | None = None
    defaults: EventPolicy = field(default_factory=EventPolicy)
    events: Mapping[str, EventPolicy] = field(default_factory=dict, hash=False)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def group_of(self, event: str) -> str:
        """The first group with a pattern that matches `event`; empty for none."""
        patterns = self.groups.items()
        return next((name for name, some in patterns if any(fnmatchcase(event, each) for each in some)), "")

    def takes(self, group: str, event: str) -> bool:
        """Whether `event` is one of `group`."""
        return self.group_of(event) == group

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


def load_settings(environ: Mapping[str, str], *, read_file: Callable[[str], bytes] | None = None) -> Settings:
    """Read and check all settings.

    Args:
        environ: The environment. An empty value counts as not set.
        read_file: Gives the bytes at `S3_ASSETS_CONFIG`; None reads the file.

    Raises:
        SettingsError: With every problem there is, a line each.
    """
    values, document = read_all(environ, read_file, [setting.name for setting in SETTINGS if setting.required])
    own = {spec.name: values[spec.name] for spec in fields(Settings) if spec.name in values}
    return Settings(**own, defaults=document.defaults, events=document.events, groups=document.groups)


def start_date(environ: Mapping[str, str]) -> date:
    """The start date alone: definitions need it when they load, before source and target are given.

    Raises:
        SettingsError: It is no date.
    """
    problems: list[str] = []
    day = read_value(BY_NAME["start_date"], environ, problems)
    if not isinstance(day, date):
        raise SettingsError(problems)
    return day


def grid_start(environ: Mapping[str, str], today: date) -> date:
    """The first day of the partition grid: the start date, or `grid_days` back and on to the first of a month.

    A start that moves makes Dagster count all recorded hours anew, so it moves once a month.

    Raises:
        SettingsError: One of the two settings can't be used.
    """
    problems: list[str] = []
    days = read_value(BY_NAME["grid_days"], environ, problems)
    if problems:
        raise SettingsError(problems)
    start = start_date(environ)
    return max(start, (today - timedelta(days=days)).replace(day=1)) if days else start


def group_names(environ: Mapping[str, str], *, read_file: Callable[[str], bytes] | None = None) -> list[str]:
    """The groups of events, alone: definitions need them when they load. A group is an asset of its own.

    Raises:
        SettingsError: The TOML file can't be read, or its groups can't be used.
    """
    problems: list[str] = []
    document = read_document(environ.get(BY_NAME["config"].variable), read_file, problems)
    in_the_way = [problem for problem in problems if problem.startswith(("groups", BY_NAME["config"].variable))]
    if in_the_way:  # all else is told by runs and ticks, with all the rest
        raise SettingsError(in_the_way)
    return list(document.groups)
