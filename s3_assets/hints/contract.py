"""What a source of hints does, whatever is behind it. One suite runs over all: s3_assets_tests/hints/test_conformance.

Not here: what the hours of a hint mean. `s3_assets.hints` says why nothing that goes wrong with a hint can do harm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from s3_assets.hints.hours import Strays

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from s3_assets.hour_file.keys import Hour

LONGEST_PUT_BACK_S: Final = 12 * 3600
"""SQS hides a message for no longer (ChangeMessageVisibility)."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One message: look at these hours.

    Attributes:
        message_id: The same each time the message comes.
        receipt: Of this time it came; only the newest one forgets the message for sure.
        hours: To look at; none where the message names nothing of ours. Forget it then.
        strays: What else it names, or that it can't be read.
        sent_at: When it came into the queue; None where the server doesn't say.
        deliveries: How often it has come, this time included, as far as the server counts; 0 where it doesn't.
    """

    message_id: str
    receipt: str = field(repr=False)
    hours: frozenset[Hour]
    strays: Strays = field(default_factory=Strays, compare=False)
    sent_at: datetime | None = None
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of hints that were to be forgotten or put back.

    Attributes:
        done: How many were.
        failed: How many were not, per reason in words. They come again by themselves, which costs a look.
    """

    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)


class HintSource(Protocol):
    """Where hints come from.

    A hint that was received is hidden for a time that the source was set up with, then comes again, until it is
    forgotten: so hints of hours that could not be looked at need no call at all.
    """

    def receive(self, most: int, wait_s: int, deadline: datetime) -> list[Hint]:
        """Take the hints that are there, each message once.

        Args:
            most: Not more than so many.
            wait_s: If there is none, wait for the first so long, in seconds; 0 does not wait, and may miss some.
            deadline: Don't ask for more, nor wait, beyond this (aware).

        Raises:
            HintQueueError: Before any hint was received. Carry on without hints, and ask again later.
        """
        ...

    def forget(self, hints: Iterable[Hint]) -> Settled:
        """Let them not come again: their hours were looked at, or they name none. Twice is no error."""
        ...

    def put_back(self, hints: Iterable[Hint], in_s: int) -> Settled:
        """Let them come again in `in_s` seconds from now, not when they would have, 0 to `LONGEST_PUT_BACK_S`."""
        ...
