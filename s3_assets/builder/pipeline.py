"""What every build needs to know and to hold: the two stores, the key grammar, the policies, the threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from s3_assets.hour_file.sources import SourceObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from s3_assets.hour_file.keys import Hour, KeyGrammar
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.store.contract import Store


MOST_COMPRESS_THREADS = 16
"""Beyond it, the interpreter's own lock and memory cost more than cores give."""


AHEAD_BYTES = 48 * 1024 * 1024
"""Source bytes that are held in memory to know headers early, by all hours of a process together."""


class Allowance:
    """An amount that threads share: taken if there is enough left, and given back."""

    def __init__(self, amount: int) -> None:
        """Start with all of it."""
        self._left = amount
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        """Take it, if there is so much left."""
        with self._lock:
            if amount > self._left:
                return False
            self._left -= amount
            return True

    def give(self, amount: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += amount


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def utc_now() -> datetime:
    """The time by this host's clock, aware."""
    return datetime.now(UTC)


class Workers:
    """The threads of one process: some wait for the network, some compress, some look after an hour each.

    A fetch waits for nothing but the store, a compression for fetches, an hour for both: so they can't wait in a
    ring.
    """

    def __init__(self, *, fetch_threads: int = 16, hour_threads: int = 4, compress_threads: int | None = None) -> None:
        """Size the pools; one compressing thread per core by default (all codecs let go of the GIL)."""
        self.hour_threads = hour_threads
        self.compress_threads = compress_threads or min(_cores(), MOST_COMPRESS_THREADS)
        self.fetch = ThreadPoolExecutor(fetch_threads, thread_name_prefix="fetch")
        self.compress = ThreadPoolExecutor(self.compress_threads, thread_name_prefix="compress")
        self.hours = ThreadPoolExecutor(hour_threads, thread_name_prefix="hour")
        self.ahead = Allowance(AHEAD_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self.hours, self.compress, self.fetch):
            pool.shutdown(cancel_futures=error is not None)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where sources are, where hour files go, and by which rules.

    Attributes:
        source: The bucket of the source objects,
        source_prefix: below which they are; empty or ending in `/`.
        target: The bucket of the hour files,
        target_prefix: below which they go; empty or ending in `/`.
        grammar: How keys are written.
        policy: The rules of an event, by its name.
        workers: The threads to use.
        clock: Tells the time, aware: how long something has been left lying. Never what an hour holds.
        aside: What to say beside a command of `s3-assets`, where that reads other settings than these; empty elsewhere.
    """

    source: Store
    source_prefix: str
    target: Store
    target_prefix: str
    grammar: KeyGrammar
    policy: Callable[[str], EventPolicy]
    workers: Workers
    clock: Callable[[], datetime] = utc_now
    aside: str = ""

    def target_key(self, hour: Hour) -> str:
        """Whole key of the hour file."""
        return self.target_prefix + self.grammar.target_key(hour)

    def target_uri(self, hour: Hour) -> str:
        """`s3://bucket/key` of the hour file."""
        return f"s3://{self.target.bucket}/{self.target_key(hour)}"

    def source_uri(self, key: str) -> str:
        """`s3://bucket/key` of a source object; `key` is relative to the source prefix."""
        return f"s3://{self.source.bucket}/{self.source_prefix}{key}"

    def list_sources(self, prefix: str = "") -> Iterator[SourceObject]:
        """Every object whose key, relative to the source prefix, starts with `prefix`; in no order."""
        skip = len(self.source_prefix)
        for info in self.source.list(self.source_prefix + prefix):
            yield SourceObject(info.key[skip:], info.etag, info.size, info.last_modified)

    def with_stores(self, source: Store, target: Store) -> Pipeline:
        """The same over other stores, such as ones that count."""
        return replace(self, source=source, target=target)
