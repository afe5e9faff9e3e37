"""One source's stored bytes to header and even rows, or to the reason why not: from its own bytes alone."""

from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.intake import SourceRows, UnusableSourceError, peek_header
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.rows import MAX_ROW_BYTES
from s3_assets_tests.hour_file.examples import cut

DEFAULT, HEADLESS = EventPolicy(), EventPolicy(header=False)
BOM = b"\xef\xbb\xbf"


def take(*chunks: bytes, policy: EventPolicy = DEFAULT) -> tuple[SourceRows, bytes]:
    """The source and all of its rows."""
    source = SourceRows(chunks, policy)
    return source, b"".join(source)


def refused(stored: bytes, policy: EventPolicy = DEFAULT) -> UnusableSourceError:
    """Why it is unusable."""
    with pytest.raises(UnusableSourceError) as caught:
        take(stored, policy=policy)
    assert 0 < len(caught.value.detail) < 1000
    return caught.value


values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
tables = st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(values, min_size=width, max_size=width), max_size=9))


@given(st.data(), tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.booleans())
def test_even_rows_come_out_as_they_went_in(data, table, end, packed, has_header, is_closed):
    """Byte for byte, in any pieces, and the counts say so."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    names = [f"name_{place}" for place in range(len(table[0]) if table else 2)]
    writer.writerows([names, *table] if has_header else table)
    whole = out.getvalue().encode()
    ends_known = len(table) + has_header > 1  # a last row without one gets the end of the others
    stored = whole if is_closed or not ends_known else whole.removesuffix(end.encode())
    policy = EventPolicy() if has_header else HEADLESS
    source, rows = take(*data.draw(cut(gzip.compress(stored) if packed else stored)), policy=policy)
    assert (source.header or b"") + rows == whole
    assert source.rows == len(table)
    assert source.bytes_in == len(stored)
    assert source.bytes_out == len(whole)


@pytest.mark.parametrize(
    "stored, header",
    [
        (b"", None),
        (b"a,b", b"a,b\n"),
        (b"a,b\n", b"a,b\n"),
        (BOM, None),
        (b"\n\n\r\n", None),
        (b"\n\na,b\r\n\n", b"a,b\r\n"),
    ],
)
def test_a_source_may_be_empty_or_only_a_header(stored, header):
    """It gives no rows, and no error; a blank line is no row, also above the header."""
    source, out = take(stored)
    assert (source.header, source.rows, out) == (header, 0, b"")


@pytest.mark.parametrize(
    "stored, header, rows",
    [
        (BOM + BOM + b"id,name\n1,a\n", b"id,name\n", b"1,a\n"),
        (b"id,name\r\r\n2,b\r\r\n3,c\r\r\n", b"id,name\r\n", b"2,b\r\n3,c\r\n"),
        (b"id,name\n1,a\n\n2,b\n\n", b"id,name\n", b"1,a\n2,b\n"),
        (b"id,name\n1\n2,b,\n3,c,,,\n,\n", b"id,name\n", b"1,\n2,b\n3,c\n,\n"),
        (b"id\n1\n\n3\n", b"id\n", b"1\n\n3\n"),
        (b'id,name\n1,"a\n\nb\r"\n', b"id,name\n", b'1,"a\n\nb\r"\n'),
    ],
)
def test_rows_are_made_even(stored, header, rows):
    """Whether they have to be laid out or not: what a source gives depends on nothing but itself."""
    source, out = take(stored)
    assert (source.header, out) == (header, rows)
    assert source.rows == len(list(csv.reader(io.StringIO(rows.decode(), newline=""))))


@pytest.mark.parametrize(
    "stored, reason, rows",
    [
        (b'a\n1\n2\n"3\n4\n', "unclosed quote", 2),
        (b'"a\n1\n', "unclosed quote", 0),
        (gzip.compress(b"a\n1\n", mtime=0)[:-1], "damaged gzip", None),
        ("a\n1\n".encode("utf-16"), "UTF-16", None),
        (b"a,b\r1,2\r", "line ends", None),
        (b"a,b\r1,2\r3,4\n", "line ends", None),
        (b"a,b\n1,x\ry\n", "line ends", None),
        (b"a\n" + b"x" * (MAX_ROW_BYTES + 1), "row too long", None),
        (b"id,name\n1,a\n2,b,c\n", "ragged row", None),
    ],
)
def test_an_unusable_source_says_why(stored, reason, rows):
    """With a short reason, a sentence, and the rows before it where they could be counted."""
    error = refused(stored)
    assert error.reason == reason
    assert error.rows == rows


def test_the_row_with_values_too_many_is_named():
    """So that its producer finds it."""
    assert "row 2 " in refused(b"id,name\n1,a\n2,b,c\n").detail


@pytest.mark.parametrize(
    "stored",
    [b"1,US,web\n2,DE,web\n", b"<html>\n", b'{"a": 1, "b": 2}\n', b"\nno rows selected\n\n", b"id,,x\n1,2,3\n"],
)
def test_a_first_line_that_can_be_no_header_is_not_eaten(stored):
    """The source waits whole, and the reason names the setting that says otherwise."""
    assert "header" in refused(stored).detail
    if not stored.startswith(b"\n"):
        source, out = take(stored, policy=EventPolicy(check_header=False))
        assert (source.header or b"") + out == stored


@pytest.mark.parametrize(
    "stored", [b"US,web\nDE,web\n", b"US,web\nDE,app\nFR,web\n", b"alice,US\n" + b"bob,DE\n" * 9 + b"carol,US\n"]
)
def test_a_last_row_without_a_line_end_judges_the_header_too(stored):
    """The same rows are judged alike, whether the last one ends in a newline or not, and however they come."""
    for body in (stored, stored.removesuffix(b"\n")):
        assert "header = false" in refused(body).detail
    certain = b"a,b\nx,1\n"
    for body in (certain, certain.removesuffix(b"\n")):
        assert take(body)[0].certain
        assert take(*(body[place : place + 1] for place in range(len(body))))[0].certain


class TestPinnedColumns:
    """`columns` says what the first line must be, or names the columns where there is none."""

    POLICY = EventPolicy(columns=("id", "name", "2019"))

    def test_a_header_within_them_is_one(self):
        """Whatever it looks like."""
        source, out = take(b"2019,id\n1,2\n", policy=self.POLICY)
        assert (source.header, out, source.certain) == (b"2019,id\n", b"1,2\n", True)

    @pytest.mark.parametrize("stored", [b"id,other\n1,2\n", b"id,id\n1,2\n", b"1,ann\n"])
    def test_another_first_line_is_none(self, stored):
        """The source is quarantined: from its own bytes and the settings alone."""
        assert refused(stored, self.POLICY).reason == "columns"

    def test_without_header_lines_they_are_the_names(self):
        """And rows have as many fields."""
        policy = EventPolicy(header=False, columns=("id", "name"))
        source, out = take(b"1,ann\n2\n\n", policy=policy)
        assert (source.header, out, source.rows) == (b"id,name\n", b"1,ann\n2,\n", 2)
        assert refused(b"1,ann,x\n", policy).reason == "ragged row"


class TestBounds:
    """What one source may cost, whatever is in it; each refusal names the setting that moves it."""

    @pytest.mark.parametrize("body", [b"a" * 200, b"a" * 200 + b"\n1\n", b'"' + b"\n" * 200 + b'"\n1\n'])
    def test_header_line(self, body):
        """Also one that never ends."""
        error = refused(body, EventPolicy(max_header_bytes=100))
        assert error.reason == "header too long"
        assert "max_header_bytes = 100" in error.detail

    def test_row(self):
        """Quoted or not."""
        policy = EventPolicy(max_row_bytes=100)
        for row in (b"x" * 100, b'"' + b"\n" * 100 + b'"'):
            error = refused(b"id\n" + row + b"\n", policy)
            assert error.reason == "row too long"
            assert "max_row_bytes = 100" in error.detail


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [20, 500, 200_000])
def test_a_header_is_peeked_at(packed, size):
    """From the first bytes of an object, as far as they are at hand."""
    stored = BOM + b"\nid,name\n" + b"1,some\n" * (size // 7)
    stored = gzip.compress(stored) if packed else stored
    assert peek_header(stored, EventPolicy()) == b"id,name\n"
    assert peek_header(stored, HEADLESS) is None
    assert peek_header(stored[:5], EventPolicy()) is None
    assert peek_header(b"id,name", EventPolicy()) is None
