"""Which first lines are headers: corpora of real ones and of real junk, and what must hold for any bytes."""

from __future__ import annotations

import csv
import io
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.headers import SAMPLE_BYTES, Header, NoHeaderError, read_header
from s3_assets.hour_file.rows import first_row_end
from s3_assets_tests.hour_file.junk import HEADERS, JUNK, TURNED_AWAY

LINE_BYTES = 256 * 1024
"""The longest line that a caller hands over."""


def read(file: str | bytes) -> Header:
    """A file's header, all the rest of it as the sample."""
    data = file if isinstance(file, bytes) else file.encode()
    end = first_row_end(data) or len(data)
    return read_header(data[:end], data[end:])


def refusal(file: str | bytes) -> NoHeaderError:
    """Why a file's first line is none."""
    with pytest.raises(NoHeaderError) as caught:
        read(file)
    return caught.value


def by_csv(line: bytes) -> list[bytes]:
    """What Python's reader says the names are."""
    (row,) = csv.reader(io.StringIO(line.decode("latin-1"), newline=""))
    return [name.encode("latin-1") for name in row]


# --- corpora ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [file for files in JUNK.values() for file in files], ids=ascii)
def test_junk_is_no_header(file):
    """Error pages, SQL clients' output, logs, prose, other formats, rows without a header: all are refused."""
    refusal(file)


@pytest.mark.parametrize("file", HEADERS, ids=ascii)
def test_real_headers_are_headers(file):
    """With all their names, byte for byte; and with CRLF, CR CR LF and no line end at all."""
    data = file.encode()
    end = first_row_end(data)
    header = read(file)
    assert list(header.names) == by_csv(data[:end])
    line = data[:end].rstrip(b"\r\n")
    for line_end in (b"\r\n", b"\r\r\n", b""):
        assert read_header(line + line_end, data[end:]) == header


@pytest.mark.parametrize("file, why", TURNED_AWAY, ids=ascii)
def test_what_may_be_meant_as_a_header_is_turned_away_where_that_is_doubtful(file, why):
    """Each for the reason that stands beside it."""
    refusal(file)


@pytest.mark.parametrize(
    "kind, reasons",
    [
        ("markup", {"markup"}),
        ("JSON", {"JSON", "no header"}),
        ("comment", {"comment"}),
        ("SQL", {"SQL", "no header"}),
        ("separator", {"separator"}),
        ("quoting", {"quoting"}),
    ],
)
def test_the_reason_is_the_kind(kind, reasons):
    """So that an alert says what came, and not only that it was no header."""
    assert {refusal(file).reason for file in JUNK[kind]} <= reasons


# --- messages --------------------------------------------------------------------------------------------------


def test_a_refusal_quotes_the_line_and_names_the_settings():
    """One sentence, with the way out."""
    error = refusal("1,2,3\n4,5,6\n")
    assert error.reason == "no header"
    assert str(error) == (
        "the first line has a number ('1') where a name should be: '1,2,3'; "
        "set header = false if the sources have no header line, or check_header = false if these are the names"
    )


def test_a_blank_line_says_so():
    """SQL*Plus begins with one; its columns are not to blame."""
    assert refusal("\nID,NAME\n1,a\n").reason == "blank line"
    assert refusal(" \t\r\n").reason == "blank line"


def test_a_name_is_not_longer_than_a_question():
    """Survey tools name columns by their questions; a page in one piece is no name."""
    question = "Which of the following did you have for dinner? " * 10
    assert read(f"id,{question}\n1,pie\n").names[1] == question.encode()
    assert refusal(f"id,{'x' * 1001}\n1,2\n").reason == "no name"


def test_a_tab_within_a_name_is_another_separator():
    """Unless it is quoted, or stands at the end of a name as a blank does."""
    assert refusal("a,b\tc,d\n1,2\t3,4\n").reason == "separator"
    assert read('a,"b\tc"\n1,2\n').names == (b"a", b"b\tc")


def test_another_separator_is_not_answered_with_header_false():
    """It would be taken for one column, header and all."""
    error = refusal("id;amount;note\n1;2;x\n")
    assert error.reason == "separator"
    assert "only commas" in str(error)
    assert "header = false" not in str(error)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_a_refusal_is_short_and_harmless(line):
    """No control characters, no change of writing direction, no page of foreign text."""
    message = ""
    try:
        read_header(line, b"")
    except NoHeaderError as error:
        message = str(error)
    assert not message or message.isprintable()
    assert len(message) < 450


# --- rows below ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file, certain",
    [
        ("id,name\n1,kim\n2,lee\n", True),
        ("name,born\nkim,\nlee,2001-02-03\n", True),
        ("name,member\nkim,true\nlee,false\n", True),
        ("name,amount\nkim,N/A\nlee,5\n", True),
        ("name,city\nkim,Seoul\n", False),
        ("name,code\nkim,5\nlee,x\n", False),
        ("name,code\nkim,\nlee,-\n", False),
        ("name,city\n", False),
        ("id,name\nid,name\n1,kim\n", True),  # concatenated: the header again
        ("id,name\n\n1,kim\n", True),
        ('id,name\n1,"kim\n"\n', True),
        ("id,name,more\n1\n", True),
    ],
)
def test_typed_values_below_a_name_make_it_certain(file, certain):
    """All values that say something, in some column; with none there is no telling."""
    assert read(file).certain is certain


def test_a_line_like_the_rows_below_is_a_row():
    """Its own value in a column, or one that differs by digits alone; unless another column is certain."""
    assert "'web' is a value" in str(refusal("US,web\nDE,web\n"))
    assert "are like 'user_41'" in str(refusal("user_41,Seoul\nuser_42,Busan\n"))
    assert read("kind,n\nkind,1\nother,2\n").certain


def test_no_is_a_name_where_numbers_stand_below_it():
    """Korean and Japanese tables count their rows under `no`; else it is the answer to a question."""
    assert read("no,이름\n1,김\n2,이\n").names[0] == b"no"
    assert read("No,name,city\n").names[0] == b"No"
    assert refusal("no,kim\nyes,lee\n").reason == "no header"
    assert refusal("kim,no\n").reason == "no header"


def test_a_title_over_the_header_is_refused():
    """One field over rows of more; a row that is wider than a certain header is the row's own matter."""
    assert refusal("Report\nid,amount\n1,2\n").reason == "title"
    assert refusal("a,b\nx,y,z\nu,v,w\n").reason == "title"
    assert read("id,name\n1,kim,x\n").certain
    assert read("id\n1,,\n").certain


@pytest.mark.parametrize(
    "sample",
    [
        b"\0" * 1000,
        b'"never closed',
        b'"' * SAMPLE_BYTES,
        b"x" * SAMPLE_BYTES * 3,
        b"\r\r\r\n\n\r",
        b"," * SAMPLE_BYTES,
        b"\xff\xfe\x00",
    ],
    ids=lambda sample: ascii(sample[:10]),
)
def test_rows_that_cannot_be_read_are_no_evidence(sample):
    """Whether they are usable is not this module's question."""
    assert read_header(b"id,name\n", sample) == Header((b"id", b"name"), certain=False)


def test_only_so_much_of_the_rows_is_looked_at():
    """What stands behind the first 64 KiB makes no difference; the row that is cut there doesn't count."""
    row = b"kim," + b"x" * 1000 + b"\n"
    sample = row * (SAMPLE_BYTES // len(row)) + b"name," + b"y" * 2000 + b"\n"
    assert len(sample) > SAMPLE_BYTES
    assert not read_header(b"name,text\n", sample).certain
    assert refusal(b"name,text\n" + row + b"name,z\n").reason == "no header"


def test_a_field_over_the_csv_readers_limit_is_no_error_of_its_own():
    """A process may have set another limit."""
    limit = csv.field_size_limit(10)
    try:
        assert refusal(b'"a name of more than ten",b\n1,2\n').reason == "quoting"
        assert not read_header(b"a,b\n", b"12345678901234,2\n").certain
    finally:
        csv.field_size_limit(limit)


# --- what must hold for any bytes ------------------------------------------------------------------------------

odd = st.text(alphabet='ab1,";|\t\r\n .-:<{#\x00é', max_size=60).map(str.encode)


@given(st.binary(max_size=200) | odd, st.binary(max_size=400) | odd)
def test_any_bytes_are_a_header_or_refused(line, sample):
    """Nothing else is raised, the answer is always the same, and the names are those that Python's csv reads."""

    def answer():
        try:
            return read_header(line, sample)
        except NoHeaderError as error:
            return (error.reason, str(error))

    first = answer()
    assert answer() == first
    if isinstance(first, Header):
        assert list(first.names) == by_csv(line.rstrip(b"\r\n") + b"\n")
        assert len(set(first.names)) == len(first.names)
        assert all(name.strip() for name in first.names)


WORDS = frozenset("null nan true false yes no na none nil inf infinity unknown undefined".split())  # noqa: SIM905
identifiers = st.from_regex(r"[a-zA-Z]{1,8}(_[a-z0-9]{1,4}){0,2}", fullmatch=True).filter(
    lambda name: name.lower() not in WORDS
)
numbers = st.integers().map(str) | st.floats().map(repr)
moments = (
    st.datetimes().map(str) | st.dates().map(str) | st.times().map(str) | st.datetimes().map(lambda t: t.isoformat())
)
typed = numbers | moments | st.uuids().map(str)


@given(st.data())
def test_identifiers_over_typed_rows_are_a_header(data):
    """No producer of plain tables is turned away, and the rows leave no doubt."""
    names = data.draw(st.lists(identifiers, min_size=1, max_size=8, unique=True))
    plain = st.integers().map(str) | moments | st.uuids().map(str)
    rows = data.draw(st.lists(st.tuples(*[plain for _ in names]), min_size=1, max_size=5))
    file = "".join(",".join(row) + "\n" for row in (names, *rows))
    assert read(file) == Header(tuple(name.encode() for name in names), certain=True)


@given(st.lists(identifiers, max_size=5), typed, st.integers(0, 5), st.booleans())
def test_a_line_with_a_typed_field_is_no_header(names, value, place, quoted):
    """One is enough, wherever it stands."""
    # `nan` and `inf` of a float among them; `inf` is weighed, and nothing stands below that could save it
    fields = [*names[:place], f'"{value}"' if quoted else value, *names[place:]]
    refusal(",".join(fields) + "\n")


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=5), min_size=2, max_size=4, unique=True))
def test_a_repeated_line_is_the_header_again(names):
    """Concatenated files: it doesn't speak against itself."""
    line = ",".join(f"c_{name}" for name in names) + "\n"
    assert len(read(line * 3).names) == len(names)


# --- time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit",
    [
        *("a", ",", "1", "a b ", '"', "a,", "1a,", '"a",', "a, b", ";", "a;", "a: ", "/a", "a=", "0-", "a-1,"),
        *("<a>", "<a>,", "{", "12:", "P1Y", "\t", "\r", "\0", "Jan ", '""a', 'a"', "x1 ,", "あ", "a1,b2c,", "1:,"),
    ],
    ids=ascii,
)
def test_a_hostile_line_costs_linear_time(unit):
    """Half a second at most where it was measured; minutes, were it the square of the length."""
    line = (unit * LINE_BYTES).encode()[:LINE_BYTES] + b"\n"
    began = time.perf_counter()
    with pytest.raises(NoHeaderError):
        read_header(line, b"a,b\n" * 20_000)
    assert time.perf_counter() - began < 5


def test_a_wide_line_over_many_short_rows_costs_linear_time():
    """Not columns times rows."""
    line = ",".join(f"x{number:x}z" for number in range(40_000)).encode() + b"\n"
    began = time.perf_counter()
    assert not read_header(line, b"ab\n" * 20_000).certain
    assert time.perf_counter() - began < 5


def test_a_usual_header_costs_well_under_a_millisecond():
    """It is read once for each source, and there are many: 20 names over 64 KiB."""
    line = ",".join(f"column_{number}" for number in range(20)).encode() + b"\n"
    row = ",".join(["kim", "1.5", "2024-01-01 00:00:00", "DE"] * 5).encode() + b"\n"
    sample = row * (SAMPLE_BYTES // len(row))
    took = []
    for _ in range(50):
        began = time.thread_time()
        assert read_header(line, sample).certain
        took.append(time.thread_time() - began)
    assert min(took) < 0.002  # 0.3 ms where it was measured; neighbours on the same cores double it
