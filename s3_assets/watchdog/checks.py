"""A check: one line of the watchdog's answer, and the problems that it is to the alerts. `judge` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from s3_assets.alerts.compose import duration
from s3_assets.alerts.problems import Problem
from s3_assets.watchdog.kinds import STORAGE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from s3_assets.alerts.problems import Kind
    from s3_assets.watchdog.picture import Expected


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    DOWN = "DOWN"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the watchdog's answer.

    Attributes:
        name: Of what was looked at.
        state: How it ended.
        words: What was seen.
        todo: What to do about it; empty where nothing is.
        problems: For the alerts.
        blind: The name of the kind that could not be judged; empty otherwise.
    """

    name: str
    state: State
    words: str
    todo: str = ""
    problems: tuple[Problem, ...] = ()
    blind: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is too long.

    Attributes:
        tolerance: A heartbeat may be so old, and a tick so late.
        queue: A run may wait so long in a queue from which no run was started meanwhile, and be launched so long.
        run: A run may work so long.
        backup: A day's backup is due so long after its tick.
    """

    tolerance: timedelta = timedelta(minutes=3)
    queue: timedelta = timedelta(minutes=60)
    run: timedelta = timedelta(hours=12)
    backup: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Look:
    """When a picture was taken (aware), and by what it is judged.

    Attributes:
        now: When.
        limits: How long is too long.
        daemon_since: When the daemon was first seen after another one, or after none: what is late gets time from then.
    """

    now: datetime
    limits: Limits
    daemon_since: datetime

    @property
    def has_just_begun(self) -> bool:
        """Whether the daemon may not yet have come to all that waits for it."""
        return timedelta() <= self.now - self.daemon_since <= self.limits.tolerance  # later than now: a clock was wrong


def check_names(expected: Iterable[Expected], *, has_backup: bool) -> list[str]:
    """The names of the checks that can be left out, in order: all but that of the storage, which all others need."""
    return ["daemons", *(one.name for one in expected), "queue", "runs", *(["backup"] if has_backup else [])]


def unreadable(error: str, words: str, todo: str) -> Check:
    """The check of a storage that can't be read; `error` is its error's class, or another word for it."""
    problem = Problem(STORAGE, "DAGSTER_HOME", words, cause=error, heals=todo)
    return Check("storage", State.DOWN, words, todo, (problem,))


def hangs_on(name: str, daemon: str, kind: Kind) -> Check:
    """What depends on a dead daemon: one problem is told, not all that follow from it."""
    return Check(name, State.UNKNOWN, f"not known while the daemon {daemon} is down", blind=kind.name)


def just_begun(name: str, problem: Problem) -> Check:
    """Nothing is said of it, and what was said of it is not taken back."""
    return Check(name, State.UNKNOWN, f"{problem.words}; the daemon has only just begun", problems=(problem,))


def in_seconds(span: timedelta) -> str:
    """As `duration`, and in seconds below two minutes: heartbeats and ticks come that often."""
    seconds = max(int(span.total_seconds()), 0)
    return f"{seconds} s" if seconds < 120 else duration(span)  # noqa: PLR2004  (two minutes)
