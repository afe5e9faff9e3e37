"""Can the settings be used? Read as a run, a tick and a backup read them, in the environment of this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from s3_assets.doctor.findings import Finding, failed, passed
from s3_assets.errors import SettingsError
from s3_assets.settings import (
    SETTINGS,
    AlertSettings,
    BackupSettings,
    Settings,
    load_alert_settings,
    load_backup_settings,
    load_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")

_TODO = "set it where Dagster's processes and this command see it (docs/settings.md)"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be read.

    Attributes:
        hourly: Of the hour files; None where there are none, or they can't be used.
        backup: The same of the backup.
        alerts: The same of alerts.
        backup_only: Whether nothing but the backup is set up here.
        findings: What is to be said.
    """

    hourly: Settings | None
    backup: BackupSettings | None
    alerts: AlertSettings | None
    backup_only: bool
    findings: tuple[Finding, ...]


def load(environ: Mapping[str, str]) -> Loaded:
    """Read all settings. Every problem is a finding; one that several parts share is told once."""
    wants_backup = bool(environ.get("S3_ASSETS_BACKUP_DIR"))
    backup_only = wants_backup and not (environ.get("S3_ASSETS_SOURCE") or environ.get("S3_ASSETS_TARGET"))
    problems: dict[str, None] = {}

    def read(loader: Callable[[Mapping[str, str]], _T]) -> _T | None:
        try:
            return loader(environ)
        except SettingsError as error:
            problems.update(dict.fromkeys(error.problems))
            return None

    hourly = None if backup_only else read(load_settings)
    backup = read(load_backup_settings) if wants_backup else None
    alerts = read(load_alert_settings)
    findings = [failed(problem, _TODO) for problem in problems]
    if not problems:
        given = sum(bool(environ.get(setting.variable)) for setting in SETTINGS)
        what = "the backup" if backup_only else "hour files and the backup" if wants_backup else "hour files"
        findings.append(passed(f"{given} of {len(SETTINGS)} variables are set, and can be used, for {what}"))
    return Loaded(hourly, backup, alerts, backup_only, tuple(findings))
