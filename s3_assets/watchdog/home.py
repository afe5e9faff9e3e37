"""Whether DAGSTER_HOME is an instance and its storage is there, found out without opening it: that makes a new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATABASES: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
"""Of a storage on SQLite, below its folder; Dagster makes each that is missing."""


class NoInstanceError(S3AssetsError):
    """What DAGSTER_HOME names is no Dagster instance, or its storage is not there."""


def check_home(home: str, environ: Mapping[str, str]) -> None:
    """Refuse a folder that is no DAGSTER_HOME, and one without its storage: to open it would make a new, empty one.

    Args:
        home: DAGSTER_HOME.
        environ: The environment, where dagster.yaml says that the storage's folder is named there.

    Raises:
        NoInstanceError: It is none, or files of its SQLite storage are missing.
    """
    folder = Path(home)
    if not folder.is_dir():
        raise NoInstanceError("DAGSTER_HOME is no folder that this user can see")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise NoInstanceError("DAGSTER_HOME may not be read by this user")
    if not (folder / "dagster.yaml").exists() and not (folder / "history").exists():
        raise NoInstanceError("DAGSTER_HOME holds neither a dagster.yaml nor the history of an instance")
    base = _sqlite_folder(folder, environ)
    missing = [] if base is None else [name for name in _DATABASES if not _holds_something(base / name)]
    if missing:
        raise NoInstanceError(
            f"the storage in {base} is not there: no {', '.join(missing)}; its disk may not be mounted, or nothing of "
            "Dagster was ever started on it"
        )


def _sqlite_folder(home: Path, environ: Mapping[str, str]) -> Path | None:
    """Where the storage is, if it is on SQLite; None where it is not, or where Dagster itself says what is wrong."""
    path = home / "dagster.yaml"
    config: Mapping[str, Any] = dg.config_from_files([str(path)]) if path.exists() else {}
    storage = config.get("storage")
    if any(config.get(name) for name in ("run_storage", "event_log_storage", "schedule_storage")):
        return None  # as before Dagster 0.14, each by itself
    if not storage:
        return home
    sqlite = storage.get("sqlite") if isinstance(storage, dict) else None
    base = sqlite.get("base_dir") if isinstance(sqlite, dict) else None
    if isinstance(base, dict):
        base = environ.get(str(base.get("env")))
    return Path(base) if isinstance(base, str) and base else None


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
