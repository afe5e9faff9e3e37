"""The memory twin at its worst: any order, doubled deliveries, old receipts, a queue that is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.errors import HintQueueError, HintQueueUnavailableError
from s3_assets.hints.memory import MemoryHints
from s3_assets_tests.hints.shapes import WATCHED, direct

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Moves when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def filled(count: int, clock: Clock, **options) -> MemoryHints:
    """A queue with a message for each of `count` hours."""
    queue = MemoryHints(WATCHED, clock=clock, **options)
    for number in range(count):
        queue.send(direct(f"source/e/2021-09-{number // 24 + 1:02}/{number % 24:02}_00_x.csv"))
    return queue


def receive(queue: MemoryHints, clock: Clock, most: int = 100):
    """What is there now."""
    return queue.receive(most, 0, clock() + timedelta(seconds=1))


@given(st.integers(), st.floats(0, 0.9), st.integers(1, 40), st.integers(1, 15))
def test_every_hour_comes_whatever_the_weather(seed, doubled, count, most):
    """Nothing is lost by doubling and disorder: who goes on forgetting what came ends with all, and an empty queue."""
    clock = Clock()
    queue = filled(count, clock, chance=Random(seed), doubled=doubled)
    seen = set()
    for _ in range(2000):
        hints = receive(queue, clock, most)
        assert len({hint.message_id for hint in hints}) == len(hints) <= most
        seen.update(hour for hint in hints for hour in hint.hours)
        queue.forget(hints)
        if not queue:
            break
        clock.now += timedelta(seconds=31)
    assert len(seen) == count
    assert len(queue) == 0


def test_the_same_seed_gives_the_same_history():
    """And another one another."""

    def order(seed):
        clock = Clock()
        return [hint.message_id for hint in receive(filled(30, clock, chance=Random(seed)), clock)]

    assert order(1) == order(1) != order(2)
    assert order(1) != sorted(order(1), key=lambda name: int(name.split("-")[1]))


def test_a_doubled_message_comes_again_before_its_time():
    """Of the same id, with another receipt."""
    clock = Clock()
    queue = filled(1, clock, chance=Random(1), doubled=1)
    (first,), (second,) = receive(queue, clock), receive(queue, clock)
    assert first.message_id == second.message_id
    assert first.receipt != second.receipt


def test_an_old_receipt_forgets_nothing():
    """As in SQS, it is taken all the same; the newest one works."""
    clock = Clock()
    queue = filled(1, clock, visibility_s=10)
    old = receive(queue, clock)
    clock.now += timedelta(seconds=10)
    new = receive(queue, clock)
    assert queue.forget(old).done == 1
    assert len(queue) == 1
    assert queue.forget(new).done == 1
    assert len(queue) == 0


def test_a_queue_that_is_away_says_so():
    """Receiving raises, the rest counts as failed, and all is there when it is back."""
    clock = Clock()
    queue = filled(2, clock)
    hints = receive(queue, clock)
    queue.error = HintQueueUnavailableError("ReceiveMessage", "q", "gone fishing")
    with pytest.raises(HintQueueError, match="gone fishing"):
        receive(queue, clock)
    for settled in (queue.forget(hints), queue.put_back(hints, 0)):
        assert (settled.done, settled.failed) == (0, {str(queue.error): 2})
    queue.error = None
    assert queue.forget(hints).done == 2


def test_doubling_needs_a_chance():
    """An option that would do nothing is refused."""
    with pytest.raises(ValueError, match="chance"):
        MemoryHints(WATCHED, clock=Clock(), doubled=0.5)
