"""No newcomer takes committed rows out of an hour file: whatever comes, in whatever place, what stands stands."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.builder.bench import Bench
from s3_assets_tests.hour_file.junk import JUNK
from s3_assets_tests.scale import SCALE

if TYPE_CHECKING:
    from s3_assets.builder.pipeline import Workers

pytestmark = pytest.mark.scaled

STANDING = ("07_10_a.csv", "07_20_b.csv", "07_20_고객.csv", "07_30_c d+%.csv")
NEWCOMERS = ("07_00_first.csv", "07_20_az.csv", "07_59_last.csv")
"""In the order of their rows: a newcomer may come before all that stands, between, and after."""

Row = list[tuple[str | int, str]]


def rows_of(text: bytes, *, header: bool) -> list[Row]:
    """Each row's values that are not empty, with their columns' names, by Python's csv; a name may stand twice."""
    lines = list(csv.reader(io.StringIO(text.decode("latin-1"), newline="")))
    if not header:
        return [[(place, value) for place, value in enumerate(line) if value] for line in lines]
    names = lines.pop(0)
    assert all(len(line) == len(names) for line in lines if line), "a row has another width than the header"
    return [sorted((name, value) for name, value in zip(names, line, strict=False) if value) for line in lines]


def missing(rows: list[Row], among: list[Row]) -> Row | None:
    """The first of `rows` that is not `among` others, in the order that they have; None where all are."""
    rest = iter(among)
    return next((row for row in rows if row not in rest), None)


# --- what stands -----------------------------------------------------------------------------------------------

COLUMNS = ("id", "name", "amount", "고객", "b,2", 'say "when"', "Name", "two words")
VALUES = st.one_of(
    st.integers(-99, 10**6).map(str),
    st.sampled_from(["web", "US", "", "2021-09-01", 'he said "no"', "two\nlines", "a,b", "caf\xe9", " x "]),
    st.text(alphabet='ab1 ,"\n\r\xe9', max_size=6),
)


@st.composite
def good(draw: st.DrawFn) -> bytes:
    """A CSV file as programs write it: a header, some rows; numbers in the first column, mostly."""
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    names = draw(st.sampled_from([names, list(COLUMNS[:2]), list(COLUMNS[:3])]))
    first = draw(st.sampled_from([VALUES, st.integers(0, 10**6).map(str), st.integers(0, 10**6).map(str)]))
    rows = draw(st.lists(st.tuples(first, *[VALUES] * (len(names) - 1)), min_size=1, max_size=5))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows([names, *rows])
    data = out.getvalue().encode()
    data = draw(st.sampled_from([data, data, data.removesuffix(end.encode())]))
    return gzip.compress(data, mtime=0) if draw(st.integers(0, 5)) == 5 else data


# --- what comes ------------------------------------------------------------------------------------------------

CORPUS = [
    *(text.encode() for texts in JUNK.values() for text in texts),
    b"",
    b"\n",
    b"\n\n",
    b"\r\n" * 3,
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\xef\xbb\xbfid,name\n1,a\n",
    b"zzz\n1\n",
    b"zzz\n" + b"1\n" * 500,
    b"id,name\r\r\n2,b\r\r\n3,c\r\r\n",
    b"id,name\r1,a\r2,b\r",
    b"id,name\n1,a,\n2,b,,,\n",
    b"id,name\n1,a,b\n",
    b"id,name\n1\n2,b\n",
    b"id;name\n1;a\n",
    b"id\tname\n1\ta\n",
    b"1,US,web\n2,DE,web\n",
    b"US,web\nDE,web\n",
    b"id,name,id\n1,a,2\n",
    b"id,\n1,a\n",
    b"id," + b"\x01" * 5000 + b"\n1,a\n",
    b"id," + b",".join(b"c%d" % n for n in range(3000)) + b"\n1\n",
    b",\n" * 2000,
    b'id,name\n1,"open\n',
    b"\x00" * 100,
    "id,name\n1,a\n".encode("utf-16"),
    gzip.compress(b"id,name\n1,a\n", mtime=0)[:-4],
    gzip.compress(gzip.compress(b"id,name\n1,a\n", mtime=0), mtime=0),
]
"""Junk that was met, and what the examples of the issues are made of."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good file, with bytes cut out, put in, doubled or changed."""
    data = draw(good())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 12)))
        piece = draw(
            st.one_of(
                st.just(b""),
                st.just(data[start:stop] * 2),
                st.sampled_from(
                    [b'"', b",", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r\n", b'""', b',""', b"\xef\xbb\xbf"]
                ),
                st.binary(max_size=3),
            )
        )
        data = data[:start] + piece + data[stop:]
    return data


newcomers = st.one_of(
    st.sampled_from(CORPUS),
    mutated(),
    good(),
    st.binary(max_size=60),
    st.text(alphabet='id,nameab12 \n\r";|\t<{', max_size=60).map(str.encode),
    st.builds(lambda data, times: data * times, st.sampled_from([b"x\n1\n", b"id\n7\n", b"a,b\n"]), st.integers(1, 99)),
)
policies = st.builds(
    EventPolicy,
    header=st.sampled_from([True, True, True, False]),
    check_header=st.sampled_from([True, True, False]),
    on_schema_change=st.sampled_from(["union", "quarantine"]),
    on_vanished=st.sampled_from(["keep", "keep", "drop"]),
    max_vanished_share=st.just(1.0),
    max_columns=st.sampled_from([2000, 5]),
)


def standing_rows(bench: Bench, *, gone: frozenset[str] = frozenset()) -> list[Row]:
    """The rows of the hour file, without those of the sources `gone`."""
    rows = rows_of(bench.text(), header=bench.ledger().header is not None)
    told = [held for held in bench.ledger().held for _ in range(held.rows)]
    return [row for row, held in zip(rows, told, strict=True) if held.key.rpartition("/")[2] not in gone]


@given(
    policy=policies,
    sources=st.lists(good(), min_size=1, max_size=len(STANDING)),
    expire=st.frozensets(st.sampled_from(STANDING)),
    come=st.dictionaries(st.sampled_from(NEWCOMERS), newcomers, min_size=1),
)
@settings(max_examples=SCALE.examples(300, 10_000))
def test_whatever_comes_what_stands_stands(workers: Workers, policy, sources, expire, come):
    """By value, under its names, in its order; also of sources that expired before; and in a rebuild."""
    bench = Bench(workers, policy)
    for name, data in zip(STANDING, sources, strict=False):
        bench.put(name, data)
    bench.build()
    assume(bench.target.head(bench.key()) is not None)
    gone = expire & set(STANDING[: len(sources)])
    leave = gone if policy.on_vanished == "drop" else frozenset()
    before = standing_rows(bench, gone=leave)
    kept = standing_rows(bench, gone=frozenset(STANDING) - gone) if not leave else []

    for name in gone:
        bench.delete(name)
    for name, data in come.items():
        bench.put(name, data)
    bench.build()
    if bench.target.head(bench.key()) is None:
        assert not before
        return
    after = standing_rows(bench)
    assert missing(before, after) is None, f"{missing(before, after)} is not there any more, after {come}"
    assert bench.build().plan.verdict is Verdict.NOTHING
    event(f"taken in: {sum(held.key.rpartition('/')[2] in come for held in bench.ledger().held)} of {len(come)}")

    bench.build(rebuild=True)
    if kept:
        after = standing_rows(bench)
        assert missing(kept, after) is None, f"{missing(kept, after)} is gone, and its source with it, after {come}"


@given(
    before=policies,
    then=st.lists(policies, min_size=1, max_size=3),
    sources=st.lists(good(), min_size=1, max_size=len(STANDING)),
    expire=st.frozensets(st.sampled_from(STANDING), min_size=1),
    come=st.dictionaries(st.sampled_from(NEWCOMERS), newcomers, max_size=2),
    rebuild=st.booleans(),
)
@settings(max_examples=SCALE.examples(150, 5_000))
def test_rows_of_gone_sources_stay_whatever_the_settings(
    workers: Workers, before, then, sources, expire, come, rebuild
):
    """They keep the header that they were read under: nobody can read them again."""
    bench = Bench(workers, replace(before, on_vanished="keep"))
    for name, data in zip(STANDING, sources, strict=False):
        bench.put(name, data)
    bench.build()
    assume(bench.target.head(bench.key()) is not None)
    gone = expire & set(STANDING[: len(sources)])
    rows = standing_rows(bench, gone=frozenset(STANDING) - gone)
    for name in gone:
        bench.delete(name)
    for name, data in come.items():
        bench.put(name, data)
    for policy in then:
        bench.policy = replace(policy, on_vanished="keep")
        bench.build(rebuild=rebuild)
        if rows:
            assert missing(rows, standing_rows(bench)) is None, (
                f"{missing(rows, standing_rows(bench))} is gone for good"
            )
    if not rebuild:
        assert bench.build().plan.verdict in (Verdict.NOTHING, Verdict.EMPTY)


@pytest.mark.parametrize("on_vanished", ["keep", "drop"])
@pytest.mark.parametrize("name", NEWCOMERS)
def test_no_junk_moves_anything(workers: Workers, name, on_vanished):
    """Of all junk that was collected, one after another: the hour's rows are what they were, and its columns."""
    bench = Bench(workers, EventPolicy(on_vanished=on_vanished))
    bench.put("07_10_a.csv", b"id,name\n1,a\n2,b\n")
    bench.put("07_20_b.csv", b"name,id,amount\nc,3,1.5\n")
    bench.build()
    before, text = standing_rows(bench), bench.text()
    if on_vanished == "keep":
        bench.delete("07_10_a.csv")
        bench.delete("07_20_b.csv")
    for data in CORPUS:
        bench.put(name, data)
        bench.build()
        assert missing(before, standing_rows(bench)) is None, data[:100]
        assert bench.text().startswith(text.partition(b"\n")[0].removesuffix(b"\r")), data[:100]
    bench.delete(name)
    if on_vanished == "drop":
        bench.build()
        assert standing_rows(bench) == before


def test_four_small_files_do_not_outvote_three_thousand_rows(workers: Workers):
    """Under either policy for columns, and where the rows' own files are gone since."""
    for on_schema_change in ("union", "quarantine"):
        bench = Bench(workers, EventPolicy(on_schema_change=on_schema_change))
        for part in range(3):
            rows = b"".join(b"%d,n\n" % number for number in range(part * 1000, part * 1000 + 1000))
            bench.put(f"07_0{part}_x.csv", b"id,name\n" + rows)
        bench.build()
        before = bench.text()
        for part in range(3):
            bench.delete(f"07_0{part}_x.csv")
        for part in range(4):
            bench.put(f"07_00_{part}.csv", b"zzz\n1\n")
        bench.build()
        assert bench.text() == before
        bench.build(rebuild=True)
        assert missing(rows_of(before, header=True), rows_of(bench.text(), header=True)) is None
