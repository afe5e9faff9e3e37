"""How pieces become parts: the same bytes, parts that S3 takes, few bytes through the client."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.splice import CopyPart, New, Old, PutPart, joined, part_plan

MIN, PUT, COPY = 50, 80, 500

kinds = st.lists(st.tuples(st.booleans(), st.integers(0, 1200) | st.integers(0, 60), st.integers(0, 3)), max_size=12)


def pieces_of(drawn: list[tuple[bool, int, int]]) -> list[Old | New]:
    """Pieces that follow one another in their files, with gaps in the old one."""
    old = new = 0
    pieces: list[Old | New] = []
    for is_old, size, gap in drawn:
        if is_old:
            old += gap
            pieces.append(Old(old, old + size))
            old += size
        else:
            pieces.append(New(new, new + size))
            new += size
    return pieces


def bytes_of(pieces: list[Old | New]) -> list[tuple[type, int]]:
    """Each byte by its origin."""
    return [(type(piece), at) for piece in pieces for at in range(piece.start, piece.stop)]


@given(kinds)
def test_parts_are_the_same_bytes_and_legal(drawn):
    """In order, none lost or doubled; all but the last have the least size; none is empty or much too large."""
    pieces = pieces_of(drawn)
    parts = part_plan(pieces, min_part=MIN, put_part=PUT, copy_part=COPY)
    flat = [p for part in parts for p in ([part.old] if isinstance(part, CopyPart) else part.pieces)]
    assert bytes_of(flat) == bytes_of(pieces)
    part_sizes = [part.old.size if isinstance(part, CopyPart) else part.size for part in parts]
    assert all(size >= MIN for size in part_sizes[:-1])
    assert all(part_sizes)
    assert all(part.size <= PUT for part in parts if isinstance(part, PutPart))
    assert all(part.old.size <= COPY for part in parts if isinstance(part, CopyPart))


@given(kinds)
def test_at_most_one_part_is_downloaded_at_each_gap(drawn):
    """A range of the old file is copied but for what the new bytes before it lack; a small one passes through."""
    pieces = joined(pieces_of(drawn))
    parts = part_plan(pieces, min_part=MIN, put_part=PUT, copy_part=COPY)
    down = sum(p.size for part in parts if isinstance(part, PutPart) for p in part.pieces if isinstance(p, Old))
    allowed = sum(min(piece.size, 2 * MIN) for piece in pieces if isinstance(piece, Old))
    assert down <= allowed
    if pieces and all(isinstance(piece, Old) and piece.size >= MIN for piece in pieces):
        assert down == 0


def test_new_bytes_at_the_end_download_nothing():
    """The last part may be small."""
    parts = part_plan([Old(0, 10_000), New(0, 3)], min_part=MIN, put_part=PUT, copy_part=COPY)
    assert [type(part) for part in parts] == [CopyPart] * 20 + [PutPart]


def test_new_bytes_in_the_middle_take_one_part_along():
    """Just what they lack."""
    parts = part_plan([Old(0, 400), New(0, 3), Old(400, 800), New(3, 9)], min_part=MIN, put_part=PUT, copy_part=COPY)
    assert parts == [
        CopyPart(Old(0, 400)),
        PutPart((New(0, 3), Old(400, 447))),
        CopyPart(Old(447, 800)),
        PutPart((New(3, 9),)),
    ]


def test_a_short_range_after_the_new_bytes_is_copied_too():
    """The range before gives what they lack."""
    parts = part_plan([Old(0, 400), New(0, 3), Old(400, 480), New(3, 9)], min_part=MIN, put_part=PUT, copy_part=COPY)
    assert parts == [
        CopyPart(Old(0, 353)),
        PutPart((Old(353, 400), New(0, 3))),
        CopyPart(Old(400, 480)),
        PutPart((New(3, 9),)),
    ]


@given(kinds)
def test_joining_keeps_the_bytes(drawn):
    """Neighbours become one, empty ones go."""
    pieces = pieces_of(drawn)
    result = joined(pieces)
    assert bytes_of(result) == bytes_of(pieces)
    assert all(piece.size for piece in result)
    for one, two in itertools.pairwise(result):
        assert type(one) is not type(two) or one.stop != two.start
