"""Row boundaries and fields, against Python's csv module, however the bytes are cut."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.rows import (
    MAX_ROW_BYTES,
    RaggedRowError,
    RowScanner,
    RowTooLongError,
    UnclosedQuoteError,
    _end_before_open_quote,
    column_names,
    first_row_end,
    lay_rows,
    split_fields,
    unquote,
    whole_rows,
)
from s3_assets_tests.hour_file.examples import csv_rows, cut, rows_of

stray = st.text(alphabet='a,"\n', max_size=30).map(str.encode)
"""Text with quotes wherever they are least wanted."""


def rows_by_csv(data: bytes) -> list[list[str]]:
    """What Python's reader makes of it; a blank line is one empty field."""
    return [row or [""] for row in csv.reader(io.StringIO(data.decode("latin-1"), newline=""))]


def rows_by_us(data: bytes) -> list[bytes]:
    """Row by row, each with its end."""
    found = []
    while data:
        end = first_row_end(data)
        assert end
        found.append(data[:end])
        data = data[end:]
    return found


def texts(row: bytes) -> list[str]:
    """The fields of one row, as text."""
    return [unquote(field).decode("latin-1") for field in split_fields(row)]


def fed(pieces: list[bytes]) -> bytes:
    """All that a scanner gives."""
    scanner = RowScanner()
    return b"".join([*(scanner.feed(piece) for piece in pieces), scanner.finish()])


def rows_in(data: bytes) -> int:
    """How many rows are in whole rows."""
    end, rows = whole_rows(data)
    assert end == len(data)
    return rows


# --- boundaries ----------------------------------------------------------------------------------------------


@given(csv_rows)
def test_rows_end_where_python_says(rows):
    """Quotes, doubled quotes, quoted newlines, CRLF, stray quotes in unquoted fields, any bytes."""
    data = b"".join(rows)
    assert rows_by_us(data) == rows
    assert rows_in(data) == len(rows) == len(rows_by_csv(data))
    assert whole_rows(data)[0] == len(data)
    assert [texts(row) for row in rows] == rows_by_csv(data)


@given(stray)
def test_rows_end_where_python_says_in_text_that_breaks_the_rules(text):
    """Text after a closing quote, quotes in the middle of a field: read as Python's reader does."""
    data = text + b"\n"
    if whole_rows(data)[0] != len(data):
        assert len(rows_by_csv(data)) == len(rows_by_csv(data + b"\n\n"))  # in a quoted field to the end
        return
    found = rows_by_us(data)
    assert rows_in(data) == len(found)
    assert [len(split_fields(row)) for row in found] == [len(row) for row in rows_by_csv(data)]


@given(st.data(), csv_rows)
def test_the_cut_of_the_stream_makes_no_difference(data, rows):
    """Whole rows come out whatever the pieces, and every piece that comes out is whole rows."""
    whole = b"".join(rows)
    scanner = RowScanner()
    given_ = [scanner.feed(piece) for piece in data.draw(cut(whole))]
    assert all(whole_rows(piece)[0] == len(piece) for piece in given_)
    assert scanner.finish() == b""
    assert b"".join(given_) == whole
    assert sum(map(rows_in, given_)) == len(rows)


@given(st.data(), stray)
def test_the_cut_makes_no_difference_in_text_that_breaks_the_rules(data, text):
    """The same rows, or the same refusal."""
    try:
        expected = fed([text])
    except UnclosedQuoteError:
        with pytest.raises(UnclosedQuoteError):
            fed(data.draw(cut(text)))
        return
    assert fed(data.draw(cut(text))) == expected


# --- the end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", b""),
        (b"a", b"a\n"),
        (b"a\nb", b"a\nb\n"),
        (b"a\r\nb", b"a\r\nb\r\n"),
        (b"a\r\nb\r", b"a\r\nb\r\n"),
        (b"a\nb\r", b"a\nb\r\n"),
        (b'a\r\nb\n"x\r\ny"', b'a\r\nb\n"x\r\ny"\n'),
        (b"\n", b"\n"),
        (b"a\n\n", b"a\n\n"),
        (b"a\n,", b"a\n,\n"),
    ],
)
def test_a_missing_final_newline_is_added_as_the_rows_before_have_it(data, expected):
    """And nothing else is."""
    assert fed([data]) == expected
    assert fed([data[i : i + 1] for i in range(len(data))]) == expected


@pytest.mark.parametrize(
    "data", [b'"', b'"a', b'a\n"b\n', b'a,"b\nc,d\n', b'"a""', b'"a""\n', b'""""",'[:3], b'a\n"b\r']
)
def test_a_quote_that_is_never_closed_is_an_error(data):
    """At the end, not somewhere in the middle: what is before was whole rows."""
    with pytest.raises(UnclosedQuoteError):
        fed([data])
    with pytest.raises(UnclosedQuoteError):
        fed([data[i : i + 1] for i in range(len(data))])


@given(st.data(), st.lists(st.integers(1, 24), min_size=1, max_size=6))
def test_a_row_is_too_long_by_its_own_length_and_not_by_the_cut(data, lengths):
    """A row of just the limit is taken, one byte more is refused, in any pieces."""
    whole = b"".join(b"x" * (length - 1) + b"\n" for length in lengths)
    scanner = RowScanner(max_row_bytes=16)
    pieces = data.draw(cut(whole))
    if max(lengths) <= 16:
        assert b"".join(map(scanner.feed, pieces)) == whole
        return
    with pytest.raises(RowTooLongError):
        list(map(scanner.feed, pieces))


def test_memory_is_bounded_where_a_quote_is_never_closed():
    """A stream that never ends a row is given up at the limit."""
    scanner = RowScanner()
    taken: list[bytes] = []
    with pytest.raises(RowTooLongError, match=str(MAX_ROW_BYTES)):
        taken.extend(scanner.feed(piece) for piece in [b'"', *[b"\n" * 1024 * 1024] * 40])
    assert b"".join(taken) == b""
    assert len(taken) <= MAX_ROW_BYTES / (1024 * 1024) + 1


@given(st.text(alphabet='a,"\n', max_size=60).map(str.encode))
def test_the_quick_look_at_the_last_newlines_agrees_with_reading_field_by_field(data):
    """Whatever stands in quotes, newlines too; and the rows are those of the part that is whole."""
    end, rows = whole_rows(data)
    assert end == _end_before_open_quote(data)
    assert rows == len(rows_by_us(data[:end]))


def test_many_quotes_take_linear_time():
    """Four megabytes of nothing but quotes and newlines are scanned without backtracking."""
    data = b'"' * 2_000_000 + b'"\n"' * 600_000
    assert whole_rows(data)[0] >= 0
    assert rows_in(b'"","a""b"\n' * 300_000) == 300_000


# --- fields --------------------------------------------------------------------------------------------------


def test_names_are_read_without_their_quotes():
    """Quotes, doubled quotes, commas and newlines in names."""
    assert column_names(b'a,"b","c,d","e""f","g\nh",\r\n') == (b"a", b"b", b"c,d", b'e"f', b"g\nh", b"")


@given(st.data(), st.integers(1, 4), st.integers(0, 8))
def test_laying_out_moves_fields_and_keeps_their_text(data, width, count):
    """Each field's bytes stand in the new column as they stood in the old one, each row keeps its end."""
    rows = data.draw(st.lists(rows_of(width), min_size=count, max_size=count))
    columns = data.draw(st.lists(st.none() | st.integers(0, width - 1), min_size=1, max_size=6))
    laid = rows_by_us(lay_rows(b"".join(rows), width, columns))
    assert len(laid) == len(rows)
    for before, after in zip(rows, laid, strict=True):
        old = split_fields(before)
        assert split_fields(after) == [b"" if column is None else old[column] for column in columns]
        assert after.endswith(b"\r\n") == before.endswith(b"\r\n")


def test_a_short_row_lacks_its_last_columns():
    """Its missing fields are empty under the new header."""
    assert lay_rows(b"1\n1,2\r\n\n", 3, [2, 0, None, 1]) == b",1,,\n,1,,2\r\n,,,\n"


def test_a_row_with_too_many_fields_is_not_laid_out():
    """It would stand under wrong names."""
    with pytest.raises(RaggedRowError, match="3 fields under a header of 2"):
        lay_rows(b'1,2\n1,"2,3",4\n', 2, [1, 0])
