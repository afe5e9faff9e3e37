"""One hour made right: the example of the issue, late sources, retries, order, and what it costs."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.errors import ContendedError
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.plan import Change, Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.contract import TARGET_CONTENT_TYPE
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore

EXAMPLE = {
    "07_00_file_123.csv": b"id,name\n1,ann\n",
    "07_15_file_124.csv": b"id,name\n2,bob\n3,cid\n",
    "07_27_file_125.csv": b'id,name\n4,"d, e"\n',
    "07_50_file_126.csv": b"id,name\n5,eve",
    "08_15_file_127.csv": b"id,name\n6,fay\n",
}
SEVEN = b'id,name\n1,ann\n2,bob\n3,cid\n4,"d, e"\n5,eve\n'


def put_example(bench: Bench) -> None:
    """The layout of the issue."""
    for name, data in EXAMPLE.items():
        bench.put(name, data)


# --- the example ---------------------------------------------------------------------------------------------


def test_each_hour_holds_the_rows_of_its_sources(bench):
    """07 has those of four, 08 that of one, the header once."""
    put_example(bench)
    first, second = bench.build(), bench.build(NEXT_HOUR)
    assert bench.text() == SEVEN
    assert bench.text(NEXT_HOUR) == b"id,name\n6,fay\n"
    assert (first.plan.verdict, second.plan.verdict) == (Verdict.BUILD, Verdict.BUILD)
    assert {info.key for info in bench.target.list("")} == {
        "target/customer_new_customer_event/2021-09-01/07.csv.gz",
        "target/customer_new_customer_event/2021-09-01/08.csv.gz",
    }
    assert first.ledger == bench.ledger()
    assert (first.size, first.etag, first.version_id) == (bench.info().size, bench.info().etag, bench.info().version_id)
    assert bench.target.versions(bench.key())[0].content_type == TARGET_CONTENT_TYPE == "application/gzip"


def test_a_source_that_is_days_late_is_spliced_in(bench):
    """07 then holds all five, in key order, and 08 is not touched."""
    put_example(bench)
    bench.build()
    bench.build(NEXT_HOUR)
    untouched = bench.info(NEXT_HOUR)
    bench.clock = datetime(2021, 9, 4, 12, 0, tzinfo=UTC)
    bench.put("07_59_file_200.csv", b"id,name\n7,gus\n")
    late = bench.build()
    bench.build(NEXT_HOUR)
    assert bench.text() == SEVEN + b"7,gus\n"
    assert bench.info(NEXT_HOUR) == untouched
    assert late.plan.counts[Change.LATE] == 1
    assert [source.key.rpartition("/")[2] for source in late.late] == ["07_59_file_200.csv"]


def test_a_small_late_source_costs_its_bytes_and_the_small_target(bench):
    """Exactly counted: the new source, the target once down (its tail is the whole) and once up."""
    put_example(bench)
    bench.build()
    before = bench.info().size
    bench.put("07_10_file_200.csv", b"id,name\n7,gus\n")
    result = bench.build()
    assert bench.text() == SEVEN.replace(b"2,bob", b"7,gus\n2,bob")
    assert dict(result.traffic_source.requests) == {"list": 1, "get": 1}
    assert result.traffic_source.bytes_down == len(b"id,name\n7,gus\n")
    assert dict(result.traffic_target.requests) == {"get": 1, "put": 1}
    assert result.traffic_target.bytes_down == before
    assert result.traffic_target.bytes_up == bench.info().size


def test_nothing_to_do_writes_nothing(bench):
    """One GET and one listing, no PUT, the same object."""
    put_example(bench)
    bench.build()
    before = bench.info()
    again = bench.build()
    assert again.plan.verdict is Verdict.NOTHING
    assert dict(again.traffic_target.requests) == {"get": 1}
    assert dict(again.traffic_source.requests) == {"list": 1}
    assert (bench.info(), bench.writes()) == (before, 1)
    assert (again.etag, again.size, again.ledger) == (before.etag, before.size, bench.ledger())


def test_an_hour_without_sources_is_no_hour_file(bench):
    """Nor is one made of keys that only look like it."""
    bench.put("07_75_x.csv", b"a\n1\n")
    bench.put("07_readme.txt", b"a\n1\n")
    result = bench.build()
    assert (result.plan.verdict, result.ledger, result.etag) == (Verdict.EMPTY, None, "")
    assert list(bench.target.list("")) == []


@pytest.mark.parametrize("compression", ["default", "fast", "small"])
@pytest.mark.parametrize("header", [True, False])
def test_sources_without_bytes_or_rows_add_nothing(bench, compression, header):
    """Alone they make no hour file; beside others they are in the ledger, and are not looked at again."""
    bench.policy = EventPolicy(compression=compression, header=header)
    bench.put("07_00_empty.csv", b"")
    bench.put("07_01_empty.csv.gz", gzip.compress(b""))
    assert bench.build().plan.verdict is Verdict.EMPTY
    bench.put("07_02_header.csv", b"a,b\n")
    result = bench.build()
    assert result.plan.verdict is (Verdict.EMPTY if header else Verdict.BUILD)
    assert (bench.target.head(bench.key()) is None) == header
    bench.put("07_03_rows.csv", b"a,b\n1,2\n")
    bench.build()
    assert bench.text() == (b"a,b\n1,2\n" if header else b"a,b\na,b\n1,2\n")
    assert len(bench.ledger().held) == 4
    assert bench.ledger().quarantined == ()
    assert bench.build().plan.verdict is Verdict.NOTHING


def test_values_are_not_touched(bench):
    """Zeros, N/A, Latin-1 bytes, quoted newlines, quotes in fields, CRLF; a gzip is read by its bytes."""
    rows = b'007,1.10,N/A\r\n\xe9t\xe9,"a\nb","say ""hi"""\r\n 1 ,5" pipe,\r\n'
    bench.put("07_00_a.csv", b"\xef\xbb\xbfx,y,z\r\n" + rows)
    bench.put("07_01_b.csv", gzip.compress(b"x,y,z\r\n" + rows))
    bench.put("07_02_c.csv.gz", b"x,y,z\r\n" + rows.removesuffix(b"\r\n"))
    bench.build()
    assert bench.text() == b"x,y,z\r\n" + rows * 3


def test_an_event_without_headers_says_so(bench):
    """All lines are rows then."""
    bench.policy = EventPolicy(header=False)
    bench.put("07_00_a.csv", b"1,2\n")
    bench.put("07_01_b.csv", b"3\n4,5,6")
    bench.build()
    assert bench.text() == b"1,2\n3\n4,5,6\n"
    assert bench.ledger().header is None


@pytest.mark.parametrize("event", ["a b", "a+b%20", "고객", "a|b", 'it\'s "it"', "two\nlines", "...", "é" * 60])
def test_any_event_and_any_name_is_safe(bench, event):
    """From the source's key to the target's and into the ledger."""
    hour = Hour(event, HOUR.label)
    for number, name in enumerate(["a b+c%2F", "고|객", 'q"\n', "x/y"]):
        bench.put(f"07_00_{name}.csv", b"n\n%d\n" % number, hour=hour)
    bench.build(hour)
    assert sorted(bench.text(hour).split()) == [b"0", b"1", b"2", b"3", b"n"]
    assert bench.ledger(hour).event == event
    assert bench.build(hour).plan.verdict is Verdict.NOTHING


# --- rewritten -----------------------------------------------------------------------------------------------


def test_a_rewritten_source_replaces_its_rows(bench):
    """The others stand."""
    put_example(bench)
    bench.build()
    bench.put("07_15_file_124.csv", b"id,name\n2,BOB\n")
    result = bench.build()
    assert result.plan.counts[Change.REWRITTEN] == 1
    assert bench.text() == SEVEN.replace(b"2,bob\n3,cid\n", b"2,BOB\n")


def test_another_etag_at_the_same_size_and_second_is_taken(bench):
    """Times and sizes prove nothing."""
    put_example(bench)
    bench.build()
    bench.put("07_00_file_123.csv", b"id,name\n1,ANN\n")
    bench.build()
    assert bench.text() == SEVEN.replace(b"ann", b"ANN")


def test_a_source_rewritten_between_list_and_get_is_listed_again(bench):
    """What is taken is what was listed."""
    put_example(bench)
    scripted = ScriptedStore(bench.source)
    bench.source_seen = scripted
    scripted.before("get", 2, lambda: bench.put("07_50_file_126.csv", b"id,name\n5,EVE\n"))
    result = bench.build()
    assert result.tries == 2
    assert bench.text() == SEVEN.replace(b"eve", b"EVE")
    assert {held.etag for held in bench.ledger().held} == {
        info.etag for info in bench.source.list("source/") if "/07_" in info.key
    }


def test_a_source_deleted_between_list_and_get_is_listed_again(bench):
    """It is not there, so it is not in the hour file."""
    put_example(bench)
    scripted = ScriptedStore(bench.source)
    bench.source_seen = scripted
    scripted.before("get", 1, lambda: bench.delete("07_50_file_126.csv"))
    assert bench.build().tries == 2
    assert bench.text() == SEVEN.removesuffix(b"5,eve\n")


def test_a_source_that_never_stands_still_is_left_to_the_next_look(bench):
    """After a bounded number of tries, with an error that says that trying again helps; nothing is written."""
    put_example(bench)
    bench.source_seen = _Shifting(bench)
    with pytest.raises(ContendedError) as caught:
        bench.build()
    assert caught.value.retryable
    assert bench.writes() == 0


class _Shifting(ScriptedStore):
    """A source bucket in which one object changes before each GET."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.source)
        for number in range(1, 200):
            self.before("get", number, partial(self._change, bench, number))

    @staticmethod
    def _change(bench: Bench, number: int) -> None:
        for name in EXAMPLE:
            bench.put(name, b"id,name\n%d,x\n" % number)


# --- determinism ---------------------------------------------------------------------------------------------

bodies = st.lists(st.sampled_from([b"1,2", b'"x\ny",', b",", b"\xff,z"]), max_size=4).map(
    lambda rows: b"a,b\n" + b"\n".join(rows)
)
hours = st.dictionaries(st.integers(0, 40), bodies, min_size=1, max_size=8)


@given(hours, st.randoms(), st.booleans(), st.sampled_from(["default", "fast", "small"]))
def test_the_way_does_not_show(workers, drawn, chance, packed, compression):
    """Any order of arrival, any split into ticks, any repetition: the same rows; a full build: the same bytes."""
    bench = Bench(workers, EventPolicy(compression=compression))
    arrivals = [
        (f"07_{n % 3:02}_file_{n}.csv", gzip.compress(body, mtime=0) if packed and n % 2 else body)
        for n, body in drawn.items()
    ]
    chance.shuffle(arrivals)
    for name, body in arrivals:
        bench.put(name, body)
        if chance.random() < 0.5:
            bench.build()
    bench.build()
    ordered = sorted(drawn.items(), key=lambda item: (item[0] % 3, item[0]))
    rows = b"".join(body[4:] + b"\n" for _, body in ordered if len(body) > 4)
    other = bench.fresh()
    if not rows:
        assert other.build().plan.verdict is Verdict.EMPTY
        assert bench.target.head(bench.key()) is None
        return
    assert bench.text() == b"a,b\n" + rows
    other.build()
    assert other.text() == bench.text()
    assert other.ledger().fingerprint == bench.ledger().fingerprint
    bench.build(rebuild=True)
    assert bench.file() == other.file()
    other.build(rebuild=True)
    assert bench.file() == other.file()


def test_a_large_source_gives_equal_bytes_however_it_is_downloaded(bench):
    """A store may cut a download anywhere."""
    bench.put("07_00_a.csv", b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i % 1013) for i in range(500_000)))
    bench.build()
    other = bench.fresh()
    metered = MeteredStore(bench.source)

    class Crumbled(MeteredStore):
        def _count_down(self, chunks):
            whole = b"".join(chunks)
            return iter([whole[i : i + 77_777] for i in range(0, len(whole), 77_777)])

    other.source_seen = Crumbled(metered)
    other.build()
    assert other.file() == bench.file()


def test_a_rebuild_under_another_compression_is_a_full_build_under_it(bench):
    """Nothing of the old codec is left, the header's segment included."""
    put_example(bench)
    bench.build()
    bench.policy = EventPolicy(compression="fast")
    bench.build(rebuild=True)
    other = bench.fresh()
    other.build()
    assert bench.file() == other.file()
    assert bench.ledger().settings["compression"] == "isal-2"


def test_the_file_says_what_is_in_it(bench):
    """Offsets, CRCs and lengths of the ledger are those of the bytes."""
    put_example(bench)
    bench.put("07_30_large.csv", b"id,name\n" + b"9,zzzzzzzzzzzzzzzzzz\n" * 100_000)
    bench.build()
    file, text = bench.file(), bench.text()
    position = 0
    assert len(bench.ledger().segments) == 4
    for segment in bench.ledger().segments:
        packed = file[segment.offset : segment.stop]
        assert zlib.crc32(packed) == segment.stored_crc
        raw = zlib.decompressobj(-15).decompress(packed)
        assert raw == text[position : position + segment.raw_length]
        assert zlib.crc32(raw) == segment.crc
        position += segment.raw_length
    assert position == len(text)
    assert bench.ledger().rows == text.count(b"\n") - 1
