"""The audit over stores: every kind of difference is found, told with what mends it, and gone once that was done."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta

import pytest

from s3_assets.audit.differences import Difference, Kind, Report, Standing
from s3_assets.audit.hours import AuditOptions, abort_left_open, audit_hours, sweep
from s3_assets.builder.commit import ABANDONED_AFTER
from s3_assets.builder.reconcile import HourFailure, Scope
from s3_assets.errors import AccessDeniedError, StoreUnavailableError
from s3_assets.hour_file.ledger import encode
from s3_assets.hour_file.mending import hour_options
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.builder.bench import EVENT, HOUR, NEXT_HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore, fail

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
def test_what_is_right_is_told_so(bench, deep):
    """Quarantined sources are no difference; nothing is written."""
    before = bench.writes(), bench.writes(NEXT_HOUR)
    report = audit(bench, deep=deep)
    assert (report.hours, report.sources, report.rows, report.named) == (2, 5, 28, [])
    assert bool(report.bytes_read) == deep
    assert (bench.writes(), bench.writes(NEXT_HOUR)) == before


def test_a_deep_audit_reads_all_of_hour_files_and_sources(bench):
    """And an audit that is not deep none of them."""
    held = sum(source.size for hour in (HOUR, NEXT_HOUR) for source in bench.ledger(hour).held)
    segments = sum(bench.ledger(hour).data_length - 10 for hour in (HOUR, NEXT_HOUR))
    bad = bench.ledger().quarantined[0].size
    assert audit(bench, deep=True).bytes_read == held + bad + segments


def test_a_source_that_was_not_taken_in_is_behind_then_wrong(bench):
    """By when it came; a build mends it."""
    bench.put("07_40_late.csv", b"id,n\n7,40\n")
    report = audit(bench)
    assert only(report) == (Kind.NOT_TAKEN_IN, Standing.BEHIND, 1)
    assert (report.wrong, report.behind) == (0, 1)
    bench.clock += timedelta(minutes=16)
    report = audit(bench)
    assert only(report) == (Kind.NOT_TAKEN_IN, Standing.WRONG, 1)
    assert report.named[0].keys == (f"{EVENT}/2021-09-01/07_40_late.csv",)
    assert report.named[0].mend == f"s3-assets sync {hour_options(HOUR)}"
    assert only(audit(bench, grace=timedelta(minutes=17)))[1] is Standing.BEHIND
    bench.build()
    assert audit(bench).named == []


def test_a_rewritten_source_is_one(bench):
    """By its ETag, old or new."""
    bench.put("07_00_a.csv", b"id,n\n7,0\n")
    bench.clock += timedelta(hours=1)
    bench.put("07_10_a.csv", b"id,n\n7,10\n")
    report = audit(bench)
    assert sorted((found.kind, found.standing) for found in report.named) == [
        (Kind.REWRITTEN, Standing.BEHIND),
        (Kind.REWRITTEN, Standing.WRONG),
    ]


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
    bench.policy = DROP
    first, second = audit(bench).in_order()
    assert (first.kind, first.mend) == (Kind.NOT_DROPPED, f"s3-assets sync {hour_options(HOUR)}")
    assert second.mend == f"s3-assets sync --accept-vanished {hour_options(NEXT_HOUR)}"
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
    assert [found.mend for found in audit(bench).named] == [f"s3-assets sync {hour_options(HOUR)}"]


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
    """A rebuild mends it."""
    if data is None:
        flip(bench, len(bench.file()) - 40)
    else:
        bench.target.put(bench.key(), data)
    report = audit(bench, deep=True)
    assert only(report) == (kind, Standing.WRONG, 1)
    assert report.named[0].mend == f"s3-assets sync --rebuild {hour_options(HOUR)}"
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


def test_a_quarantined_source_that_can_be_read_after_all_is_told(bench):
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
    """It is neither right nor wrong."""
    scripted = bench.source_seen = ScriptedStore(bench.source)
    for number in range(2, 30):
        scripted.before("list", number, lambda number=number: bench.put("07_00_a.csv", b"id,n\n1,%d\n" % number))
    report = audit(bench, Scope(HOUR.label, HOUR.label), grace=timedelta(0))
    assert only(report) == (Kind.RESTLESS, Standing.BEHIND, 1)


def test_an_hour_that_can_not_be_read_is_no_difference_and_not_right(bench):
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
    assert "'s3://targets/target/" in report.named[0].mend
    assert len(audit(bench, replace(DAY, events=(EVENT,))).named) == 1


def test_open_uploads_are_behind_and_once_old_wrong_and_then_aborted(bench):
    """Those of hour files; another's is named, and left alone."""
    for key in (bench.key(), "target/other/readme"):
        bench.target.start_upload(key).put_part(1, b"x")
    assert [found.standing for found in audit(bench).named] == [Standing.BEHIND] * 2
    bench.clock += ABANDONED_AFTER + timedelta(seconds=1)
    report = audit(bench)
    assert [found.standing for found in report.named] == [Standing.WRONG] * 2
    assert sorted(found.mend.split(" --")[0] for found in report.named) == [
        "aws s3api abort-multipart-upload",
        "s3-assets verify",
    ]
    assert abort_left_open(bench.pipeline, DAY) == 1
    assert [upload.key for upload in bench.target.list_uploads("")] == ["target/other/readme"]


def test_open_uploads_that_may_not_be_listed_are_told_and_the_rest_is_audited(bench):
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


def replace_source(bench: Bench) -> Bench:
    """Another bench over the same buckets, without a script."""
    other = bench.fresh()
    other.target = other.target_seen = bench.target
    return other
