"""What was said: the alerts that are open, and those that were lately. A few kilobytes whatever happens.

An alert is what one message speaks of: a group of problems. Which things are in a group is kept as digests, and of a
large group as a sample and one digest of all; so the state does not grow with the number of problems. It lives in a
sensor's cursor, and what can't be read there is no state: the price is one repeated message.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION: Final = 1

MOST_OPEN: Final = 12
"""Alerts that may be open at once; further groups share one more."""

MOST_CLOSED: Final = 24
"""Closed alerts that are remembered, so that one that comes and goes is not said each time."""

MOST_HELD: Final = 8
"""Channels that are remembered to have refused a message."""

MOST_BLIND: Final = 8
"""Sorts of problems that are remembered not to have been seen."""

KNOWN: Final = 12
"""Things of an alert that are known one by one. Of a larger group, the least so many digests are a sample."""

LONGEST_HOLD_S: Final = 3600
"""The longest time, in seconds, for which nothing is sent to a channel that refused or asked to wait."""

EVERYWHERE: Final = "*"
"""Stands for all channels where Slack itself refuses, or asks to wait."""

_THING_BYTES = 4
_SET_BYTES = 6
_MOST_WHOLE = 10**11


def digest(*parts: str, size: int = _THING_BYTES) -> str:
    """A short digest of `parts`, in URL-safe base64 without padding."""
    text = "\0".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:size]).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Things:
    """A set of things, as far as it is remembered.

    Attributes:
        count: How many.
        known: Their digests; of more than `KNOWN`, the least.
        whole: Digest of all.
    """

    count: int
    known: tuple[str, ...]
    whole: str

    @classmethod
    def of(cls, digests: Iterable[str]) -> Things:
        """Of a set that is known in full, by the digests of its things."""
        found = sorted(set(digests))
        return cls(len(found), tuple(found[:KNOWN]), digest(*found, size=_SET_BYTES))

    @property
    def exact(self) -> bool:
        """Whether all are known one by one."""
        return self.count == len(self.known)


@dataclass(frozen=True, slots=True)
class Open:
    """An alert that was said and is not over.

    Attributes:
        key: Of its group.
        kind: The name of its kind.
        channel: Where it was said.
        over: What is said when it is over, without its end: `payments: 3 hours`,
        which: with what was named of them and why,
        end: and what the end is: `right again`.
        things: Those that were said, less those that were seen to be gone.
        gone: How many were seen to be gone since it was last said.
        since: Since when it is wrong, in seconds since the epoch.
        last: When it was last said, in the same.
        posts: How often it was said in a row, each soon after the one before: the pause grows with it.
    """

    key: str
    kind: str
    channel: str
    over: str
    which: str
    end: str
    things: Things
    gone: int
    since: int
    last: int
    posts: int


@dataclass(frozen=True, slots=True)
class Closed:
    """An alert that is over: when it was last said, and how often in a row."""

    last: int
    posts: int


@dataclass(frozen=True, slots=True)
class Held:
    """A channel to which nothing is sent for a while.

    Attributes:
        until: In seconds since the epoch.
        tries: How often it was refused in a row.
        code: What Slack said; empty where it only asked to wait.
    """

    until: int
    tries: int
    code: str


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that is remembered.

    Attributes:
        destination: Digest of where alerts go. Said somewhere else, an alert was not said.
        open: By key.
        closed: By key, the oldest first.
        held: By channel, or `EVERYWHERE`.
        blind: How often in a row a source of problems could not be read, by its name.
    """

    destination: str = ""
    open: Mapping[str, Open] = field(default_factory=dict)
    closed: Mapping[str, Closed] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    blind: Mapping[str, int] = field(default_factory=dict)

    def for_destination(self, destination: str) -> AlertState:
        """This state, or an empty one where alerts went elsewhere until now."""
        return self if self.destination == destination else AlertState(destination)

    def not_after(self, now: int) -> AlertState:
        """Without moments after `now`, as a clock that was set back leaves them: until then nothing would be said."""
        return replace(
            self,
            open={key: replace(each, last=min(each.last, now)) for key, each in self.open.items()},
            closed={key: replace(each, last=min(each.last, now)) for key, each in self.closed.items()},
            held={key: replace(each, until=min(each.until, now + LONGEST_HOLD_S)) for key, each in self.held.items()},
        )

    def seen(self, blind: Iterable[str]) -> AlertState:
        """With the sources that could not be read this time counted, and the others forgotten."""
        counts = {name: min(self.blind.get(name, 0) + 1, 99) for name in list(blind)[:MOST_BLIND]}
        return replace(self, blind=counts)

    def with_open(self, alert: Open) -> AlertState:
        """With `alert` as it is now."""
        closed = {key: value for key, value in self.closed.items() if key != alert.key}
        return replace(self, open={**self.open, alert.key: alert}, closed=closed)

    def without_open(self, key: str) -> AlertState:
        """With the alert `key` closed."""
        alert = self.open[key]
        closed = {**self.closed, key: Closed(alert.last, alert.posts)}
        while len(closed) > MOST_CLOSED:
            del closed[min(closed, key=lambda each: closed[each].last)]
        return replace(self, open={name: each for name, each in self.open.items() if name != key}, closed=closed)

    def with_held(self, channel: str, held: Held | None) -> AlertState:
        """With `channel` held, or free again."""
        others = {name: each for name, each in self.held.items() if name != channel}
        if held is not None:
            while len(others) >= MOST_HELD:
                del others[min(others, key=lambda each: others[each].until)]
            others[channel] = held
        return replace(self, held=others)

    def is_held(self, channel: str, now: int) -> bool:
        """Whether nothing may be sent to `channel` at `now`, in seconds since the epoch."""
        return any(name in self.held and self.held[name].until > now for name in (channel, EVERYWHERE))

    def dump(self) -> str:
        """As text, for the cursor."""
        opened = [
            [
                *(alert.key, alert.kind, alert.channel, alert.over, alert.which, alert.end),
                *(alert.things.count, "".join(alert.things.known), alert.things.whole),
                *(alert.gone, alert.since, alert.last, alert.posts),
            ]
            for alert in self.open.values()
        ]
        closed = [[key, each.last, each.posts] for key, each in self.closed.items()]
        held = [[channel, each.until, each.tries, each.code] for channel, each in self.held.items()]
        fields = {"v": VERSION, "to": self.destination, "open": opened, "closed": closed, "held": held}
        return json.dumps({**fields, "blind": dict(self.blind)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> AlertState:
        """Undo `dump`. What is none of its texts, of this version, is an empty state."""
        try:
            fields = json.loads(text or "")
            if fields["v"] != VERSION:
                return cls()
            return cls(
                destination=_text(fields["to"]),
                open={row[0]: _open(row) for row in fields["open"]},
                closed={_text(key): Closed(_whole(last), _whole(posts)) for key, last, posts in fields["closed"]},
                held={
                    _text(channel): Held(_whole(until), _whole(tries), _text(code))
                    for channel, until, tries, code in fields["held"]
                },
                blind={_text(name): _whole(count) for name, count in fields["blind"].items()},
            )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return cls()


_KNOWN_LENGTH = len(digest(""))


def _open(row: list[Any]) -> Open:
    key, kind, channel, over, which, end, count, known, whole, gone, since, last, posts = row
    each = tuple(_text(known)[at : at + _KNOWN_LENGTH] for at in range(0, len(known), _KNOWN_LENGTH))
    return Open(
        *(_text(key), _text(kind), _text(channel), _text(over), _text(which), _text(end)),
        Things(_whole(count), each, _text(whole)),
        *(_whole(gone), _whole(since), _whole(last), _whole(posts)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_WHOLE:
        raise TypeError
    return value
