"""What carrying out a plan will take: requests and bytes, by the same arithmetic that the builder then does.

Nothing is read or written here. How well new rows compress is guessed; all else follows from the plan and the ledger.
Not here: looking at an hour, which whoever planned has just done; and what only reading can tell, such as sources that
turn out to be unusable or to have other columns, whose neighbours are then read again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from s3_assets.builder.commit import COPY_PART_BYTES, PUT_PART_BYTES, WHOLE_PUT_BYTES
from s3_assets.hour_file.layout import Carried, Make, Reuse, lay_out
from s3_assets.hour_file.ledger import FOOTER_BYTES
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.segments import GZIP_HEADER, TRAILER_BYTES
from s3_assets.hour_file.splice import CopyPart, New, Old, joined, part_plan
from s3_assets.store.contract import MAX_PARTS, MIN_PART_BYTES
from s3_assets.store.metered import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from s3_assets.builder.target import Target
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.hour_file.sources import SourceObject
    from s3_assets.hour_file.splice import Piece

GUESSED_SHARE = 0.25
"""Compressed bytes of a plain one, where no hour file shows it: of event CSV, zlib-ng level 7."""

GUESSED_LEDGER_BYTES = 26
"""Of one source in a ledger, where no hour file shows it: 104 KB for 4,000 sources were measured."""

GUESSED_HEADER_BYTES = 100
"""Of the segment with the header row."""


def expected_traffic(plan: Plan, target: Target | None, policy: EventPolicy, *, rebuild: bool = False) -> Traffic:
    """The requests and bytes that a build makes to carry out `plan`, at both stores together.

    Args:
        plan: For one hour.
        target: Its hour file as it was seen; None where there is none.
        policy: The event's.
        rebuild: Whether a rebuild was asked for, so that no segment stands. What is saved out of older versions
            is left out.
    """
    if plan.verdict is Verdict.REMOVE:
        return Traffic({"delete": 1}, 0, 0, 0)
    if not plan.writes:
        return Traffic({}, 0, 0, 0)
    ledger = None if target is None else target.ledger
    layout = lay_out(ledger, plan.stay, plan.read, keep_segments=not rebuild)
    count = _Count(0 if target is None else target.tail_start)
    for source in plan.read:
        count.read(source.size)
    for make in layout:
        if isinstance(make, Make):
            for carried in _segments_read(make.members):
                count.read_target(carried.segment.offset, carried.segment.length)
    count.commit(joined(_pieces(layout, plan, target, policy)))
    return Traffic(count.requests, count.down, count.up, count.copied)


class _Count:
    """Adds up; `tail_start` is from where on the hour file is at hand."""

    def __init__(self, tail_start: int) -> None:
        self.tail_start = tail_start
        self.requests: Counter[str] = Counter()
        self.down = self.up = self.copied = 0

    def read(self, size: int) -> None:
        self.requests["get"] += 1
        self.down += size

    def read_target(self, start: int, size: int) -> None:
        if start < self.tail_start:
            self.read(size)

    def send(self, kind: str, pieces: Iterable[Piece]) -> None:
        """One request whose body is `pieces`, those of the standing hour file read before."""
        self.requests[kind] += 1
        for piece in pieces:
            self.up += piece.size
            if isinstance(piece, Old):
                self.read_target(piece.start, piece.size)

    def commit(self, pieces: Sequence[Piece]) -> None:
        """As `builder.commit` does."""
        size = sum(piece.size for piece in pieces)
        if size <= WHOLE_PUT_BYTES:
            self.send("put", pieces)
            return
        scale = max(1, -(-size // (PUT_PART_BYTES * MAX_PARTS // 2)))
        self.requests.update(list_uploads=1, start_upload=1, complete=1)
        for part in part_plan(
            pieces, min_part=MIN_PART_BYTES, put_part=PUT_PART_BYTES * scale, copy_part=COPY_PART_BYTES * scale
        ):
            if isinstance(part, CopyPart):
                self.requests["copy_part"] += 1
                self.copied += part.old.size
            else:
                self.send("put_part", part.pieces)


def _segments_read(members: Iterable[SourceObject | Carried]) -> Iterator[Carried]:
    """Of the carried members of one new segment, the first out of each old segment: it is read once, and whole."""
    last = None
    for member in members:
        if isinstance(member, Carried):
            if member.segment is not last:
                yield member
            last = member.segment


def _pieces(layout: Sequence[Reuse | Make], plan: Plan, target: Target | None, policy: EventPolicy) -> list[Old | New]:
    """The new hour file, in order: what stands, and what is new with its guessed size."""
    ledger = None if target is None else target.ledger
    share = _share(ledger)
    spooled = 0

    def new(size: float) -> New:
        nonlocal spooled
        spooled += round(size)
        return New(spooled - round(size), spooled)

    pieces: list[Old | New] = [new(len(GZIP_HEADER))]
    if policy.header:
        stands = ledger is not None and ledger.header is not None and any(isinstance(one, Reuse) for one in layout)
        old = ledger.segments[0] if stands and ledger is not None else None
        pieces.append(new(GUESSED_HEADER_BYTES) if old is None else Old(old.offset, old.stop))
    for one in layout:
        if isinstance(one, Reuse):
            pieces.append(Old(one.segment.offset, one.segment.stop))
        else:
            pieces.append(new(sum(_packed(member, share) for member in one.members)))
    if len(pieces) > 1 and isinstance(pieces[1], Old) and pieces[1].start == len(GZIP_HEADER):
        pieces[0] = Old(0, len(GZIP_HEADER))
    known = len(plan.stay) + len(plan.read) + len(plan.unusable)
    return [*pieces, new(TRAILER_BYTES + known * _ledger_bytes(target, ledger) + FOOTER_BYTES)]


def _share(ledger: Ledger | None) -> float:
    """Compressed bytes of a plain one, as the hour file shows it."""
    if ledger is None or not ledger.raw_length:
        return GUESSED_SHARE
    return sum(segment.length for segment in ledger.segments) / ledger.raw_length


def _packed(member: SourceObject | Carried, share: float) -> float:
    """Compressed bytes of a member: one that is stored as gzip is about as large as it is."""
    return member.size if not isinstance(member, Carried) and member.key.endswith(".gz") else member.size * share


def _ledger_bytes(target: Target | None, ledger: Ledger | None) -> float:
    """Bytes of one source in the ledger."""
    if target is None or ledger is None:
        return GUESSED_LEDGER_BYTES
    return (target.size - ledger.data_length) / max(1, len(ledger.held) + len(ledger.quarantined))
