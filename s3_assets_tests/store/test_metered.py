"""The counting store counts what passes, and changes nothing."""

from __future__ import annotations

from s3_assets.store.contract import MIN_PART_BYTES, Store, Upload
from s3_assets.store.memory import MemoryStore
from s3_assets.store.metered import MeteredStore


def test_counts_calls_and_bytes() -> None:
    """Copied bytes apart from those that pass through this host; a range counts what was read."""
    store = MeteredStore(MemoryStore("name"))
    assert isinstance(store, Store)
    assert store.bucket == "name"
    etag = store.put("a", b"x" * MIN_PART_BYTES, if_absent=True).etag
    assert len(store.get("a", suffix=10).read()) == 10
    with store.start_upload("b") as upload:
        assert isinstance(upload, Upload)
        upload.copy_part(1, "a", 0, MIN_PART_BYTES, if_match=etag)
        upload.put_part(2, b"tail")
        upload.complete(if_absent=True)
    with store.start_upload("c"):
        pass
    store.head("b")
    assert [info.key for info in store.list("")] == ["a", "b"]
    store.delete("b")
    traffic = store.traffic
    assert dict(traffic.requests) == {
        "put": 1, "get": 1, "start_upload": 2, "copy_part": 1, "put_part": 1, "complete": 1, "abort": 1, "head": 1,
        "list": 1, "delete": 1,
    }  # fmt: skip
    assert (traffic.bytes_down, traffic.bytes_up) == (10, MIN_PART_BYTES + 4)
    assert traffic.bytes_copied == MIN_PART_BYTES
    store.head("a")
    assert traffic.requests["head"] == 1


def test_counts_pages() -> None:
    """A listing is a request for each thousand keys, as far as it is read."""
    store = MeteredStore(MemoryStore())
    for number in range(2001):
        store.inner.put(f"{number:04}", b"")
    assert len(list(store.list(""))) == 2001
    assert store.traffic.requests["list"] == 3
    next(iter(store.list("")))
    assert store.traffic.requests["list"] == 4
