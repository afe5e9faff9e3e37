"""Rows of a source against its rows in the hour file: by name, by another reader than the builder's."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from itertools import chain

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3_assets.audit.content import CsvRows, LoneReturnError, UnreadableRowsError, columns_of
from s3_assets.audit.values import Compared, Verdict, compare_source
from s3_assets.hour_file.policy import EventPolicy

# What makes a source unusable is the builder's to say, and others' to test: any first line is a header here.
ANY_HEADER = EventPolicy(check_header=False)
NO_HEADER = EventPolicy(header=False)


def compare(
    source: bytes,
    header: bytes | None,
    rows: bytes,
    *,
    policy: EventPolicy = ANY_HEADER,
    by_values: bool | None = None,
    piece: int = 1 << 20,
) -> Compared:
    """As the audit does it: bytes first, values where these differ; or one of both, where asked for."""
    columns = None if header is None else columns_of(header)

    def once(*, by_values: bool) -> Compared:
        stored = (source[at : at + piece] for at in range(0, len(source), piece))
        held = CsvRows(rows[at : at + piece] for at in range(0, len(rows), piece))
        return compare_source(stored, held, columns, policy, by_values=by_values)

    found = once(by_values=bool(by_values))
    return once(by_values=True) if found.verdict is Verdict.BY_VALUES and by_values is None else found


SAME = {
    "as it is": (b"a,b\n1,2\n", b"a,b\n", b"1,2\n"),
    "a missing final newline": (b"a,b\n1,2", b"a,b\n", b"1,2\n"),
    "a missing final CRLF": (b"a,b\r\n1,2\r\n3,4", b"a,b\r\n", b"1,2\r\n3,4\r\n"),
    "other columns, in another order": (b"b,a\n2,1\n", b"a,x,b\n", b"1,,2\n"),
    "a short row": (b"a,b,c\n1,2\n", b"a,b,c\n", b"1,2,\n"),
    "a short row as it is": (b"a,b,c\n1,2\n", b"a,b,c\n", b"1,2\n"),
    "a short row, laid out": (b"b,a\n2\n", b"a,b,c\n", b",2,\n"),
    "empty fields too many, cut": (b"a,b\n1,2,,\n", b"a,b\n", b"1,2\n"),
    "empty fields too many, kept": (b"a,b\n1,2,,\n", b"a,b\n", b"1,2,,\n"),
    "empty fields too many, laid out": (b"b,a\n2,1,,\n", b"a,b,c\n", b"1,2,\n"),
    "blank lines dropped": (b"\n\r\na,b\n\n1,2\n\r\n3,4\n\n", b"a,b\n", b"1,2\n3,4\n"),
    "blank lines of an old hour file": (b"a,b\n\n1,2\n\n", b"a,b\n", b"\n1,2\n\n"),
    "a blank line under one column": (b"a\n\n1\n", b"a\n", b"\n1\n"),
    "a blank line of one column, laid out": (b"a\n\n1\n", b"a,b\n", b",\n1,\n"),
    "a blank line of one column, quoted": (b"a\n\n1\n", b"a\n", b'""\n1\n'),
    "a byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", b"a,b\n", b"1,2\n"),
    "two of them": (b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2\n", b"a,b\n", b"1,2\n"),
    "CR CR LF": (b"a,b\r\r\n1,2\r\r\n3,4\r\r\n", b"a,b\r\n", b"1,2\r\n3,4\r\n"),
    "quotes, commas and newlines in a field": (b'a,b\n"x,""y""\n\nz",2\n', b"b,a,c\n", b'2,"x,""y""\n\nz",\n'),
    "text after a closing quote": (b'b,a\n"1"x,2"3\n', b"a,b\n", b'2"3,"1"x\n'),
    "a quoted name": (b'"a, first",b\n1,2\n', b'b,"a, first"\n', b"2,1\n"),
    "names in Latin-1": (b"stra\xdfe,b\n\xe4,\xff\n", b"b,stra\xdfe\n", b"\xff,\xe4\n"),
    "a column named twice, in both": (b"a,a\n1,2\n", b"a,a\n", b"1,2\n"),
    "gzip": (gzip.compress(b"b,a\n2,1\n"), b"a,b\n", b"1,2\n"),
    "no rows": (b"a,b\n", b"x,y\n", b""),
    "no bytes": (b"", b"x,y\n", b""),
    "only blank lines": (b"\n\r\n", b"x,y\n", b""),
}


@pytest.mark.parametrize("source, header, rows", SAME.values(), ids=SAME)
@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_what_loses_nothing_is_no_difference(source, header, rows, piece):
    """However both are cut into pieces, and by values as well as by bytes."""
    assert compare(source, header, rows, piece=piece).verdict is Verdict.SAME
    assert compare(source, header, rows, piece=piece, by_values=True).verdict is Verdict.SAME


DIFFERENT = {
    "a value": (b"a,b\n1,2\n", b"a,b\n", b"1,3\n", "row 1: another value stands under 'b'"),
    "a blank": (b"a,b\n1,2\n", b"a,b\n", b"1,2 \n", "row 1: another value stands under 'b'"),
    "the wrong column": (b"a,b\n1,2\n", b"a,b,c\n", b"1,,2\n", "row 1: another value stands under 'b'"),
    "swapped columns": (b"a,b\n1,2\n", b"b,a\n", b"1,2\n", "row 1: another value stands under 'b'"),
    "a value of no source": (b"a,b\n1,2\n", b"a,b,c\n", b"1,2,\n1,2,\n", "1 rows at the source, 2 in the hour file"),
    "under another name": (b"a,b\n1,2\n3,4\n", b"a,b,c\n", b"1,2,\n3,4,5\n", "row 2: another value stands under 'c'"),
    "a row less": (b"a,b\n1,2\n3,4\n5,6\n", b"a,b\n", b"1,2\n3,4\n", "3 rows at the source, 2 in the hour file"),
    "a blank row of one column less": (b"a\n1\n\n", b"a\n", b"1\n", "2 rows at the source, 1 in the hour file"),
    "a blank row of one column more": (b"a\n1\n", b"a\n", b"1\n\n", "1 rows at the source, 2 in the hour file"),
    "a blank line made a row": (b"a,b\n\n1,2\n", b"b,a\n", b",\n2,1\n", "row 1: another value stands under 'b'"),
    "a header that was a row": (b"1,2\n3,4\n", b"a,b\n", b"1,2\n3,4\n", "the hour file has no column '1'"),
    "an eaten first row": (b"a,b\n1,2\n3,4\n", b"a,b\n", b"3,4\n", "row 1: another value stands under 'a'"),
    "a value too many": (b"b,a\n2,1,9\n", b"a,b,c\n", b"1,2,9\n", "row 1: it has 3 values at the source, under 2"),
    "a value too many, lost": (b"a,b\n1,2,9\n", b"a,b\n", b"1,2\n", "row 1: a value behind its 2 columns differs"),
    "a name twice": (b"a,a,b\n1,2,3\n", b"a,b\n", b"2,3\n", "the source names column 'a' twice"),
    "a name twice in the hour file": (b"a,b\n1,2\n", b"a,b,b\n", b"1,2,2\n", "the hour file names column 'b' twice"),
    "no header": (b"a,b\n1,2\n", None, b"1,2\n", "the hour file has no header"),
    "a row in place of none": (b"a,b\n", b"a,b\n", b"1,2\n", "0 rows at the source, 1 in the hour file"),
    "a row of an empty source": (b"", b"a,b\n", b"1,2\n", "no row at the source, 1 in the hour file"),
    "an open quote": (b'a,b\n1,"2\n', b"a,b\n", b'1,"2"\n', None),
    "a lone CR": (b"a,b\n1,2\n3\r,4\n", b"b,a\n", b"2,1\n4,3\r\n", None),
}


@pytest.mark.parametrize("source, header, rows, what", DIFFERENT.values(), ids=DIFFERENT)
@pytest.mark.parametrize("piece", [2, 1 << 20])
def test_what_is_lost_or_moved_is_a_difference(source, header, rows, what, piece):
    """It says which row and column, never the value. What the builder would refuse is reported as that."""
    found = compare(source, header, rows, piece=piece)
    if what is None:
        assert found.unusable is not None or found.verdict is Verdict.DIFFERENT
    else:
        assert (found.verdict, found.what[: len(what)]) == (Verdict.DIFFERENT, what)


def test_rows_without_header_are_compared_by_position():
    """A blank line is a row only where the first row has one field."""
    same = [
        (b"1,2\n3,4", b"1,2\n3,4\n"),
        (b"\n1,2\n\n3,4\n\n", b"1,2\n3,4\n"),
        (b"\n1\n\n2\n", b"\n1\n\n2\n"),
        (b"1,2\n3,4,5\n", b"1,2,\n3,4,5\n"),
    ]
    for source, rows in same:
        assert compare(source, None, rows, policy=NO_HEADER).verdict is Verdict.SAME
        assert compare(source, None, rows, policy=NO_HEADER, by_values=True).verdict is Verdict.SAME
    for source, rows in ((b"1,2\n", b"2,1\n"), (b"\n1\n", b"1\n"), (b"1,2\n1,2\n", b"1,2\n"), (b"", b"1\n")):
        assert compare(source, None, rows, policy=NO_HEADER).verdict is Verdict.DIFFERENT


def test_equal_bytes_under_equal_names_are_not_parsed_and_others_are_looked_at_again():
    """Only the second look compares values."""
    assert compare(b"a,b\n1,2\n", b"a,b\n", b"1,2\n", by_values=False).verdict is Verdict.SAME
    assert compare(b'"a",b\n1,2\n', b"a,b\n", b"1,2\n", by_values=False).verdict is Verdict.SAME
    assert compare(b'a,b\n"1",2\n', b"a,b\n", b"1,2\n", by_values=False).verdict is Verdict.BY_VALUES
    assert compare(b"a,b\n1,2\n3", b"a,b\n", b"1,2\n3,\n", by_values=False).verdict is Verdict.BY_VALUES
    assert compare(b"a\n1\n\n", b"a\n", b"1\n", by_values=False).verdict is Verdict.BY_VALUES
    assert compare(b"a,b\n1,2\n\n\n", b"a,b\n", b"1,2\n", by_values=False).verdict is Verdict.SAME


def test_a_source_that_would_be_quarantined_today_is_named_with_the_reason():
    """Whether or not its bytes are those of the hour file."""
    found = compare(b'a,b\n1,2\n3,"4\n', b"a,b\n", b'1,2\n3,"4\n', by_values=False)
    assert found.unusable is not None
    assert found.unusable.kind == "unclosed quote"
    cut = gzip.compress(b"a,b\n" + b"1,2\n" * 9)[:-4]
    found = compare(cut, b"a,b\n", b"1,2\n" * 9)
    assert found.unusable is not None
    assert found.unusable.kind == "damaged gzip"


names = st.lists(
    st.text(alphabet=st.sampled_from('abcxyz_,"\n é'), min_size=1, max_size=4).filter(str.strip),
    min_size=2,
    max_size=6,
    unique=True,
)
values = st.text(alphabet=st.sampled_from('ab1,"\n\r é'), max_size=5)


def written(rows: list[list[str]], quoting: int, end: str) -> bytes:
    """By Python's csv writer."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue().encode("latin-1")


@given(
    data=st.data(),
    columns=names,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    piece=st.sampled_from([1, 7, 1 << 20]),
)
def test_rows_laid_out_by_name_are_no_difference_and_a_moved_value_is_one(data, columns, quoting, end, piece):
    """Random tables, random supersets of their columns in any order, and either side quoted in its own way."""
    own = data.draw(st.permutations(columns).flatmap(lambda all_: st.integers(2, len(all_)).map(lambda n: all_[:n])))
    rows = data.draw(st.lists(st.lists(values, min_size=len(own), max_size=len(own)), min_size=1, max_size=6))
    assume(quoting or "\\r" not in str(rows))  # Python 3.11 writes a CR without quotes
    source = written([own, *rows], quoting, end)
    laid = [[dict(zip(own, row, strict=True)).get(name, "") for name in columns] for row in rows]
    header = written([columns], csv.QUOTE_MINIMAL, "\n")
    found = compare(source, header, written(laid, csv.QUOTE_ALL, "\n"), piece=piece)
    assert found.verdict is Verdict.SAME, found

    row, one, other = (data.draw(st.integers(0, size - 1)) for size in (len(rows), len(columns), len(columns)))
    assume(laid[row][one] != laid[row][other])
    laid[row][one], laid[row][other] = laid[row][other], laid[row][one]
    found = compare(source, header, written(laid, csv.QUOTE_ALL, "\n"), piece=piece)
    assert found.verdict is Verdict.DIFFERENT
    assert found.what.startswith(f"row {row + 1}: another value stands under ")


@given(rows=st.lists(st.lists(values, min_size=1, max_size=3), max_size=8), quoting=st.sampled_from([0, 1]))
def test_rows_are_counted_as_csv_counts_them(rows, quoting):
    """Also by the short way, where there are no quotes."""
    assume(quoting or "\\r" not in str(rows))
    data = written(rows, quoting, "\n")
    expected = list(csv.reader(io.StringIO(data.decode("latin-1"), newline="")))
    counted = CsvRows([data])
    counted.count()
    assert (counted.rows, counted.blank) == (sum(map(bool, expected)), expected.count([]))


def test_blank_lines_are_counted_apart_with_and_without_quotes():
    """They are rows only where there is one column."""
    for data in (b"\n1\n\n2\r\n\r\n\r\r\n3", b'\n"1"\n\n2\r\n\r\n\r\r\n3'):
        counted = CsvRows([data])
        counted.count()
        assert (counted.rows, counted.blank, counted.is_cut) == (3, 4, True)


def test_a_lone_return_is_an_error_only_outside_quotes():
    """With and without quotes elsewhere."""
    for data in (b"1\r2\n", b'"x"\n1\r2\n'):
        with pytest.raises(LoneReturnError):
            CsvRows([data]).count()
    counted = CsvRows([b'"1\r2"\n'])
    counted.count()
    assert counted.rows == 1


@pytest.mark.parametrize(
    "first, piece", [(b"x", b"x" * 4096), (b'"', b"\n" * 4096), (b"", b'"\n",' * 1024)], ids=["line", "field", "fields"]
)
def test_a_row_without_end_is_given_up_in_bounded_memory(first, piece):
    """One line, one quoted field, or one row of many fields over many lines: 64 MiB of it."""
    rows = CsvRows(chain([first], (piece for _ in range(16_384))), most_row_bytes=1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableRowsError):
            rows.count()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
