"""The settings of the daily backup: all of them for a run, its calendar for definitions.

What is done with files and globs is in `s3_assets.backup`; nothing of the hour files here, and nothing of alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from s3_assets.errors import SettingsError
from s3_assets.settings.reading import read_all, read_value
from s3_assets.settings.table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from s3_assets.settings.values import Location

_BACKUP: Final = "backup_"
"""What the names of the backup's rows begin with."""

DEFAULT_BACKUP_INCLUDE: Final = ("**/*.json",)
"""Which local files are backed up where the TOML file says nothing."""


@dataclass(frozen=True, slots=True)
class BackupCalendar:
    """Which days are backed up, and when.

    Attributes:
        start_date: The first day.
        zone: Whose days, and where the cron runs.
        cron: Five fields.
        lag_days: A tick is for the day so many days before its own.
    """

    start_date: date
    zone: ZoneInfo
    cron: str
    lag_days: int


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """The settings of the daily backup, checked. The fields are the `backup_` rows of `SETTINGS`, and `[backup]`.

    Attributes:
        directory: What is backed up.
        target: Where to.
        calendar: Which days, and when.
        threads: How many files at the same time.
        keep_days: Older local files are removed; None keeps all.
        heartbeat_url: Whom a run tells how it went; None for nobody.
        include: Globs of paths below the directory, `/` between folders.
        exclude: The same; what it names is left out although it is included.
        groups: Globs by the name of their group, in the order in which a file is asked for its group.
    """

    directory: Path
    target: Location
    calendar: BackupCalendar
    threads: int
    keep_days: int | None
    heartbeat_url: str | None = field(default=None, repr=False)
    include: tuple[str, ...] = DEFAULT_BACKUP_INCLUDE
    exclude: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


def load_backup_settings(
    environ: Mapping[str, str], *, read_file: Callable[[str], bytes] | None = None
) -> BackupSettings:
    """Read and check all settings, and give those of the backup; no source and no target are needed for it.

    Args:
        environ: The environment. An empty value counts as not set.
        read_file: Gives the bytes at `S3_ASSETS_CONFIG`; None reads the file.

    Raises:
        SettingsError: With every problem there is, a line each.
    """
    needed = ["backup_dir", "backup_target", "backup_start_date"]
    values, document = read_all(environ, read_file, needed)
    own = {name.removeprefix(_BACKUP): value for name, value in values.items() if name.startswith(_BACKUP)}
    calendar = BackupCalendar(**{spec.name: own.pop(spec.name) for spec in fields(BackupCalendar)})
    return BackupSettings(directory=own.pop("dir"), calendar=calendar, **own, **document.backup)


def backup_calendar(environ: Mapping[str, str]) -> BackupCalendar | None:
    """When the backup runs, alone: definitions need it when they load. None where there is no folder to back up.

    Raises:
        SettingsError: With every problem that there is with these.
    """
    if not environ.get(BY_NAME["backup_dir"].variable):
        return None
    problems: list[str] = []
    names = ("backup_start_date", "backup_zone", "backup_cron", "backup_lag_days")
    values = {
        name.removeprefix(_BACKUP): read_value(BY_NAME[name], environ, problems, required=("backup_start_date",))
        for name in names
    }
    if problems:
        raise SettingsError(problems)
    return BackupCalendar(**values)
