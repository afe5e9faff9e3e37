"""Every setting: what it is called, what it means, which values it takes, and reading them all at once.

The environment comes in as a mapping, so nothing here depends on the process. AWS's own variables (credentials,
region, endpoint) are read by the AWS clients and by nothing here, so no message can hold their values. All problems
are reported together, in one `SettingsError`.

`values` reads one text, `table` says which variables there are, `toml_file` reads the TOML file, `reading` all of these
at once. Over them `hourly`, `backup`, `alerts`, `logs` and `metrics` hold the settings of their part each, and don't
know each other. `document` is docs/settings.md, which `python -m s3_assets.settings` prints.
"""

from __future__ import annotations

from s3_assets.settings.alerts import AlertSettings, load_alert_settings
from s3_assets.settings.backup import (
    DEFAULT_BACKUP_INCLUDE,
    BackupCalendar,
    BackupSettings,
    backup_calendar,
    load_backup_settings,
)
from s3_assets.settings.document import markdown
from s3_assets.settings.hourly import Settings, grid_start, group_names, load_settings, start_date
from s3_assets.settings.logs import LogSettings, load_log_settings
from s3_assets.settings.metrics import MetricsSettings, load_metrics_settings
from s3_assets.settings.table import PIPELINE_SETTINGS, SETTINGS, VARIABLE_PREFIX, Setting
from s3_assets.settings.toml_file import AlertRoute
from s3_assets.settings.values import LargeCommit, Location

__all__ = [
    "DEFAULT_BACKUP_INCLUDE",
    "PIPELINE_SETTINGS",
    "SETTINGS",
    "VARIABLE_PREFIX",
    "AlertRoute",
    "AlertSettings",
    "BackupCalendar",
    "BackupSettings",
    "LargeCommit",
    "Location",
    "LogSettings",
    "MetricsSettings",
    "Setting",
    "Settings",
    "backup_calendar",
    "grid_start",
    "group_names",
    "load_alert_settings",
    "load_backup_settings",
    "load_log_settings",
    "load_metrics_settings",
    "load_settings",
    "markdown",
    "start_date",
]
