"""What a rebuild can save of rows whose sources are gone, out of any version of the hour file that has them.

Sources that are still there are read again by a rebuild; only those that are gone need this. Each is taken from the
newest version in which the segment with its rows inflates to what that version's ledger says. Nothing is written here.
That is for hour files that are damaged, and for rows that stood once and were evicted: by the first version of this
package, which judged sources by their neighbours.

The invariant: rows that were in the newest readable version are carried over, or named.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from s3_assets.builder.assemble import Stock
from s3_assets.builder.target import Target, read_version
from s3_assets.errors import AccessDeniedError, DamagedTargetError, NotFoundError
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.layout import Carried
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.hour_file.mending import ACCEPT_LOST_ROWS, REBUILD, sync_command
from s3_assets.hour_file.segments import GZIP_HEADER, DamagedSegmentError, inflate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.store.contract import Download, Store

MOST_VERSIONS = 200
"""So many versions are looked at: each costs a GET, and an hour that has more was rewritten for other reasons."""

NAMED_LOST = 20
"""How many sources whose rows are lost an error names; the rest is counted."""

ROWS_LOST = "rows lost"
"""Why a source that is gone is named in the ledger of an hour that was rebuilt without its rows."""

logger = logging.getLogger(__name__)


class LostRowsError(DamagedTargetError):
    """Rows of sources that are gone can be read in no version of the hour file: nothing was written."""

    def __init__(self, key: str, hour: Hour, lost: Sequence[Held]) -> None:
        """Name the target's `key`, and the sources whose rows are `lost`."""
        self.lost = tuple(lost)
        named = ", ".join(repr(held.key) for held in lost[:NAMED_LOST])
        more = f" and {len(lost) - NAMED_LOST} more" if len(lost) > NAMED_LOST else ""
        rows = sum(held.rows for held in lost)
        super().__init__(
            key,
            f"the {rows} rows of {len(lost)} sources that are gone can be read in no version of it: {named}{more}",
        )
        self.hint = (
            f"put the sources back, or go on without these rows: `{sync_command(hour, REBUILD, ACCEPT_LOST_ROWS)}`"
        )


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be saved.

    Attributes:
        stock: To be carried over.
        versions: How many versions it comes from, beside the one that stands.
        lost: What could not be, in key order.
        evicted: Sources whose rows had left before, and stand in no version: the ledger goes on naming them.
    """

    stock: Stock
    versions: int
    lost: tuple[Held, ...]
    evicted: tuple[Quarantined, ...] = ()

    def said(self) -> str:
        """In words, for the reason of a plan."""
        rows = 0 if self.stock.ledger is None else self.stock.ledger.rows
        kept = f"{rows} rows of sources that are gone were saved, out of {self.versions} older versions"
        return f"{kept}, and {sum(held.rows for held in self.lost)} were not" if self.lost else kept

    def named(self, *, given_up: bool) -> tuple[Quarantined, ...]:
        """What is lost, as the new ledger is to name it: without an ETag, so that it is read if it comes back.

        What had left before is named once more, unless it is `given_up`.
        """
        detail = "the hour file was damaged, and the source is gone: its rows could be read in no version"
        lost = [Quarantined(held.key, "", held.size, ROWS_LOST, detail, held.rows, alone=False) for held in self.lost]
        return tuple(lost) if given_up else (*self.evicted, *lost)


def salvage(pipeline: Pipeline, hour: Hour, target: Target | None, listed: Collection[str]) -> Salvage | None:
    """What can be saved of rows whose sources are not in `listed`; None where nothing is known of such rows.

    Args:
        pipeline: Where.
        hour: Which.
        target: The hour file that stands, damaged in whatever way; None where there is none.
        listed: Keys of the sources that are there.

    Raises:
        PreconditionFailedError: The hour file was replaced meanwhile.
        StoreError: What the store raises.
    """
    wanted: dict[str, Held | Quarantined] | None = None
    if pipeline.policy(hour.event).on_vanished == "drop":
        return None
    collected = _Collected()
    newest: Ledger | None = None
    for version in _readable(pipeline, hour, target):
        ledger = version.ledger
        if ledger is None:
            continue
        if wanted is None:
            if target is None and ledger.settings.get("on_vanished") == "drop":
                return None  # it was removed because its sources went
            newest = ledger
            wanted = {held.key: held for held in ledger.held if held.key not in listed}
            wanted |= {bad.key: bad for bad in evicted(ledger, listed)}
        collected.take(pipeline.target, version, wanted)
        if not wanted:
            break
    if newest is None or wanted is None:
        return None
    left = sorted(wanted.values(), key=lambda one: order_key(one.key))
    unread = [bad for bad in newest.quarantined if not (bad.alone or bad.rows) and bad.etag and bad.key not in listed]
    return Salvage(
        collected.stock(newest),
        collected.old_versions,
        lost=tuple(one for one in left if isinstance(one, Held)),
        evicted=(*unread, *(one for one in left if isinstance(one, Quarantined))),
    )


def evicted(ledger: Ledger, listed: Collection[str]) -> Iterator[Quarantined]:
    """Sources that are gone, and whose rows could have stood, and did not: an older version may have them."""
    return (bad for bad in ledger.quarantined if not bad.alone and bad.rows and bad.etag and bad.key not in listed)


def _readable(pipeline: Pipeline, hour: Hour, target: Target | None) -> Iterator[Target]:
    """The hour file that stands, and then its older versions, newest first, as far as their ledgers can be read."""
    key = pipeline.target_key(hour)
    if target is not None and target.ledger is not None:
        yield target
    try:
        for version in islice(pipeline.target.list_versions(key), MOST_VERSIONS):
            version_id = version.info.version_id
            stands = target is not None and version.info.etag == target.etag and version_id == target.version_id
            if version.is_deleted or version_id is None or stands:
                continue
            old = read_version(pipeline.target, key, hour, version_id)
            if old is not None and old.ledger is not None:
                yield old
    except AccessDeniedError as error:
        logger.warning("the older versions of %s can't be looked at: %s", hour, error.describe())


class _Collected:
    """Rows found so far, in a space of addresses in which the files of all versions follow one another."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._files: list[Target] = []
        self._end = 0
        self._carried: list[Carried] = []
        self._headers: dict[bytes, int] = {}
        self._laid: dict[str, bytes | None] = {}

    @property
    def old_versions(self) -> int:
        return sum(file.is_old for file in self._files)

    def take(self, store: Store, version: Target, wanted: dict[str, Held | Quarantined]) -> None:
        """Take what is wanted and stands intact in `version`, and cross it off."""
        ledger = version.ledger
        if ledger is None:
            return
        took = False
        for segment in ledger.segments:
            if any(_is_wanted(held, wanted) for held in segment.sources) and is_intact(store, version, segment):
                self._take_segment(ledger, segment, wanted)
                took = True
        if took:
            self._starts.append(self._end)
            self._files.append(version)
            self._end += version.size

    def _take_segment(self, ledger: Ledger, segment: Segment, wanted: dict[str, Held | Quarantined]) -> None:
        moved = replace(segment, offset=self._end + segment.offset)
        start = 0
        for held in segment.sources:
            if _is_wanted(held, wanted):
                header = None
                if held.header is not None:
                    header = self._headers.setdefault(ledger.headers[held.header], len(self._headers))
                self._carried.append(Carried(replace(held, header=header), moved, start))
                self._laid[held.key] = ledger.header
                del wanted[held.key]
            start += held.raw_length

    def stock(self, newest: Ledger) -> Stock:
        """All of it, as if it were one hour file with the settings of the newest."""
        held = sorted((carried.held for carried in self._carried), key=lambda held: order_key(held.key))
        made_up = Segment(len(GZIP_HEADER), 1, 0, sum(source.raw_length for source in held), 0, tuple(held))
        ledger = replace(newest, headers=tuple(self._headers), segments=(made_up,) if held else (), quarantined=())
        patchwork = Patchwork(tuple(self._starts), tuple(self._files), "" if not self._files else self._files[0].key)
        return Stock(ledger, patchwork, keep_segments=False, carried=tuple(self._carried), laid=self._laid)


def _is_wanted(held: Held, wanted: dict[str, Held | Quarantined]) -> bool:
    other = wanted.get(held.key)
    return other is not None and (other.etag, other.size) == (held.etag, held.size)


def is_intact(store: Store, version: Target, segment: Segment) -> bool:
    """Whether the segment inflates to what its record says."""
    try:
        for _ in inflate(
            version.open(store, segment.offset, segment.stop), raw_length=segment.raw_length, crc=segment.crc
        ):
            pass
    except DamagedSegmentError:
        return False
    except NotFoundError:
        if not version.is_old:
            raise
        return False  # a lifecycle rule was faster
    return True


@dataclass(frozen=True, slots=True)
class Patchwork:
    """Several versions of an hour file, read as if they were one.

    Attributes:
        starts: Where each begins, in rising order,
        files: and which it is.
        key: Whole key of the hour file.
    """

    starts: tuple[int, ...]
    files: tuple[Target, ...]
    key: str

    @property
    def tail_start(self) -> int:
        """Nothing is at hand."""
        return (self.starts[-1] + self.files[-1].size) if self.files else 0

    def read(self, store: Store, start: int, stop: int) -> bytes:
        """Bytes `[start, stop)`, of one of them."""
        base, file = self._find(start)
        return file.read(store, start - base, stop - base)

    def open(self, store: Store, start: int, stop: int) -> Download:
        """The same as a download."""
        base, file = self._find(start)
        return file.open(store, start - base, stop - base)

    def _find(self, start: int) -> tuple[int, Target]:
        place = bisect_right(self.starts, start) - 1
        return self.starts[place], self.files[place]
