"""What the memory twin does beyond the contract."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.store.contract import MIN_PART_BYTES
from s3_assets.store.memory import MemoryStore

START = datetime(2026, 11, 22, 3, 0, 0, 999_999, tzinfo=UTC)


def test_lists_in_the_order_of_bytes() -> None:
    """As AWS does: `click-v2/` before `click/`, by UTF-8."""
    store = MemoryStore()
    for key in ("click/1", "click-v2/1", "클릭", "Z", "😀", "\uffee"):
        store.put(key, b"")
    keys = [info.key for info in store.list("")]
    assert keys == ["Z", "click-v2/1", "click/1", "클릭", "\uffee", "😀"]


def test_time_is_whole_seconds_and_an_uploads_start() -> None:
    """An object can appear with a time that has long passed."""
    times = iter(START + timedelta(hours=hour) for hour in range(9))
    store = MemoryStore(clock=lambda: next(times))
    upload = store.start_upload("late")
    assert store.put("a", b"").last_modified == (START + timedelta(hours=1)).replace(microsecond=0)
    upload.put_part(1, b"x")
    assert upload.complete().last_modified == START.replace(microsecond=0)


def test_multipart_etag() -> None:
    """MD5 of the parts' MD5s, and their number."""
    store = MemoryStore()
    parts = [b"a" * MIN_PART_BYTES, b"b"]
    with store.start_upload("a") as upload:
        for number, part in enumerate(parts, 1):
            upload.put_part(number, part)
        etag = upload.complete().etag
    assert etag == hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + "-2"


def test_versions_are_kept() -> None:
    """Also below delete markers; not where versioning is off."""
    store = MemoryStore()
    store.put("a", b"1")
    store.put("a", b"2")
    store.delete("a")
    assert [version.data for version in store.versions("a")] == [b"1", b"2", None]
    assert store.head("a") is None
    plain = MemoryStore(versioned=False)
    plain.put("a", b"1")
    assert plain.put("a", b"2").version_id is None
    assert [version.data for version in plain.versions("a")] == [b"2"]
    plain.delete("a")
    assert plain.versions("a") == ()


@given(st.binary(max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_ranges_are_slices(data: bytes, start: int, stop: int) -> None:
    """For every range of every object."""
    store = MemoryStore()
    store.put("a", data)
    assert store.get("a", span=(start, stop)).read() == data[start:stop]
    assert store.get("a", suffix=start).read() == data[max(0, len(data) - start) :]
