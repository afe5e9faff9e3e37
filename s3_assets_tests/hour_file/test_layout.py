"""Which segments stand and which are made: nothing lost or doubled, equal sets alike, few crumbs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.layout import (
    SEGMENT_BYTES,
    SMALL_SEGMENT_BYTES,
    Carried,
    Make,
    Reuse,
    lay_out,
)
from s3_assets.hour_file.ledger import Held, Ledger, Segment
from s3_assets.hour_file.sources import SourceObject

KB = 1024
sizes = st.sampled_from(
    [0, 1, 50 * KB, SMALL_SEGMENT_BYTES - 1, SMALL_SEGMENT_BYTES, SEGMENT_BYTES - 1, SEGMENT_BYTES, 3 * SEGMENT_BYTES]
)
source_sets = st.dictionaries(st.integers(0, 40), sizes, max_size=14)


def key(number: int) -> str:
    """In the order of its number."""
    return f"e/2021-09-01/07_00_file_{number}.csv"


def sources(drawn: dict[int, int]) -> list[SourceObject]:
    """As listed."""
    return [SourceObject(key(number), "x", size) for number, size in drawn.items()]


def carried_out(pieces: list[Reuse | Make]) -> Ledger:
    """The ledger after the segments were made."""
    position, segments = 10, []
    for piece in pieces:
        members = piece.segment.sources if isinstance(piece, Reuse) else piece.members
        held = tuple(
            m
            if isinstance(m, Held)
            else m.held
            if isinstance(m, Carried)
            else Held(m.key, m.etag, m.size, None, 1, m.size, None)
            for m in members
        )
        raw = sum(h.raw_length for h in held)
        segments.append(Segment(position, raw + 5, 0, raw, 0, held))
        position += raw + 5
    return Ledger("e", "2021-09-01-07:00", None, (), tuple(segments), ())


def keys_of(pieces: list[Reuse | Make]) -> list[str]:
    """In the order of the file."""
    return [m.key for p in pieces for m in (p.segment.sources if isinstance(p, Reuse) else p.members)]


@given(source_sets, st.randoms())
def test_a_full_layout_is_of_the_set_alone(drawn, chance):
    """In key order, nothing lost or doubled, segments of about the wanted size, whatever the order of the listing."""
    listed = sources(drawn)
    pieces = lay_out(None, [], listed)
    chance.shuffle(listed)
    assert lay_out(None, [], listed) == pieces
    assert keys_of(pieces) == sorted((key(number) for number in drawn), key=order_key)
    for piece in pieces:
        assert isinstance(piece, Make)
        assert sum(member.size for member in piece.members[:-1]) < SEGMENT_BYTES
        if piece.members[-1].size >= SEGMENT_BYTES:
            assert len(piece.members) == 1


@given(source_sets, source_sets, st.sets(st.integers(0, 40)), st.booleans())
def test_a_change_touches_only_what_it_must(first, second, leaving, keep_segments):
    """Nothing lost or doubled; what is carried is whole; a segment that nothing touches and that is large stands."""
    before = carried_out(lay_out(None, [], sources(first)))
    leaving = {key(number) for number in leaving} | {key(number) for number in second}
    stay = [held for held in before.held if held.key not in leaving]
    pieces = lay_out(before, stay, sources(second), keep_segments=keep_segments)
    assert keys_of(pieces) == sorted({h.key for h in stay} | {key(n) for n in second}, key=order_key)
    for piece in pieces:
        if isinstance(piece, Reuse):
            assert keep_segments
            assert piece.segment in before.segments
            continue
        for member in piece.members:
            if isinstance(member, Carried):
                index = member.segment.sources.index(member.held)
                assert member.start == sum(held.raw_length for held in member.segment.sources[:index])
    if not keep_segments:
        return
    standing = {piece.segment for piece in pieces if isinstance(piece, Reuse)}
    order = keys_of(pieces)
    for segment in before.segments:
        names = [held.key for held in segment.sources]
        if leaving.isdisjoint(names) and segment.raw_length >= SMALL_SEGMENT_BYTES:
            at = order.index(names[0])
            assert (segment in standing) == (order[at : at + len(names)] == names)


@given(source_sets)
def test_equal_sets_are_left_alone(drawn):
    """All segments stand."""
    before = carried_out(lay_out(None, [], sources(drawn)))
    assert all(isinstance(piece, Reuse) for piece in lay_out(before, before.held, []))


def test_many_small_arrivals_leave_few_segments():
    """One by one they join the small segment beside them, until that is large enough."""
    ledger: Ledger | None = None
    for number in range(400):
        held = () if ledger is None else ledger.held
        pieces = lay_out(ledger, held, sources({number: 10 * KB}))
        assert sum(piece.size for piece in pieces if isinstance(piece, Make)) <= SMALL_SEGMENT_BYTES + 10 * KB
        ledger = carried_out(pieces)
    assert ledger is not None
    assert len(ledger.held) == 400
    assert len(ledger.segments) <= 400 * 10 * KB // SMALL_SEGMENT_BYTES + 1


def test_a_large_source_has_a_segment_of_its_own():
    """So that its neighbours can change without it."""
    pieces = lay_out(None, [], sources({1: 5 * KB, 2: 2 * SEGMENT_BYTES, 3: 5 * KB}))
    assert [len(piece.members) for piece in pieces if isinstance(piece, Make)] == [1, 1, 1]
