"""Where the rows of an hour file come from: segments that stand, and segments that must be made.

Pure. A full layout depends on the ordered sources and their listed sizes only, so equal sets give equal segments.
An incremental one leaves alone every segment that no change touches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.ledger import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from s3_assets.hour_file.ledger import Held, Ledger
    from s3_assets.hour_file.sources import SourceObject

SEGMENT_BYTES = 1024 * 1024
"""Source objects share a segment until it has this many bytes: costs 0.3% in size against one stream."""

SMALL_SEGMENT_BYTES = 256 * 1024
"""A segment below this is joined with new rows beside it, so that many small arrivals don't leave many crumbs."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The rows of a held source, taken from the hour file as it is.

    Attributes:
        held: Whose.
        segment: Where they are.
        start: First plain byte of them in the segment.
    """

    held: Held
    segment: Segment
    start: int

    @property
    def key(self) -> str:
        """Of the source."""
        return self.held.key

    @property
    def size(self) -> int:
        """Plain bytes."""
        return self.held.raw_length


@dataclass(frozen=True, slots=True)
class Reuse:
    """A segment whose bytes stand."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Make:
    """A segment to be compressed from its members' rows, in order."""

    members: tuple[SourceObject | Carried, ...]

    @property
    def size(self) -> int:
        """Bytes of its members: listed ones of new sources, plain ones of carried."""
        return sum(member.size for member in self.members)


def lay_out(
    ledger: Ledger | None,
    stay: Iterable[Held],
    read: Iterable[SourceObject],
    *,
    keep_segments: bool = True,
    carried: Iterable[Carried] | None = None,
) -> list[Reuse | Make]:
    """The segments of the new hour file's rows, in order.

    Args:
        ledger: Of the hour file as it is.
        stay: Its sources whose rows stay.
        read: Sources whose rows come from the source.
        keep_segments: Whether segments may stand as they are; False where rows must be laid out or checked anew.
        carried: Where the rows that stay are, if not in the segments of `ledger`.
    """
    staying = {held.key for held in stay}
    where = _carried(ledger, staying) if carried is None else (one for one in carried if one.key in staying)
    items: list[SourceObject | Carried] = [*where, *read]
    items.sort(key=lambda item: order_key(item.key))
    intact = set(_intact(items)) if keep_segments else set()
    runs: list[Segment | list[SourceObject | Carried]] = []
    for standing, group in groupby(items, key=lambda item: _offset(item) if _offset(item) in intact else None):
        members = list(group)
        first = members[0]
        runs.append(first.segment if standing is not None and isinstance(first, Carried) else members)
    return [piece for run in _join_small(runs) for piece in _pieces(run)]


def _carried(ledger: Ledger | None, staying: set[str]) -> Iterator[Carried]:
    for segment in () if ledger is None else ledger.segments:
        start = 0
        for held in segment.sources:
            if held.key in staying:
                yield Carried(held, segment, start)
            start += held.raw_length


def _offset(item: SourceObject | Carried) -> int | None:
    return item.segment.offset if isinstance(item, Carried) else None


def _intact(items: Sequence[SourceObject | Carried]) -> Iterator[int]:
    """Offsets of the segments all of whose sources stay, with no other item between them."""
    for offset, group in groupby(items, key=_offset):
        members = list(group)
        first = members[0]
        if offset is not None and isinstance(first, Carried) and len(members) == len(first.segment.sources):
            yield offset


def _join_small(runs: Iterable[Segment | list[SourceObject | Carried]]) -> list[Segment | list[SourceObject | Carried]]:
    """Let each short run of loose members take in the small segments right beside it."""
    joined: list[Segment | list[SourceObject | Carried]] = []
    for run in runs:
        last = joined[-1] if joined else None
        if isinstance(run, Segment):
            if isinstance(last, list) and _is_short(last) and run.raw_length < SMALL_SEGMENT_BYTES:
                last.extend(_members(run))
            else:
                joined.append(run)
            continue
        while isinstance(last, Segment) and _is_short(run) and last.raw_length < SMALL_SEGMENT_BYTES:
            run[:0] = _members(last)
            joined.pop()
            last = joined[-1] if joined else None
        joined.append(run)
    return joined


def _members(segment: Segment) -> Iterator[Carried]:
    start = 0
    for held in segment.sources:
        yield Carried(held, segment, start)
        start += held.raw_length


def _is_short(members: Sequence[SourceObject | Carried]) -> bool:
    return sum(member.size for member in members) < SMALL_SEGMENT_BYTES


def _pieces(run: Segment | list[SourceObject | Carried]) -> Iterator[Reuse | Make]:
    """A standing segment as it is; loose members in groups, a large one by itself."""
    if not isinstance(run, list):
        yield Reuse(run)
        return
    group: list[SourceObject | Carried] = []
    size = 0
    for member in run:
        if group and (size >= SEGMENT_BYTES or member.size >= SEGMENT_BYTES):
            yield Make(tuple(group))
            group, size = [], 0
        group.append(member)
        size += member.size
    if group:
        yield Make(tuple(group))
