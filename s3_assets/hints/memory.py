"""A queue of hints in memory: the twin of the contract, for tests.

It behaves as SQS documents standard queues: at least once, in no order, hidden for a while. How bad it gets is the
caller's, by a seeded `Random`. Not here: retention and dead letters, which only take hints away.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from s3_assets.hints.contract import LONGEST_PUT_BACK_S, Hint, Settled
from s3_assets.hints.hours import Watched, hours_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from s3_assets.errors import HintQueueError


@dataclass(slots=True)
class _Message:
    body: str
    sent_at: datetime
    visible_at: datetime
    receipt: str = ""
    deliveries: int = 0


class MemoryHints:
    """A `HintSource` in memory, for one thread.

    Attributes:
        error: While it is set, the queue is away: `receive` raises it, the others count all as failed.
    """

    def __init__(
        self,
        watched: Watched,
        *,
        clock: Callable[[], datetime],
        visibility_s: float = 30,
        chance: Random | None = None,
        doubled: float = 0,
    ) -> None:
        """Make an empty queue.

        Args:
            watched: Where sources are.
            clock: The time (aware).
            visibility_s: How long a message that was received stays hidden, in seconds.
            chance: Deals messages in any order; None deals the oldest first.
            doubled: Share of deliveries, 0 to 1, after which the message is not hidden; needs `chance`.
        """
        if doubled and chance is None:
            raise ValueError("doubled messages need a chance")
        self.error: HintQueueError | None = None
        self._watched = watched
        self._clock = clock
        self._visibility = timedelta(seconds=visibility_s)
        self._chance = chance
        self._doubled = doubled
        self._messages: dict[str, _Message] = {}
        self._sent = 0

    def __len__(self) -> int:
        """How many messages are held, hidden ones included."""
        return len(self._messages)

    def send(self, body: str) -> str:
        """Put a message in; its id."""
        self._sent += 1
        message_id = f"message-{self._sent}"
        self._messages[message_id] = _Message(body, self._clock(), self._clock())
        return message_id

    def receive(self, most: int, wait_s: int, deadline: datetime) -> list[Hint]:  # noqa: ARG002 - nobody sends meanwhile
        """Take the hints that are there."""
        now = self._clock()
        if self.error is not None:
            raise self.error
        if now >= deadline:
            return []
        visible = [message_id for message_id, message in self._messages.items() if message.visible_at <= now]
        if self._chance is not None:
            self._chance.shuffle(visible)
        return [self._deliver(message_id, now) for message_id in visible[: max(0, most)]]

    def forget(self, hints: Iterable[Hint]) -> Settled:
        """Let them not come again. As SQS does, an old receipt is taken without a word, and forgets nothing."""
        hints = list(hints)
        if self.error is not None:
            return Settled(failed=Counter({str(self.error): len(hints)} if hints else {}))
        for hint in hints:
            message = self._messages.get(hint.message_id)
            if message is not None and message.receipt == hint.receipt:
                del self._messages[hint.message_id]
        return Settled(done=len(hints))

    def put_back(self, hints: Iterable[Hint], in_s: int) -> Settled:
        """Let them come again in `in_s` seconds; those that are not hidden can't be put back."""
        if not 0 <= in_s <= LONGEST_PUT_BACK_S:
            raise ValueError(f"0 to {LONGEST_PUT_BACK_S} seconds, not {in_s}")
        hints, now = list(hints), self._clock()
        if self.error is not None:
            return Settled(failed=Counter({str(self.error): len(hints)} if hints else {}))
        done, failed = 0, Counter[str]()
        for hint in hints:
            message = self._messages.get(hint.message_id)
            if message is None or message.receipt != hint.receipt or message.visible_at <= now:
                failed["MessageNotInflight"] += 1
            else:
                message.visible_at = now + timedelta(seconds=in_s)
                done += 1
        return Settled(done, failed)

    def _deliver(self, message_id: str, now: datetime) -> Hint:
        message = self._messages[message_id]
        message.deliveries += 1
        message.receipt = f"{message_id}/{message.deliveries}"
        doubled = self._chance is not None and self._chance.random() < self._doubled
        message.visible_at = now if doubled else now + self._visibility
        hours, strays = hours_named(message.body, self._watched, message_id=message_id)
        return Hint(message_id, message.receipt, hours, strays, message.sent_at, message.deliveries)
