"""The settings of logs: where the files go, for how long they stay, and what a line looks like.

They are read alone, and first: what is wrong with any other setting has to reach the log. What is written, and how, is
in `s3_assets.logs`; nothing of the hour files here, nothing of the backup, and nothing of alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from s3_assets.errors import SettingsError
from s3_assets.settings.reading import read_value
from s3_assets.settings.table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The settings of logs, checked. The fields are the `log_` rows of `SETTINGS`.

    Attributes:
        log_dir: None writes no files.
        log_days: So many dates have files, today's included.
        log_format: Of a line, in files and on the console.
    """

    log_dir: Path | None = None
    log_days: int = 30
    log_format: Literal["text", "json"] = "text"


def load_log_settings(environ: Mapping[str, str]) -> LogSettings:
    """Read the settings of logs alone.

    Args:
        environ: The environment. An empty value counts as not set.

    Raises:
        SettingsError: With every problem there is in them, a line each.
    """
    problems: list[str] = []
    values = {spec.name: read_value(BY_NAME[spec.name], environ, problems) for spec in fields(LogSettings)}
    if problems:
        raise SettingsError(problems)
    return LogSettings(**values)
