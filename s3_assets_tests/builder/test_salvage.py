"""Damaged hour files whose sources are gone: a rebuild takes their rows from older versions, or names what is lost."""

from __future__ import annotations

import logging

import pytest

from s3_assets.builder.build import BuildOptions, plan_hour, see
from s3_assets.builder.salvage import ROWS_LOST, LostRowsError
from s3_assets.errors import AccessDeniedError, DamagedTargetError
from s3_assets.hour_file.mending import hour_options
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.builder.bench import EVENT, HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore, fail

ROWS = {name: b"".join(b"%s,%d\n" % (name.encode(), row) for row in range(40_000)) for name in "abc"}
"""Each enough for a segment of its own, almost."""

DROP = EventPolicy(on_vanished="drop", max_vanished_share=1.0)


def put(bench: Bench, *names: str) -> None:
    """A source of each name, in the minutes of their order."""
    for name in names:
        bench.put(f"07_{ord(name) - 97:02}_{name}.csv", b"n,i\n" + ROWS[name])


def vanish(bench: Bench, *names: str) -> None:
    """By a lifecycle rule."""
    for name in names:
        bench.delete(f"07_{ord(name) - 97:02}_{name}.csv")


def damage(bench: Bench, name: str | None = None) -> None:
    """Flip a bit of the segment that holds the rows of `name`, or of the ledger's footer."""
    file = bytearray(bench.file())
    at = len(file) - 40
    if name is not None:
        [segment] = [s for s in bench.ledger().segments for held in s.sources if held.key.endswith(f"_{name}.csv")]
        at = segment.offset + segment.length // 2
    file[at] ^= 16
    bench.target.put(bench.key(), bytes(file))


def text(*names: str) -> bytes:
    """What an hour file of these must hold."""
    return b"n,i\n" + b"".join(ROWS[name] for name in names)


@pytest.fixture
def grown(bench) -> Bench:
    """An hour file of two versions: a and b; and, each in a segment of its own, c."""
    put(bench, "a", "b")
    bench.build()
    put(bench, "c")
    bench.build()
    return bench


@pytest.mark.parametrize("where", ["a", None], ids=["a segment", "the ledger"])
def test_rows_of_vanished_sources_come_from_the_newest_intact_version(grown, where):
    """The others are read at the source; and then nothing is left to do."""
    damage(grown, where)
    vanish(grown, "a")
    grown.put("07_59_late.csv", b"n,i\nlate,1\n")
    with pytest.raises(DamagedTargetError):
        grown.build()
    result = grown.build(rebuild=True)
    assert grown.text() == text("a", "b", "c") + b"late,1\n"
    assert "40000 rows of sources that are gone were saved, out of 1 older versions" in result.plan.reason
    assert result.tries == 1
    assert grown.build().plan.verdict is Verdict.NOTHING
    assert grown.build(rebuild=True).plan.verdict is Verdict.BUILD
    assert grown.text() == text("a", "b", "c") + b"late,1\n"


@pytest.mark.parametrize("where", ["a", None], ids=["a segment", "the ledger"])
def test_an_hour_whose_sources_are_all_gone_is_mended_too(grown, where):
    """There is nothing new to read; still it is written."""
    damage(grown, where)
    vanish(grown, "a", "b", "c")
    result = grown.build(rebuild=True)
    assert (result.plan.verdict, grown.text()) == (Verdict.BUILD, text("a", "b", "c"))
    assert result.traffic_source.bytes_down == 0
    assert grown.build().plan.verdict is Verdict.NOTHING


def test_what_came_last_is_saved_from_the_damaged_file_itself(grown):
    """The older version never had c; its segment stands intact beside the damaged one."""
    damage(grown, "a")
    vanish(grown, "a", "b", "c")
    result = grown.build(rebuild=True)
    assert grown.text() == text("a", "b", "c")
    assert "out of 1 older versions" in result.plan.reason


def test_versions_with_other_columns_are_laid_out_as_one(bench, monkeypatch):
    """The hour's header grew in between: a comes from before, the others from after."""
    monkeypatch.setattr("s3_assets.hour_file.layout.SEGMENT_BYTES", 1000)
    put(bench, "a", "b")
    bench.build()
    bench.put("07_03_d.csv", b"more,n,i\nx,d,7\n")
    bench.build()
    damage(bench, "a")
    bench.target._history[bench.key()].pop(-2)  # it was damaged where it lay
    vanish(bench, "a", "b")
    bench.delete("07_03_d.csv")
    bench.build(rebuild=True)
    rows = b"".join(row + b",\n" for row in (ROWS["a"] + ROWS["b"]).split(b"\n")[:-1])
    assert bench.text() == b"n,i,more\n" + rows + b"d,7,x\n"
    assert bench.build().plan.verdict is Verdict.NOTHING


@pytest.mark.parametrize("versioned", [True, False])
def test_what_no_version_has_is_named_and_nothing_is_written(workers, versioned):
    """Unless an operator says that it may go; then it stays named in the ledger."""
    bench = Bench(workers)
    bench.target = bench.target_seen = MemoryStore("targets", versioned=versioned, clock=lambda: bench.clock)
    put(bench, "a", "b")
    bench.build()
    file = bytearray(bench.file())
    bench.target._history[bench.key()].clear()
    [segment] = [s for s in bench.ledger_of(bytes(file)).segments if s.sources]
    file[segment.offset + 99] ^= 1
    bench.target.put(bench.key(), bytes(file))
    vanish(bench, "a")
    before = bench.info()
    with pytest.raises(
        LostRowsError, match=r"40000 rows of 1 sources that are gone .* 'customer_.*07_00_a\.csv'"
    ) as caught:
        bench.build(rebuild=True)
    assert [held.key for held in caught.value.lost] == [f"{EVENT}/2021-09-01/07_00_a.csv"]
    assert f"`s3-assets sync --rebuild --accept-lost-rows {hour_options(HOUR)}`" in caught.value.hint
    assert bench.info() == before
    result = bench.build(rebuild=True, accept_lost_rows=True)
    assert bench.text() == text("b")
    assert bench.quarantined() == {"07_00_a.csv": ROWS_LOST}
    assert "and 40000 were not" in result.plan.reason
    assert bench.build().plan.verdict is Verdict.NOTHING
    put(bench, "a")  # somebody found it
    bench.build()
    assert (bench.text(), bench.quarantined()) == (text("a", "b"), {})


def test_an_hour_file_that_was_deleted_is_rebuilt_with_the_rows_of_vanished_sources(grown):
    """Where a rebuild is asked for; a build by itself knows only what is listed."""
    vanish(grown, "a")
    grown.target.delete(grown.key())
    assert "out of 1 older versions" in grown.build(rebuild=True).plan.reason
    assert grown.text() == text("a", "b", "c")


def test_rows_that_were_dropped_do_not_come_back(grown):
    """Under `drop`, and after it where the hour file was removed because its sources went."""
    grown.policy = DROP
    damage(grown)
    vanish(grown, "a")
    grown.build(rebuild=True)
    assert grown.text() == text("b", "c")
    vanish(grown, "b", "c")
    grown.build()
    assert grown.target.head(grown.key()) is None
    grown.policy = EventPolicy()
    assert grown.build(rebuild=True).plan.verdict is Verdict.EMPTY


def test_a_plan_announces_it(grown):
    """Ledgers are enough to know; a damaged segment is seen only when it is read."""
    damage(grown)
    vanish(grown, "a")
    plan = plan_hour(grown.pipeline, HOUR, see(grown.pipeline, HOUR), BuildOptions(rebuild=True))
    assert grown.build(rebuild=True).plan == plan


def test_where_versions_may_not_be_listed_the_loss_is_named(grown, caplog):
    """And the log says why."""
    damage(grown, "a")
    vanish(grown, "a")
    scripted = grown.target_seen = ScriptedStore(grown.target)
    scripted.before("list_versions", 1, fail(AccessDeniedError("ListObjectVersions", "k", "AccessDenied")))
    with caplog.at_level(logging.WARNING, "s3_assets"), pytest.raises(LostRowsError):
        grown.build(rebuild=True)
    assert "older versions" in caplog.text


def test_a_file_that_is_replaced_while_it_is_searched_is_planned_anew(grown):
    """Another builder was faster, and the file is whole again."""
    damage(grown, "a")
    vanish(grown, "a")
    scripted = grown.target_seen = ScriptedStore(grown.target)

    def another() -> None:
        other = grown.fresh()
        other.target = other.target_seen = grown.target
        other.build(rebuild=True)

    scripted.before("list_versions", 1, another)
    assert grown.build(rebuild=True).tries == 2
    assert grown.text() == text("a", "b", "c")
