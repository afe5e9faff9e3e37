"""Puts what a run did to its hours on record in Dagster.

A run of few hours yields one event after the other, as any asset does. Each costs Dagster about 25 ms, more than it
takes to make a small hour; so a run of many keeps them for a moment and writes them together, where Dagster's storage
can take them so. A thread writes them while the next hours are made: else those who make hours would wait for it. A
process that is killed takes those of that moment along: their hours are right, and the sensor, which goes by what is on
record, asks for them again and finds that nothing is to be done.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import dagster as dg

from s3_assets.dagster.internals import Timed, batches_go_to, store_batch

FEW_HOURS = 20
"""So many are yielded one by one."""

EVERY_S = 2.0
"""So long an event is kept for others to come, in seconds; then the next one takes it along. A write costs SQLite about
30 ms beside 1 ms for each event."""

MOST_KEPT = 200
"""Events of one write: it is one SQL statement, and some servers take 2,100 values, SQLite 32,766."""


class Recorder:
    """The record of one run. Use it as a context manager: what is kept is written at its end, whatever ended it."""

    def __init__(self, context: dg.AssetExecutionContext, hours: int) -> None:
        """Of a run over so many hours."""
        self._context = context
        self._in_batches = hours > FEW_HOURS and batches_go_to(context.instance)
        self._made: list[Timed] = []
        self._notes: list[Timed] = []
        self._last_ms = 0
        self._sent = time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        """Nothing happens yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is kept."""
        with self._writer:
            try:
                self._settle()  # before the next is sent, or nobody would hear that this one failed
            finally:
                self._send()
                self._settle()

    def add(
        self, made: dg.AssetMaterialization, note: dg.AssetObservation | None
    ) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
        """Record an hour; what comes out is for the asset to yield. An error is that of an earlier write."""
        if not self._in_batches:
            yield made
            if note is not None:
                yield note
            return
        self._made.append((made, self._moment()))
        if note is not None:
            self._notes.append((note, self._moment()))
        if len(self._made) >= MOST_KEPT or time.monotonic() - self._sent >= EVERY_S:
            self._settle()
            self._send()

    def _moment(self) -> float:
        """Now, in a millisecond of its own: of events of an asset that share theirs, Dagster's UI lists one."""
        self._last_ms = max(int(time.time() * 1000), self._last_ms + 1)
        return (self._last_ms + 0.5) / 1000  # in its middle, so that no rounding leads out of it

    def _send(self) -> None:
        """Have what is kept written."""
        made, self._made = self._made, []
        notes, self._notes = self._notes, []
        self._writing = self._writer.submit(self._write, made, notes)
        self._sent = time.monotonic()

    def _settle(self) -> None:
        """Wait for the write under way: one at a time, so that what is kept is bounded."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, made: list[Timed], notes: list[Timed]) -> None:
        """Notes after the materializations, as a note holds until the next one."""
        store_batch(self._context, made)
        store_batch(self._context, notes)
