"""Named objects to the hours that they belong to, and to strays where they belong to none.

Pure. A stray is nothing wrong: a notification without a prefix filter names every object of its bucket, and anyone may
send anything to a queue. Strays are counted and the first few are named, so that an operator who looks can see why a
queue is full of them. Whether an hour lies before the start date or in the future is not asked here: whoever looks at
the hour knows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.errors import KeyGrammarError
from s3_assets.hints.messages import NamedObject, read_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3_assets.hour_file.keys import Hour, KeyGrammar

NAMED_STRAYS = 5
"""How many strays are named; the rest is counted."""

OTHER_BUCKET = "in another bucket"
OTHER_PREFIX = "not below the source prefix"


@dataclass(frozen=True, slots=True)
class Watched:
    """Where the sources are that hints are wanted of.

    Attributes:
        bucket: The source bucket.
        prefix: The source prefix; empty, or ends in `/`.
        grammar: How keys are written below it.
    """

    bucket: str
    prefix: str
    grammar: KeyGrammar


@dataclass(slots=True)
class Strays:
    """What messages named, or failed to, that is no source of any hour.

    Attributes:
        counts: How many, per reason.
        named: The first few, with their reasons: a key in our bucket, `bucket/key` elsewhere, the message's id where
            no object could be read. Never a part of a message that is no key.
    """

    counts: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, reason: str, count: int = 1) -> None:
        """Count `count` of them under `reason`, and name it if there is room."""
        self.counts[reason] += count
        if len(self.named) < NAMED_STRAYS:
            self.named.append((name, reason))

    @classmethod
    def together(cls, parts: Iterable[Strays]) -> Strays:
        """Those of several messages."""
        whole = cls()
        for part in parts:
            whole.counts.update(part.counts)
            whole.named.extend(part.named[: NAMED_STRAYS - len(whole.named)])
        return whole


def hours_named(body: str | bytes, watched: Watched, *, message_id: str) -> tuple[frozenset[Hour], Strays]:
    """The hours to look at because of the message `body`, and what in it is none of ours. Never raises.

    Where a key can be read in two ways that both are source keys, both hours are there; one of them may not exist.
    """
    reading = read_message(body)
    hours: set[Hour] = set()
    strays = Strays()
    for named in reading.objects:
        found, reason = _hours_of(named, watched)
        hours |= found
        if not found:
            ours = named.bucket == watched.bucket
            strays.add(named.keys[0] if ours else f"{named.bucket}/{named.keys[0]}", reason)
    for reason, count in reading.unreadable.items():
        strays.add(f"message {message_id}", reason, count)
    return frozenset(hours), strays


def _hours_of(named: NamedObject, watched: Watched) -> tuple[set[Hour], str]:
    """The hours of all readings of the key; where there is none, the reason for the likeliest one that is ours."""
    if named.bucket != watched.bucket:
        return set(), OTHER_BUCKET
    hours: set[Hour] = set()
    reasons: list[str] = []
    for key in named.keys:
        if key.startswith(watched.prefix):
            try:
                hours.add(watched.grammar.source_hour(key.removeprefix(watched.prefix)))
            except KeyGrammarError as error:
                reasons.append(str(error))
    return hours, (reasons or [OTHER_PREFIX])[0]
