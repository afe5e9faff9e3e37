"""Row boundaries, widths and fields, against Python's csv module and a reader of single bytes, however they are cut."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from s3_assets.hour_file import rows as module
from s3_assets.hour_file.rows import (
    MAX_ROW_BYTES,
    EvenRows,
    LoneReturnError,
    RaggedRowError,
    Rows,
    RowScanner,
    RowTooLongError,
    UnclosedQuoteError,
    column_names,
    first_row_end,
    laid_rows,
    lay_rows,
    split_fields,
    unquote,
    without_quoted,
)
from s3_assets_tests.hour_file.examples import csv_rows, cut, fields, rows_of

MIB = 1024 * 1024
stray = st.text(alphabet='a,"\n\r', max_size=30).map(str.encode)
"""Text with quotes and carriage returns wherever they are least wanted."""

line_ends = st.sampled_from([b"\n", b"\r\n", b"\r\r\n"])
some_fields = fields | st.sampled_from([b"", b'""'])
uneven_rows = st.lists(
    st.tuples(st.lists(some_fields, min_size=1, max_size=5), line_ends).map(lambda row: b",".join(row[0]) + row[1])
    | line_ends,
    max_size=12,
)
"""Rows of any width, blank lines, and every end that a row may have."""


def whole_rows(data: bytes) -> tuple[int, int]:
    """Where the last whole row ends in data that starts at a row's start, and how many rows that is."""
    scanner = RowScanner(len(data))
    return len(scanner.feed(data)), scanner.rows


class Byte:
    """Reads single bytes, as RFC 4180 says: what the module must find, however it does so."""

    def __init__(self) -> None:
        self.rows: list[tuple[list[bytes], bytes]] = []  # fields and line end
        self.lone = False
        self._fields: list[bytes] = []
        self._field = b""
        self._at = "start"

    def feed(self, data: bytes) -> Byte:
        """Take bytes."""
        for byte in (data[index : index + 1] for index in range(len(data))):
            if self._at == "quote":
                self._at = "quoted" if byte == b'"' else "text"
            elif self._at == "quoted":
                self._at = "quote" if byte == b'"' else "quoted"
            elif self._at == "start":
                self._at = "quoted" if byte == b'"' else "text"
            if self._at in ("quoted", "quote") or byte not in (b",", b"\n"):
                self._field += byte
                self._count(byte)
                continue
            self._at = "start"
            if byte == b",":
                self._fields.append(self._field)
                self._returns()
            else:
                text = self._field.rstrip(b"\r")
                end = self._field[len(text) :] + b"\n"
                self._pending = 0
                self._fields.append(text)
                self.rows.append((self._fields, end))
                self._fields = []
            self._field = b""
        return self

    _pending = 0  # carriage returns outside of quotes that only a line feed may follow

    def _count(self, byte: bytes) -> None:
        if byte == b"\r" and self._at == "text":
            self._pending += 1
        else:
            self._returns()

    def _returns(self) -> None:
        self.lone = self.lone or self._pending > 0
        self._pending = 0

    @property
    def open(self) -> bool:
        """In a quoted field."""
        return self._at == "quoted"


def evened(data: bytes, width: int | None) -> list[bytes] | str:
    """What `EvenRows` must give of whole rows, row by row, or the error."""
    read = Byte().feed(data).rows
    first = next((fields for fields, _ in read if fields != [b""]), [])  # of blank lines alone none is a row
    blank_is_row = len(first) == 1 if width is None else width == 1
    given_: list[bytes] = []
    for found, end in read:
        if found == [b""] and not blank_is_row:
            continue
        if Byte().feed(b",".join(found) + b"x\n").lone or (b"\r" in found[-1] and not found[-1].startswith(b'"')):
            return f"LoneReturnError row {len(given_) + 1} "
        row = list(found)
        if width is not None:
            row += [b""] * (width - len(row))
            if any(field not in (b"", b'""') for field in row[width:]):
                return f"RaggedRowError row {len(given_) + 1} has {len(found)} fields under a header of {width}"
            row = row[:width]
        given_.append(b",".join(row) + (b"\n" if end == b"\n" else b"\r\n"))
    return given_


def even(pieces: list[bytes], width: int | None) -> tuple[bytes, int] | str:
    """What the scanner and `EvenRows` make of a stream together: bytes and count, or the error."""
    scanner, rows = RowScanner(), EvenRows(width)
    try:
        out = [rows.feed(scanner.take(piece)) for piece in pieces]
        out.append(rows.feed(scanner.finish()))
    except (RaggedRowError, LoneReturnError) as error:
        return f"{type(error).__name__} {error}"
    return b"".join(out), rows.rows


def same(found: tuple[bytes, int] | str, expected: list[bytes] | str) -> bool:
    """Whether they are the same rows, or the same error."""
    if isinstance(found, str) or isinstance(expected, str):
        return isinstance(found, str) and isinstance(expected, str) and found.startswith(expected)
    return found == (b"".join(expected), len(expected))


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


def slices(data: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.fixture(params=[1, 3, 7, module._BLOCK_BYTES])
def block_bytes(request, monkeypatch):
    """Blocks so small that the text of any test has edges of blocks in it."""
    monkeypatch.setattr(module, "_BLOCK_BYTES", request.param)
    return request.param


# --- boundaries ----------------------------------------------------------------------------------------------


@given(csv_rows)
def test_rows_end_where_python_says(rows):
    """Quotes, doubled quotes, quoted newlines, CRLF, stray quotes in unquoted fields, any bytes."""
    data = b"".join(rows)
    assert rows_by_us(data) == rows
    assert rows_in(data) == len(rows) == len(rows_by_csv(data))
    assert [texts(row) for row in rows] == rows_by_csv(data)


@given(st.text(alphabet='a,"\n', max_size=30).map(str.encode))
def test_rows_end_where_python_says_in_text_that_breaks_the_rules(text):
    """Text after a closing quote, quotes in the middle of a field: read as Python's reader does."""
    data = text + b"\n"
    if whole_rows(data)[0] != len(data):
        assert len(rows_by_csv(data)) == len(rows_by_csv(data + b"\n\n"))  # in a quoted field to the end
        return
    found = rows_by_us(data)
    assert rows_in(data) == len(found)
    assert [len(split_fields(row)) for row in found] == [len(row) for row in rows_by_csv(data)]


@given(stray, st.integers(1, 8))
@example(b'a\n"\n', 2)
@example(b'""a"\n', 3)
def test_rows_are_those_of_a_reader_of_single_bytes(text, size):
    """In pieces of any size, each piece of whole rows with its outline; so is the state at the end."""
    expected = Byte().feed(text)
    scanner = RowScanner()
    found = [scanner.take(piece) for piece in slices(text, size)]
    data = b"".join(b",".join(fields) + end for fields, end in expected.rows)
    assert b"".join(rows.data for rows in found) == data
    assert [rows.outline for rows in found] == [without_quoted(rows.data) for rows in found]
    assert sum(rows.outline.count(b"\n") for rows in found) == len(expected.rows)
    if expected.open:
        with pytest.raises(UnclosedQuoteError):
            scanner.finish()
    else:
        assert scanner.finish().rstrip(b"\r\n") == text[len(data) :].rstrip(b"\r\n")


@pytest.mark.usefixtures("block_bytes")
def test_the_edges_of_blocks_make_no_difference():
    """Quotes, doubled quotes and line feeds on either side of any edge."""
    for text in (
        '"a""b"\n,"\n"\n',
        'a"b""\n""\n"""\n',
        '"\n\n\n""\n',
        '",\n",\n"x"y"\n",\n',
        '\n\n"",""a\n"',
        'x\n"""\n""',
    ):
        for start in range(len(text)):
            data = text[start:].encode()
            expected = Byte().feed(data)
            whole = b"".join(b",".join(fields) + end for fields, end in expected.rows)
            assert whole_rows(data) == (len(whole), len(expected.rows)), data
            split = [field for row, _ in Rows.of(whole).each() for field in split_fields(row)]
            assert split == [field for fields, _ in expected.rows for field in fields], data


@given(st.data(), csv_rows)
def test_the_cut_of_the_stream_makes_no_difference(data, rows):
    """Whole rows come out whatever the pieces, and every piece that comes out is whole rows."""
    whole = b"".join(rows)
    scanner = RowScanner()
    given_ = [scanner.feed(piece) for piece in data.draw(cut(whole))]
    assert all(whole_rows(piece)[0] == len(piece) for piece in given_)
    assert scanner.finish() == b""
    assert b"".join(given_) == whole
    assert sum(map(rows_in, given_)) == scanner.rows == len(rows)


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


@given(st.data(), csv_rows)
def test_rows_are_counted_as_they_are_given(data, rows):
    """With and without keeping them."""
    whole = b"".join(rows)
    scanner = RowScanner()
    for piece in data.draw(cut(whole)):
        scanner.count(piece)
    assert (scanner.finish(), scanner.rows) == (b"", len(rows))


@given(csv_rows)
def test_the_first_row_can_be_split_off(rows):
    """It and the others, each with its outline."""
    assume(rows)
    first, others = Rows.of(b"".join(rows)).split_first()
    assert first == rows[0]
    assert others == Rows.of(b"".join(rows[1:]))
    assert [row for row, _ in others.each()] == rows[1:]
    assert [outline for _, outline in others.each()] == list(map(without_quoted, rows[1:]))


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
        (b'a\n"b"', b'a\n"b"\n'),
        (b"\n", b"\n"),
        (b"a\n\n", b"a\n\n"),
        (b"a\n,", b"a\n,\n"),
    ],
)
def test_a_missing_final_newline_is_added_as_the_rows_before_have_it(data, expected):
    """And nothing else is."""
    assert fed([data]) == expected
    assert fed(slices(data, 1)) == expected


@pytest.mark.parametrize(
    "data", [b'"', b'"a', b'a\n"b\n', b'a,"b\nc,d\n', b'"a""', b'"a""\n', b'""""",'[:3], b'a\n"b\r']
)
def test_a_quote_that_is_never_closed_is_an_error(data):
    """At the end, not somewhere in the middle: what is before was whole rows."""
    with pytest.raises(UnclosedQuoteError):
        fed([data])
    with pytest.raises(UnclosedQuoteError):
        fed(slices(data, 1))


@given(st.data(), st.lists(st.integers(1, 24), min_size=1, max_size=6), st.booleans())
def test_a_row_is_too_long_by_its_own_length_and_not_by_the_cut(data, lengths, quoted):
    """A row of just the limit is taken, one byte more is refused, in any pieces; line feeds in quotes end none."""
    rows = [b"x" * (length - 1) + b"\n" for length in lengths]
    if quoted:
        rows = [b'"' + b"\n" * (len(row) - 3) + b'"\n' if len(row) > 2 else row for row in rows]
    whole = b"".join(rows)
    scanner = RowScanner(max_row_bytes=16)
    pieces = data.draw(cut(whole))
    if max(lengths) <= 16:
        assert b"".join(map(scanner.feed, pieces)) == whole
        return
    with pytest.raises(RowTooLongError):
        list(map(scanner.feed, pieces))


# --- even rows -----------------------------------------------------------------------------------------------


@given(st.data(), uneven_rows, st.none() | st.integers(1, 4))
def test_rows_come_out_even_or_are_refused_however_they_are_cut(data, rows, width):
    """Padded, cut off, dropped and refused as a reader of single bytes says; the counts say so, too."""
    whole = b"".join(rows)
    expected = evened(whole, width)
    assert same(even(data.draw(cut(whole)), width), expected)
    assert same(even([whole], width), expected)


@given(st.data(), stray, st.none() | st.integers(1, 3))
def test_any_text_comes_out_even_or_is_refused_however_it_is_cut(data, text, width):
    """Also where quotes and carriage returns break the rules."""
    text += b"\n"
    assume(not Byte().feed(text).open)
    assert same(even(data.draw(cut(text)), width), evened(text, width))


@given(uneven_rows, st.integers(2, 4))
def test_python_reads_the_same_values_in_even_rows(rows, width):
    """Each row has its values, and empty ones up to the width of its header."""
    whole = re.sub(rb"\r+\n", b"\r\n", b"".join(rows))
    found = even([whole], width)
    assume(not isinstance(found, str))
    values = [row for row in csv.reader(io.StringIO(whole.decode("latin-1"), newline="")) if row]
    expected = [(row + [""] * width)[:width] for row in values]
    assert list(csv.reader(io.StringIO(found[0].decode("latin-1"), newline=""))) == expected
    assert found[1] == len(expected)
    assert all(not any(row[width:]) for row in values)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_even_rows_are_given_back_as_they_are(end):
    """The very same object: the usual case copies nothing."""
    data = (b'1,2,"x\n,\r"' + end) * 1000 + b"1,,3" + end
    for piece in (data, data.replace(b'"x\n,\r"', b"x")):
        rows = EvenRows(3)
        assert rows.feed(Rows.of(piece)) == piece
        assert rows.rows == 1001
        given_ = Rows.of(piece)
        assert [found is given_.data for found in EvenRows(3).pieces(given_)] == [True]


@pytest.mark.parametrize(
    "data, width, expected",
    [
        (b"1\n1,\n1,2\n", 3, b"1,,\n1,,\n1,2,\n"),
        (b'1,2,,""\r\n"1,"\r\n', 2, b'1,2\r\n"1,",\r\n'),
        (b'1,"x"",""",""\n', 2, b'1,"x"","""\n'),
        (b"1,2,\n3,4,\n", 2, b"1,2\n3,4\n"),
        (b"\n1,2\n\r\n\n3,4\n\n", 2, b"1,2\n3,4\n"),
        (b'\n""\n\r\r\n', 2, b'"",\n'),
        (b"\n1\n\r\n", 1, b"\n1\n\r\n"),
        (b"1,2\r\r\n3,4\r\r\r\n", 2, b"1,2\r\n3,4\r\n"),
        (b'"\r",2\n"\r\r\n",3\n', 2, b'"\r",2\n"\r\r\n",3\n'),
        (b"\n\r\n1\n\n2,3\n", None, b"\n\r\n1\n\n2,3\n"),
        (b"\n\r\n1,2\n\n2\n", None, b"1,2\n2\n"),
        (b"\n\r\r\n", None, b""),
    ],
)
def test_rows_are_made_even(data, width, expected):
    """At their ends, and nothing is changed within a field."""
    assert even([data], width) == (expected, rows_in(expected))
    assert even(slices(data, 1), width) == (expected, rows_in(expected))


@pytest.mark.parametrize(
    "data, width, error",
    [
        (b"1,2\n\n1,2,3\n", 2, "RaggedRowError row 2 has 3 fields under a header of 2"),
        (b"1,2, \n", 2, "RaggedRowError row 1 has 3 fields under a header of 2"),
        (b'1,2,,"x"\n', 2, "RaggedRowError row 1 has 4 fields under a header of 2"),
        (b'1,2,"x"""\n', 2, "RaggedRowError row 1 has 3 fields under a header of 2"),
        (b'1,2,""x\n', 2, "RaggedRowError row 1 has 3 fields under a header of 2"),
        (b"1,2\n3,4\r5,6\n", 2, "LoneReturnError row 2 "),
        (b"1,2\r\n3,\r4\r\n", 2, "LoneReturnError row 2 "),
        (b"1\r2\n", None, "LoneReturnError row 1 "),
        (b"1\n\r2\n", 1, "LoneReturnError row 2 "),
    ],
)
def test_what_can_not_be_made_even_is_refused_with_its_row(data, width, error):
    """Values that would be lost or stand under the wrong name, and row ends that readers disagree about."""
    for pieces in ([data], slices(data, 1)):
        found = even(pieces, width)
        assert isinstance(found, str)
        assert found.startswith(error)


def test_no_empty_piece_is_given():
    """Where all that came was blank lines."""
    assert list(EvenRows(2).pieces(b"\n\r\n\n")) == []


def test_blank_lines_are_not_held_back_without_end():
    """Where no row says what they are."""
    rows = EvenRows(None)
    rows.feed(b"\n" * MAX_ROW_BYTES)
    with pytest.raises(RowTooLongError, match="blank lines"):
        rows.feed(b"\n")


# --- fields --------------------------------------------------------------------------------------------------


def test_names_are_read_without_their_quotes():
    """Quotes, doubled quotes, commas and newlines in names."""
    assert column_names(b'a,"b","c,d","e""f","g\nh",\r\n') == (b"a", b"b", b"c,d", b'e"f', b"g\nh", b"")


@given(st.lists(fields, min_size=1, max_size=5))
def test_a_row_is_split_into_its_fields(row):
    """As they stand."""
    assert split_fields(b",".join(row) + b"\r\n") == row


# --- laying out ----------------------------------------------------------------------------------------------

layouts = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.just(width),
        st.lists(st.none() | st.integers(0, width - 1), min_size=1, max_size=6)
        | st.integers(0, 3).map(lambda added: [*range(width), *[None] * added]),
    )
)
"""A width, and columns: any, or new ones behind the old ones."""


@given(st.data(), layouts, st.integers(0, 8), st.sampled_from([None, b"\n", b"\r\n"]))
def test_laying_out_moves_fields_and_keeps_their_text(data, layout, count, end):
    """Each field's bytes stand in the new column as they stood in the old one, each row keeps its end."""
    width, columns = layout
    rows = data.draw(st.lists(rows_of(width), min_size=count, max_size=count))
    rows = [row if end is None else row.rstrip(b"\r\n") + end for row in rows]
    laid = rows_by_us(lay_rows(b"".join(rows), width, columns))
    if width > 1:
        assert len(laid) == len(rows)
    for before, after in zip(rows, laid, strict=True):
        old = split_fields(before)
        assert split_fields(after) == [b"" if column is None else old[column] for column in columns]
        assert after.endswith(b"\r\n") == before.endswith(b"\r\n")


@given(uneven_rows, layouts, st.integers(0, 12))
def test_rows_of_any_width_are_laid_out_row_by_row(rows, layout, at):
    """Short ones lack columns, empty fields too many go, a blank line stays; wherever the rows are cut."""
    width, columns = layout
    expected = []
    for found, end in Byte().feed(b"".join(rows)).rows:
        row = found + [b""] * (width - len(found))
        if any(field not in (b"", b'""') for field in row[width:]):
            expected = None
            break
        laid = b",".join(b"" if column is None else row[column] for column in columns)
        expected.append((b"" if found == [b""] and width > 1 else laid) + end)
    whole = b"".join(rows)
    if expected is None:
        with pytest.raises(RaggedRowError, match="under a header of"):
            lay_rows(whole, width, columns)
        return
    assert lay_rows(whole, width, columns) == b"".join(expected)
    assert b"".join(lay_rows(b"".join(part), width, columns) for part in (rows[:at], rows[at:])) == b"".join(expected)


@given(uneven_rows, st.permutations("abcdef"), st.integers(1, 4))
def test_python_reads_the_same_values_by_name(rows, header, width):
    """Row by row, under the names of the old columns in the new header; new names are empty."""
    whole = re.sub(rb"\r+\n", b"\r\n", b"".join(rows))
    old = "abcd"[:width]
    try:
        laid = lay_rows(whole, width, [old.index(name) if name in old else None for name in header])
    except RaggedRowError:
        return
    after = rows_by_csv(laid)
    for before, values in zip(rows_by_csv(whole), after, strict=True):
        if before == [""] and width > 1:
            assert values in ([""], [""] * len(header))
            continue
        named = dict(zip(header, values, strict=True))
        assert [named[name] for name in old] == (before + [""] * width)[:width]
        assert not any(value for name, value in named.items() if name not in old)


def test_a_short_row_lacks_its_last_columns():
    """Its missing fields are empty under the new header; a blank line stays blank, as it was counted."""
    assert lay_rows(b"1\n1,2\r\n\n", 3, [2, 0, None, 1]) == b",1,,\n,1,,2\r\n\n"
    assert lay_rows(b"1\n\r\n", 1, [None, 0]) == b",1\n,\r\n"
    assert lay_rows(b"1\n\r\n", 1, [0, None]) == b"1,\n,\r\n"


@pytest.mark.parametrize("columns", [[1, 0], [0, 1, None]])
def test_a_row_with_too_many_values_is_not_laid_out(columns):
    """It would stand under wrong names."""
    with pytest.raises(RaggedRowError, match="row 2 has 3 fields under a header of 2"):
        lay_rows(b'1,2\n1,"2,3",4\n', 2, columns)
    assert lay_rows(b'1,2,,""\n', 2, columns) == lay_rows(b"1,2\n", 2, columns)


# --- bounds --------------------------------------------------------------------------------------------------

HOSTILE = {
    "separators in quotes": b'",\n"' * (MIB // 8),
    "commas": b"," * (2 * MIB) + b"\n",
    "quoted newlines": b'"' + b"\n" * (2 * MIB) + b'"\n',
    "tiny quoted fields": b'"a",' * (MIB // 2) + b"\n",
    "tiny quoted newlines": b'"\n",' * (MIB // 8) + b"\n",
    "newlines": b"\n" * (2 * MIB),
    "empty quoted rows": b'""\n' * (MIB // 16),
    "open quoted rows": b'"\n' * (MIB // 16),
    "quotes": b'"' * (2 * MIB) + b"\n",
    "doubled quotes": b'"' + b'""' * MIB + b'"\n',
    "stray quotes": b'a"' * MIB + b"\n",
    "returns": b"\r" * (2 * MIB) + b"\n",
    "uneven rows": b"a\n,b\n" * (MIB // 32),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("size", [64 * 1024, 1 << 30])
def test_memory_is_in_proportion_to_the_piece_whatever_is_in_it(data, size):
    """No object for each field or row; what came is given on, or refused for one of the reasons that there are."""
    pieces = slices(data, size)
    tracemalloc.start()
    scanner, rows = RowScanner(), EvenRows(3)
    try:
        for piece in pieces:
            for found in rows.pieces(scanner.take(piece)):
                for _ in laid_rows(Rows.of(found), 3, [2, 0, 1]):
                    pass
        rows.feed(scanner.finish())
    except (RaggedRowError, UnclosedQuoteError):
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 6 * len(data) + 4 * MIB


def test_rows_that_grow_are_given_on_in_pieces():
    """A piece of short rows under a wide header may become a thousand times as long."""
    data = b"a\n" * 4000 + b"b,\n"
    pieces = list(EvenRows(1001).pieces(data))
    assert b"".join(pieces) == b"".join(row + b"," * 999 + b"\n" for row in [b"a,"] * 4000 + [b"b,"])
    assert max(map(len, pieces)) < 2 * MIB
    laid = list(laid_rows(Rows.of(data[:-3]), 1, [0, *[None] * 1000]))
    assert b"".join(laid) == (b"a" + b"," * 1000 + b"\n") * 4000
    assert max(map(len, laid)) < 2 * MIB


@pytest.mark.parametrize("unit", [b'",\n"', b'"a",', b",", b'a"', b"\n"], ids=repr)
def test_an_open_row_is_not_looked_at_again_with_each_piece(monkeypatch, unit):
    """Work is counted, as a clock would depend on the machine: all that is looked at is what came."""
    looked: list[int] = []
    outline = module._outline

    def counting(block, at):
        looked.append(len(block))
        return outline(block, at)

    monkeypatch.setattr(module, "_outline", counting)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 256)
    data = b'"x"' + unit * (40_000 // len(unit))
    scanner = RowScanner()
    for piece in slices(data, 1000):
        scanner.feed(piece)
    assert sum(looked) <= len(data)
    assert len(looked) <= 2 * len(data) // 256 + 2 * len(data) // 1000 + 2 or unit == b"\n"


def test_memory_is_bounded_where_a_quote_is_never_closed():
    """A stream that never ends a row is given up at the limit."""
    scanner = RowScanner()
    taken: list[bytes] = []
    with pytest.raises(RowTooLongError, match=str(MAX_ROW_BYTES)):
        taken.extend(scanner.feed(piece) for piece in [b'"', *[b"\n" * MIB] * 40])
    assert b"".join(taken) == b""
    assert len(taken) <= MAX_ROW_BYTES / MIB + 1
