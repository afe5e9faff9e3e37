"""The versions of an hour file, and bringing one back: checked, conditional, and bounded in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.builder.history import MOST_NAMED, Changes, changes, history, made_changes, restore
from s3_assets.errors import ContendedError, DamagedTargetError, NotFoundError
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.store.memory import MemoryStore
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.bench import DAY, EVENT, HOUR, NEXT_HOUR, Bench
from s3_assets_tests.builder.faults import ScriptedStore


def ids(bench: Bench) -> list[str]:
    """Of all versions, newest first."""
    return [str(version.info.version_id) for version in history(bench.pipeline, HOUR)]


@pytest.fixture
def grown(bench) -> Bench:
    """Two versions, a minute apart."""
    for name in ("07_00_a.csv", "07_10_b.csv"):
        bench.put(name, b"id,n\n%s,1\n" % name.encode())
        bench.build()
        bench.clock += timedelta(minutes=1)
    return bench


def test_what_changed_is_told_against_the_version_before(grown):
    """Of a version after a deletion, or after one that can't be read, it is told so."""
    grown.delete("07_00_a.csv")
    grown.target.delete(grown.key())
    grown.build()
    grown.target.put(grown.key(), b"someone's")
    grown.build(rebuild=True)
    found = list(history(grown.pipeline, HOUR))
    assert [str(version.changes) for version in found] == [
        "None",
        "None",
        "1 added, +1 row",
        "None",
        "1 added, +1 row",
        "1 added, +1 row",
    ]
    assert [version.is_deleted for version in found] == [False, False, False, True, False, False]
    assert [version.stands for version in found] == [True, *[False] * 5]
    assert found[1].problem is not None


SOURCES = st.dictionaries(
    st.sampled_from([f"e/2021-09-01/07_{minute:02d}_{name}.csv" for minute in (0, 9, 10) for name in ("a", "b")]),
    st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 3), st.booleans()),
)


def ledger_of(sources: dict[str, tuple[str, int, bool]]) -> Ledger:
    """With these sources: ETag, rows, whether it is quarantined."""
    keys = sorted(sources, key=order_key)
    held = tuple(Held(k, sources[k][0], 9, None, sources[k][1], 5, None) for k in keys if not sources[k][2])
    bad = tuple(Quarantined(k, sources[k][0], 9, "r", "d", None, alone=True) for k in keys if sources[k][2])
    return Ledger("e", "2021-09-01-07:00", None, (), (Segment(10, 1, 0, 5 * len(held), 0, held),), bad)


@given(st.none() | SOURCES, st.none() | SOURCES)
def test_rows_that_came_and_left_add_up_exactly(old, new):
    """Whatever the two versions hold: each source whose identity or row count changed counts on both sides, in full."""
    before, after = (None if one is None else ledger_of(one) for one in (old, new))
    found = changes(before, after)
    rows = [
        {(held.key, held.etag, held.rows): held.rows for held in (() if one is None else one.held)}
        for one in (before, after)
    ]
    left = {held: count for held, count in rows[0].items() if held not in rows[1] and count}
    came = {held: count for held, count in rows[1].items() if held not in rows[0] and count}
    assert (found.rows_removed, found.sources_removed) == (sum(left.values()), len(left))
    assert (found.rows_added, found.sources_added) == (sum(came.values()), len(came))
    assert found.rows == sum(rows[1].values()) - sum(rows[0].values())
    for moved, every in ((found.removed_by, left), (found.added_by, came)):
        first = sorted(every, key=lambda held: order_key(held[0]))[:MOST_NAMED]
        assert [(one.key, one.rows) for one in moved] == [(key, count) for key, _, count in first]
    unchanged = changes(after, after)
    assert (unchanged, str(unchanged)) == (Changes(), "the same sources")


def test_a_sum_of_changes_is_that_of_its_parts_in_whatever_order():
    """With the first few of all, by key."""
    one = changes(ledger_of({"e/2021-09-01/07_10_b.csv": ("x", 3, False)}), None)
    other = changes(None, ledger_of({f"e/2021-09-01/07_0{n}_a.csv": ("x", 1, False) for n in range(9)}))
    both = one + other
    assert both == other + one
    assert both.row_counts() == "+9 rows, -3 rows"
    assert both.sentence() == (
        "+9 rows, -3 rows (from 1 source: e/2021-09-01/07_10_b.csv gone; added by 9 sources: "
        "e/2021-09-01/07_00_a.csv, e/2021-09-01/07_01_a.csv, e/2021-09-01/07_02_a.csv and 6 more)"
    )
    long = changes(ledger_of({f"e/2021-09-01/07_10_{'x' * 900}.csv": ("x", 3, False)}), None)
    assert len(long.sentence()) < 300


def test_a_rewrite_that_takes_rows_out_shows_both_sides(grown):
    """Where as many came as left, too: by the hour's result, as an operator sees it, and by its history."""
    grown.put("07_00_a.csv", b"id,n\nz,1\n")
    found = made_changes(grown.build())
    assert found.sentence() == (
        f"+1 row, -1 row (from 1 source: {EVENT}/{DAY}/07_00_a.csv rewritten; "
        f"added by 1 source: {EVENT}/{DAY}/07_00_a.csv rewritten)"
    )
    assert str(next(iter(history(grown.pipeline, HOUR))).changes) == "1 rewritten, +1 row, -1 row"
    assert made_changes(grown.build()) == Changes()
    grown.put("07_00_a.csv", b'id,n\n"z,1\n')
    [moved] = made_changes(grown.build()).removed_by
    assert str(moved) == f"{EVENT}/{DAY}/07_00_a.csv quarantined"


def test_without_versions_there_is_one(workers):
    """Without a name."""
    bench = Bench(workers)
    bench.target = bench.target_seen = MemoryStore(versioned=False)
    bench.put("07_00_a.csv", b"id\n1\n")
    bench.build()
    [only] = history(bench.pipeline, HOUR)
    assert (only.info.version_id, only.rows, only.stands) == (None, 1, True)


def test_a_version_comes_back_byte_by_byte(grown):
    """As a new version; one that stands already is left as it is."""
    new, old = ids(grown)
    first = grown.target.get(grown.key(), version_id=old).read()
    info = restore(grown.pipeline, HOUR, old)
    assert grown.file() == first
    assert ids(grown) == [info.version_id, new, old]
    assert restore(grown.pipeline, HOUR, info.version_id) is None
    assert len(ids(grown)) == 3
    grown.target.delete(grown.key())
    restore(grown.pipeline, HOUR, new)
    assert b"07_10_b" in grown.text()


def test_what_was_written_meanwhile_is_left_as_it_is(grown):
    """Also where there was nothing."""
    _, old = ids(grown)
    for _ in range(2):
        scripted = grown.target_seen = ScriptedStore(grown.target)
        scripted.before("put", 1, lambda: grown.target.put(grown.key(), b"faster"))
        with pytest.raises(ContendedError):
            restore(grown.pipeline, HOUR, old)
        assert grown.file() == b"faster"
        grown.target.delete(grown.key())


@pytest.mark.parametrize("at", [9, 40, 80, -40])
def test_a_damaged_version_does_not_come_back(grown, at):
    """Wherever the damage is."""
    whole = grown.file()
    bad = bytearray(whole)
    bad[at] ^= 16
    version_id = grown.target.put(grown.key(), bytes(bad)).version_id
    grown.target.put(grown.key(), whole)
    with pytest.raises(DamagedTargetError):
        restore(grown.pipeline, HOUR, version_id)
    assert grown.file() == whole


def test_a_version_that_is_not_there_is_told(grown):
    """Nor is another hour's one, nor a deletion."""
    grown.target.delete(grown.key())
    [mark, *_] = grown.target.list_versions(grown.key())
    for version_id in ("nothing", mark.info.version_id):
        with pytest.raises(NotFoundError):
            restore(grown.pipeline, HOUR, version_id)
    with pytest.raises(NotFoundError):
        restore(grown.pipeline, NEXT_HOUR, ids(grown)[-1])


def test_a_large_version_comes_back_in_parts(grown, monkeypatch):
    """No more than a part is held in memory."""
    monkeypatch.setattr("s3_assets.builder.history.WHOLE_PUT_BYTES", 100)
    monkeypatch.setattr("s3_assets.builder.history.PUT_PART_BYTES", 50)
    monkeypatch.setattr("s3_assets.store.parts.MIN_PART_BYTES", 50)
    _, old = ids(grown)
    first = grown.target.get(grown.key(), version_id=old).read()
    metered = grown.target_seen = MeteredStore(grown.target)
    restore(grown.pipeline, HOUR, old)
    assert grown.file() == first
    assert metered.traffic.requests["put_part"] == -(-len(first) // 50)
    scripted = grown.target_seen = ScriptedStore(grown.target)
    scripted.before("complete", 1, lambda: grown.target.put(grown.key(), b"faster"))
    with pytest.raises(ContendedError):
        restore(grown.pipeline, HOUR, old)
    assert list(grown.target.list_uploads("")) == []
