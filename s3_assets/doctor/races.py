"""Several writers at once on one scratch key, all on one condition: exactly one may win.

A real race through the calls that the pipeline makes, started by a barrier. It can show that a store is not safe, never
that it is. Who was not answered counts neither as winner nor as loser.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from s3_assets.errors import PreconditionFailedError, StoreUnavailableError, WriteConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets.doctor.scratch import Scratch
    from s3_assets.store.contract import ObjectInfo, Upload

WRITERS: Final = 8
"""How many single PUTs race."""

UPLOADS: Final = 4
"""How many large commits race, and one PUT with them."""

ROUNDS: Final = 10
"""How many races of a kind there are where nobody says otherwise, if they fit into `ENOUGH_S`."""

ENOUGH_S: Final = 6
"""After so many seconds no further race of a kind is begun, unless a number was asked for."""

STALE: Final = "0" * 32
"""The ETag of nothing."""

_BARRIER_S = 60


@dataclass(frozen=True, slots=True)
class Races:
    """What came of some races of a kind.

    Attributes:
        rounds: How many there were.
        writers: In each.
        several: In how many more than one won,
        most: how many at most.
        torn: In how many one won, and something else stands.
        undecided: In how many nobody was told to have won.
    """

    rounds: int
    writers: int
    several: int
    most: int
    torn: int
    undecided: int


def create_race(scratch: Scratch, rounds: int | None, stopped: threading.Event) -> Races:
    """PUTs of a key that is not there."""
    store = scratch.place.store

    def writers(number: int) -> tuple[str, list[Callable[[bytes], object]]]:
        key = scratch.key(f"race-create-{number}")
        return key, [partial(store.put, key, if_absent=True)] * WRITERS

    return _races(scratch, rounds, stopped, writers)


def replace_race(scratch: Scratch, rounds: int | None, stopped: threading.Event) -> Races:
    """PUTs in place of one that is."""
    store = scratch.place.store

    def writers(number: int) -> tuple[str, list[Callable[[bytes], object]]]:
        key = scratch.key(f"race-replace-{number}")
        standing = store.put(key, b"before", if_absent=True)
        return key, [partial(store.put, key, if_match=standing.etag)] * WRITERS

    return _races(scratch, rounds, stopped, writers)


def commit_race(scratch: Scratch, rounds: int | None, stopped: threading.Event, *, uploads: int = UPLOADS) -> Races:
    """Uploads in parts, each ready up to its commit, and one PUT, in place of one object.

    With one upload it meets the PUT in every race: a crowd mostly stands in line before the one lock.
    """
    store = scratch.place.store
    begun: list[Upload] = []

    def abort() -> None:
        while begun:
            begun.pop().abort()

    def writers(number: int) -> tuple[str, list[Callable[[bytes], object]]]:
        abort()  # those of the race before
        key = scratch.key(f"race-commit-{uploads}-{number}")
        standing = store.put(key, b"before", if_absent=True)
        racing = [store.start_upload(key) for _ in range(uploads)]
        begun.extend(racing)
        for racer, upload in enumerate(racing):
            upload.put_part(1, _body(racer))
            with suppress(PreconditionFailedError):
                upload.complete(if_match=STALE)  # of a staged one, only the copy is left to be done

        def commit(_: bytes, upload: Upload) -> ObjectInfo:
            return upload.complete(if_match=standing.etag)

        some: list[Callable[[bytes], object]] = [partial(commit, upload=upload) for upload in racing]
        return key, [*some, partial(store.put, key, if_match=standing.etag)]

    try:
        return _races(scratch, rounds, stopped, writers)
    finally:
        abort()


def _body(racer: int) -> bytes:
    return f"written by racer {racer} of s3-assets doctor".encode()


def _races(
    scratch: Scratch,
    rounds: int | None,
    stopped: threading.Event,
    writers: Callable[[int], tuple[str, list[Callable[[bytes], object]]]],
) -> Races:
    """Race after race, each on a key that is removed after it; once `stopped` is set, no further one is begun."""
    several = most = torn = undecided = count = number = 0
    begun = time.monotonic()
    while number < (rounds or ROUNDS) and (rounds or number == 0 or time.monotonic() - begun < ENOUGH_S):
        if stopped.is_set():
            break
        key, some = writers(number)
        count, number = len(some), number + 1
        won = _race(some)
        most = max(most, len(won))
        if len(won) > 1:
            several += 1
        elif not won:
            undecided += 1
        elif scratch.place.store.get(key).read() != _body(won[0]):
            torn += 1
        scratch.tidy(key)
    return Races(number, count, several, most, torn, undecided)


def _race(writers: list[Callable[[bytes], object]]) -> list[int]:
    """Start all at once; the numbers of those that were told that they won."""
    barrier = threading.Barrier(len(writers))

    def run(racer: int) -> bool:
        barrier.wait(_BARRIER_S)
        try:
            writers[racer](_body(racer))
        except (PreconditionFailedError, WriteConflictError, StoreUnavailableError):
            return False
        return True

    with ThreadPoolExecutor(len(writers)) as pool:
        outcomes = list(pool.map(run, range(len(writers))))
    return [racer for racer, won in enumerate(outcomes) if won]
