"""An hour file as it stands in the store: found from its tail, with one GET in the common case."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from s3_assets.errors import (
    ChangedAnswerError,
    DamagedTargetError,
    ForeignTargetError,
    NotFoundError,
    PreconditionFailedError,
    shortened,
)
from s3_assets.hour_file.ledger import FOOTER_BYTES, Ledger, read_footer, read_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from s3_assets.hour_file.keys import Hour
    from s3_assets.store.contract import Download, Store

TAIL_BYTES = 64 * 1024
"""How much of a target's end is read at first: the ledger of about 2,000 sources, or all of a small hour file."""


class Readable(Protocol):
    """Bytes that rows can be carried over from."""

    @property
    def key(self) -> str:
        """Whole key of the hour file, for messages."""
        ...

    @property
    def tail_start(self) -> int:
        """From where on bytes are at hand."""
        ...

    def read(self, store: Store, start: int, stop: int) -> bytes:
        """Bytes `[start, stop)`."""
        ...

    def open(self, store: Store, start: int, stop: int) -> Download:
        """The same as a download."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """An hour file that is there.

    Attributes:
        key: Whole key in the bucket.
        etag: Of the version that was read; every later read and write of it is bound to it.
        size: Bytes.
        version_id: Where versioning is on.
        last_modified: When it was committed, by the store's clock.
        ledger: What it holds; None where `problem` says why it can't be read.
        problem: Why it can't be used; it is left alone then.
        tail: Its last bytes,
        tail_start: which begin here.
        is_old: Whether it is a version that does not stand any more, to be read by its `version_id`.
    """

    key: str
    etag: str
    size: int
    version_id: str | None
    last_modified: datetime
    ledger: Ledger | None
    problem: DamagedTargetError | None
    tail: bytes
    tail_start: int
    is_old: bool = False

    def read(self, store: Store, start: int, stop: int) -> bytes:
        """Bytes `[start, stop)` of this very version, from the tail at hand where they are in it.

        Raises:
            PreconditionFailedError: It is not there any more.
        """
        if start >= self.tail_start:
            return self.tail[start - self.tail_start : stop - self.tail_start]
        return self.open(store, start, stop).read()

    def open(self, store: Store, start: int, stop: int) -> Download:
        """The same as a download, for what is not to be held in memory at once."""
        if self.is_old:
            return store.get(self.key, version_id=self.version_id, span=(start, stop))
        return store.get(self.key, if_match=self.etag, span=(start, stop))


READ_TRIES = 5
"""How often an hour file is read anew that was replaced between two GETs."""


def read_target(store: Store, key: str, hour: Hour) -> Target | None:
    """The hour file of `hour` under `key`; None where there is no object.

    Raises:
        PreconditionFailedError: It was replaced between two GETs, time and again.
    """
    for _ in range(READ_TRIES - 1):
        with suppress(NotFoundError, PreconditionFailedError):
            return _read_twice(store, key, hour)
    return _read_twice(store, key, hour)


def read_version(store: Store, key: str, hour: Hour, version_id: str) -> Target | None:
    """An older version of the hour file; None where it is gone meanwhile, or a mark of deletion."""
    return _read_twice(store, key, hour, version_id)


def _read_twice(store: Store, key: str, hour: Hour, version_id: str | None = None) -> Target | None:
    """As `_read`; one answer alone is no proof of damage: a proxy may have cut it, and the length that it tells.

    Raises:
        ChangedAnswerError: The answers don't agree, or not with what HEAD says.
    """
    found = _read(store, key, hour, version_id)
    if found is None or found.problem is None:
        return found
    again = _read(store, key, hour, version_id)
    if again is None or again.problem is None:
        return again
    info = None if version_id is not None else store.head(key)
    if (again.etag, again.size) != (found.etag, found.size) or (
        info is not None and (info.etag, info.size) != (again.etag, again.size)
    ):
        raise ChangedAnswerError("GetObject", key, "its size or ETag is another with each answer")
    return again


def _read(store: Store, key: str, hour: Hour, version_id: str | None = None) -> Target | None:
    try:
        download = store.get(key, suffix=TAIL_BYTES, version_id=version_id)
    except NotFoundError:
        return None
    tail, start, info = download.read(), download.start, download.info
    ledger, problem = None, None
    try:
        footer = read_footer(key, tail[-FOOTER_BYTES:], info.size)
        if footer.reading_start < start:
            span = (footer.reading_start, start)
            head = store.get(key, if_match=info.etag, span=span, version_id=version_id).read()
            tail, start = head + tail, footer.reading_start
        ledger = read_ledger(key, footer, tail[footer.reading_start - start :])
        if (ledger.event, ledger.hour) != (hour.event, hour.label):
            whose = f"{shortened(ledger.event)} {shortened(ledger.hour)}"
            raise ForeignTargetError(key, f"it is the hour file of {whose}, moved here")
    except DamagedTargetError as error:
        ledger, problem = None, error
    return Target(
        key=key,
        etag=info.etag,
        size=info.size,
        version_id=info.version_id,
        last_modified=info.last_modified,
        ledger=ledger,
        problem=problem,
        tail=tail,
        tail_start=start,
        is_old=version_id is not None,
    )
