"""The hints of one tick: taken from the queue, and forgotten once their hours were looked at."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from s3_assets.controller.outcome import Tick
from s3_assets.errors import HintQueueError
from s3_assets.hints.contract import Hint, HintSource
from s3_assets.hour_file.keys import Hour  # noqa: TC001  (Dagster modules import for real)
from s3_assets.plural import counted

WAIT_S = 1
"""So long a tick waits for a hint, in seconds. Other sensors of the instance wait meanwhile."""

RECEIVE_AT_MOST = timedelta(seconds=3)
"""So long a tick takes hints from the queue."""

HINTS_PER_TICK = 1000

BACK_S = 15
"""Hints whose hours are asked for or under way come again after so many seconds.

The run may have looked before they were sent, and what this tick asks for is not on record before it ends.
"""


class Hints:
    """What the queue gave to one tick.

    Attributes:
        are_on: Whether there is a queue.
        hours: What it points to.
    """

    def __init__(self, source: HintSource | None, received: list[Hint], problem: str = "") -> None:
        """Keep what came of a look at the queue."""
        self._source = source
        self._received = received
        self._problem = problem
        self._forgotten = 0
        self.are_on = source is not None
        self.hours: list[Hour] = sorted({hour for hint in received for hour in hint.hours})

    @classmethod
    def receive(cls, source: HintSource | None, now: datetime) -> "Hints":
        """Look at the queue, if there is one. That it can't be used is said, and stops nothing."""
        if source is None:
            return cls(None, [])
        try:
            return cls(source, source.receive(HINTS_PER_TICK, WAIT_S, now + RECEIVE_AT_MOST))
        except HintQueueError as error:
            return cls(source, [], error.describe())

    def settle(self, tick: Tick) -> None:
        """Forget those whose hours are all right or on record as failing; those of hours under way come again soon.

        What could not be looked at comes again by itself.
        """
        if self._source is None or not self._received:
            return
        window = tick.window
        done = [
            hint
            for hint in self._received
            if all(hour in tick.settled or not window.holds(hour) for hour in hint.hours)
        ]
        self._forgotten = self._source.forget(done).done
        self._source.put_back([hint for hint in self._received if hint.hours & tick.under_way], BACK_S)
        others = [hint for hint in self._received if any(not tick.takes(hour.event) for hour in hint.hours)]
        self._source.put_back([hint for hint in others if hint not in done], 0)  # another group's sensor takes it

    def in_words(self) -> str:
        """For the tick's message; empty where there is no queue."""
        return "; ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self._problem:
            yield f"no hints: {self._problem}"
        elif self.are_on:
            kept = len(self._received) - self._forgotten
            yield (
                f"{counted(len(self._received), 'hint')} for {counted(len(self.hours), 'hour')}"
                + (f", {kept} of them come again" if kept else "")
                if self._received
                else "no hints"
            )
        strays = sum(hint.strays.counts.total() for hint in self._received)
        if strays:
            yield f"{strays} objects named in hints are not ours"
