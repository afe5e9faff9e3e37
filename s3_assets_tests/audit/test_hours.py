"""The audit over stores: every kind of difference is found, named with what fixes it, and gone once that was done."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.audit.differences import (
    NAMED_SOURCES,
    Difference,
    HourAudit,
    Kind,
    Omissions,
    Report,
    Some,
    Standing,
)
from s3_assets.audit.hours import AuditOptions, abort_left_open, audit_hour, audit_hours, sweep
from s3_assets.builder.build import see
from s3_assets.builder.commit import ABANDONED_AFTER
from s3_assets.builder.reconcile import HourFailure, Scope
from s3_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    BodyCutError,
    NotFoundError,
    PreconditionFailedError,
    StoreUnavailableError,
)
from s3_assets.hour_file.ledger import encode
from s3_assets.hour_file.mending import hour_options
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.contract import Download
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.audit.forging import Rows, evicted, forge, quarantined
from s3_assets_tests.builder.bench import EVENT, HOUR, NEXT_HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = Scope("2021-09-01-00:00", "2021-09-01-23:00")
DROP = EventPolicy(on_vanished="drop")
DIFFERENCE = Difference(Kind.FOREIGN, Standing.WRONG, "", "")


def audit(bench: Bench, scope: Scope = DAY, **options) -> Report:
    """All of it; failures are the test's."""
    report = Report()
    swept = sweep(bench.pipeline, scope)
    report.note(swept.differences)
    for outcome in audit_hours(bench.pipeline, swept.hours, AuditOptions(**options)):
        assert not isinstance(outcome, HourFailure), outcome
        report.add(outcome)
    return report


def only(report: Report) -> tuple[Kind, Standing, int]:
    """What there is, and no more."""
    [found] = report.named
    return found.kind, found.standing, found.count


def flip(bench: Bench, at: int) -> None:
    """One bit of the hour file, in place."""
    file = bytearray(bench.file())
    file[at] ^= 16
    bench.target.put(bench.key(), bytes(file))


@pytest.mark.parametrize("deep", [False, True])
def test_an_hour_that_is_up_to_date_has_no_difference(bench, deep):
    """Quarantined sources are none, and are counted and named; nothing is written."""
    before = bench.writes(), bench.writes(NEXT_HOUR)
    report = audit(bench, deep=deep)
    assert (report.hours, report.sources, report.rows, report.named) == (2, 5, 28, [])
    assert (report.omissions.quarantined.count, report.omissions.quarantined.named[0].key) == (
        1,
        f"{EVENT}/2021-09-01/07_30_bad.csv",
    )
    assert report.summary().startswith(
        "2 hours, 5 sources, 28 rows: no difference; 1 source is quarantined: "
        f"{EVENT}/2021-09-01/07_30_bad.csv (unclosed quote): "
    )
    assert bool(report.bytes_read) == deep
    assert (bench.writes(), bench.writes(NEXT_HOUR)) == before


def test_a_deep_audit_reads_all_of_hour_files_and_sources(bench):
    """And an audit that is not deep none of them."""
    held = sum(source.size for hour in (HOUR, NEXT_HOUR) for source in bench.ledger(hour).held)
    segments = sum(bench.ledger(hour).data_length - 10 for hour in (HOUR, NEXT_HOUR))
    bad = bench.ledger().quarantined[0].size
    assert audit(bench, deep=True).bytes_read == held + bad + segments


def test_a_source_that_was_not_ingested_is_behind_then_wrong(bench):
    """By when it came; a build fixes it."""
    bench.put("07_40_late.csv", b"id,n\n7,40\n")
    report = audit(bench)
    assert only(report) == (Kind.NOT_INGESTED, Standing.BEHIND, 1)
    assert (report.wrong, report.behind) == (0, 1)
    bench.clock += timedelta(minutes=16)
    report = audit(bench)
    assert only(report) == (Kind.NOT_INGESTED, Standing.WRONG, 1)
    assert report.named[0].keys == (f"{EVENT}/2021-09-01/07_40_late.csv",)
    assert report.named[0].fix == f"s3-assets sync {hour_options(HOUR)}"
    assert only(audit(bench, grace=timedelta(minutes=17)))[1] is Standing.BEHIND
    bench.build()
    assert audit(bench).named == []


def test_a_rewritten_source_is_one(bench):
    """By its ETag, old or new."""
    bench.put("07_00_a.csv", b"id,n\n7,0\n")
    bench.clock += timedelta(hours=1)
    bench.put("07_10_a.csv", b"id,n\n7,10\n")
    report = audit(bench)
    both = [(Kind.REWRITTEN, Standing.BEHIND), (Kind.REWRITTEN, Standing.WRONG)]
    assert sorted((found.kind, found.standing) for found in report.named) == both
    assert sorted((found.kind, found.standing) for found in audit(bench, deep=True).named) == both


def test_an_hour_without_hour_file_is_one(bench):
    """Deleted by hand, or never built."""
    bench.target.delete(bench.key())
    assert only(audit(bench)) == (Kind.NO_HOUR_FILE, Standing.WRONG, 4)


def test_a_vanished_source_is_a_difference_only_where_it_is_to_be_dropped(bench):
    """Also the last one. The command lets the breaker pass where that would hold it."""
    bench.delete("07_00_a.csv")
    bench.delete("08_00_a.csv", hour=NEXT_HOUR)
    report = audit(bench, deep=True)
    assert (report.named, report.kept) == ([], 1)
    assert (report.omissions.vanished_sources, report.omissions.vanished_rows) == (2, 10)
    assert "no difference; 10 rows of 2 vanished sources stay; 1 source is quarantined" in report.summary()
    bench.policy = DROP
    first, second = audit(bench).in_order()
    assert (first.kind, first.fix) == (Kind.NOT_DROPPED, f"s3-assets sync {hour_options(HOUR)}")
    assert second.fix == f"s3-assets sync --accept-vanished {hour_options(NEXT_HOUR)}"
    bench.build()
    bench.build(NEXT_HOUR, accept_vanished=True)
    assert audit(bench).named == []


def test_a_quarantined_source_that_went_is_one(bench):
    """It is to be forgotten."""
    bench.delete("07_30_bad.csv")
    assert only(audit(bench)) == (Kind.NOT_FORGOTTEN, Standing.WRONG, 1)
    bench.build()
    assert audit(bench).named == []


def test_a_quarantined_source_that_went_last_is_forgotten_without_a_rebuild(bench):
    """`sync` looks at hours that have no sources left, too."""
    for source in list(bench.source.list("")):
        bench.source.delete(source.key)
    assert [found.fix for found in audit(bench).named] == [f"s3-assets sync {hour_options(HOUR)}"]


def test_other_settings_are_one(bench):
    """Those that shape rows; the compression is none."""
    bench.policy = EventPolicy(compression="small")
    assert audit(bench).named == []
    bench.policy = EventPolicy(on_schema_change="quarantine")
    report = audit(bench)
    assert [(found.kind, found.keys) for found in report.in_order()] == [
        (Kind.OTHER_SETTINGS, ("on_schema_change",))
    ] * 2


@pytest.mark.parametrize(
    "data, kind",
    [(gzip.compress(b"id,n\n5,6\n", mtime=0), Kind.FOREIGN), (b"", Kind.FOREIGN), (None, Kind.UNREADABLE)],
    ids=["foreign", "empty", "damaged"],
)
def test_an_unreadable_hour_file_is_one(bench, data, kind):
    """A rebuild fixes it."""
    if data is None:
        flip(bench, len(bench.file()) - 40)
    else:
        bench.target.put(bench.key(), data)
    report = audit(bench, deep=True)
    assert only(report) == (kind, Standing.WRONG, 1)
    assert report.named[0].fix == f"s3-assets sync --rebuild {hour_options(HOUR)}"
    bench.build(rebuild=True)
    assert audit(bench, deep=True).named == []


def test_a_damaged_byte_is_found_wherever_it_is_and_only_by_a_deep_audit(bench):
    """Every byte of the data, one after the other; the ledger's own are `test_ledger`'s."""
    whole = bench.file()
    for at in range(bench.ledger().data_length - 10):
        flip(bench, at)
        assert audit(bench).named == []
        report = audit(bench, Scope(HOUR.label, HOUR.label), deep=True)
        assert {found.kind for found in report.named} <= {Kind.DAMAGED}
        assert report.wrong
        bench.target.put(bench.key(), whole)


def test_rows_that_are_not_the_sources_are_found_though_the_ledger_agrees_with_the_bytes(bench):
    """An hour file that another program made up, with a ledger that adds up: two sources changed places."""
    other = bench.fresh()
    other.source = other.source_seen = type(bench.source)("others", clock=lambda: other.clock)
    for minute, rows in ((0, b"id,n\n0,8\n" * 9), (10, b"id,n\n0,1\n"), (20, b"id,n\n0,2\n")):
        other.put(f"07_{minute:02}_a.csv", rows)
    other.build()
    forged, true = other.ledger(), bench.ledger()
    identities = {held.key: held for held in true.held}
    segments = tuple(
        replace(
            s, sources=tuple(replace(h, etag=identities[h.key].etag, size=identities[h.key].size) for h in s.sources)
        )
        for s in forged.segments
    )
    ledger = replace(forged, segments=segments, quarantined=true.quarantined)
    bench.target.put(bench.key(), other.file()[: ledger.data_length] + encode(ledger))
    assert audit(bench).named == []
    report = audit(bench, deep=True)
    assert only(report) == (Kind.OTHER_ROWS, Standing.WRONG, 3)
    bench.build(rebuild=True)
    assert audit(bench, deep=True).named == []


def test_sources_with_other_columns_are_compared_as_they_must_stand(bench):
    """Laid out, short rows filled, and with the columns in another order."""
    bench.put("07_40_more.csv", b"n,more,id\n40,x,7\n41\n")
    bench.build()
    assert audit(bench, deep=True).named == []


def test_a_quarantined_source_that_can_be_read_after_all_is_reported(bench):
    """As where an older version of this package could not."""
    file, ledger = bench.file(), bench.ledger()
    good = bench.put("07_30_bad.csv", b"id,n\n7,30\n")
    bad = replace(ledger.quarantined[0], etag=good.etag, size=good.size)
    forged = replace(ledger, quarantined=(bad,))
    bench.target.put(bench.key(), file[: ledger.data_length] + encode(forged))
    assert audit(bench).named == []
    assert only(audit(bench, deep=True)) == (Kind.USABLE, Standing.WRONG, 1)


def test_an_hour_that_changes_while_it_is_audited_is_looked_at_again(bench):
    """A source comes and is built between the ledger and the listing: no difference."""
    scripted = bench.source_seen = ScriptedStore(bench.source)

    def arrive() -> None:
        bench.put("07_40_late.csv", b"id,n\n7,40\n")
        other = replace_source(bench)
        other.build()

    scripted.before("list", 2, arrive)  # the first is of the sweep
    assert audit(bench, grace=timedelta(0)).named == []


def test_a_source_that_goes_while_it_is_read_is_looked_at_again(bench):
    """Under `keep`, that is no difference."""
    scripted = bench.source_seen = ScriptedStore(bench.source)
    scripted.before("get", 1, lambda: [bench.delete(f"07_{minute}_a.csv") for minute in ("00", "10", "20")])
    assert audit(bench, Scope(HOUR.label, HOUR.label), deep=True).named == []


def test_an_hour_that_never_rests_is_behind(bench):
    """It is neither up to date nor wrong."""
    scripted = bench.source_seen = ScriptedStore(bench.source)
    for number in range(2, 30):
        scripted.before("list", number, lambda number=number: bench.put("07_00_a.csv", b"id,n\n1,%d\n" % number))
    report = audit(bench, Scope(HOUR.label, HOUR.label), grace=timedelta(0))
    assert only(report) == (Kind.RESTLESS, Standing.BEHIND, 1)


def test_an_hour_file_that_can_not_be_read_is_no_difference_and_not_audited(bench):
    """The other one is audited."""
    scripted = bench.target_seen = ScriptedStore(bench.target)
    for number in range(1, 4):
        scripted.before("get", number, fail(StoreUnavailableError("GetObject", "k", "503")))
    outcomes = list(audit_hours(bench.pipeline, [HOUR]))
    assert [type(outcome) for outcome in outcomes] == [HourFailure]


def test_what_is_no_hour_file_is_named(bench):
    """Below the target prefix, of the events that were asked for; the mark of a folder is none."""
    bench.target.put(f"target/{EVENT}/2021-09-01/notes it's.txt", b"x")
    bench.target.put(f"target/{EVENT}/", b"")
    bench.target.put("target/other/readme", b"x")
    bench.target.put("elsewhere/readme", b"x")
    report = audit(bench)
    assert [(found.kind, found.keys[0][-8:]) for found in report.named] == [
        (Kind.FOREIGN, "it's.txt"),
        (Kind.FOREIGN, "r/readme"),
    ]
    assert "'s3://targets/target/" in report.named[0].fix
    assert len(audit(bench, replace(DAY, events=(EVENT,))).named) == 1


def test_open_uploads_are_behind_and_once_old_wrong_and_then_aborted(bench):
    """Those of hour files; another's is named, and left alone."""
    for key in (bench.key(), "target/other/readme"):
        bench.target.start_upload(key).put_part(1, b"x")
    assert [found.standing for found in audit(bench).named] == [Standing.BEHIND] * 2
    bench.clock += ABANDONED_AFTER + timedelta(seconds=1)
    report = audit(bench)
    assert [found.standing for found in report.named] == [Standing.WRONG] * 2
    assert sorted(found.fix.split(" --")[0] for found in report.named) == [
        "aws s3api abort-multipart-upload",
        "s3-assets verify",
    ]
    assert abort_left_open(bench.pipeline, DAY) == 1
    assert [upload.key for upload in bench.target.list_uploads("")] == ["target/other/readme"]


def test_open_uploads_that_may_not_be_listed_are_reported_and_the_rest_is_audited(bench):
    """A policy seldom allows it."""
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("list_uploads", 1, fail(AccessDeniedError("ListMultipartUploads", "k", "AccessDenied")))
    report = audit(bench)
    assert (report.hours, only(report)[:2]) == (2, (Kind.OPEN_UPLOAD, Standing.BEHIND))
    assert "s3:ListBucketMultipartUploads" in report.named[0].detail


def test_memory_does_not_grow_with_what_is_found():
    """The rest is counted."""
    report = Report(most_named=3)
    report.note(replace(DIFFERENCE, count=number) for number in range(10))
    assert (report.wrong, len(report.named)) == (10, 3)


# --- rows compared with those at the source ----------------------------------------------------------------


@pytest.fixture
def empty(workers) -> Bench:
    """No sources, no hour file."""
    return Bench(workers)


def laid_out(bench: Bench, header: bytes, **rows: tuple[bytes, bytes]) -> None:
    """An hour file of sources, each as it is at the source and its rows as they stand, all under `header`."""
    forged = []
    for name, (source, data) in rows.items():
        own = source[: source.index(b"\n") + 1]
        forged.append(Rows(bench.put(f"07_00_{name}.csv", source), data, data.count(b"\n"), own))
    forge(bench, header, forged)
    bench.clock += timedelta(hours=1)


def test_rows_that_stand_under_the_right_names_are_no_difference(empty):
    """Laid out by hand, several in one segment."""
    laid_out(
        empty,
        b"id,n,more\n",
        a=(b"id,n\n1,2\n3,4", b"1,2,\n3,4,\n"),
        b=(b"more,id\nx,5\n", b"5,,x\n"),
        c=(b"id,n,more\n6,7,y\n", b"6,7,y\n"),
    )
    assert audit(empty, deep=True).named == []


def test_rows_under_the_wrong_column_are_found_though_the_ledger_adds_up(empty):
    """Digests of what one code lays out, twice, would not differ: the names do."""
    laid_out(
        empty,
        b"id,n,more\n",
        a=(b"id,n\n1,2\n", b"1,,2\n"),
        b=(b"id,n\n3,4\n", b"3,4,\n"),
        c=(b"n,id\n6,5\n5,5\n", b"5,6,\n6,5,\n"),
    )
    assert audit(empty).named == []
    report = audit(empty, deep=True)
    assert only(report) == (Kind.OTHER_ROWS, Standing.WRONG, 2)
    assert report.named[0].keys == (f"{EVENT}/2021-09-01/07_00_a.csv", f"{EVENT}/2021-09-01/07_00_c.csv")
    assert "of the first, row 1: another value stands under 'n'" in report.named[0].detail
    empty.build(rebuild=True)
    assert audit(empty, deep=True).named == []


def test_a_wrong_count_of_rows_is_damage(empty):
    """By Python's csv; a blank line that an older version counted is none."""
    info = empty.put("07_00_a.csv", b'a,b\n"1\n1",2\n\n3,4\n')
    data = b'"1\n1",2\n\n3,4\n'
    for count, kinds in ((2, []), (3, []), (4, [Kind.DAMAGED])):
        forge(empty, b"a,b\n", [Rows(info, data, count, b"a,b\n")])
        assert [found.kind for found in audit(empty, deep=True).named] == kinds
    info = empty.put("07_00_a.csv", b"a\n1\n\n")
    for count, kinds in ((2, []), (1, [Kind.DAMAGED])):  # under one column it is a row
        forge(empty, b"a\n", [Rows(info, b"1\n\n", count, b"a\n")])
        assert [found.kind for found in audit(empty, deep=True).named] == kinds


def test_rows_that_end_elsewhere_than_the_ledger_says_are_damage(empty):
    """In the middle of a line, or of a quoted field that holds a newline."""
    whole = b'a\n"1\n2"\n'
    one, two = empty.put("07_00_a.csv", whole), empty.put("07_01_b.csv", b"a\n3\n")
    rows = b'"1\n2"\n3\n'
    for cut in (3, 5):
        parts = rows[:cut], rows[cut:]
        forge(empty, b"a\n", [Rows(info, part, 1, b"a\n") for info, part in zip((one, two), parts, strict=True)])
        report = audit(empty, deep=True)
        assert only(report) == (Kind.DAMAGED, Standing.WRONG, 2)
        assert "do not end where the ledger says" in report.named[0].detail


def test_rows_of_an_older_version_with_a_lone_return_do_not_stop_the_audit(empty):
    """Of a source that is there, they are reported; of one that is gone, there is nothing to compare."""
    source = b"a,b\n1,2\r,\n3,4\n"
    forge(empty, b"a,b\n", [Rows(empty.put("07_00_a.csv", source), source[4:], 2, b"a,b\n")])
    report = audit(empty, deep=True)
    assert [found.kind for found in report.named] in ([Kind.UNUSABLE], [Kind.OTHER_ROWS])
    empty.delete("07_00_a.csv")
    assert audit(empty, deep=True).named == []


def test_a_held_source_that_would_be_quarantined_today_is_reported(empty):
    """As where an older version took a row of data for the header."""
    source = b'id,n\n1,"2\n'
    forge(empty, b"id,n\n", [Rows(empty.put("07_00_a.csv", source), b'1,"2"\n', 1, b"id,n\n")])
    report = audit(empty, deep=True)
    assert only(report) == (Kind.UNUSABLE, Standing.WRONG, 1)
    assert "would be quarantined if they came today (unclosed quote: " in report.named[0].detail


# --- sources that can't be read ----------------------------------------------------------------------------


READING = {
    "denied": (lambda: AccessDeniedError("GetObject", "k", "AccessDenied"), "denied"),
    "archived": (lambda: ArchivedError("GetObject", "k", "InvalidObjectState"), "archived"),
    "gone": (lambda: NotFoundError("GetObject", "k", "NoSuchKey"), "listed, and not there"),
    "changed": (lambda: PreconditionFailedError("GetObject", "k", "412"), "not as listed"),
    "cut": (lambda: BodyCutError("k", expected=9, found=5), "cut"),
}


class OneBadSource:
    """A store that fails on one key, each time it is read, or as often as said."""

    def __init__(self, inner: MemoryStore, name: str, error: Callable[[], Exception], times: int, after: int) -> None:
        self.inner = inner
        self.name, self.error, self.times, self.after = name, error, times, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def get(self, key: str, **options: Any) -> Download:
        """Fails at once, or after that number of bytes."""
        download = self.inner.get(key, **options)
        if not key.endswith(self.name) or not self.times:
            return download
        self.times -= 1
        if not self.after:
            raise self.error()

        def chunks() -> Iterator[bytes]:
            data = download.read()[: self.after]
            yield from (data[at : at + 100_000] for at in range(0, len(data), 100_000))
            raise self.error()

        return Download(download.info, download.start, download.stop, chunks())


@pytest.mark.parametrize("after", [0, 7])
@pytest.mark.parametrize("error, kind", READING.values(), ids=READING)
def test_a_source_that_can_not_be_read_is_named_and_the_rest_of_the_hour_is_audited(bench, error, kind, after):
    """Held or quarantined; it is read twice before it is reported."""
    bench.source_seen = OneBadSource(bench.source, "07_10_a.csv", error, 1, after)
    assert audit(bench, deep=True).named == []
    for name in ("07_10_a.csv", "07_30_bad.csv"):
        bench.source_seen = OneBadSource(bench.source, name, error, 100, after)
        report = audit(bench, deep=True)
        assert only(report) == (Kind.UNREADABLE_SOURCE, Standing.WRONG, 1)
        assert report.named[0].keys == (f"{EVENT}/2021-09-01/{name}",)
        assert f"can't be read, so their rows were not compared ({kind}: " in report.named[0].detail
        assert (report.hours, report.rows) == (2, 28)


def test_a_large_source_that_breaks_off_leaves_the_rows_behind_it_in_the_segment_alone(empty):
    """It breaks off when a part of it was compared: its rows in the hour file are read on, and counted."""
    rows = b"1,2\n" * 1_000_000
    infos = [empty.put("07_00_a.csv", b"a,b\n" + rows), empty.put("07_01_b.csv", b"a,b\n3,4\n")]
    forged = [Rows(infos[0], rows, 1_000_000, b"a,b\n"), Rows(infos[1], b"4,3\n", 1, b"a,b\n")]
    forge(empty, b"a,b\n", forged)
    for times, kinds in ((1, [Kind.OTHER_ROWS]), (100, [Kind.OTHER_ROWS, Kind.UNREADABLE_SOURCE])):
        empty.source_seen = OneBadSource(empty.source, "07_00_a.csv", READING["cut"][0], times, 3 << 20)
        assert [found.kind for found in audit(empty, deep=True).named] == kinds


def test_damage_and_other_rows_are_found_beside_a_source_that_can_not_be_read(empty):
    """In the same segment, and in another."""
    infos = [empty.put(f"07_0{minute}_a.csv", b"a,b\n1,2\n") for minute in range(4)]
    data = (b"1,2\n", b"2,1\n", b"1,2\n", b"1,2\n")
    ledger = forge(empty, b"a,b\n", [Rows(i, rows, 1, b"a,b\n") for i, rows in zip(infos, data, strict=True)])
    flip(empty, ledger.segments[-1].offset + 5)
    empty.source_seen = OneBadSource(empty.source, "07_00_a.csv", READING["denied"][0], 100, 0)
    assert {found.kind: found.count for found in audit(empty, deep=True).named} == {
        Kind.UNREADABLE_SOURCE: 1,
        Kind.OTHER_ROWS: 1,
        Kind.DAMAGED: 2,
    }


def test_an_error_names_what_helps(bench):
    """The hint of the store's error."""
    bench.source_seen = OneBadSource(bench.source, "07_10_a.csv", READING["archived"][0], 100, 0)
    assert "restore-object" in audit(bench, deep=True).named[0].detail


def test_an_answer_that_is_not_what_was_listed_is_asked_for_again_then_reported(bench):
    """A proxy that ignores If-Match, and has an older version."""
    listed = bench.source.head(f"source/{EVENT}/2021-09-01/07_10_a.csv")
    other = MemoryStore("stale", clock=lambda: bench.clock)
    other.put(listed.key, b"id,n\n0,0\n")

    class Stale(OneBadSource):
        def get(self, key: str, **options: Any) -> Download:
            if key == listed.key and self.times:
                self.times -= 1
                return other.get(key)
            return self.inner.get(key, **options)

    bench.source_seen = Stale(bench.source, "", READING["cut"][0], 1, 0)
    assert audit(bench, deep=True).named == []
    bench.source_seen = Stale(bench.source, "", READING["cut"][0], 100, 0)
    report = audit(bench, deep=True)
    assert only(report) == (Kind.UNREADABLE_SOURCE, Standing.WRONG, 1)
    assert "(not as listed: it was answered with ETag " in report.named[0].detail


def test_a_store_that_does_not_answer_is_an_hour_that_was_not_audited(bench):
    """It says nothing of one source."""
    error = StoreUnavailableError("GetObject", "k", "503")
    for after in (0, 7):
        bench.source_seen = OneBadSource(bench.source, "07_10_a.csv", lambda: error, 100, after)
        [outcome] = audit_hours(bench.pipeline, [HOUR], AuditOptions(deep=True))
        assert isinstance(outcome, HourFailure)
        assert outcome.error is error


# --- rows that left ----------------------------------------------------------------------------------------


def test_rows_that_left_and_stand_in_an_older_version_are_found(empty):
    """As an older s3_assets did with rows whose columns were outvoted; a rebuild is to bring them back."""
    there, gone = empty.put("07_00_a.csv", b"a,b\n1,2\n"), empty.put("07_01_b.csv", b"x,y\n3,4\n")
    forge(empty, b"x,y\n", [Rows(gone, b"3,4\n", 1, b"x,y\n")])
    kept = [Rows(there, b"1,2\n", 1, b"a,b\n")]
    forge(empty, b"a,b\n", kept, quarantined=[evicted(gone, 1)])
    forge(empty, b"a,b\n", kept, quarantined=[evicted(gone, 1)])
    report = audit(empty)
    assert (report.named, report.omissions.waiting.count) == ([], 1)  # it is still there
    assert "1 source waits: " in report.summary()
    empty.delete("07_01_b.csv")
    report = audit(empty)
    assert only(report) == (Kind.EVICTED, Standing.WRONG, 1)
    assert report.named[0].fix == f"s3-assets sync --rebuild {hour_options(HOUR)}"
    assert (report.named[0].keys, report.omissions.lost_sources) == ((f"{EVENT}/2021-09-01/07_01_b.csv",), 0)
    empty.policy = DROP
    assert Kind.EVICTED not in {found.kind for found in audit(empty).named}


def test_rows_that_no_version_holds_are_gone_for_good(empty):
    """Never built, built of another content, or in no version that is kept: counted, as there is nothing to do."""
    there, gone = empty.put("07_00_a.csv", b"a,b\n1,2\n"), empty.put("07_01_b.csv", b"x,y\n3,4\n")
    other = empty.put("07_02_c.csv", b"x,y\n5,6\n7,8\n")
    forge(empty, b"x,y\n", [Rows(replace(gone, etag="other"), b"3,4\n", 1, b"x,y\n")])
    kept = [Rows(there, b"1,2\n", 1, b"a,b\n")]
    forge(empty, b"a,b\n", kept, quarantined=[evicted(gone, 1), evicted(other, 2)])
    empty.delete("07_01_b.csv")
    empty.delete("07_02_c.csv")
    report = audit(empty, deep=True)
    assert (report.named, report.omissions.lost_sources, report.omissions.lost_rows) == ([], 2, 3)
    assert report.summary() == "1 hour, 1 source, 1 row: no difference; 3 rows of 2 vanished sources are gone for good"


def test_versions_that_may_not_be_looked_at_are_reported(empty):
    """And the rows count as gone."""
    gone = empty.put("07_01_b.csv", b"x,y\n3,4\n")
    forge(empty, None, [], quarantined=[evicted(gone, 1)])
    empty.delete("07_01_b.csv")
    scripted = empty.target_seen = ScriptedStore(empty.target)
    scripted.before("list_versions", 1, fail(AccessDeniedError("ListObjectVersions", "k", "AccessDenied")))
    report = audit(empty)
    assert (only(report)[:2], report.omissions.lost_rows) == ((Kind.EVICTED, Standing.BEHIND), 1)
    assert "s3:ListBucketVersions" in report.named[0].detail


def test_a_source_that_could_not_be_read_is_not_called_quarantined(empty):
    """Nor one that waits because of others: each has its own word."""
    infos = [empty.put(f"07_0{minute}_a.csv", b"x,y\n3,4\n") for minute in range(2)]
    bad = [replace(evicted(infos[0], None), reason="unreadable", detail="AccessDenied"), evicted(infos[1], 1)]
    forge(empty, None, [], quarantined=bad)
    assert audit(empty).summary() == (
        "1 hour, 2 sources, 0 rows: no difference; "
        f"1 source waits: {EVENT}/2021-09-01/07_01_a.csv (columns): its columns are not the hour's; "
        f"1 source is unreadable: {EVENT}/2021-09-01/07_00_a.csv (unreadable): AccessDenied"
    )


def test_quarantined_sources_are_named_in_order_and_the_rest_is_counted(empty):
    """Whatever the order of the hours; the text names fewer than the report."""
    bad = [quarantined(empty.put(f"07_{minute:02}_bad.csv", b'a\n"')) for minute in range(30)]
    forge(empty, None, [], quarantined=bad)
    report = audit(empty)
    found = report.omissions.quarantined
    assert (found.count, len(found.named)) == (30, NAMED_SOURCES)
    one, two = Report(), Report()
    parts = [HourAudit(HOUR, (), omissions=Omissions(Some(1, (named,)))) for named in found.named]
    for part, other in zip(parts, reversed(parts), strict=True):
        one.add(part)
        two.add(other)
    assert one.omissions == two.omissions
    assert report.summary().endswith("07_02_bad.csv (unclosed quote) and 27 more")


def replace_source(bench: Bench) -> Bench:
    """Another bench over the same buckets, without a script."""
    other = bench.fresh()
    other.target = other.target_seen = bench.target
    return other


@pytest.mark.parametrize("body", [b"", b"id,name\n", b"<html>\n", b"\n\n"])
def test_an_hour_without_a_row_is_in_order_without_an_hour_file(bench, body):
    """It is read to know: what is unusable in it is named, and a row would make it a difference."""
    bench = Bench(bench.workers)
    bench.put("07_00_a.csv", body)
    bench.build()
    bench.clock += timedelta(days=1)
    audit = audit_hour(bench.pipeline, HOUR, see(bench.pipeline, HOUR))
    assert (audit.differences, audit.sources) == ((), 1)
    assert audit.omissions.quarantined.count == (body == b"<html>\n")
    bench.put("07_01_b.csv", b"id,name\n1,a\n")
    bench.clock += timedelta(days=1)
    (difference,) = audit_hour(bench.pipeline, HOUR, see(bench.pipeline, HOUR)).differences
    assert difference.kind is Kind.NO_HOUR_FILE
