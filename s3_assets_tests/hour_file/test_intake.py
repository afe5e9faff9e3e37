"""One source's stored bytes to header and rows, or to the reason why not."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.rows import MAX_ROW_BYTES
from s3_assets_tests.hour_file.examples import csv_rows, cut


def take(*chunks: bytes, has_header: bool = True) -> tuple[SourceRows, bytes]:
    """The source and all of its rows."""
    source = SourceRows(chunks, has_header=has_header)
    return source, b"".join(source)


@given(st.data(), csv_rows, st.booleans(), st.booleans())
def test_the_first_row_is_the_header_and_the_rest_are_rows(data, rows, packed, has_header):
    """Nothing is lost between stored bytes, header and rows, in any pieces, and the counts say so."""
    whole = b"".join(rows)
    if whole.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x1f\x8b")):
        return
    source, out = take(*data.draw(cut(gzip.compress(whole) if packed else whole)), has_header=has_header)
    header = rows[0] if has_header and rows else None
    assert source.header == header
    assert (header or b"") + out == whole
    assert source.rows == len(rows) - (header is not None)
    assert source.bytes_in == source.bytes_out == len(whole)


@pytest.mark.parametrize(
    "stored, header", [(b"", None), (b"a,b", b"a,b\n"), (b"a,b\n", b"a,b\n"), (b"\xef\xbb\xbf", None)]
)
def test_a_source_may_be_empty_or_only_a_header(stored, header):
    """It gives no rows, and no error."""
    source, out = take(stored)
    assert (source.header, source.rows, out) == (header, 0, b"")


@pytest.mark.parametrize(
    "stored, reason, rows",
    [
        (b'a\n1\n2\n"3\n4\n', "unclosed quote", 2),
        (b'"a\n1\n', "unclosed quote", 0),
        (gzip.compress(b"a\n1\n", mtime=0)[:-1], "damaged gzip", None),
        ("a\n1\n".encode("utf-16"), "UTF-16", None),
        (b"a,b\r1,2\r", "line ends", None),
        (b"a,b\r1,2\r3,4\n", "line ends", None),
        (b"a\n" + b"x" * (MAX_ROW_BYTES + 1), "row too long", None),
    ],
)
def test_an_unusable_source_says_why(stored, reason, rows):
    """With a short reason, a sentence, and the rows before it where they could be counted."""
    with pytest.raises(UnusableSourceError) as caught:
        take(stored)
    assert caught.value.reason == reason
    assert caught.value.detail
    assert caught.value.rows == rows
