"""The spool: what was appended is read back, in memory and beyond, from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.builder.spool import Spool


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 60))
def test_bytes_are_read_back(pieces, memory_bytes):
    """Wherever they stand, on both sides of the step to disk."""
    with Spool(memory_bytes) as spool:
        places = [spool.append(piece) for piece in pieces]
        assert [spool.read(*place) for place in places] == pieces
        assert b"".join(spool.pieces(0, spool.size)) == b"".join(pieces)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_spool_takes_another_over(first, second):
    """Behind what it holds."""
    with Spool(20) as spool, Spool(20) as other:
        spool.append(first)
        other.append(second)
        assert spool.read(*spool.take_over(other)) == second
        assert spool.read(0, spool.size) == first + second


def test_many_threads_append_side_by_side():
    """Each finds its own bytes where it was told."""
    with Spool(1000) as spool, ThreadPoolExecutor(8) as pool:
        bodies = [bytes([number]) * number for number in range(200)]
        places = list(pool.map(spool.append, bodies))
        assert list(pool.map(lambda place: spool.read(*place), places)) == bodies
        assert spool.size == sum(map(len, bodies))
