"""Asking each source of problems, so that one that fails hides no other.

What could not be looked at is a problem itself, and nothing is concluded about its kinds meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from s3_assets.alerts.problems import BLIND, Problem
from s3_assets.alerts.state import AlertState

BLIND_TICKS = 3
"""A sort of problem that could not be looked at is told after so many ticks in a row."""

ProblemSource = Callable[[dg.DagsterInstance, datetime], Iterable[Problem]]
"""The problems of some kinds that there are now (aware)."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A source of problems.

    Attributes:
        name: What it looks at, in words.
        kinds: The names of the kinds that it gives. While it fails, nothing is concluded about them.
        source: Where the problems come from.
    """

    name: str
    kinds: frozenset[str]
    source: ProblemSource


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is, and what could not be looked at: the error by the name of the watch."""

    problems: list[Problem] = field(default_factory=list)
    blind: dict[str, Exception] = field(default_factory=dict)
    blind_kinds: set[str] = field(default_factory=set)


def look(sources: Iterable[Watch], instance: dg.DagsterInstance, now: datetime) -> Seen:
    """Ask each source. One that fails hides no other: what it can't tell is a problem, and is told."""
    seen = Seen()
    for watch in sources:
        try:
            problems = list(watch.source(instance, now))
        except Exception as error:  # noqa: BLE001  (whatever it is, it becomes a problem, or alerts would fall silent)
            seen.blind[watch.name] = error
            seen.blind_kinds.update(watch.kinds)
        else:
            seen.problems.extend(problems)
    return seen


def blind_problems(seen: Seen, state: AlertState) -> Iterator[Problem]:
    """What could not be looked at, as problems: settled once it could not for several ticks."""
    for name, error in seen.blind.items():
        yield Problem(
            BLIND,
            name,
            f"{type(error).__name__}: {error}",
            cause=type(error).__name__,
            tries=state.blind.get(name, 1),
            heals="once Dagster's storage answers again; until then nothing is known of these problems",
            by_itself=True,
            settled=state.blind.get(name, 1) >= BLIND_TICKS,
        )
