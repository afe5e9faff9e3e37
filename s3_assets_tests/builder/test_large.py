"""Hour files beyond one PUT: what stands is copied on the server, and the client moves little."""

from __future__ import annotations

import logging
import random
from base64 import b85encode
from datetime import timedelta

import pytest

from s3_assets.audit.differences import Kind
from s3_assets.audit.hours import AuditOptions, audit_hour
from s3_assets.builder.build import Pauses, build_hour, see
from s3_assets.builder.commit import ABANDONED_AFTER, WHOLE_PUT_BYTES
from s3_assets.errors import AccessDeniedError, PreconditionFailedError, StoreUnavailableError
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.builder.bench import HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore, fail

MB = 1_000_000
LATE = b"id,n\n" + b"".join(b"late%d,x\n" % number for number in range(900))


def incompressible(megabytes: float, seed: int) -> bytes:
    """Rows that hardly get smaller."""
    text = b85encode(random.Random(seed).randbytes(int(megabytes * MB * 0.8))).replace(b",", b"~").replace(b'"', b"'")
    return b"".join(b"%b,%d\n" % (text[at : at + 90], at) for at in range(0, len(text), 90))


FAST = EventPolicy(compression="fast")
BODIES = {f"07_{10 * index:02}_big.csv": incompressible(5.5, index) for index in range(1, 6)}


@pytest.fixture(scope="module")
def template(workers) -> Bench:
    """An hour file of 25 MB, made once."""
    bench = Bench(workers, FAST)
    for name, rows in BODIES.items():
        bench.put(name, b"id,n\n" + rows)
    result = bench.build()
    assert result.size > WHOLE_PUT_BYTES
    assert result.traffic_target.requests["complete"] == 1
    return bench


@pytest.fixture
def large(template) -> Bench:
    """The same in buckets of the test's own."""
    bench = Bench(template.workers, FAST)
    for store, other in ((bench.source, template.source), (bench.target, template.target)):
        store._history = {key: list(versions) for key, versions in other._history.items()}
        store._keys = list(other._keys)
        store._serial = other._serial
    return bench


def expected(late: dict[str, bytes]) -> bytes:
    """The rows of all, in key order."""
    bodies = BODIES | {name: data.partition(b"\n")[2] for name, data in late.items()}
    return b"id,n\n" + b"".join(bodies[name] for name in sorted(bodies))


@pytest.mark.parametrize(
    "name, most",
    [("07_59_late.csv", 0.3), ("07_35_late.csv", 12.0), ("07_00_late.csv", 12.0)],
    ids=["end", "middle", "beginning"],
)
def test_a_late_source_moves_few_bytes(large, name, most):
    """At the end: itself and the ledger; elsewhere: also one part at the gap. The rest is copied on the server."""
    large.put(name, LATE)
    result = large.build()
    assert large.text() == expected({name: LATE})
    moved = result.traffic_target.bytes_down + result.traffic_target.bytes_up + result.traffic_source.bytes_down
    assert moved <= len(LATE) + most * MB
    assert result.traffic_target.bytes_copied > large.info().size - 12 * MB
    assert result.traffic_target.requests.get("put", 0) == 0
    assert len(large.ledger().segments) == 7
    assert list(large.target.list_uploads("")) == []


def test_many_late_sources_one_after_another(large):
    """At every gap, twice: the rows are those of a full build."""
    late = {f"07_{minute:02}_late.csv": b"id,n\n%d,x\n" % minute for minute in (59, 5, 25, 45, 26)}
    for name, data in late.items():
        large.put(name, data)
        large.build()
    assert large.text() == expected(late)
    large.build(rebuild=True)
    other = large.fresh()
    other.build()
    assert other.file() == large.file()


def test_a_rewritten_large_source_is_replaced_between_copies(large):
    """Its neighbours stand."""
    large.put("07_30_big.csv", b"id,n\nnew,1\n")
    result = large.build()
    assert large.text() == expected({}).replace(BODIES["07_30_big.csv"], b"new,1\n")
    assert result.traffic_source.bytes_down == len(b"id,n\nnew,1\n")


def test_a_lost_race_of_uploads_is_planned_again(large):
    """The completion is refused: the upload is aborted, and the rows of both are there."""
    large.put("07_59_late.csv", LATE)
    scripted = large.target_seen = ScriptedStore(large.target)

    def another() -> None:
        other = large.fresh()
        other.target = other.target_seen = large.target
        large.put("07_58_other.csv", b"id,n\nother,1\n")
        other.build()

    scripted.before("complete", 1, another)
    result = large.build()
    assert result.tries == 2
    assert large.text() == expected({"07_59_late.csv": LATE, "07_58_other.csv": b"id,n\nother,1\n"})
    assert list(large.target.list_uploads("")) == []


@pytest.mark.parametrize("kind", ["start_upload", "copy_part", "put_part", "complete"])
def test_an_upload_that_fails_leaves_no_trace(large, kind):
    """The old file stands, no upload is left open, and the next build makes it right."""
    large.put("07_35_late.csv", LATE)
    before = large.info()
    scripted = large.target_seen = ScriptedStore(large.target)
    scripted.before(kind, 1, fail(StoreUnavailableError(kind, "k", "503")))
    with pytest.raises(StoreUnavailableError):
        large.build()
    assert large.info() == before
    assert list(large.target.list_uploads("")) == []
    large.build()
    assert large.text() == expected({"07_35_late.csv": LATE})


def test_a_target_replaced_during_the_copy_is_never_mixed(large):
    """Every copied range is bound to the version that was planned."""
    large.put("07_35_late.csv", LATE)
    scripted = large.target_seen = ScriptedStore(large.target)
    scripted.before("copy_part", 2, lambda: large.target.put(large.key(), large.file()[:-1]))
    with pytest.raises(Exception, match="no ledger"):  # the version that came between is foreign: left alone
        large.build()
    assert list(large.target.list_uploads("")) == []


def test_a_large_source_is_streamed(bench):
    """More than a fetch takes whole, and more than a spool keeps in memory."""
    rows = incompressible(22, 99)
    bench.policy = FAST
    bench.put("07_00_small.csv", b"id,n\n1,2\n")
    bench.put("07_01_large.csv", b"id,n\n" + rows)
    result = bench.build()
    assert bench.text() == b"id,n\n1,2\n" + rows
    assert result.made == 3
    assert result.traffic_target.requests["put_part"] >= 3


def test_a_large_source_that_turns_out_bad_at_its_end_is_left_out(bench):
    """Nothing of it is in the hour file, and its connection is let go."""
    closed = []
    bench.put("07_00_small.csv", b"id,n\n1,2\n")
    bench.put("07_01_large.csv", b"id,n\n" + incompressible(6, 5) + b'"open\n')

    class Watched(ScriptedStore):
        def get(self, key, **options):
            download = self.inner.get(key, **options)
            download._close = lambda: closed.append(key)
            return download

    bench.source_seen = Watched(bench.source)
    bench.build()
    assert bench.text() == b"id,n\n1,2\n"
    assert [bad.rows for bad in bench.ledger().quarantined] == [incompressible(6, 5).count(b"\n")]
    assert [key.rpartition("/")[2] for key in closed] == ["07_01_large.csv"]


def test_a_new_column_lays_out_a_large_hour(large):
    """All rows are made again, from the hour file and not from the sources; only the late one is read, twice."""
    large.put("07_59_late.csv", b"id,more\n1,2\n")
    result = large.build()
    lines = large.text().split(b"\n")
    assert lines[0] == b"id,n,more"
    assert lines[-2] == b"1,,2"
    assert lines[1:-2] == [row + b"," for row in b"".join(BODIES.values()).split(b"\n")[:-1]]
    assert result.traffic_source.bytes_down == 2 * len(b"id,more\n1,2\n")


def test_a_precondition_that_never_holds_is_given_up(large):
    """Bounded, and without an upload left."""
    large.put("07_59_late.csv", LATE)
    scripted = large.target_seen = ScriptedStore(large.target)
    for number in range(1, 9):
        scripted.before("complete", number, fail(PreconditionFailedError("CompleteMultipartUpload", "k", "412")))
    with pytest.raises(Exception, match="changed under each of 8 tries"):
        build_hour(large.pipeline, HOUR, pauses=Pauses(sleep=lambda _: None))
    assert list(large.target.list_uploads("")) == []


def test_uploads_that_killed_builders_left_of_this_key_are_aborted_once_they_are_old(large):
    """Not one that a living builder may be using, and not another key's."""
    large.target.start_upload(large.key()).put_part(1, b"killed")
    large.target.start_upload(large.key() + ".bak").put_part(1, b"someone's")
    large.clock += ABANDONED_AFTER
    large.target.start_upload(large.key()).put_part(1, b"living")
    large.clock += timedelta(seconds=1)
    large.put("07_59_late.csv", LATE)
    assert large.build().traffic_target.requests["abort"] == 1
    assert sorted((upload.key, upload.initiated < large.clock - ABANDONED_AFTER) for upload in open_uploads(large)) == [
        (large.key(), False),
        (large.key() + ".bak", True),
    ]


def test_a_living_builder_whose_upload_was_aborted_plans_anew(large):
    """A day for one upload: another builder takes it for dead. Nothing is lost but the time."""
    large.put("07_59_late.csv", LATE)
    scripted = large.target_seen = ScriptedStore(large.target)

    def another() -> None:
        large.clock += timedelta(days=1)
        other = large.fresh()
        other.target = other.target_seen = large.target
        large.put("07_58_other.csv", b"id,n\nother,1\n")
        other.build()

    scripted.before("put_part", 1, another)
    assert large.build().tries == 2
    assert large.text() == expected({"07_59_late.csv": LATE, "07_58_other.csv": b"id,n\nother,1\n"})
    assert open_uploads(large) == []


def test_a_commit_does_not_fail_where_open_uploads_may_not_be_listed(large, caplog):
    """The log says that they stay."""
    large.put("07_59_late.csv", LATE)
    scripted = large.target_seen = ScriptedStore(large.target)
    scripted.before("list_uploads", 1, fail(AccessDeniedError("ListMultipartUploads", "k", "AccessDenied")))
    with caplog.at_level(logging.WARNING, "s3_assets"):
        large.build()
    assert large.text() == expected({"07_59_late.csv": LATE})
    assert "left open" in caplog.text


def test_a_small_commit_does_not_look_for_open_uploads(bench):
    """One look, one list, one GET and one PUT, as before."""
    bench.put("07_00_a.csv", b"n\n1\n")
    result = bench.build()
    assert dict(result.traffic_target.requests) == {"get": 1, "put": 1}


def test_a_damaged_segment_of_a_large_file_is_copied_on_unread_until_an_audit_or_a_rebuild_reads_it(large):
    """What the server copies is not read by a build; a deep audit finds it, and a rebuild mends it."""
    segment = large.ledger().segments[2]
    file = bytearray(large.file())
    file[segment.offset + 1000] ^= 1
    large.target.put(large.key(), bytes(file))
    large.put("07_59_late.csv", LATE)
    large.build()
    large.delete("07_20_big.csv")
    found = audit_hour(large.pipeline, HOUR, see(large.pipeline, HOUR), AuditOptions(deep=True))
    assert [(one.kind, one.keys[0][-13:]) for one in found.differences] == [(Kind.DAMAGED, "07_20_big.csv")]
    assert "older versions" in large.build(rebuild=True).plan.reason
    assert large.text() == expected({"07_59_late.csv": LATE})


def open_uploads(bench: Bench) -> list:
    """Of all keys."""
    return list(bench.target.list_uploads(""))
