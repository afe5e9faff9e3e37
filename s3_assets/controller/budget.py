"""How much time and how many requests a tick may use. What does not fit waits for the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from s3_assets.errors import OutOfBudgetError
from s3_assets.store.metered import KEYS_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class Budget:
    """Seconds and requests that are left, for several threads at once.

    Attributes:
        seconds: In all.
        requests: In all.
    """

    def __init__(
        self, *, seconds: float, requests: int, clock: Callable[[], float], spent_requests: Callable[[], int]
    ) -> None:
        """Begin now.

        Args:
            seconds: To be used.
            requests: To be used.
            clock: A monotonic clock, in seconds.
            spent_requests: Requests made so far, by whom so ever; what was made before is not counted.
        """
        self.seconds = seconds
        self.requests = requests
        self._clock = clock
        self._spent = spent_requests
        self._began = clock()
        self._requests_before = spent_requests()

    @property
    def seconds_used(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    @property
    def requests_used(self) -> int:
        """Since it began."""
        return self._spent() - self._requests_before

    @property
    def seconds_left(self) -> float:
        """Never below zero."""
        return max(0.0, self.seconds - self.seconds_used)

    @property
    def requests_left(self) -> int:
        """Never below zero."""
        return max(0, self.requests - self.requests_used)

    @property
    def is_used_up(self) -> bool:
        """Whether no new work should begin."""
        return self.seconds_used >= self.seconds or self.requests_used >= self.requests

    def part(self, share: float) -> Budget:
        """A budget of its own that begins now: a share of what is left."""
        return Budget(
            seconds=self.seconds_left * share,
            requests=int(self.requests_left * share),
            clock=self._clock,
            spent_requests=self._spent,
        )

    def watch(self, listed: Iterable[T]) -> Iterator[T]:
        """The same items, while time lasts; requests under way are let finish.

        Raises:
            OutOfBudgetError: Between two pages, when the time is over.
        """
        for number, item in enumerate(listed):
            if number % KEYS_PER_PAGE == 0:
                self.check()
            yield item

    def check(self) -> None:
        """Nothing, while time and requests last.

        Raises:
            OutOfBudgetError: One of them is used up.
        """
        if self.is_used_up:
            raise OutOfBudgetError(seconds=self.seconds_used, requests=self.requests_used)
