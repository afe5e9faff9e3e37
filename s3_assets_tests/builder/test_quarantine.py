"""Bad sources: what is said, what is kept, and that they are taken in when their content changes."""

from __future__ import annotations

import gzip
import zlib

import pytest

from s3_assets.errors import BreakerOpenError
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.rows import MAX_ROW_BYTES

GOOD = b"id,name\n1,ann\n2,bob\n"


def bomb() -> bytes:
    """A small gzip of 200 MiB."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    million = b"1,aaaaaaaaaaaa\n" * 70_000
    return squeezed.compress(b"id,name\n") + b"".join(squeezed.compress(million) for _ in range(200)) + squeezed.flush()


PACKED = gzip.compress(b"id,name\n3,cid\n" * 20, mtime=0)
BAD = {
    "unclosed quote": b'id,name\n3,cid\n4,"dan\n',
    "unclosed quote in the header": b'id,"name\n3,cid\n',
    "damaged gzip": PACKED[:-5],
    "damaged gzip, a bit": PACKED[:30] + bytes([PACKED[30] ^ 4]) + PACKED[31:],
    "damaged gzip, junk after": PACKED + b"junk",
    "UTF-16": "id,name\n3,cid\n".encode("utf-16"),
    "not text": "id,name\n3,cid\n".encode("utf-16-le"),
    "line ends": b"id,name\r3,cid\r",
    "no header": b"3,cid\n4,dan\n",
    "name twice": b"id,name,name\n3,cid,x\n",
    "columns": b"zip,city\n3,cid\n4,dan\n",
    "JSON": b'{"id": 3, "name": "cid"}\n{"id": 4, "name": "dan"}\n',
    "markup": b"<html>\n<head><title>502 Bad Gateway</title></head>\n</html>\n",
    "ragged row": b"name,id\nann,1,oops\n",
}


def reason_of(kind: str) -> str:
    """As the ledger names it."""
    return next(
        name
        for name in (
            "unclosed quote",
            "damaged gzip",
            "UTF-16",
            "not text",
            "line ends",
            "no header",
            "name twice",
            "columns",
            "JSON",
            "markup",
            "ragged row",
        )
        if kind.startswith(name)
    )


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("late", [False, True])
def test_a_bad_source_never_fails_the_good_rows(bench, kind, late):
    """Before and after it in the segment; it is named, left at the source, and not looked at again as it is."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_10_z.csv", GOOD)
    if late:
        bench.build()
    bench.put("07_05_bad.csv", BAD[kind])
    bench.build()
    assert bench.text() == GOOD + GOOD.partition(b"\n")[2]
    assert bench.quarantined() == {"07_05_bad.csv": reason_of(kind)}
    (bad,) = bench.ledger().quarantined
    assert len(bad.detail) > 10
    assert bad.size == len(BAD[kind])
    assert bench.source.head("source/" + bad.key) is not None
    writes = bench.writes()
    assert bench.build().plan.verdict is Verdict.NOTHING
    assert bench.writes() == writes


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_source_is_taken_in_when_its_content_changes(bench, kind):
    """By itself; the hour file is then the one that it would have been."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_05_bad.csv", BAD[kind])
    bench.build()
    bench.put("07_05_bad.csv", b"id,name\n3,cid\n")
    bench.build()
    assert bench.text() == GOOD + b"3,cid\n"
    assert bench.quarantined() == {}


@pytest.mark.parametrize("kind", BAD)
def test_a_good_source_that_is_rewritten_badly_leaves(bench, kind):
    """Its old rows are no content of the source any more, and the others stand."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_05_b.csv", b"id,name\n3,cid\n")
    bench.put("07_10_z.csv", GOOD)
    bench.build()
    bench.put("07_05_b.csv", BAD[kind])
    bench.build()
    assert bench.text() == GOOD + GOOD.partition(b"\n")[2]
    assert bench.quarantined() == {"07_05_b.csv": reason_of(kind)}


@pytest.mark.parametrize("header", [True, False])
def test_an_hour_of_bad_sources_has_no_hour_file(bench, header):
    """An empty gzip breaks its readers. The result names them; once one is good, the hour has a file."""
    bench.policy = EventPolicy(header=header)
    bench.put("07_05_bad.csv", BAD["unclosed quote"])
    result = bench.build()
    assert (result.plan.verdict, result.ledger) == (Verdict.EMPTY, None)
    assert [bad.reason for bad in result.left_out] == ["unclosed quote"]
    assert bench.target.head(bench.key()) is None
    bench.put("07_05_bad.csv", b"id,name\n3,cid\n")
    assert bench.build().plan.verdict is Verdict.BUILD
    assert bench.ledger().rows == 2 - header


def test_an_hour_that_loses_its_last_row_loses_its_file(bench):
    """As far as the breaker lets it: a source that is emptied takes its rows along only when that was meant."""
    bench.put("07_05_a.csv", GOOD)
    bench.build()
    bench.put("07_05_a.csv", BAD["unclosed quote"])
    with pytest.raises(BreakerOpenError, match="1 of 1 known sources"):
        bench.build()
    assert bench.text() == GOOD
    result = bench.build(accept_vanished=True)
    assert (result.plan.verdict, [bad.reason for bad in result.left_out]) == (Verdict.REMOVE, ["unclosed quote"])
    assert bench.target.head(bench.key()) is None


def test_a_bomb_is_refused(bench):
    """Its neighbours stand."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_05_bad.csv.gz", bomb())
    bench.build()
    assert bench.text() == GOOD
    assert bench.quarantined() == {"07_05_bad.csv.gz": "decompression bomb"}


def test_a_row_that_is_too_long_is_refused(bench):
    """Where a quote is never closed in a large source, memory would end before the file does."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_05_bad.csv", b'id,name\n3,"' + b"x" * (MAX_ROW_BYTES + 10) + b'"\n')
    bench.build()
    assert bench.text() == GOOD
    assert bench.quarantined() == {"07_05_bad.csv": "row too long"}


def test_a_row_of_just_the_limit_stands_wherever_it_begins(bench):
    """The limit holds for the row, not for the pieces in which it is read back."""
    row = b"3," + b"x" * (MAX_ROW_BYTES - 3) + b"\n"
    bench.put("07_00_a.csv", GOOD + b"1,%b\n" % (b"y" * 900_000))
    bench.put("07_05_long.csv.gz", gzip.compress(b"id,name\n" + row + b"4,dan\n"))
    bench.put("07_06_other.csv", b"name,id,more\nann,1,2\n")
    bench.build()
    assert bench.quarantined() == {}
    assert len(bench.text()) > MAX_ROW_BYTES
    assert bench.ledger().rows == 6
    bench.put("07_04_late.csv", b"zip,id\n1,9\n")
    bench.build()
    assert bench.quarantined() == {}
    assert bench.ledger().rows == 7


def test_rows_are_counted_where_they_could_be(bench):
    """So that an operator sees how much is missing."""
    bench.put("07_00_a.csv", GOOD)
    bench.put("07_04_other.csv", BAD["columns"])
    bench.put("07_05_bad.csv", BAD["unclosed quote"])
    bench.build()
    assert [bad.rows for bad in bench.ledger().quarantined] == [2, 1]
    assert "header = false" in bench.ledger().quarantined[0].detail


def test_many_bad_sources_among_many_good_ones(bench):
    """All good rows are there, all bad ones are named."""
    for number in range(60):
        bad = number % 3 == 1
        bench.put(f"07_00_file_{number}.csv", BAD["damaged gzip"] if bad else b"id,name\n%d,x\n" % number)
    bench.build()
    assert bench.text().split() == [b"id,name", *(b"%d,x" % number for number in range(60) if number % 3 != 1)]
    assert len(bench.quarantined()) == 20


@pytest.mark.parametrize(
    "body",
    [b"alice,Seoul\nbob,Busan\n", "김철수,서울\n이영희,부산\n".encode(), b"SKU-A,red\nSKU-B,blue\n", b"US,web\n"],
)
def test_a_first_line_that_nothing_shows_to_be_a_header_is_named(bench, body):
    """Words over words may be a row: it is said when they are ingested, unless another source has the same line."""
    bench.put("07_00_a.csv", body)
    assert [key.rpartition("/")[2] for key in bench.build().doubtful] == ["07_00_a.csv"]
    assert bench.build().doubtful == (("customer_new_customer_event/2021-09-01/07_00_a.csv",) if len(body) < 10 else ())
    bench.put("07_01_b.csv", body + b"x,y\n")
    assert bench.build(rebuild=True).doubtful == ()
    other = bench.fresh()
    other.policy = EventPolicy(columns=("a", "b"), header=False)
    assert other.build().doubtful == ()
    assert other.ledger().rows == 2 * body.count(b"\n") + 1


def test_a_header_over_numbers_or_dates_is_no_doubt(bench):
    """Nor is one that stands already."""
    bench.put("07_00_a.csv", GOOD)
    assert bench.build().doubtful == ()
    bench.put("07_01_b.csv", b"id,name\nx,y\n")
    assert bench.build().doubtful == ()


def test_lines_that_are_alike_and_have_no_row_below_are_all_named(bench):
    """Two files of the same single row look like two of a header: neither may go without a word."""
    bench.put("07_00_a.csv", b"US,web\n")
    bench.put("07_01_b.csv", b"US,web\n")
    assert len(bench.build().doubtful) == 2
