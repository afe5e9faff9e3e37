"""Segments: cut, reorder and join as bytes; equal bytes for equal rows; damage never passes."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.segments import (
    CODECS,
    COMPRESS_PIECE_BYTES,
    FLUSH_MARK,
    GZIP_HEADER,
    LAST_BLOCK,
    TRAILER_BYTES,
    DamagedSegmentError,
    SegmentEncoder,
    combine_crc32,
    crc32,
    inflate,
    trailer,
)
from s3_assets_tests.hour_file.examples import cut

codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
_chance = random.Random(7)
CSV = b"".join(
    b'%d,%s,"%d, %d",%d\n' % (i, _chance.choice([b"alpha", b"beta"]), i % 9, i % 11, _chance.randrange(9999))
    for i in range(110_000)
)
"""More than two pieces of what a compressor gets at once."""


def segment(codec, *pieces: bytes) -> bytes:
    """The segment of `pieces`."""
    encoder = SegmentEncoder(codec)
    packed = b"".join([*(encoder.feed(piece) for piece in pieces), encoder.finish()])
    raw = b"".join(pieces)
    assert (encoder.raw_length, encoder.crc) == (len(raw), zlib.crc32(raw))
    return packed


def plain(packed: list[bytes], raw: bytes) -> bytes:
    """The segment inflated, checked against `raw`."""
    return b"".join(inflate(packed, raw_length=len(raw), crc=zlib.crc32(raw)))


@codecs
@given(st.data(), st.binary(max_size=2000))
def test_a_segment_gives_its_bytes_back(codec, data, raw):
    """However it was fed and however it is read."""
    packed = segment(codec, *data.draw(cut(raw)))
    assert plain(data.draw(cut(packed)), raw) == raw


@codecs
def test_equal_rows_give_equal_bytes_however_they_were_cut(codec):
    """What ISA-L and zlib-ng give depends on how their input is cut: the encoder hides it."""
    assert len(CSV) > 2 * COMPRESS_PIECE_BYTES
    expected = segment(codec, CSV)
    chance = random.Random(1)
    for size in (1_000, 65_536, 100_001, COMPRESS_PIECE_BYTES - 1, COMPRESS_PIECE_BYTES):
        assert segment(codec, *(CSV[i : i + size] for i in range(0, len(CSV), size))) == expected
    ends = sorted(chance.randrange(len(CSV)) for _ in range(30))
    cuts = [CSV[start:stop] for start, stop in zip([0, *ends], [*ends, len(CSV)], strict=True)]
    assert segment(codec, *cuts) == expected


@codecs
def test_a_large_segment_is_inflated_in_bounded_pieces(codec):
    """From one piece of input and from many."""
    packed = segment(codec, CSV)
    for size in (len(packed), 4096):
        pieces = list(
            inflate(
                (packed[i : i + size] for i in range(0, len(packed), size)), raw_length=len(CSV), crc=zlib.crc32(CSV)
            )
        )
        assert b"".join(pieces) == CSV
        assert max(map(len, pieces)) <= 1024 * 1024


@given(st.lists(st.tuples(st.sampled_from(list(CODECS)), st.binary(max_size=400)), max_size=6), st.randoms())
def test_segments_stand_in_any_order_in_one_gzip(drawn, chance):
    """They refer to nothing before them: joined in any order, of any codecs, they are the joined bytes."""
    chance.shuffle(drawn)
    raw = b"".join(data for _, data in drawn)
    body = b"".join(segment(CODECS[name], data) for name, data in drawn)
    crc = combine_crc32((crc32(data), len(data)) for _, data in drawn)
    whole = GZIP_HEADER + body + trailer(crc, len(raw))
    assert gzip.decompress(whole) == raw
    assert zlib.decompress(whole, 31) == raw


@codecs
@given(st.binary(max_size=300))
def test_a_segment_ends_in_a_full_flush(codec, raw):
    """Byte-aligned and without a last block, an empty one too."""
    packed = segment(codec, raw)
    assert packed.endswith(FLUSH_MARK)
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(packed) == raw
    assert not inflater.eof


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_checksums_combine(pieces):
    """The CRC-32 of the whole comes from those of its pieces."""
    assert combine_crc32((zlib.crc32(piece), len(piece)) for piece in pieces) == zlib.crc32(b"".join(pieces))


@codecs
def test_no_damage_passes(codec):
    """Every cut and every flipped bit: an error, or the right bytes, and never the last bytes before the check."""
    raw = CSV[:700]
    packed = segment(codec, raw)
    cuts = [packed[:length] for length in range(len(packed) - len(FLUSH_MARK))]
    flips = [
        packed[:at] + bytes([packed[at] ^ 1 << bit]) + packed[at + 1 :] for at in range(len(packed)) for bit in range(8)
    ]
    refused = 0
    for damaged in [*cuts, *flips]:
        try:
            assert plain([damaged], raw) == raw
        except DamagedSegmentError:
            refused += 1
    assert refused >= len(cuts) + len(flips) - 8 * len(FLUSH_MARK) - 8


def test_wrong_records_are_refused():
    """More bytes, fewer bytes, another CRC, a last block inside: the record and the bytes must agree."""
    raw = CSV[:500]
    packed = segment(CODECS["default"], raw)
    wrong = [
        ([packed, packed], len(raw), zlib.crc32(raw)),
        ([packed], len(raw) - 1, zlib.crc32(raw[:-1])),
        ([packed], len(raw) + 1, zlib.crc32(raw)),
        ([packed], len(raw), zlib.crc32(raw) ^ 1),
        ([], len(raw), zlib.crc32(raw)),
        ([packed + LAST_BLOCK], len(raw), zlib.crc32(raw)),
    ]
    for chunks, raw_length, crc in wrong:
        with pytest.raises(DamagedSegmentError):
            list(inflate(chunks, raw_length=raw_length, crc=crc))


def test_a_segment_that_gives_too_much_is_given_up_early():
    """A record of few bytes bounds what is inflated."""
    packed = segment(CODECS["default"], b"a" * 50_000_000)
    given_: list[bytes] = []
    with pytest.raises(DamagedSegmentError):
        given_.extend(inflate([packed], raw_length=10, crc=0))
    assert given_ == []


def test_every_file_begins_with_the_same_ten_bytes():
    """No time, no name, no system in the header (RFC 1952 2.3): equal rows give equal files on any day and host."""
    assert GZIP_HEADER.hex() == "1f8b08" + "00" + "00000000" + "00" + "ff"
    assert len(trailer(0, 0)) == TRAILER_BYTES


def test_isize_is_modulo_4_gib():
    """RFC 1952 2.3.1: larger hour files are legal."""
    assert trailer(1, (1 << 32) + 5) == trailer(1, 5)
