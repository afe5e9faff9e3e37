"""Listing many units at once within a budget, and keeping of each hour no more than its fingerprint and its size.

The invariant: a unit whose listing failed, was cut short or took too long is unknown, and says nothing at all.
"""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from s3_assets.errors import OutOfBudgetError, S3AssetsError
from s3_assets.hour_file.sources import NAMED_REJECTS, Sorter, listing_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.controller.budget import Budget
    from s3_assets.controller.units import Unit
    from s3_assets.hour_file.keys import Hour

T = TypeVar("T")

LISTERS = 8
"""Units that are listed at the same time: a listing is mostly waiting, and its parsing gains nothing from threads."""

GRACE_S = 0.5
"""How long a listing under way is waited for after the budget's time is over, in seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """The hours that the pipeline is for: from `start_label` to `now_label`, both included."""

    start_label: str
    now_label: str

    def holds(self, hour: Hour) -> bool:
        """Whether `hour` is one of them."""
        return self.start_label <= hour.label <= self.now_label

    def share_before(self, period: str) -> float:
        """Which share of it a walk from its end has passed when it comes to `period`, by months."""
        start, now, at = (int(text[:4]) * 12 + int(text[5:7]) for text in (self.start_label, self.now_label, period))
        return min(1.0, max(0.0, (now - at) / (now - start + 1)))


@dataclass(frozen=True, slots=True)
class HourSeen:
    """What a listing shows of an hour.

    Attributes:
        fingerprint: Of its sources, under the event's policy.
        sources: How many.
        size: Bytes of all of them.
        first_came: When the first of them came, by its Last-Modified (aware), which decides nothing about the hour;
            None where the store tells none.
        last_came: When the last of them came; likewise.
    """

    fingerprint: str
    sources: int
    size: int
    first_came: datetime | None = None
    last_came: datetime | None = None


@dataclass(slots=True)
class Strays:
    """What was listed and belongs to no hour of the window.

    Attributes:
        reasons: How many, per reason.
        named: The first few, as keys relative to the source prefix, with the reason.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, str]] = field(default_factory=list)

    def add(self, key: str, reason: str) -> None:
        """Count `key` under `reason`."""
        self.reasons[reason] += 1
        if len(self.named) < NAMED_REJECTS:
            self.named.append((key, reason))

    def take(self, others: Strays) -> None:
        """Count those of another unit too."""
        self.reasons.update(others.reasons)
        self.named.extend(others.named[: NAMED_REJECTS - len(self.named)])

    @property
    def total(self) -> int:
        """All of them."""
        return self.reasons.total()


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """A unit, listed whole.

    Attributes:
        unit: Which.
        hours: Its hours that have sources.
        targets: ETag of each hour file in it; None where they were not listed.
        strays: Its keys that belong to no hour.
    """

    unit: Unit
    hours: dict[Hour, HourSeen]
    targets: dict[Hour, str] | None
    strays: Strays


def look_at(pipeline: Pipeline, unit: Unit, window: Window, budget: Budget, *, targets: bool) -> UnitSeen:
    """List a unit's sources and, where asked for, its hour files.

    Raises:
        OutOfBudgetError: It is too large for what is left.
        StoreError: A listing failed.
    """
    sorter = Sorter(
        pipeline.grammar,
        first_label=max(unit.first_label, window.start_label),
        last_label=min(unit.last_label, window.now_label),
        start_label=window.start_label,
        now_label=window.now_label,
    )
    listing = sorter.sort(budget.watch(pipeline.list_sources(unit.source_prefix(pipeline.grammar))))
    hours = {
        hour: HourSeen(
            listing_fingerprint(sources, pipeline.policy(hour.event).content_token()),
            len(sources),
            sum(source.size for source in sources),
            *_first_and_last(source.last_modified for source in sources),
        )
        for hour, sources in listing.hours.items()
    }
    found: dict[Hour, str] | None = None
    if targets:
        skip = len(pipeline.target_prefix)
        prefix = pipeline.target_prefix + unit.target_prefix(pipeline.grammar)
        there = (
            (pipeline.grammar.target_hour(info.key[skip:]), info.etag)
            for info in budget.watch(pipeline.target.list(prefix))
        )
        found = {hour: etag for hour, etag in there if hour is not None and window.holds(hour)}
    return UnitSeen(unit, hours, found, Strays(listing.rejected, listing.named))


def _first_and_last(came: Iterable[datetime | None]) -> tuple[datetime | None, datetime | None]:
    dated = [when for when in came if when is not None]
    return min(dated, default=None), max(dated, default=None)


class Surveyor:
    """Threads that list; those that hang are left behind rather than waited for."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """Work with the threads of `pool`."""
        self._pool = pool

    def ask(self, budget: Budget, call: Callable[[], T]) -> T:
        """The result of `call`, made in a thread.

        Raises:
            OutOfBudgetError: There is none in time.
        """
        return _in_time(self._pool.submit(call), budget)

    def each(
        self, units: Iterable[Unit], look: Callable[[Unit], UnitSeen], budget: Budget
    ) -> Iterator[tuple[Unit, UnitSeen | S3AssetsError]]:
        """Look at `units`, several at once; what became of each comes in their order.

        It begins with one, which so has the whole budget, and goes on with ever more. It ends with the first that the
        budget does not allow, given with `OutOfBudgetError`.
        """
        ahead: deque[tuple[Unit, Future[UnitSeen]]] = deque()
        rest = iter(units)
        width = 1
        while True:
            while len(ahead) < width and _is_enough(budget, len(ahead)) and (unit := next(rest, None)) is not None:
                ahead.append((unit, self._pool.submit(look, unit)))
            if ahead:
                unit, future = ahead.popleft()
            elif (unit := next(rest, None)) is None:
                return
            else:  # there is one more, and nothing left to list it with
                future = Future()
                future.set_exception(OutOfBudgetError(seconds=budget.seconds_used, requests=budget.requests_used))
            try:
                yield unit, _in_time(future, budget)
                width = min(2 * width, LISTERS)
            except OutOfBudgetError as error:
                for _, other in ahead:
                    other.cancel()
                yield unit, error
                return
            except S3AssetsError as error:
                yield unit, error


def _is_enough(budget: Budget, under_way: int) -> bool:
    """Whether a budget is enough for one more unit, if those under way take two requests each."""
    return 2 * under_way < budget.requests_left and not budget.is_used_up


def _in_time(future: Future[T], budget: Budget) -> T:
    try:
        return future.result(timeout=budget.seconds_left + GRACE_S)
    except TimeoutError:
        if future.done():
            raise
        future.cancel()
        raise OutOfBudgetError(seconds=budget.seconds_used, requests=budget.requests_used) from None


@contextmanager
def surveyor() -> Iterator[Surveyor]:
    """Listing threads; on leaving, none is waited for."""
    pool = ThreadPoolExecutor(LISTERS, thread_name_prefix="look")
    try:
        yield Surveyor(pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
