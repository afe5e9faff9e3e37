"""What is to be said: the problems there are now, against what was said.

Pure: no clock, no sending. A message comes with the state as it is once the message was sent, so that one that is
not sent is as if it had never been: it is decided again at the next tick.

A group of problems is said at once. What joins it later is said after a pause that doubles while it keeps growing,
and is short again after a time of rest; what nothing changes in is said again at the rate that the operator chose.
Its end is said once, as soon as it is seen, and what comes back within the pause waits for its end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from s3_assets.alerts.foreign_text import cut, shown
from s3_assets.alerts.groups import FURTHER, Group, Route, group, is_further
from s3_assets.alerts.problems import Problem, Severity
from s3_assets.alerts.state import AlertState, Open, Things

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

FIRST_PAUSE_S: Final = 600
"""After a message, nothing more is said of its group for so long, unless it is over."""

MOST_MESSAGES: Final = 5
"""A tick sends so many messages at most; the others are decided again at the next one."""

_MOST_POSTS = 20
_OVER_BYTES = 80
_BUT = ", but for what is told elsewhere"


class Reason(StrEnum):
    """Why a message is sent."""

    NEW = "new"
    CHANGED = "changed"
    STILL = "still"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be said.

    Attributes:
        reason: Why.
        channel: Where.
        group: What is wrong now; None when it is over.
        was: The alert as it was said last; None when it is new.
        after: The alert once this is said; None when it is over.
    """

    reason: Reason
    channel: str
    group: Group | None
    was: Open | None
    after: Open | None

    def sent(self, state: AlertState) -> AlertState:
        """The state once this was sent."""
        if self.after is not None:
            return state.with_open(self.after)
        return state if self.was is None else state.without_open(self.was.key)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a tick has to say.

    Attributes:
        messages: In the order of urgency, at most `MOST_MESSAGES`.
        left: How many more there are, for the next tick.
        held: How many wait because their channel refused or asked to wait.
        state: With what needs no message. Each message that was sent is to be applied to it.
        problems: How many there are, settled.
    """

    messages: list[Message]
    left: int
    held: int
    state: AlertState
    problems: int


def pause_s(posts: int, repeat_s: int) -> int:
    """How long an alert rests after it was said `posts` times in a row."""
    return min(FIRST_PAUSE_S << max(min(posts, _MOST_POSTS) - 1, 0), max(repeat_s, FIRST_PAUSE_S))


def decide(
    problems: Iterable[Problem],
    state: AlertState,
    now: datetime,
    *,
    route: Route,
    repeat_s: int,
    repeats: bool = True,
    blind: Collection[str] = (),
) -> Decision:
    """Compare what is wrong with what was said.

    Args:
        problems: All there are now.
        state: What was said.
        now: Aware.
        route: Where each problem is told.
        repeat_s: An alert in which nothing changes is said so often at most.
        repeats: Whether it is said again at all.
        blind: Names of kinds that could not be looked at. Nothing is concluded from their absence.
    """
    at = int(now.timestamp())
    state = state.not_after(at)
    settled, unsettled = _one_per_thing(problems)
    groups = group(settled.values(), state.open.keys(), route)
    messages: list[Message] = []
    homes = {problem.mark: each.key for each in groups for problem in each.problems}
    for each in groups:
        was = state.open.get(each.key)
        if was is None:
            message = _new(each, state, at, repeat_s)
        elif blind and is_further(each.key):
            continue
        else:
            was = _less_what_went(each, was, unsettled, homes, state.open)
            state = state.with_open(was)
            reason = _compare(each, was, at, repeat_s, repeats=repeats)
            message = None if reason is None else _message(reason, each, was, at, repeat_s)
        if message is not None:
            messages.append(message)
    present = {each.key for each in groups}
    for key, was in state.open.items():
        if key in present or was.kind in blind or (blind and was.kind == FURTHER.name):
            continue
        if any(thing in unsettled for thing in was.things.known):
            continue
        elsewhere = [thing for thing in was.things.known if thing in homes]
        if not all(_is_said(state.open.get(homes[thing]), thing) for thing in elsewhere):
            continue
        if was.gone or len(elsewhere) < was.things.count:
            over = _but_for_others(was) if elsewhere else was
            messages.append(Message(Reason.OVER, was.channel, None, over, None))
        else:
            state = state.without_open(key)  # all of it goes on under another cause, which was said: no end
    sendable = [message for message in messages if not state.is_held(message.channel, at)]
    sendable.sort(key=_urgency)
    return Decision(
        messages=sendable[:MOST_MESSAGES],
        left=len(sendable[MOST_MESSAGES:]),
        held=len(messages) - len(sendable),
        state=state,
        problems=len(settled),
    )


def _is_said(alert: Open | None, thing: str) -> bool:
    """Whether a thing was said in an alert; of a large group that can't be known, and is taken for granted."""
    return alert is not None and (not alert.things.exact or thing in alert.things.known)


def _one_per_thing(problems: Iterable[Problem]) -> tuple[dict[str, Problem], set[str]]:
    """The settled problem of each thing, the worst where there are several, and the things that are not settled."""
    settled: dict[str, Problem] = {}
    unsettled: set[str] = set()
    for problem in problems:
        thing = problem.mark
        if not problem.settled:
            unsettled.add(thing)
        elif thing not in settled or _rank(problem) < _rank(settled[thing]):
            settled[thing] = problem
    return settled, unsettled - settled.keys()


def _rank(problem: Problem) -> tuple[str, ...]:
    return (problem.kind.severity, problem.kind.name, problem.cause, problem.words)


def _new(each: Group, state: AlertState, at: int, repeat_s: int) -> Message | None:
    closed = state.closed.get(each.key)
    if closed is not None and at < closed.last + pause_s(closed.posts, repeat_s):
        return None
    posts = 1 if closed is None else _posts(closed.last, closed.posts, at, repeat_s)
    return Message(Reason.NEW, each.channel, each, None, _after(each, None, at, posts))


def _less_what_went(
    each: Group, was: Open, unsettled: Collection[str], homes: Mapping[str, str], opened: Mapping[str, Open]
) -> Open:
    """An open alert without the things that are right, or were said to be wrong for another cause: without a word."""
    if not was.things.exact:
        return was
    there = [
        thing
        for thing in was.things.known
        if homes.get(thing) == each.key
        or thing in unsettled
        or (thing in homes and not _is_said(opened.get(homes[thing]), thing))
    ]
    if len(there) == was.things.count:
        return was
    right = sum(thing not in homes and thing not in unsettled for thing in was.things.known)
    left = was if len(there) + right == was.things.count else _but_for_others(was)
    return replace(left, things=Things.of(there), gone=was.gone + right)


def _but_for_others(was: Open) -> Open:
    """An alert of which some things are said to be wrong for another cause: its end must not speak for them."""
    return replace(was, end=was.end.removesuffix(_BUT) + _BUT)


def _compare(each: Group, was: Open, at: int, repeat_s: int, *, repeats: bool) -> Reason | None:
    """Whether there is something to be said of an open alert."""
    things = each.things
    rested = at >= was.last + pause_s(was.posts, repeat_s)
    long_ago = at >= was.last + max(repeat_s, FIRST_PAUSE_S)
    if was.things.exact:
        joined = not (things.exact and set(things.known) <= set(was.things.known))
        changed = joined and rested
    else:
        changed = (things.count > was.things.count and rested) or (things.whole != was.things.whole and long_ago)
    if changed:
        return Reason.CHANGED
    return Reason.STILL if repeats and each.kind.repeats and long_ago else None


def _message(reason: Reason, each: Group, was: Open, at: int, repeat_s: int) -> Message:
    after = _after(each, was, at, _posts(was.last, was.posts, at, repeat_s))
    return Message(reason, each.channel, each, was, after)


def _posts(last: int, posts: int, at: int, repeat_s: int) -> int:
    """How often in a row it is said, counting this time. After a time of rest, the row begins anew."""
    return 1 if at - last > 2 * pause_s(posts, repeat_s) else min(posts + 1, _MOST_POSTS)


def _after(each: Group, was: Open | None, at: int, posts: int) -> Open:
    since = at if each.since is None else int(each.since.timestamp())
    return Open(
        key=each.key,
        kind=each.kind.name,
        channel=each.channel,
        over=cut(shown(each.subject), _OVER_BYTES),
        which=cut(shown(each.named()), _OVER_BYTES),
        end=each.kind.over,
        things=each.things,
        gone=0,
        since=since if was is None else min(since, was.since),
        last=at,
        posts=posts,
    )


def _urgency(message: Message) -> tuple[int, str]:
    """New errors first, then what is over, then the rest; the same order for the same messages."""
    key = message.after.key if message.after is not None else message.was.key if message.was is not None else ""
    if message.group is None:
        return (1, key)
    if message.reason is Reason.NEW:
        return (0 if message.group.severity is Severity.ERROR else 2, key)
    return (3 if message.reason is Reason.CHANGED else 4, key)
