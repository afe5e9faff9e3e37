"""What stands, stands: issue 14's table a to p, and more of each kind, in memory and on a real server.

Everything goes the way of `s3-assets sync`: list, look, build. Hour files are read with Python's gzip and csv alone.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import zlib
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest

from s3_assets.builder.build import BuildOptions, HourResult
from s3_assets.builder.reconcile import HourFailure, Scope, make_right, observe, target_hours
from s3_assets.cli.main import main
from s3_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    BreakerOpenError,
    NotFoundError,
    StoreUnavailableError,
    UnreadableSourcesError,
)
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.contract import Download, ObjectInfo
from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR, Bench
from s3_assets_tests.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3_assets.builder.pipeline import Workers
    from s3_assets.hour_file.keys import Hour
    from s3_assets_tests.deployment import Deployment
    from s3_assets_tests.servers import Server

H = b"id,name\n"
DAY = Scope("2021-09-01-00:00", "2021-09-01-23:00")
BOM = b"\xef\xbb\xbf"


@dataclass
class Stood:
    """An hour as a reader sees it after a sync.

    Attributes:
        rows: Header and rows, by Python's gzip and csv; empty where there is no hour file.
        left_out: Why sources are left out, by name.
        error: What was said where the hour failed.
    """

    rows: list[list[str]]
    left_out: dict[str, str] = field(default_factory=dict)
    error: BaseException | None = None


@dataclass
class Place:
    """Two buckets, and syncs over them."""

    bench: Bench

    def put(self, name: str, data: bytes, hour: Hour = HOUR) -> None:
        """Write a source."""
        self.bench.put(name, data, hour=hour)

    def delete(self, *names: str) -> None:
        """Let sources vanish."""
        for name in names:
            self.bench.delete(name)

    def outcomes(self, **options: Any) -> dict[Hour, HourResult | HourFailure]:
        """What a sync of the day says of each hour."""
        pipeline = self.bench.pipeline
        hours = {*observe(pipeline, DAY).hours, *target_hours(pipeline, DAY)}
        done = make_right(pipeline, hours, BuildOptions(**options))
        return {one.hour: one for one in done}

    def sync(self, hour: Hour = HOUR, **options: Any) -> Stood:
        """Sync, and read the hour."""
        done = self.outcomes(**options).get(hour)
        if isinstance(done, HourFailure):
            left_out = {}
            if self.file(hour) is not None and self.bench.target.head(self.bench.key(hour)) is not None:
                left_out = self.bench.quarantined(hour)
            return Stood(self.rows(hour), left_out, done.error)
        bad = () if done is None else done.left_out
        return Stood(self.rows(hour), {one.key.rpartition("/")[2]: one.reason for one in bad})

    def file(self, hour: Hour = HOUR) -> bytes | None:
        """The hour file's bytes; None where there is none."""
        if self.bench.target.head(self.bench.key(hour)) is None:
            return None
        return self.bench.target.get(self.bench.key(hour)).read()

    def text(self, hour: Hour = HOUR) -> bytes:
        """Inflated."""
        file = self.file(hour)
        return b"" if file is None else gzip.decompress(file)

    def rows(self, hour: Hour = HOUR) -> list[list[str]]:
        """Header and rows."""
        limit = csv.field_size_limit(1 << 30)
        try:
            return list(csv.reader(io.StringIO(self.text(hour).decode("latin-1"), newline="")))
        finally:
            csv.field_size_limit(limit)


@pytest.fixture
def place(request: pytest.FixtureRequest, workers: Workers) -> Place:
    """Buckets in memory, or on SeaweedFS."""
    bench = Bench(workers)
    if request.param == "seaweedfs":
        server: Server = request.getfixturevalue("running")("seaweedfs")
        bench.source = bench.source_seen = server.store(server.new_bucket())  # type: ignore[assignment]
        bench.target = bench.target_seen = server.store(server.new_bucket(versioned=True))  # type: ignore[assignment]
    return Place(bench)


def of_each(name: str, kinds: Iterable[str], on_server: int = 1) -> pytest.MarkDecorator:
    """Each kind in memory; the first ones on SeaweedFS, too, and in a soak all."""
    every = list(kinds)
    pairs = [("memory", kind) for kind in every]
    pairs += [("seaweedfs", kind) for kind in (every if SCALE.full else every[:on_server])]
    params = [
        pytest.param(
            store,
            kind,
            id=f"{store}-{kind}",
            marks=pytest.mark.xdist_group("seaweedfs") if store == "seaweedfs" else (),
        )
        for store, kind in pairs
    ]
    return pytest.mark.parametrize(f"place,{name}", params, indirect=["place"])


on_both = pytest.mark.parametrize(
    "place", ["memory", pytest.param("seaweedfs", marks=pytest.mark.xdist_group("seaweedfs"))], indirect=True
)


def by_name(rows: list[list[str]]) -> list[dict[str, str]]:
    """Rows as what stands under each name, without what is empty."""
    if not rows:
        return []
    header, *others = rows
    assert len(set(header)) == len(header), header
    assert all(len(row) == len(header) for row in others), rows
    return [{name: value for name, value in zip(header, row, strict=True) if value} for row in others]


def packed(*parts: tuple[bytes, int]) -> bytes:
    """A gzip of each piece so many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(piece) for piece, count in parts for _ in range(count)) + packer.flush()


# --- a: row ends -------------------------------------------------------------------------------------------

WINDOWS = b"id,name\r\r\n2,b\r\r\n3,c\r\r\n"
TWO = [["id", "name"], ["1", "a"], ["2", "b"], ["3", "c"]]

ENDS = {
    "CR CR LF": WINDOWS,
    "CR CR LF, the last one not ended": WINDOWS[:-3],
    "CR CR LF, the last one cut in the middle": WINDOWS[:-1],
    "CR CR CR LF": WINDOWS.replace(b"\r\r\n", b"\r\r\r\n"),
    "CR LF": WINDOWS.replace(b"\r\r\n", b"\r\n"),
    "LF": WINDOWS.replace(b"\r\r\n", b"\n"),
    "LF header, CR CR LF rows": b"id,name\n2,b\r\r\n3,c\r\r\n",
    "CR CR LF header, LF rows": b"id,name\r\r\n2,b\n3,c\n",
    "all mixed": b"id,name\r\n2,b\n3,c\r\r\n",
    "blank lines of the same ends": b"id,name\r\r\n\r\r\n2,b\r\r\n\r\r\n3,c\r\r\n\r\r\n",
    "all quoted": b'"id","name"\r\r\n"2","b"\r\r\n"3","c"\r\r\n',
    "packed": gzip.compress(WINDOWS),
    "after a BOM": BOM + WINDOWS,
}


@of_each("ends", ENDS)
@pytest.mark.parametrize("first", [True, False])
def test_a_row_ends_are_no_values(place, ends, first):
    """Whatever lines end in, beside a source with plain ones; in one build, or late."""
    place.put("07_00_a.csv", H + b"1,a\n")
    if not first:
        place.sync()
    place.put("07_01_b.csv", ENDS[ends])
    stood = place.sync()
    assert (stood.rows, stood.left_out) == (TWO, {})


@of_each("ends", ENDS)
def test_a_row_ends_are_no_values_where_rows_are_laid_out(place, ends):
    """Beside a source with one more column; and alone."""
    place.put("07_01_b.csv", ENDS[ends])
    assert by_name(place.sync().rows) == [{"id": "2", "name": "b"}, {"id": "3", "name": "c"}]
    place.put("07_00_a.csv", b"name,city,id\na,x,1\n")
    rows = place.sync().rows
    assert sorted(rows[0]) == ["city", "id", "name"]
    assert by_name(rows) == [
        {"id": "1", "name": "a", "city": "x"},
        {"id": "2", "name": "b"},
        {"id": "3", "name": "c"},
    ]


@on_both
def test_a_quoted_returns_are_values(place):
    """As they came: only what ends a row is an end."""
    place.put("07_00_a.csv", b'id,name\r\r\n1,"a\r\r\nb"\r\r\n2,"c\r"\r\r\n')
    place.put("07_01_b.csv", b"name,id,x\nd,3,4\n")
    rows = place.sync().rows
    assert [row["name"] for row in by_name(rows)] == ["a\r\r\nb", "c\r", "d"]


LONE = {
    "CR alone": b"id,name\r2,b\r3,c\r",
    "CR in a row": b"id,name\n2,b\r3,c\n",
    "LF CR": b"id,name\n\r2,b\n\r3,c\n\r",
    "CR in the header": b"id,na\rme\n2,b\n",
    "CR behind rows in CR LF": b"id,name\r\n2,b\r\n3,c\rx\r\n",
}


@of_each("lone", LONE)
def test_a_lone_return_ends_no_row(place, lone):
    """Readers differ over it: such a source is quarantined, and its neighbours stand."""
    place.put("07_00_a.csv", H + b"1,a\n")
    place.put("07_01_b.csv", LONE[lone])
    stood = place.sync()
    assert (stood.rows, stood.left_out) == (TWO[:2], {"07_01_b.csv": "line ends"})


# --- b: junk -----------------------------------------------------------------------------------------------

JUNK = {
    "blank lines": b"\n\n",
    "nothing": b"",
    "a page": b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<hr>nginx</body></html>\r\n",
    "no rows": b"\nno rows selected\n\n",
    "S3's error": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code></Error>',
    "JSON": b'{"error": "timeout", "code": 504}\n' * 3,
    "JSON on lines": b'{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n',
    "prose": b"An error occurred, please try again later.\nContact support, if it stays.\n",
    "a log": b"2021-09-01 07:00:00,123 ERROR export failed, giving up\n" * 20,
    "a stack trace": b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 1\n',
    "spaces": b"   \n   \n",
    "commas": b",,,\n,,,\n,,,\n",
    "a mark alone": BOM,
    "marks and lines": BOM + b"\r\n\r\n",
    "values": b"17,4\n18,5\n" * 50,
    "a password prompt": b"Password:\n",
    "psql": b" id | name \n----+------\n  1 | a\n(1 row)\n",
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00",
    "a zip": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(range(1, 200)),
    "packed junk": gzip.compress(b"\n\n<html>\n"),
    "half a gzip": gzip.compress(H + b"5,e\n" * 900)[:-20],
    "half a source": b'id,name\n5,"e',
    "one word": b"FAILED\n",
    "a Korean notice": "조회된 데이터가 없습니다\n".encode(),
    "YAML": b"---\nid: 1\nname: a\n",
}
"""Nothing of it can be a header with rows."""

FOREIGN = {
    "one column": b"zzz\n1\n",
    "two columns": b"code,message\n500,boom\n501,bang\n",
    "many rows": b"zzz\n" + b"1\n" * 500,
    "typed rows": b"status,at\n1,2021-09-01\n2,2021-09-02\n",
}
"""What is a CSV of its own, and has nothing to do with its neighbours."""

GOOD = H + b"".join(b"%d,n%d\n" % (number, number) for number in range(1, 31))
GOOD_ROWS = list(csv.reader(io.StringIO(GOOD.decode())))


@of_each("kind", [*JUNK, *FOREIGN], 3)
@pytest.mark.parametrize("name", ["07_00_junk.csv", "07_07_junk.csv", "07_59_junk.csv"])
def test_b_late_junk_takes_no_row_out(place, kind, name):
    """Before, between and behind; the good files stand when they expire, when the junk goes, and in a rebuild."""
    place.put("07_05_good.csv", GOOD)
    place.put("07_10_good.csv", H + b"99,z\n")
    rows = [*GOOD_ROWS, ["99", "z"]]
    assert place.sync().rows == rows
    place.put(name, {**JUNK, **FOREIGN}[kind])
    stood = place.sync()
    assert stood.rows == rows
    assert set(stood.left_out) <= {name}
    assert (name in stood.left_out) or kind in ("nothing", "blank lines", "a mark alone", "marks and lines")
    place.delete("07_05_good.csv")
    assert place.sync().rows == rows
    if kind != "many rows":
        assert place.sync(rebuild=True).rows == rows
    place.delete(name, "07_10_good.csv")
    assert place.sync().rows == rows
    assert place.sync(rebuild=True).rows == rows


@of_each("kind", JUNK)
@pytest.mark.parametrize("together", [True, False])
def test_b_junk_that_comes_first_is_not_the_hour(place, kind, together):
    """It is no hour file, and the good file is one, in whatever order they come; the junk goes, and nothing changes."""
    place.put("07_00_junk.csv", JUNK[kind])
    if not together:
        assert place.sync().rows == []
        assert place.file() is None
    place.put("07_05_good.csv", GOOD)
    assert place.sync().rows == GOOD_ROWS
    place.delete("07_05_good.csv")
    place.put("07_06_junk.csv", JUNK[kind])
    assert place.sync().rows == GOOD_ROWS
    place.delete("07_00_junk.csv")
    assert place.sync().rows == GOOD_ROWS
    assert place.sync(rebuild=True).rows == GOOD_ROWS


@of_each("kind", FOREIGN)
def test_b_what_stood_first_stands_and_a_rebuild_asks_the_rows(place, kind):
    """The good file waits by name; a rebuild lets it in; what is gone from the source stays beside it."""
    junk = FOREIGN[kind]
    junk_rows = list(csv.reader(io.StringIO(junk.decode())))
    good = H + b"".join(b"%d,n%d\n" % (number, number) for number in range(1000))
    place.put("07_00_junk.csv", junk)
    assert place.sync().rows == junk_rows
    place.put("07_05_good.csv", good)
    stood = place.sync()
    assert (stood.rows, stood.left_out) == (junk_rows, {"07_05_good.csv": "columns"})
    place.delete("07_00_junk.csv")
    stood = place.sync()
    assert (stood.rows, stood.left_out) == (junk_rows, {"07_05_good.csv": "columns"})
    stood = place.sync(rebuild=True)
    assert stood.left_out == {}
    found = by_name(stood.rows)
    assert [row for row in found if "id" in row] == by_name(list(csv.reader(io.StringIO(good.decode()))))
    assert [row for row in found if "id" not in row] == by_name(junk_rows)


@of_each("kind", FOREIGN)
def test_b_a_rebuild_votes_by_rows(place, kind):
    """Both are there: a thousand rows outweigh the junk, which waits."""
    good = H + b"".join(b"%d,n%d\n" % (number, number) for number in range(1000))
    place.put("07_00_junk.csv", FOREIGN[kind])
    place.sync()
    place.put("07_05_good.csv", good)
    place.sync()
    stood = place.sync(rebuild=True)
    assert stood.rows == list(csv.reader(io.StringIO(good.decode())))
    assert stood.left_out == {"07_00_junk.csv": "columns"}


# --- c: a vote of files ------------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("on_schema_change", ["union", "quarantine"])
@pytest.mark.parametrize("on_vanished", ["keep", "drop"])
def test_c_many_small_files_outvote_no_rows(place, on_schema_change, on_vanished):
    """Neither when they are late, nor in a first build, nor in a rebuild."""
    place.bench.policy = EventPolicy(on_schema_change=on_schema_change, on_vanished=on_vanished)
    for minute in (10, 20, 30):
        place.put(f"07_{minute}_a.csv", H + b"".join(b"%d,n\n" % (minute * 1000 + row) for row in range(1000)))
    before = place.sync().rows
    assert len(before) == 3001
    for minute in (0, 15, 25, 59):
        place.put(f"07_{minute:02}_z.csv", b"zzz\n1\n")
    stood = place.sync()
    assert stood.rows == before
    assert set(stood.left_out.values()) == {"columns"}
    assert len(stood.left_out) == 4
    assert place.sync(rebuild=True).rows == before
    first = Place(place.bench.fresh())
    first.bench.source_seen = place.bench.source_seen
    assert first.sync().rows == before


@on_both
def test_c_each_order_of_arrival_keeps_what_stands(place):
    """Of four that share no column with all others: whoever stands, nobody takes it out."""
    files = {"07_00_a.csv": H + b"1,a\n", "07_01_b.csv": b"zzz\n2\n", "07_02_c.csv": b"zzz,id\n3,4\n"}
    for number, order in enumerate(permutations(files)):
        hour = type(HOUR)(f"e{number}", HOUR.label)
        standing: list[dict[str, str]] = []
        for name in order:
            place.put(name, files[name], hour)
            rows = by_name(place.sync(hour).rows)
            assert all(row in rows for row in standing)
            standing = rows


# --- d: widths ---------------------------------------------------------------------------------------------

THOUSAND = H + b"".join(b"%d,n%d\n" % (number, number) for number in range(1000))

SHORT_OR_LONG = {
    "an empty field too many": b"1000,last,\n",
    "several": b"1000,last,,,,\n",
    "a quoted empty field too many": b'1000,last,""\n',
    "quoted and not": b'1000,last,"",,""\r\n',
    "not ended": b"1000,last,",
    "short": b"1000\n",
    "quoted": b'"1000","last",\n',
}


@of_each("row", SHORT_OR_LONG)
@pytest.mark.parametrize("late", [True, False])
def test_d_a_row_of_another_width_stays_whoever_comes(place, row, late):
    """Then its raw file expires; all 1,001 rows are there, each value under its name."""
    place.put("07_00_a.csv", THOUSAND + SHORT_OR_LONG[row])
    expected = [{"id": str(number), "name": f"n{number}"} for number in range(1000)]
    expected.append({"id": "1000"} if row == "short" else {"id": "1000", "name": "last"})
    if late:
        assert by_name(place.sync().rows) == expected
    place.put("07_05_b.csv", b"id,name,city\n7,x,y\n")
    expected.append({"id": "7", "name": "x", "city": "y"})
    assert by_name(place.sync().rows) == expected
    place.delete("07_00_a.csv")
    assert by_name(place.sync().rows) == expected
    place.put("07_06_c.csv", b"zip,id\n8,9\n")
    assert by_name(place.sync().rows) == [*expected, {"zip": "8", "id": "9"}]
    assert by_name(place.sync(rebuild=True).rows) == [*expected, {"zip": "8", "id": "9"}]


TOO_MANY = {
    "a value": b"1000,last,x\n",
    "behind an empty one": b"1000,last,,x\n",
    "a quoted blank": b'1000,last," "\n',
    "a blank": b"1000,last, \n",
    "behind quotes": b'1,"a"",b",x\n',
}


@of_each("row", TOO_MANY)
def test_d_values_too_many_are_judged_alone_and_at_once(place, row):
    """Not only when a neighbour has other columns; the row's number is said."""
    place.put("07_00_a.csv", THOUSAND + TOO_MANY[row])
    place.put("07_05_b.csv", H + b"7,x\n")
    stood = place.sync()
    assert (stood.rows, stood.left_out) == ([["id", "name"], ["7", "x"]], {"07_00_a.csv": "ragged row"})
    (bad,) = place.bench.ledger().quarantined
    assert "1001" in bad.detail.replace(",", "")
    place.put("07_06_c.csv", b"id,name,city\n8,y,z\n")
    stood = place.sync()
    assert by_name(stood.rows) == [{"id": "7", "name": "x"}, {"id": "8", "name": "y", "city": "z"}]
    assert stood.left_out == {"07_00_a.csv": "ragged row"}


# --- e: no header lines ------------------------------------------------------------------------------------

HEADLESS = {
    "the issue's": [b"1,US,web\n2,DE,web\n", b"3,US,app\n4,US,web\n", b"5,US,web\n"],
    "numbers": [b"1\n2\n", b"3\n", b"4\n5\n"],
    "dates": [b"2021-09-01,a\n", b"2021-09-02,b\n2021-09-03,c\n"],
    "times": [b"a,2021-09-01T07:00:00Z\n", b"b,2021-09-01T07:00:01Z\n"],
    "ids": [b"a,3f2b9a52-7f0c-4e0e-9d0e-2f5d1c1f9a11\n", b"b,3f2b9a52-7f0c-4e0e-9d0e-2f5d1c1f9a12\n"],
    "addresses": [b"ann@example.com,Ann\n", b"bob@example.com,Bob\n"],
    "repeating words": [b"US,web\nDE,web\nUS,app\n", b"DE,app\nDE,web\n"],
    "codes": [b"order-17,paid\norder-18,open\n", b"order-19,paid\norder-20,void\n"],
    "booleans": [b"true,a\nfalse,b\n", b"false,c\n"],
    "empty fields": [b",a,\n,b,\n", b"c,,\n"],
    "quoted": [b'"1","US"\n"2","DE"\n', b'"3","US"\n'],
    "money": [b"USD 5.00,paid\n", b"EUR 6.00,open\n"],
    "phones": [b"+82-10-1234-5678,kim\n", b"+82-10-1234-5679,lee\n"],
    "hashes": [b"d41d8cd98f00b204e9800998ecf8427e,x\n", b"0cc175b9c0f1b6a831c399e269772661,y\n"],
    "paths": [b"/var/log/a,ok\n", b"/var/log/b,ok\n"],
    "a value twice": [b"a,a\nb,c\n", b"d,d\n"],
}


@of_each("kind", HEADLESS)
@pytest.mark.parametrize("together", [True, False])
def test_e_no_row_is_taken_for_a_header(place, kind, together):
    """Each is quarantined, with the setting; with the setting, each row is there."""
    for number, data in enumerate(HEADLESS[kind]):
        place.put(f"07_0{number}_x.csv", data)
        if not together:
            place.sync()
    stood = place.sync()
    assert stood.rows == []
    assert sorted(stood.left_out) == [f"07_0{number}_x.csv" for number in range(len(HEADLESS[kind]))]
    outcome = place.outcomes()[HOUR]
    assert isinstance(outcome, HourResult)
    for bad in outcome.left_out:
        assert "header = false" in bad.detail or "check_header = false" in bad.detail
    place.bench.policy = EventPolicy(header=False)
    stood = place.sync()
    assert stood.left_out == {}
    assert place.text() == b"".join(HEADLESS[kind])


@of_each("kind", HEADLESS)
def test_e_beside_a_good_source(place, kind):
    """Late or not: they wait or are quarantined, and none of their rows is in the hour file, none of them eaten."""
    place.put("07_30_good.csv", GOOD)
    place.sync()
    for number, data in enumerate(HEADLESS[kind]):
        place.put(f"07_0{number}_x.csv", data)
    stood = place.sync()
    assert stood.rows == GOOD_ROWS
    assert sorted(stood.left_out) == [f"07_0{number}_x.csv" for number in range(len(HEADLESS[kind]))]


# --- f: blank lines ----------------------------------------------------------------------------------------

BLANK = {
    "the issue's": H + b"1,a\n\n2,b\n\n",
    "CR LF": b"id,name\r\n1,a\r\n\r\n2,b\r\n\r\n",
    "in the other kind": b"id,name\n1,a\n\r\n2,b\n\r\n",
    "above the header": b"\n\r\n" + H + b"1,a\n2,b\n",
    "right below it": H + b"\n\n1,a\n2,b\n",
    "at the end, not ended": H + b"1,a\n2,b\n\n\n\r",
    "thousands": H + b"1,a\n" + b"\n" * 5000 + b"2,b\n" + b"\r\n" * 5000,
    "beside quotes": b'id,name\n"1","a"\n\n2,b\n\n',
    "beside short rows": b"id,name,zip\n1,a\n\n2,b,\n\n",
    "packed": gzip.compress(H + b"1,a\n\n2,b\n\n"),
}


@of_each("kind", BLANK)
def test_f_blank_lines_are_no_rows(place, kind, tmp_path):
    """Alone and beside one more column: every reader counts the same rows."""
    place.put("07_00_a.csv", BLANK[kind])
    expected = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    for late in (False, True):
        if late:
            end = b"\r\n" if b"a\r\n" in BLANK[kind] else b"\n"  # DuckDB takes no file that has both
            place.put("07_05_b.csv", b"id,name,city" + end + b"3,c,x" + end)
            expected.append({"id": "3", "name": "c", "city": "x"})
        assert by_name(place.sync().rows) == expected
        assert place.bench.ledger().rows == len(expected)
        file = tmp_path / f"{late}.csv.gz"
        file.write_bytes(place.file())
        assert readers_count(str(file)) == [len(expected)] * 4


@on_both
def test_f_a_quoted_blank_line_is_a_value(place):
    """It stands in its row."""
    place.put("07_00_a.csv", b'id,name\n1,"\n\n"\n\n2,"a\n\nb"\n')
    place.put("07_01_b.csv", b"city,id\nx,3\n")
    assert by_name(place.sync().rows) == [
        {"id": "1", "name": "\n\n"},
        {"id": "2", "name": "a\n\nb"},
        {"city": "x", "id": "3"},
    ]


@on_both
def test_f_where_there_is_one_column_a_blank_line_is_an_empty_value(place):
    """As long as it is the only one, and laid out beside others, too: rows in are rows out."""
    place.put("07_00_a.csv", b"id\n1\n\n2\n")
    place.sync()
    assert place.text() == b"id\n1\n\n2\n"
    place.put("07_01_b.csv", b"city,id\nx,3\n")
    place.sync()
    assert place.text() == b"id,city\n1,\n,\n2,\n3,x\n"


def readers_count(path: str) -> list[int]:
    """Rows by pandas, polars, pyarrow and DuckDB."""
    return [
        len(pd.read_csv(path)),
        pl.read_csv(path).height,
        pyarrow.csv.read_csv(path).num_rows,
        duckdb.sql(f"select count(*) from read_csv('{path}')").fetchall()[0][0],
    ]


# --- g: emptied --------------------------------------------------------------------------------------------

EMPTIED = {
    "0 bytes": b"",
    "a blank line": b"\n",
    "only a header": H,
    "a page": JUNK["a page"],
    "another header": b"zzz\n",
    "a gzip of nothing": gzip.compress(b""),
    "a gzip of a header": gzip.compress(H),
    "half a gzip": JUNK["half a gzip"],
    "a mark": BOM,
    "the row without its header": b"1,a\n",
}
EMPTYING = {
    "keep": EventPolicy(),
    "drop": EventPolicy(on_vanished="drop", max_vanished_share=0.2),
    "quarantine": EventPolicy(on_schema_change="quarantine", max_vanished_share=0.2),
}


@of_each("kind", EMPTIED)
@pytest.mark.parametrize("policy", EMPTYING)
def test_g_all_emptied_at_once_is_held_by_the_breaker(place, kind, policy):
    """Nothing is written until somebody says so; then the hour has no row, and no hour file."""
    place.bench.policy = EMPTYING[policy]
    names = [f"07_0{number}_x.csv" for number in range(5)]
    for number, name in enumerate(names):
        place.put(name, H + b"%d,a\n" % number)
    before = place.sync().rows
    for name in names:
        place.put(name, EMPTIED[kind])
    for options in ({}, {"rebuild": True}):
        stood = place.sync(**options)
        assert stood.rows == before
        assert isinstance(stood.error, BreakerOpenError), stood.error
        assert "--accept-vanished" in stood.error.hint
    assert place.sync(accept_vanished=True).rows == []
    assert place.file() is None


@of_each("kind", EMPTIED)
def test_g_some_emptied_and_some_vanished_count_together(place, kind):
    """Under `drop`: two of five gone and one emptied are more than half."""
    place.bench.policy = EventPolicy(on_vanished="drop")
    names = [f"07_0{number}_x.csv" for number in range(5)]
    for number, name in enumerate(names):
        place.put(name, H + b"%d,a\n" % number)
    before = place.sync().rows
    place.delete(*names[:2])
    place.put(names[2], EMPTIED[kind])
    stood = place.sync()
    assert isinstance(stood.error, BreakerOpenError)
    assert stood.rows == before


@on_both
def test_g_one_of_many_may_be_emptied(place):
    """It is what its source says."""
    for number in range(5):
        place.put(f"07_0{number}_x.csv", H + b"%d,a\n" % number)
    place.sync()
    place.put("07_03_x.csv", b"")
    stood = place.sync()
    assert [row[0] for row in stood.rows[1:]] == ["0", "1", "2", "4"]
    assert stood.error is None


# --- h: byte order marks -----------------------------------------------------------------------------------

MARKED = {
    "two": BOM * 2 + H + b"1,a\n",
    "one": BOM + H + b"1,a\n",
    "five": BOM * 5 + H + b"1,a\n",
    "hundreds": BOM * 700 + H + b"1,a\n",
    "before quotes": BOM * 2 + b'"id","name"\n1,a\n',
    "packed": gzip.compress(BOM * 2 + H + b"1,a\n"),
    "before blank lines": BOM * 2 + b"\n\n" + H + b"1,a\n",
    "in a large file": BOM * 2 + H + b"1,a\n" + b"\n" * 100_000,
}


@of_each("kind", MARKED)
def test_h_byte_order_marks_are_no_part_of_a_name(place, kind):
    """However many; alone and beside a source without."""
    place.put("07_00_a.csv", MARKED[kind])
    assert by_name(place.sync().rows) == [{"id": "1", "name": "a"}]
    place.put("07_01_b.csv", b"id,name,x\n2,b,y\n")
    assert by_name(place.sync().rows) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b", "x": "y"}]


# --- i: no row, no file ------------------------------------------------------------------------------------

ROWLESS = {
    "0 bytes": b"",
    "only a header": H,
    "a header without an end": b"id,name",
    "a blank line": b"\n",
    "blank lines below a header": H + b"\n\n\n",
    "a mark": BOM,
    "a gzip of nothing": gzip.compress(b""),
    "a page": JUNK["a page"],
    "half a gzip": JUNK["half a gzip"],
}


WITHOUT_HEADER = ("0 bytes", "a blank line", "a mark", "a gzip of nothing", "half a gzip")
"""Those that have no row either where sources have no header line."""


@of_each("kind", [*ROWLESS, *(f"header = false, {kind}" for kind in WITHOUT_HEADER)])
def test_i_an_hour_without_a_row_has_no_file(place, kind, tmp_path):
    """So that a glob over the day is read by everyone; a row that comes later is read, too."""
    header = kind in ROWLESS
    kind = kind.removeprefix("header = false, ")
    place.bench.policy = EventPolicy(header=header)
    place.put("07_00_a.csv", ROWLESS[kind])
    good = b"1,a\n" if not header else H + b"1,a\n"
    place.put("08_00_a.csv", good, NEXT_HOUR)
    assert place.sync().rows == []
    assert place.file() is None
    for hour in (HOUR, NEXT_HOUR):
        file = place.file(hour)
        if file is not None:
            (tmp_path / f"{hour.label[11:13]}.csv.gz").write_bytes(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["08.csv.gz"]
    glob = str(tmp_path / "*.csv.gz")
    options = {"header": 0 if header else None}
    assert sum(len(pd.read_csv(path, **options)) for path in tmp_path.iterdir()) == 1
    assert pl.read_csv(glob, has_header=header).height == 1
    read = pyarrow.csv.ReadOptions(autogenerate_column_names=not header)
    assert sum(pyarrow.csv.read_csv(path, read_options=read).num_rows for path in tmp_path.iterdir()) == 1
    assert duckdb.sql(f"select count(*) from read_csv('{glob}', header={header})").fetchall() == [(1,)]
    place.put("07_05_b.csv", good)
    assert len(place.sync().rows) == 1 + header


# --- j: answers that are not what was listed ---------------------------------------------------------------


class Between:
    """A proxy before the bucket: some answers are its own.

    Attributes:
        answers: By name: body, and ETag where it is another than listed; or a list of them, used up; or an error.
    """

    def __init__(self, inner: Any, answers: dict[str, Any]) -> None:
        self.inner, self.answers = inner, answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def get(self, key: str, **options: Any) -> Download:
        """What the script says, or the object."""
        answer = self.answers.get(key.rpartition("/")[2])
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if answer is None:
            return self.inner.get(key, **options)
        if isinstance(answer, Exception):
            raise answer
        body, etag = answer
        info = self.inner.head(key)
        told = ObjectInfo(key, len(body), info.etag if etag is None else etag, info.last_modified)
        return Download(told, 0, len(body), [body])


LARGE = H + b"".join(b"%06d,n\n" % number for number in range(6_000))
ANSWERS = {
    "half a body, its length agrees": (LARGE[: len(LARGE) // 2], None),
    "an empty body": (b"", None),
    "another object, its own ETag": (H + b"8,eve\n", "0123456789abcdef0123456789abcdef"),
    "another of the same size": (LARGE.replace(b"n", b"m"), "0123456789abcdef0123456789abcdef"),
    "a page": (JUNK["a page"], None),
    "too much": (LARGE + b"9,x\n", None),
    "half a body, another ETag": (LARGE[: len(LARGE) // 2], "0123456789abcdef0123456789abcdef"),
}


@of_each("kind", ANSWERS, 3)
def test_j_what_was_not_listed_is_not_read(place, kind):
    """One odd answer is asked about again; one that stays odd is named, and the hour goes on without it."""
    place.put("07_00_a.csv", H + b"1,a\n")
    place.put("07_05_b.csv", LARGE)
    place.bench.source_seen = Between(place.bench.source, {"07_05_b.csv": [ANSWERS[kind]]})
    stood = place.sync()
    assert (len(stood.rows), stood.left_out, stood.error) == (6_002, {}, None)
    place.put("07_05_b.csv", LARGE + b"9,x\n")
    place.bench.source_seen = Between(place.bench.source, {"07_05_b.csv": ANSWERS[kind]})
    if kind == "too much":
        place.put("07_05_b.csv", LARGE + b"9,y\n8,x\n")
    stood = place.sync()
    assert isinstance(stood.error, UnreadableSourcesError)
    assert len(stood.rows) == 6_002  # as it was
    place.bench.source_seen = place.bench.source
    stood = place.sync()
    assert len(stood.rows) == (6_004 if kind == "too much" else 6_003)


@of_each("kind", ANSWERS, 3)
def test_j_a_first_build_goes_on_without_it(place, kind):
    """Nothing of the odd answer is in the hour file, and nothing of it is held against the source."""
    place.put("07_00_a.csv", H + b"1,a\n")
    place.put("07_05_b.csv", LARGE)
    place.bench.source_seen = Between(place.bench.source, {"07_05_b.csv": ANSWERS[kind]})
    stood = place.sync()
    assert isinstance(stood.error, UnreadableSourcesError)
    assert (stood.rows, stood.left_out) == ([["id", "name"], ["1", "a"]], {"07_05_b.csv": "unreadable"})
    place.bench.source_seen = place.bench.source
    stood = place.sync()
    assert (len(stood.rows), stood.left_out) == (6_002, {})


# --- k: unreadable -----------------------------------------------------------------------------------------

UNREADABLE = {
    "archived": (lambda: ArchivedError("GetObject", "k", "InvalidObjectState"), "restore"),
    "denied": (lambda: AccessDeniedError("GetObject", "k", "AccessDenied"), "kms:Decrypt"),
    "listed and not there": (lambda: NotFoundError("GetObject", "k", "NoSuchKey"), ""),
    "the body breaks off": (lambda: StoreUnavailableError("GetObject", "k", "the body ended"), ""),
}


@of_each("kind", UNREADABLE, 3)
@pytest.mark.parametrize("bad", ["07_00_bad.csv", "07_20_bad.csv", "07_59_bad.csv"])
def test_k_one_that_can_not_be_read_stops_no_other(place, kind, bad):
    """The hour has all others, again and again; named with its own hint; taken when it can be read."""
    make, hint = UNREADABLE[kind]
    place.put("07_10_a.csv", H + b"1,a\n")
    place.put("07_30_b.csv", H + b"2,b\n")
    place.put("08_00_c.csv", H + b"3,c\n", NEXT_HOUR)
    place.put(bad, H + b"5,e\n")
    place.bench.source_seen = Between(place.bench.source, {bad: make()})
    for late in (False, True):
        if late:
            place.put("07_40_c.csv", H + b"4,d\n")
        stood = place.sync()
        assert isinstance(stood.error, UnreadableSourcesError)
        assert bad in str(stood.error)
        assert hint in stood.error.hint
        assert "credentials" not in stood.error.hint
        assert [row[0] for row in stood.rows] == (["id", "1", "2", "4"] if late else ["id", "1", "2"])
        assert stood.left_out == {bad: "unreadable"}
        assert place.rows(NEXT_HOUR) == [["id", "name"], ["3", "c"]]
    place.bench.source_seen = place.bench.source
    stood = place.sync()
    assert (sorted(row[0] for row in stood.rows), stood.left_out) == (["1", "2", "4", "5", "id"], {})


@of_each("kind", UNREADABLE, 3)
def test_k_rows_that_stand_stay_while_their_source_can_not_be_read(place, kind):
    """Rebuilt, rewritten, or beside a new column: they stay as they were."""
    place.put("07_10_a.csv", H + b"1,a\n")
    place.put("07_30_b.csv", H + b"2,b\n")
    place.sync()
    place.bench.source_seen = Between(place.bench.source, {"07_10_a.csv": UNREADABLE[kind][0]()})
    assert by_name(place.sync(rebuild=True).rows) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    place.put("07_10_a.csv", H + b"7,new\n")
    place.put("07_40_c.csv", b"id,city\n3,x\n")
    stood = place.sync()
    assert by_name(stood.rows) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "city": "x"}]
    place.bench.source_seen = place.bench.source
    assert by_name(place.sync().rows) == [
        {"id": "7", "name": "new"},
        {"id": "2", "name": "b"},
        {"id": "3", "city": "x"},
    ]


# --- l to o: hostile sizes ---------------------------------------------------------------------------------


def _names(start: int, count: int) -> bytes:
    return b",".join(b"c%d" % number for number in range(start, start + count))


HOSTILE: dict[str, tuple[Callable[[], list[bytes]], set[str]]] = {
    "l: a name of 11.5 MB": (
        lambda: [packed((b"id,", 1), (b"\x01" * 1_000_000, 11), (b"\n1,2\n", 1))],
        {"header too long"},
    ),
    "l: a quoted name of 11.5 MB": (
        lambda: [packed((b'id,"', 1), (b"x" * 1_000_000, 11), (b'"\n1,2\n', 1))],
        {"header too long", "unclosed quote"},
    ),
    "m: a million columns, one of them shared": (
        lambda: [gzip.compress(b"id," + _names(0, 1_000_000) + b"\n1,2\n")],
        {"header too long"},
    ),
    "m: as many columns as a header has room for": (
        lambda: [gzip.compress(b"id," + _names(0, 8_000) + b"\n1,2\n")],
        {"too many columns"},
    ),
    "n: headers of 15 MB": (
        lambda: [packed((b"id,%d" % number, 1), (b"x" * 1_000_000, 15), (b"\n1,2\n", 1)) for number in range(5)],
        {"header too long"},
    ),
    "o: a row of 15.9 million commas": (
        lambda: [packed((b"id,name,x\n", 1), (b"," * 1_000_000, 15), (b"," * 900_000 + b"\n", 1))],
        set(),
    ),
    "o: a row of quoted line ends": (
        lambda: [packed((b"id,name,x\n1,2,", 1), (b'",\n"' * 100_000, 35), (b"\n", 1))],
        set(),  # it is one field
    ),
    "a row that never ends": (
        lambda: [packed((b"id,name\n1,", 1), (b"x" * 1_000_000, 40))],
        {"row too long"},
    ),
    "a quote that never ends": (
        lambda: [packed((b'id,name\n1,"', 1), (b"x\n" * 500_000, 40))],
        {"row too long", "unclosed quote"},
    ),
    "a bomb": (
        lambda: [packed((H, 1), (b"1,a\n" * 250_000, 80))],
        {"decompression bomb"},
    ),
}


@of_each("kind", HOSTILE)
@pytest.mark.parametrize("late", [True, False])
def test_l_to_o_a_hostile_source_costs_its_hour_nothing(place, kind, late):
    """The hour is made without it, or with it where it is only odd; the others of the day as ever."""
    make, reasons = HOSTILE[kind]
    place.put("07_30_good.csv", GOOD)
    place.put("08_00_c.csv", H + b"3,c\n", NEXT_HOUR)
    if late:
        place.sync()
    names = []
    for number, data in enumerate(make()):
        names.append(f"07_0{number}_x.csv.gz")
        place.put(names[-1], data)
    stood = place.sync()
    assert stood.error is None
    if reasons:
        assert set(stood.left_out) == set(names)
        assert set(stood.left_out.values()) <= reasons
        assert stood.rows == GOOD_ROWS
    else:
        assert by_name(stood.rows)[-len(GOOD_ROWS) + 1 :] == by_name(GOOD_ROWS)
    assert place.rows(NEXT_HOUR) == [["id", "name"], ["3", "c"]]
    assert len(place.file()) < 100_000


@on_both
def test_n_many_sources_that_add_columns_wait_at_the_bound(place):
    """Those that fit are in, the others wait and are named with the setting."""
    place.put("07_00_good.csv", GOOD)
    for number in range(40):
        place.put(f"07_01_{number:02}.csv", b"id," + _names(100 * number, 100) + b"\n" + b"7," + b"1," * 99 + b"1\n")
    stood = place.sync()
    assert len(stood.rows[0]) <= 2000
    assert len(stood.rows) - 1 + len(stood.left_out) == 30 + 40
    assert set(stood.left_out.values()) == {"columns"}
    assert by_name(stood.rows)[:30] == by_name(GOOD_ROWS)
    assert all("max_columns" in bad.detail for bad in place.bench.ledger().quarantined)


# --- p: separators -----------------------------------------------------------------------------------------

SEPARATED = {
    "semicolons": b"id;name\n1;a\n2;b\n",
    "tabs": b"id\tname\n1\ta\n2\tb\n",
    "bars": b"id|name\n1|a\n2|b\n",
    "semicolons and quotes": b'id;"name"\n1;"a\nb"\n2;"c;d"\n',
    "semicolons and decimal commas": b"id;price\n1;1,50\n2;2,50\n",
    "tabs and quoted line ends": b'id\tname\n1\t"a\nb"\n',
}


@of_each("kind", SEPARATED)
@pytest.mark.parametrize("late", [True, False])
def test_p_other_separators_are_named_as_such(place, kind, late):
    """Only commas are supported, and that is said; not `header = false`."""
    place.put("07_05_good.csv", GOOD)
    if late:
        place.sync()
    place.put("07_00_x.csv", SEPARATED[kind])
    stood = place.sync()
    assert (stood.rows, stood.left_out) == (GOOD_ROWS, {"07_00_x.csv": "separator"})
    (bad,) = place.bench.ledger().quarantined
    assert "only commas are supported" in bad.detail
    assert "header = false" not in bad.detail


# --- hour files of the first version ------------------------------------------------------------------------

FIRST_VERSION = {
    "a row with a value too many (d)": (
        [b"id,name\n1,a\n2,b,x\n", b"id,name\n7,x\n", b"zzz\n1\n"],
        (
            "ABzY8000000RPHN(aB59P2~ar00960GSo@rGSW%Xso*l#so(+t009600{|3ap=1^S001A02m}BC00030;{j7M-vO0V%Wm5+5"
            "d0NlFTSjs<wFvsz+d7D21TwcA~xlUvQsq3zZbF{C+ML-ZshFj?r^|)13#vj(+mv^>;g}lc{=m+n0DC@d~`cMxU}cZImIz8@W"
            "rK=2M(JT<`W?B<<{-bc^;2E?GnH49+z7cp^s_L(`kxVt}Q!nL$DNF9UOTsl&d;YfmB7BO2E4qXdnhm?#MsW1I*BDzrZcRFrF"
            "8xA|=;UuSu?{YKQ>g*V#=j%`tI+X1o2L%BRovC#rU&cE5l4d;x@_v}}TPTxlaiZM#}&<8<F!(p>r)utf0V;e1RP5aOIgAE!K"
            "vLrg64;3m!@jp9ZTuW=s4Jg`_~ud=wkO04crT0M){U+Y&{t7X`Mvl!fkmnnDpG8;wa`2*O9-W@UnO1vK079sQg$Z1|2+e$)d"
            "P#1;Pq^u;gs3l2NRaQ&fwk>XzK}9H)uB@qRYnBG1l$N9`Q{(siqlbU4?)t*H+8AF^<$725>_gWTWnrk}3Q$^v3r{(YX)OU2N"
            "<wP!Tl?f=pLDVa>~&#vQIs9mmV9lv)1HH(&;d&Ixlb*Q8KkzoIX2HR?K3oQ;K$=>;=Hh+fj@`Xt<!#8ef^zFSODSQxIhEfz}"
            "!k7k%0!Tp?QD*3j+WE000000000ViwFb&00000|4;x^Moa*6GhuUcWpr}^000010000s000000002r0RR910001Y0{{R3000"
            "2MS_6%G{7I-V6+}lskrT%8L^o_wjvWl~bi>!@<&DE^ez}DM000000000000"
        ),
    ),
    "pandas' index column": (
        [b",id,name\n0,1,a\n1,2,b\n", b"zzz\n1\n"],
        (
            "ABzY8000000RPg-Owq|p%uVG200030|1!`q)Jfzr)G^XY;sO8w0RR630LGBZ2o(ST03VA81ONa40095L0aG)(0hLl+Z=5g?{"
            "43VJ+{@C~=EH{QehEd$!1}Oqm@77ys!{%X1?1AG50(06&(7}7j^+*e*+=pbDj3NOw4CFz((~-w(2q2kwjYhZ(0TQ4_8WXR-i"
            "48d^9#`p5a@n%_iKprL`&=Gwf+1YRRrt&g_hgmb}l!W9E|F0Zac-5D6H))71k=FJK_fLLkv`aZa{A)`tCo`09E}JZxF_L-N="
            "$lk?=C%BH^my91wo2W-&fGPXknS{V$zQf7+k8YPo2Ce(S>>5b{D(HfTdC&BRdZu9RtJQfoC&spw0<0->L;>*NC<xEPpqONi|"
            "1Jh3pEg#z<4J1Fec#gWC4*e3fF*l`v+J#IQZGiP_guIsc-yHa4Ixzjf0gTD<&7AQV|GqdIz2vFeuXc~k-mx+AbJgWsqkz*>e"
            "w9HGXODs|3rOGlPmB6}bu$DOrjj5746H3Seg+y6qTIX4=bNoL8`KN)pEF@81WJA{vrYnlU=-w2i&U9Y%MgdBJaHl1>*(U-}Z"
            "i{)-94Ex+{3Ss32K_wU777~;D)@DEUE(i^`kI(6z<}^~grR~x#7F57W2j&c^85R50{{R300000001A02m}BC00030Pyka#Oa"
            "OB;VRLh3baMd!00031001=r00000006rI00000000XE00000007l=l|KGu?uBQco}0f!<s-3_LMM4?9tS$|D~;=8g=%<)K_&"
            "wL0000000000"
        ),
    ),
    "semicolons (p)": (
        [b"id;name\n1;a\n", b"id;name\n2;b\n", b"zzz\n1\n"],
        (
            "ABzY8000000RPHNvCd1(P2~ar00960GPF+QGO|wM0ssI2|NjF3yhC>N5C8xGABzYC000000RP<qQ#08Cl~c=Z+b|IP6=E;Gt"
            "Q)>0kqZ1Ju3%8)$|7P@sYp9TgZz6TD{<2v3gkx44tHi3oLBHuDwGPeFp>*2@5+3k$0;4MAL;B4est+byGx2wTHvcoF^?2>Pe"
            "jjvK-cxPzvMEVX+9)+IovO66=8_!Nb~a?S8lC?)|`hyxoXh7(SxWOL8kT<*MkClHv=ui@R;10zNb5wq1}IiJA`q%EL6#**mA"
            "q&V#}MBb3piUakEP$CJNB*_y2SG@aOphZw_1@etz@$3J6tgNC)GnQCb9RdMlN7Y8VVxRC^0pBlzibIj0N=v1B&HITv<{iC7-"
            "pOqr#LtrYeW%gD+|Y_Yw`Y@Ld2-bdOzvN+u8H(Q&f*@-e6-IbOu@ARcNvP|Uz*s;N#G64#_9l8!7)A3BHEF0SkjzXiVlrmLq"
            "g+ha}F;&B@lpOb6hkL1S6eFZHN{Si{DrKcHww4CJwmyDepVqzOAy6;955|(}n??ugTrGR;dJ8Bd!j<M6r?eHz02+CRUy>7dx"
            "xsrUZKy-7U7$+2O8TMi$yh67<A%TG<cD0h?yHoTjv3ll@YDHuro6DAg<q%GZ_{zxeEyqDQ~=@Mus{p9xU8j*z(5PP$h^J%1_"
            "J;9000000000ViwFb&00000|4;x^Moa*6GhuUcWpr}^000010000m000000002l0RR910001W0{{R300008aKH=7Yw~7HLa^"
            "gfmxrN_g>G&6;J$6(u@$SsMOl2#%RNp5000000000000"
        ),
    ),
    "blank lines (f)": (
        [b"id,name\n1,a\n\n2,b\n", b"zzz\n1\n"],
        (
            "ABzY8000000RPHN(aB59P2~ar00960GSo@r;xf`n;sO8w0RR630Jz$bVi5oU03VA81ONa40095G0aG)!0hLnGZk#X>{1t0o?"
            "qz9g4A>^RFQEt-SPm<Pxngsv8s*<B;F3mtsMI%mW_C3@nm6cXAIV23VI<qra*oSN&$DkrH_~LAZnXYF=heH}Z}8oE7e?yOFG"
            "M#$p!+f1ts%}6Esdww=JRu~2!rz%T5gNmwMLTRUEAuOQq^&3c$+Jwwd8rudDjCz%s>gQM{g(k?mxi*W%UKF5ypAlq$y8D!cD"
            "?O!d1yRApBVEVtsU;dMK;vUoM~ij6ZSJaMAqy)`dGD<b|fJ*OrvbL~nF!Qkhvf44O+SIs;fBbn|tcd;kO&0~_2DBD*?IER1%"
            "c!2HY(343*MWN{?6***n!T*Xe0lTOdf4LiTvI&I6Y6xe9*v~79Fx82AB#Sh@j273(zC~$w&HA0}vL_ThbRf40)Q0BRmJk^4u"
            "Mk%;RmC{mRRo7Uh8HyZ*P?<40Q)o~qQy3)+p5y<e$3N54xizU7WY>#6<C+BVUJhE5X?0el5>P0FJ1xP@J`sQt4f47^{Kx40B"
            "|!NG-8|hE3Y!W__;qz{;xCE%+Lf)kfbe&Dp@hA@2lY{4C}FSg`}=PL000000000003VA81ONa40093`08>Ux0CO{8b8}^Ma{"
            "&MV0096105Jdn000000JZ@D0000000jd80000005w6C9YTFKQ_{v`yHXrb_Q%g~<(|5)Tw8YjGIvqkv3(aMasvPW00000000"
            "0"
        ),
    ),
    "rows that are outnumbered": (
        [
            b"id,name\n1,a\n",
            b"id,name\n2,b\n",
            b"zzz\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n",
        ],
        (
            "ABzY8000000RPHN(aB59P2~ar00960GSo@rGSW%n0ssI2|NjF3rNS9a5C8xGABzYC000000RP|tQ#0HFl~c=Z+b|IP6=E;Gt"
            "Q$T=kyPL>aRq~-Ru&PPN=4c!8sy&#$%&ixP#`yQcepb<;JiYZQlV6!fsuSq^RCPndYsZBhmp?y5JsPlw7aA@rKNoJDdv&--4"
            "oF>Akg*pI$Uy@&NLqqy&UeBTNh!7=}7bQ99OK?$_-BWUh3eS2%K9Hs3YEM?cG3t?_!{V*kkf%`kwB^49)&ixkVVK%L0{LiY<"
            "3rF1Fk>oCCs-i=TZeF;NfAe*Zs}4}YFNaC6}D@bg>9S3r=a(?)QjzV3Y;x~fvzRx;G8<HFe<Q1A*NOsC5^Wk84}vmws8uv1L"
            "L^5|#EEKTeNVK1?atc=7K;hW5Ed$G;?QkzE>hqb>7+bqLQl-cO7v`l%2FSC(lDj$U%8~iB~pys%q+7=<x@l2^KrtJksQK8aW"
            "DK4$xXi*6+q%l?r+_x?6Wwk;oE36Q;snMda&eldLDe!9!^1Fl1Xu}5*#+fb*imKXm&I{AIf%|T#0EI-j(wyUzwgOOKg}lWt("
            "TO{q_O>2sqlcmIDrJl{oi);PA*eQ;F@Mv^54!f|S1B<aGc>Odrt|Ymc|kz~zfQ5+rsLLp{+>%(0O8-fKm%)HZmo~ZKm%)P-r"
            "jx#0{{R300000001A02m}BC00030Pyka#OaOB;VRLh3baMd!00031001xm00000007(p00000004Lc00000007_D+8}VMKR("
            "8{acEN?6VGEn&*je~aL!PHn~P3?6*7)X=@A0}0000000000"
        ),
    ),
}
"""Sources of an hour, in key order, and what the first version made of them: by a vote of files, it left the last one
out each time. Under today's rules, some that stand would not be let in."""


@of_each("kind", FIRST_VERSION, 2)
@pytest.mark.parametrize("newcomers", [[], [b"zzz\n5\n" * 9], [H + b"9,z\n"]])
def test_what_the_first_version_wrote_stands(place, kind, newcomers):
    """Whatever waited beside it, whatever comes, and when the raw files expire: no value leaves at a plain sync."""
    sources, file = FIRST_VERSION[kind]
    names = [f"07_0{number}_x.csv" for number in range(len(sources))]
    for name, data in zip(names, sources, strict=True):
        place.put(name, data)
    place.bench.target.put(place.bench.key(), base64.b85decode(file))

    def values() -> list[list[str]]:
        return [found for row in place.rows()[1:] if (found := [value for value in row if value])]

    before = values()
    assert before
    for number, data in enumerate(newcomers):
        place.put(f"07_5{number}_new.csv", data)
    for _ in range(2):
        stood = place.sync()
        assert stood.error is None
        after = values()
        assert all(row in after for row in before)
    place.delete(*names)
    place.put("07_40_late.csv", H + b"8,h\n")
    assert place.sync().error is None
    after = values()
    assert all(row in after for row in before)


# --- the command itself ------------------------------------------------------------------------------------


@pytest.fixture
def command(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`s3-assets` over a bucket of its own: exit code and what was said."""

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out + err

    return run


@pytest.mark.parametrize("kind", ["blank lines", "a page", "no rows"])
def test_the_command_keeps_the_good_rows_beside_junk(deployment, command, kind):
    """Row b as a person sees it: the junk is named, the raw file expires, and nothing is lost."""
    deployment.drop("ev/2021-09-01/07_05_x.csv", GOOD)
    assert command("sync")[0] == 0
    deployment.drop("ev/2021-09-01/07_00_x.csv", JUNK[kind])
    code, said = command("sync")
    assert code == 0
    assert ("07_00_x.csv" in said) == (kind != "blank lines")
    deployment.store.delete("source/ev/2021-09-01/07_05_x.csv")
    for arguments in (("sync",), ("sync", "--rebuild", "--event", "ev")):
        assert command(*arguments)[0] == 0
        assert deployment.hour_file("ev/2021-09-01/07.csv.gz") == GOOD


def test_the_command_keeps_rows_that_files_outvote(deployment, command):
    """Row c: who waits is named, with the command that decides."""
    for minute in (10, 20, 30):
        deployment.drop(f"ev/2021-09-01/07_{minute}_x.csv", GOOD)
    command("sync")
    before = deployment.hour_file("ev/2021-09-01/07.csv.gz")
    assert len(before.splitlines()) == 91
    for minute in range(4):
        deployment.drop(f"ev/2021-09-01/07_0{minute}_z.csv", b"zzz\n1\n")
    code, said = command("sync")
    assert code == 0
    assert deployment.hour_file("ev/2021-09-01/07.csv.gz") == before
    assert "4 sources wait" in said
    assert "--rebuild" in said
    code, said = command("plan", "--explain", "ev", "2021-09-01-07:00")
    assert "07_00_z.csv" in said
    assert "--rebuild" in said
