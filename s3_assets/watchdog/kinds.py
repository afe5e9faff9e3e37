"""The kinds of problems that the watchdog tells, with their words."""

from __future__ import annotations

from typing import Final

from s3_assets.alerts.problems import Kind, Severity

STORAGE: Final = Kind("storage", "Dagster storage", "Dagster storages", "that can't be read", "read again")
DAEMON: Final = Kind("daemon", "daemon", "daemons", "without a heartbeat", "beating again")
SILENT: Final = Kind(
    "silent", "sensor or schedule", "sensors or schedules", "not ticking", "ticking again", family="ticks"
)
FAILING: Final = Kind(
    "failing", "sensor or schedule", "sensors or schedules", "failing tick after tick", "no longer failing", "ticks"
)
OFF: Final = Kind(
    "off",
    "sensor or schedule",
    "sensors or schedules",
    "switched off",
    "switched on again",
    family="ticks",
    severity=Severity.WARNING,
    repeats=False,
)
QUEUE: Final = Kind("queue", "run queue", "run queues", "not moving", "moving again")
LONG: Final = Kind("long run", "run", "runs", "under way for too long", "no longer under way")
BACKUP: Final = Kind("backup", "daily backup", "daily backups", "overdue", "no longer overdue")

ALL_BUT_STORAGE: Final = tuple(kind.name for kind in (DAEMON, SILENT, FAILING, OFF, QUEUE, LONG, BACKUP))
"""The kinds of which nothing is known while the storage can't be read."""
