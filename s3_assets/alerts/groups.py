"""Groups of problems: what one message speaks of.

A group is of one kind and cause; of one event, or of all the events that are too many to be told one by one. Which
group a problem is in depends on what is open, too: what was said in one way goes on in that way until it is over, or
each new failure would look like the end of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from s3_assets.alerts.problems import Kind, Problem, Severity
from s3_assets.alerts.state import MOST_OPEN, Things, digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST_EVENTS: Final = 5
"""Of one kind and cause, so many events have a message of their own; with more, the new ones share one."""

RANGES_NAMED: Final = 3
"""How many ranges of hours, events or other things are named; the rest is counted."""

FURTHER: Final = Kind("further", "problem", "problems", "of further sorts", "over")
"""Stands for all kinds once too many alerts are open."""

_KEY_BYTES = 6
_FURTHER_KEY = digest("further", size=_KEY_BYTES)


class Destination(NamedTuple):
    """Where a problem is told, and who looks after it."""

    channel: str
    owner: str


Route = Callable[[Problem], Destination]

_Where = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """Problems that are told in one message; at least one.

    Attributes:
        key: What it is known by in the state.
        kind: `FURTHER` for what has no alert of its own.
        cause: Of all of them; empty where they differ.
        channel: Where it is told.
        owner: Who looks after it.
        problems: The longest-standing first.
    """

    key: str
    kind: Kind
    cause: str
    channel: str
    owner: str
    problems: tuple[Problem, ...]

    @property
    def things(self) -> Things:
        """What is remembered of its things."""
        return Things.of(problem.mark for problem in self.problems)

    @property
    def severity(self) -> Severity:
        """The worst of its problems'."""
        return min(problem.kind.severity for problem in self.problems)

    @property
    def since(self) -> datetime | None:
        """The earliest that is known."""
        return min((problem.since for problem in self.problems if problem.since is not None), default=None)

    @property
    def events(self) -> list[str]:
        """Of its problems, the one with the most problems first."""
        counts: dict[str, int] = defaultdict(int)
        for problem in self.problems:
            counts[problem.event] += 1
        return sorted((event for event in counts if event), key=lambda event: (-counts[event], event))

    @property
    def subject(self) -> str:
        """`payments: 3 hours`; where events themselves are the things, `payments` or `3 events`."""
        count, events = self.kind.count(len(self.problems)), self.events
        if self.kind.is_event:
            return events[0] if len(events) == 1 else count
        if len(events) == 1:
            return f"{events[0]}: {count}"
        return f"{count} of {len(events):,} events" if events else count

    def named(self) -> str:
        """The first few of its things: ranges of hours, events with their number, or names."""
        events = self.events
        if self.kind.is_event:  # one alone is in the subject
            return _first(events[:RANGES_NAMED], len(events) - RANGES_NAMED, "event") if len(events) > 1 else ""
        if len(events) > 1:
            counts = [
                (event, sum(problem.event == event for problem in self.problems)) for event in events[:RANGES_NAMED]
            ]
            parts = [f"{event} ({count:,})" for event, count in counts]
            return _first(parts, len(events) - len(parts), "event")
        if all(problem.label for problem in self.problems):
            ranges = label_ranges({problem.label for problem in self.problems})
            return _first(ranges[:RANGES_NAMED], len(ranges) - RANGES_NAMED, "range")
        parts = [problem.thing for problem in self.problems[:RANGES_NAMED]]
        return _first(parts, len(self.problems) - len(parts), "")


def _first(parts: list[str], left: int, what: str) -> str:
    noun = f" {what}{'s' if left > 1 else ''}" if what else ""
    return ", ".join(parts) + (f" and {left:,} more{noun}" if left > 0 else "")


def label_ranges(labels: Collection[str]) -> list[str]:
    """Hour labels as ranges of neighbours, in order: `2024-06-01-07:00 to 09:00`."""
    runs: list[list[datetime]] = []
    for start in sorted(datetime.strptime(label, "%Y-%m-%d-%H:%M") for label in labels):  # noqa: DTZ007  (a label)
        if runs and start - runs[-1][1] <= timedelta(hours=1):
            runs[-1][1] = start
        else:
            runs.append([start, start])
    return [
        f"{first:%Y-%m-%d-%H:%M}"
        + (
            ""
            if first == last
            else f" to {last:%H:%M}"
            if first.date() == last.date()
            else f" to {last:%Y-%m-%d-%H:%M}"
        )
        for first, last in runs
    ]


def group(problems: Iterable[Problem], opened: Collection[str], route: Route) -> list[Group]:
    """Put problems into groups, the most urgent first.

    Args:
        problems: Settled ones, no thing twice.
        opened: The keys of the alerts that are open.
        route: Where each goes.
    """
    single: dict[_Where, list[Problem]] = defaultdict(list)
    places: dict[_Where, Destination] = {}
    for problem in problems:
        to = route(problem)
        where = (problem.kind.name, problem.cause, to.channel, to.owner, problem.event)
        single[where].append(problem)
        places[where] = to
    sorts: dict[tuple[str, str, str], list[_Where]] = defaultdict(list)
    for where in single:
        sorts[where[:3]].append(where)
    groups: list[Group] = []
    for (_, _, channel), wheres in sorts.items():
        shared = _key("shared", *wheres[0][:3])
        fresh = [where for where in wheres if _key("single", *where) not in opened]
        share = fresh if shared in opened or len(wheres) > MOST_EVENTS else []
        groups += [
            _group(_key("single", *where), single[where], places[where]) for where in wheres if where not in share
        ]
        if share:
            owners = {places[where].owner for where in share}
            to = Destination(channel, owners.pop() if len(owners) == 1 else "")
            groups.append(_group(shared, [problem for where in share for problem in single[where]], to))
    return sorted(
        _bounded(groups, opened, route), key=lambda each: (each.severity, each.kind.name, each.cause, each.key)
    )


def _bounded(groups: list[Group], opened: Collection[str], route: Route) -> list[Group]:
    """Those with an alert of their own, and one for all that would be too many."""
    fresh = [each for each in groups if each.key not in opened]
    used = len([key for key in opened if key != _FURTHER_KEY])
    if _FURTHER_KEY not in opened and used + len(fresh) <= MOST_OPEN:
        return groups
    problems = [problem for each in fresh for problem in each.problems]
    if not problems:
        return groups
    to = route(Problem(FURTHER, "", ""))
    further = _group(_FURTHER_KEY, problems, to, kind=FURTHER)
    return [*(each for each in groups if each.key in opened), further]


def is_further(key: str) -> bool:
    """Whether `key` is of the group that holds problems of any kind."""
    return key == _FURTHER_KEY


def _key(*parts: str) -> str:
    return digest(*parts, size=_KEY_BYTES)


def _group(key: str, problems: list[Problem], to: Destination, kind: Kind | None = None) -> Group:
    known = sorted(
        problems,
        key=lambda each: (
            each.kind.severity,
            each.since is None,
            0.0 if each.since is None else each.since.timestamp(),
            each.thing,
        ),
    )
    causes = {problem.cause for problem in problems}
    cause = causes.pop() if len(causes) == 1 else ""
    return Group(key, kind or problems[0].kind, cause, to.channel, to.owner, tuple(known))
