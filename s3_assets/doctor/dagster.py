"""Is Dagster there, and does it do what the pipeline leaves to it: daemons, sensors, limits, lost runs?

Only its storage is looked at, by `s3_assets.dagster.internals`: no webserver and no code location is asked. Opening an
instance whose storage is new makes the storage, as every command of Dagster's does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg

from s3_assets.alerts.foreign_text import shown
from s3_assets.dagster.internals import Automation, automations, daemon_beats, run_limits
from s3_assets.dagster.names import POOL, Names
from s3_assets.doctor.findings import Finding, failed, passed, warned
from s3_assets.errors import SettingsError
from s3_assets.settings import group_names

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

BEAT_S: Final = 180
"""Daemons send a sign of life every 30 s; one that sent none for so long is taken for dead."""

QUIET_S: Final = 600
"""A sensor that is on and has not ticked for so long is not being looked at, whatever its interval: ours are short."""

FAILED_TICKS: Final = 3
"""In a row, from here on it is said."""

_CONFIG = "copy deploy/dagster.yaml to $DAGSTER_HOME, or take over its lines"
_HOME = "export DAGSTER_HOME=/a/folder/that/stays, the same for webserver, daemon, code server and this command"


@dataclass(frozen=True, slots=True)
class _Expected:
    """A sensor or schedule that should be on."""

    name: str
    starts_on: bool
    without: str


def dagster(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The instance, and all that it knows of this deployment."""
    home = environ.get("DAGSTER_HOME", "")
    if not home:
        yield failed("DAGSTER_HOME is not set: Dagster forgets runs, partitions and sensors when it ends", _HOME)
        return
    if not Path(home).is_absolute() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield failed(f"DAGSTER_HOME is {home!r}, which is no folder that this user may write, by its whole path", _HOME)
        return
    try:
        instance = dg.DagsterInstance.from_config(home)
        expected = list(_expected(environ))
    except SettingsError:  # told with the settings
        return
    except Exception as error:  # noqa: BLE001  (YAML, Dagster's own, a database's: each is this finding)
        words = shown(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        yield failed(f"the instance in {home} can't be opened: {words}", f"mend {home}/dagster.yaml, or its storage")
        return
    with instance:
        yield passed(f"the instance in {home} can be opened")
        now = datetime.now(UTC)
        alive = yield from _daemons(instance, now)
        yield from _limits(instance)
        yield from _automations(instance, expected, now, alive=alive)


def _daemons(instance: dg.DagsterInstance, now: datetime) -> Generator[Finding, None, bool]:
    beats = daemon_beats(instance)
    silent = {name: beat for name, beat in beats.items() if beat is None or _seconds(now, beat.last) > BEAT_S}
    if not silent:
        yield passed(f"the daemon lives: {len(beats)} of {len(beats)} parts have told so in the last {BEAT_S} s")
        return True
    last = max((beat.last for beat in beats.values() if beat is not None), default=None)
    when = "never" if last is None else f"{_ago(now, last)} ago for the last time"
    which = "all of it" if len(silent) == len(beats) else ", ".join(sorted(silent))
    yield failed(
        f"the daemon is not running ({which}): it gave a sign of life {when}",
        "start `dagster-daemon run` (or `dagster dev`) with this DAGSTER_HOME; one daemon for an instance, never two",
    )
    return False


def _limits(instance: dg.DagsterInstance) -> Iterator[Finding]:
    limits = run_limits(instance, POOL)
    if not limits.has_queue:
        yield warned("runs do not wait in a queue: what the sensor asks for all begins at once", _CONFIG)
    if limits.pool is None:
        yield warned(
            f"the pool {POOL} has no limit: runs work on the same hours at once, which is safe, and a waste",
            f"dagster instance concurrency set {POOL} 1; or {_CONFIG}",
        )
    elif not limits.counts_ops:
        yield warned(f"the pool {POOL} counts runs, not ops: the first runs of a batch overlap", _CONFIG)
    else:
        yield passed(f"the pool {POOL} lets {limits.pool} work at once")
    if limits.monitors_runs:
        yield passed("runs are monitored")
    else:
        yield warned(
            "runs are not monitored: one whose process was killed stays `started` for ever, and so do its hours",
            _CONFIG,
        )
    if not limits.retries_runs:
        yield warned("a run whose process was lost is not launched again", _CONFIG)


def _expected(environ: Mapping[str, str]) -> Iterator[_Expected]:
    hourly = bool(environ.get("S3_ASSETS_SOURCE"))
    backup = bool(environ.get("S3_ASSETS_BACKUP_DIR"))
    if hourly or not backup:
        for names in (Names(), *map(Names, group_names(environ))):
            yield _Expected(names.sensor, starts_on=False, without="no hour is looked at, and none is asked for")
    yield _Expected("alerts_sensor", starts_on=True, without="nobody is told when something is wrong")
    if backup:
        yield _Expected("daily_backup_schedule", starts_on=True, without="no evening's files are backed up")
        yield _Expected("late_backup_sensor", starts_on=True, without="nobody notices a day that is missing")


def _automations(
    instance: dg.DagsterInstance, expected: list[_Expected], now: datetime, *, alive: bool
) -> Iterator[Finding]:
    look_back = FAILED_TICKS + 2
    known: dict[str, list[Automation]] = {}
    for one in automations(instance, {each.name for each in expected}, look_back=look_back):
        known.setdefault(one.name, []).append(one)
    for each in expected:
        yield _automation(each, known.get(each.name, []), now, alive=alive)


def _automation(each: _Expected, found: list[Automation], now: datetime, *, alive: bool) -> Finding:
    on = [one for one in found if one.is_on]
    page = "schedule" if each.name.endswith("_schedule") else "sensor"
    start = f"turn it on: in the UI under Automation, or `dagster {page} start {each.name}`"
    if not on and (found or not each.starts_on):
        return failed(f"{each.name} is off: {each.without}", start)
    failing = next((one for one in on if one.failed >= FAILED_TICKS), None)
    if failing is not None:
        words = shown(failing.error.words) if failing.error is not None else ""
        return failed(f"{each.name} failed {failing.failed} ticks in a row or more: {words}", "do what it says")
    ticked = max((one.last for one in on if one.last is not None), default=None)
    if page == "schedule" or ticked is None:
        if ticked is None and not on:
            return passed(f"{each.name} is on as soon as the daemon has seen it")
        return passed(f"{each.name} is on" + ("" if ticked else ", and has not ticked yet"))
    if alive and _seconds(now, ticked) > QUIET_S:
        return failed(
            f"{each.name} is on, and has not ticked for {_ago(now, ticked)}, while the daemon lives",
            "look whether the code location loads (UI: Deployment), and at the daemon's log",
        )
    return passed(f"{each.name} is on, and ticked {_ago(now, ticked)} ago")


def _seconds(now: datetime, then: datetime) -> float:
    return (now - then).total_seconds()


def _ago(now: datetime, then: datetime) -> str:
    seconds = max(0, round(_seconds(now, then)))
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds} s"
    return str(timedelta(minutes=seconds // 60)).removesuffix(":00") + " h"
