"""Stored bytes to CSV bytes: gzip in all its forms, marks, and what is no text. Right bytes or a reason."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.decode import BOMB_FLOOR_BYTES, UndecodableError, plain_csv
from s3_assets_tests.hour_file.examples import cut

CSV = b"".join(b"%d,%d,name %d\n" % (i, i * i % 97, i % 7) for i in range(200))


def plain(*chunks: bytes) -> bytes:
    """All of it."""
    return b"".join(plain_csv(chunks))


def refusal(*chunks: bytes) -> str:
    """The reason for which it is not taken."""
    with pytest.raises(UndecodableError) as caught:
        plain(*chunks)
    return caught.value.reason


@given(st.data(), st.binary(max_size=300).map(lambda data: data.replace(b"\0", b"0")), st.booleans())
def test_bytes_come_out_as_they_went_in(data, raw, packed):
    """Plain or gzip, in any pieces; nothing is decoded."""
    if raw.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        raw = b"x" + raw
    stored = gzip.compress(raw) if packed else raw
    assert plain(*data.draw(cut(stored))) == raw


def test_a_gzip_cut_anywhere_is_refused():
    """At every offset but 0 and 1, where it is no gzip yet."""
    whole = gzip.compress(CSV[:600])
    for length in range(2, len(whole)):
        assert refusal(whole[:length]) == "damaged gzip"
    assert plain(b"") == b""


def test_a_flipped_bit_never_gives_wrong_bytes():
    """Every single bit: a refusal, or the very bytes (a flip in the header's time, or in the last block's padding)."""
    whole = gzip.compress(CSV[:600])
    for bit in range(16, len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(UndecodableError):
            found = plain(bytes(damaged))
            assert found == CSV[:600], bit
            assert bit // 8 < 10 or bit // 8 == len(whole) - 9, bit


@given(st.data(), st.integers(0, 3), st.integers(0, 3))
def test_members_follow_one_another_and_zeros_are_skipped(data, between, after):
    """`cat a.gz b.gz`, padded or not, in any pieces."""
    stored = gzip.compress(CSV) + b"\0" * between + gzip.compress(b"") + gzip.compress(CSV) + b"\0" * after
    assert plain(*data.draw(cut(stored))) == CSV * 2


@given(st.data(), st.sampled_from([b"x", b"\x1f", b"\x1f\x8b", b"\0\0junk", b"\x1f\x8bjunkjunkjunk", CSV]))
def test_junk_after_the_end_is_refused(data, junk):
    """What follows a gzip must be a gzip, in any pieces."""
    assert refusal(*data.draw(cut(gzip.compress(CSV) + junk))) == "damaged gzip"


def test_a_second_member_that_is_cut_is_refused():
    """Nothing of a source is taken unless all of it is right."""
    assert refusal(gzip.compress(CSV) + gzip.compress(CSV)[:-1]) == "damaged gzip"


@pytest.mark.parametrize("flags", ["name", "crc"])
def test_a_gzip_header_may_have_fields(flags):
    """FNAME and FHCRC of RFC 1952."""
    packed = gzip.compress(CSV, mtime=0)
    if flags == "name":
        stored = packed[:3] + b"\x08" + packed[4:10] + b"x.csv\0" + packed[10:]
    else:
        head = packed[:3] + b"\x02" + packed[4:10]
        stored = head + zlib.crc32(head).to_bytes(4, "little")[:2] + packed[10:]
    assert plain(stored) == CSV


def test_a_bomb_is_given_up_early():
    """A gzip that gives too much for its size is refused once it did, not when memory is full."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    million = b"a" * 2**20
    stored = b"".join(squeezed.compress(million) for _ in range(200)) + squeezed.flush()
    given_: list[int] = []
    with pytest.raises(UndecodableError) as caught:
        given_.extend(map(len, plain_csv([stored])))
    assert caught.value.reason == "decompression bomb"
    assert sum(given_) <= BOMB_FLOOR_BYTES


def test_what_compresses_well_and_is_small_is_no_bomb():
    """Repetition alone is no reason."""
    assert plain(gzip.compress(b"0,0,0\n" * 1_000_000)) == b"0,0,0\n" * 1_000_000


@given(st.data(), st.sampled_from([b"", b"a", b"a,b\n1,2\n"]), st.booleans())
def test_a_utf8_byte_order_mark_goes(data, raw, packed):
    """At the start, also a second one, inside a gzip too, in any pieces; elsewhere it is text."""
    stored = b"\xef\xbb\xbf\xef\xbb\xbf" + raw + b".\xef\xbb\xbf"
    assert plain(*data.draw(cut(gzip.compress(stored) if packed else stored))) == raw + b".\xef\xbb\xbf"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "raw, reason",
    [
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + "a,b\n".encode("utf-16-be"), "UTF-16"),
        ("a,b\n".encode("utf-16-le"), "not text"),
        ("a,b\n".encode("utf-16-be"), "not text"),
        ("a,b\n".encode("utf-32"), "UTF-16"),
        (b"PAR1\x00\x00", "not text"),
    ],
)
def test_what_is_no_ascii_compatible_text_is_refused(raw, reason, packed):
    """By its mark or by NUL bytes, byte by byte as well."""
    stored = gzip.compress(raw) if packed else raw
    assert refusal(stored) == reason
    assert refusal(*(stored[i : i + 1] for i in range(len(stored)))) == reason


def test_a_name_says_nothing():
    """One byte of the magic is text; both are a gzip that is none."""
    assert plain(b"\x1f") == b"\x1f"
    assert refusal(b"\x1f\x8b") == "damaged gzip"
