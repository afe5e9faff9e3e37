"""A store that counts what goes through it, for benchmarks, metadata and tests of cost; and what it counts with.

Counted are calls of the contract, not tries: retries inside the store are not seen. The bytes are those that pass
through this host; what a server copies is counted apart.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from s3_assets.store.contract import (
    TARGET_CONTENT_TYPE,
    Download,
    ObjectInfo,
    ObjectVersion,
    OpenUpload,
    Store,
    Upload,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

KEYS_PER_PAGE = 1000
"""Keys that one request lists, at most (S3 API, ListObjectsV2)."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went through a store so far.

    Attributes:
        requests: How many calls, by kind: list, list_level, head, get, put, start_upload, put_part, copy_part,
            complete, abort, list_uploads, list_versions, delete. A listing counts one for each `KEYS_PER_PAGE` keys
            begun.
        bytes_down: Read by this host.
        bytes_up: Sent by this host.
        bytes_copied: Copied by the server.
    """

    requests: Mapping[str, int]
    bytes_down: int
    bytes_up: int
    bytes_copied: int


class Meter:
    """Counts, from any number of threads."""

    def __init__(self) -> None:
        """Start with zeros."""
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @property
    def traffic(self) -> Traffic:
        """What went through so far."""
        with self._lock:
            requests = MappingProxyType(dict(self._requests))
            return Traffic(requests, self._bytes["down"], self._bytes["up"], self._bytes["copied"])

    def count(self, kind: str, *, down: int = 0, up: int = 0, copied: int = 0, requests: int = 1) -> None:
        """Add `requests` calls of a `kind`, and bytes."""
        with self._lock:
            self._requests[kind] += requests
            self._bytes.update(down=down, up=up, copied=copied)


class MeteredStore(Meter):
    """Wraps `inner`, and counts.

    Attributes:
        inner: The store that does the work.
    """

    def __init__(self, inner: Store) -> None:
        """Start with zeros."""
        super().__init__()
        self.inner = inner

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.inner.bucket

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`."""
        self.count("list")
        for number, info in enumerate(self.inner.list(prefix)):
            if number and number % KEYS_PER_PAGE == 0:
                self.count("list")
            yield info

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """The folders and objects directly under `prefix`."""
        self.count("list_level")
        for number, found in enumerate(self.inner.list_level(prefix)):
            if number and number % KEYS_PER_PAGE == 0:
                self.count("list_level")
            yield found

    def head(self, key: str) -> ObjectInfo | None:
        """The object's description, or None."""
        self.count("head")
        return self.inner.head(key)

    def get(
        self,
        key: str,
        *,
        if_match: str | None = None,
        span: tuple[int, int] | None = None,
        suffix: int | None = None,
        version_id: str | None = None,
    ) -> Download:
        """Start reading the object or a range of it."""
        self.count("get")
        inner = self.inner.get(key, if_match=if_match, span=span, suffix=suffix, version_id=version_id)
        return Download(inner.info, inner.start, inner.stop, self._count_down(inner), inner.close)

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """The versions of an object."""
        self.count("list_versions")
        yield from self.inner.list_versions(key)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = TARGET_CONTENT_TYPE,
    ) -> ObjectInfo:
        """Write the object in one piece."""
        self.count("put", up=len(data))
        return self.inner.put(key, data, if_match=if_match, if_absent=if_absent, content_type=content_type)

    def start_upload(self, key: str, *, content_type: str = TARGET_CONTENT_TYPE) -> Upload:
        """Begin a multipart upload."""
        self.count("start_upload")
        return _MeteredUpload(self, self.inner.start_upload(key, content_type=content_type))

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The open multipart uploads below `prefix`."""
        self.count("list_uploads")
        yield from self.inner.list_uploads(prefix)

    def abort_upload(self, upload: OpenUpload) -> None:
        """Throw an open upload away."""
        self.count("abort")
        self.inner.abort_upload(upload)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete the object."""
        self.count("delete")
        self.inner.delete(key, if_match=if_match)

    def _count_down(self, chunks: Download) -> Iterator[bytes]:
        for chunk in chunks:
            self.count("get", down=len(chunk), requests=0)
            yield chunk


class _MeteredUpload:
    """Wraps an upload, and counts."""

    def __init__(self, store: MeteredStore, inner: Upload) -> None:
        self.key = inner.key
        self._store = store
        self._inner = inner
        self._open = True

    def put_part(self, number: int, data: bytes) -> None:
        self._store.count("put_part", up=len(data))
        self._inner.put_part(number, data)

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        self._store.count("copy_part", copied=stop - start)
        self._inner.copy_part(number, source_key, start, stop, if_match=if_match)

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        self._store.count("complete")
        info = self._inner.complete(if_match=if_match, if_absent=if_absent)
        self._open = False
        return info

    def abort(self) -> None:
        if self._open:
            self._store.count("abort")
            self._open = False
        self._inner.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self._store.count("abort")
            self._open = False
        self._inner.__exit__(kind, error, trace)
