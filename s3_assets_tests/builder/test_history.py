"""The versions of an hour file, and bringing one back: checked, conditional, and bounded in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from s3_assets.builder.history import history, restore
from s3_assets.errors import ContendedError, DamagedTargetError, NotFoundError
from s3_assets.store.memory import MemoryStore
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR, Bench
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
        "1 added, +1 rows",
        "None",
        "1 added, +1 rows",
        "1 added, +1 rows",
    ]
    assert [version.is_deleted for version in found] == [False, False, False, True, False, False]
    assert [version.stands for version in found] == [True, *[False] * 5]
    assert found[1].problem is not None


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
