"""Whether a sensor or schedule ticks, judged from what Dagster's storage knows of it.

A code server that is dead leaves one failed tick or none, and then no ticks at all: the daemon goes on without its
sensors. So it is the silence that tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3_assets.alerts.compose import duration
from s3_assets.alerts.problems import Problem
from s3_assets.watchdog.checks import Check, State, hangs_on, in_seconds, just_begun
from s3_assets.watchdog.kinds import FAILING, OFF, SILENT

if TYPE_CHECKING:
    from datetime import datetime

    from s3_assets.alerts.problems import Kind
    from s3_assets.watchdog.checks import Look
    from s3_assets.watchdog.picture import Expected, Ticking

FAILED_TICKS: Final = 3
"""A sensor or schedule fails once so many of its ticks failed in a row."""

ALERTS_SENSOR: Final = "alerts_sensor"
"""Tells what fails, as long as it ticks itself."""

_LOOK_AT_CODE = (
    "see that the code server runs and its definitions load (Deployment in the UI, or dagster definitions validate); "
    "the daemon takes it up within about a minute and a half"
)


def ticks_well(seen: Ticking | None, look: Look) -> bool:
    """Whether it is on, in time, and does not fail."""
    return seen is not None and seen.is_on and not _is_late(seen, look) and seen.failed < FAILED_TICKS


def judge_ticks(expected: Expected, seen: Ticking | None, look: Look, *, is_dead: bool, is_told: bool) -> Check:
    """Whether one sensor or schedule ticks.

    Args:
        expected: Which.
        seen: What the storage knows of it; None where nothing.
        look: When that was, and how long is too long.
        is_dead: Whether the daemon is dead that evaluates it.
        is_told: Whether the alerts tell of its failing ticks: then the watchdog only shows them.
    """
    name = expected.name
    if seen is None and not expected.starts_on:
        return _down(name, OFF, "was never switched on", _switch_on(name))
    if seen is not None and not seen.is_on:
        return _down(name, OFF, "is switched off", _switch_on(name), seen)
    if seen is None or _is_late(seen, look):
        return hangs_on(name, expected.daemon, SILENT) if is_dead else _silent(name, seen, look)
    if seen.failed >= FAILED_TICKS:
        words = f"its last {seen.failed} ticks failed: {seen.words}"
        todo = "mend what the error says; it ticks on meanwhile"
        return _down(name, FAILING, words, todo, seen, since=seen.failing_since, is_told=is_told)
    last = f"last tick {in_seconds(look.now - seen.last)} ago" if seen.last else "on, and no tick was due yet"
    return Check(name, State.OK, last + (f", {seen.failed} failed in a row" if seen.failed else ""))


def _is_late(seen: Ticking, look: Look) -> bool:
    return _is_ahead(seen, look) or (seen.due is not None and look.now - seen.due > look.limits.tolerance)


def _is_ahead(seen: Ticking, look: Look) -> bool:
    """Whether it ticked by a clock that was ahead: Dagster lets it wait until that moment comes."""
    return seen.last is not None and seen.last - look.now > look.limits.tolerance


def _silent(name: str, seen: Ticking | None, look: Look) -> Check:
    if seen is None:
        words = "never ticked: Dagster's storage does not know it"
    elif seen.last is not None and _is_ahead(seen, look):
        words = f"its last tick is {duration(seen.last - look.now)} ahead of this machine's clock: one was set wrong"
        todo = f"set the clocks right; Dagster lets it wait until {seen.last:%Y-%m-%d %H:%M} UTC by the daemon's clock"
        return _down(name, SILENT, words, todo, seen)
    else:
        words = f"no tick for {duration(look.now - seen.last)}" if seen.last else "no tick since it was switched on"
        words += f"; the last one failed: {seen.words}" if seen.failed else ""
    if look.has_just_begun:
        return just_begun(name, Problem(SILENT, name, words, settled=False))
    return _down(name, SILENT, words, _LOOK_AT_CODE, seen, since=None if seen is None else seen.last)


def _switch_on(name: str) -> str:
    return f"switch {name} on in the UI (Automation), or leave it out with --without {name}"


def _down(
    name: str,
    kind: Kind,
    words: str,
    todo: str,
    seen: Ticking | None = None,
    *,
    since: datetime | None = None,
    is_told: bool = False,
) -> Check:
    problem = Problem(
        kind,
        name,
        words,
        cause=seen.error if seen is not None and kind is FAILING else "",
        since=since,
        tries=max(seen.failed, 1) if seen is not None else 1,
        heals=todo,
        page=seen.page if seen is not None else "",
        page_name=name if seen is not None else "",
        settled=not is_told,
    )
    return Check(name, State.DOWN, f"{words} (alerts_sensor tells it)" if is_told else words, todo, (problem,))
