"""A complete store in memory: the twin of the contract, for tests and for trying things out.

It behaves as AWS documents S3, also where servers differ: keys are listed in the order of their UTF-8 bytes,
ETags are MD5 (of a multipart upload: MD5 of the parts' MD5s, `-`, their number), `last_modified` has whole
seconds and is the start of a multipart upload. Not here: anything that only some servers do.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Self

from s3_assets.errors import NotFoundError, PreconditionFailedError, StoreError
from s3_assets.store.contract import TARGET_CONTENT_TYPE, Download, ObjectInfo, ObjectVersion, OpenUpload
from s3_assets.store.parts import check_conditions, check_part, check_parts, check_source_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

CHUNK_BYTES = 256 * 1024
"""How much a download yields at a time."""


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object, or a delete marker.

    Attributes:
        info: Its description; of a marker only key, time and version mean something.
        data: Its bytes; None is a delete marker.
        content_type: As which media type it was written.
    """

    info: ObjectInfo
    data: bytes | None
    content_type: str


@dataclass(slots=True)
class _Parts:
    upload: OpenUpload
    content_type: str
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryStore:
    """A bucket in memory, safe to use from many threads.

    Attributes:
        bucket: Its name.
    """

    def __init__(self, bucket: str = "memory", *, versioned: bool = True, clock: Callable[[], datetime] = now) -> None:
        """Make an empty bucket that keeps old versions if `versioned`, and tells the time of `clock` (aware)."""
        self._bucket = bucket
        self._versioned = versioned
        self._clock = clock
        self._lock = threading.RLock()
        self._history: dict[str, list[StoredVersion]] = {}
        self._keys: list[str] = []  # of _history, sorted: by code points, which is the order of UTF-8 bytes too
        self._uploads: dict[str, _Parts] = {}
        self._serial = 0

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._bucket

    def versions(self, key: str) -> tuple[StoredVersion, ...]:
        """All versions of `key` and its delete markers, oldest first; only the last where not versioned."""
        with self._lock:
            return tuple(self._history.get(key, ()))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in the order of their keys' bytes."""
        with self._lock:
            start = bisect_left(self._keys, prefix)
            under = takewhile(lambda key: key.startswith(prefix), islice(self._keys, start, None))
            newest = (self._history[key][-1] for key in under)
            return iter([version.info for version in newest if version.data is not None])

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """The folders and objects directly under `prefix`."""
        found: list[str | ObjectInfo] = []
        with self._lock:
            at = bisect_left(self._keys, prefix)
            while at < len(self._keys) and (key := self._keys[at]).startswith(prefix):
                newest = self._history[key][-1]
                name, slash, _ = key[len(prefix) :].partition("/")
                at += 1
                if newest.data is not None and slash:
                    found.append(f"{prefix}{name}/")
                    at = bisect_left(self._keys, f"{prefix}{name}0")  # "0" comes next after "/"
                elif newest.data is not None:
                    found.append(newest.info)
        return iter(found)

    def head(self, key: str) -> ObjectInfo | None:
        """The object's description, or None."""
        current = self._current(key)
        return current.info if current else None

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
        current = self._current(key) if version_id is None else self._version(key, version_id)
        if current is None or current.data is None:
            raise NotFoundError("GetObject", key, "NoSuchKey" if version_id is None else "NoSuchVersion")
        info, data = current.info, current.data
        if if_match is not None and info.etag != if_match:
            raise PreconditionFailedError("GetObject", key, f"the ETag is {info.etag}, not {if_match}")
        start, stop = 0, info.size
        if span is not None:
            start = min(span[0], info.size)
            stop = max(start, min(span[1], info.size))
        elif suffix is not None:
            start = max(0, info.size - suffix)
        chunks = (data[at : min(at + CHUNK_BYTES, stop)] for at in range(start, stop, CHUNK_BYTES))
        return Download(info, start, stop, chunks)

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """The versions of an object, newest first."""
        return iter([ObjectVersion(version.info, version.data is None) for version in reversed(self.versions(key))])

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
        check_conditions("PutObject", key, if_match, if_absent=if_absent)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self._lock:
            self._expect("PutObject", key, if_match, if_absent=if_absent)
            return self._store(key, bytes(data), etag, self._second(), content_type)

    def start_upload(self, key: str, *, content_type: str = TARGET_CONTENT_TYPE) -> MemoryUpload:
        """Begin a multipart upload."""
        with self._lock:
            upload = OpenUpload(key, f"upload-{self._next()}", self._second())
            self._uploads[upload.upload_id] = _Parts(upload, content_type)
        return MemoryUpload(self, upload)

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The open multipart uploads below `prefix`, in the order of their keys."""
        with self._lock:
            found = [parts.upload for parts in self._uploads.values() if parts.upload.key.startswith(prefix)]
        return iter(sorted(found, key=lambda upload: (upload.key.encode(), upload.initiated)))

    def abort_upload(self, upload: OpenUpload) -> None:
        """Throw an open upload away."""
        with self._lock:
            self._uploads.pop(upload.upload_id, None)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete the object; a marker is kept where versioned."""
        with self._lock:
            current = self._current(key)
            if current is None:
                return
            if if_match is not None and current.info.etag != if_match:
                raise PreconditionFailedError("DeleteObject", key, f"the ETag is {current.info.etag}, not {if_match}")
            if not self._versioned:
                del self._history[key]
                del self._keys[bisect_left(self._keys, key)]
                return
            marker = ObjectInfo(key, 0, "", self._second(), f"version-{self._next()}")
            self._history[key].append(StoredVersion(marker, None, ""))

    # --- for uploads -------------------------------------------------------------------------------------------

    def put_part(self, upload: OpenUpload, number: int, data: bytes) -> None:
        """Keep part `number` of `upload`.

        Raises:
            NotFoundError: The upload is completed or aborted.
        """
        check_part(upload.key, number, len(data))
        with self._lock:
            self._open(upload).parts[number] = bytes(data)

    def complete_upload(self, upload: OpenUpload, if_match: str | None, *, if_absent: bool) -> ObjectInfo:
        """Make the parts of `upload` the object, as `Upload.complete` says."""
        check_conditions("CompleteMultipartUpload", upload.key, if_match, if_absent=if_absent)
        with self._lock:
            held = self._open(upload)
            check_parts(upload.key, {number: len(data) for number, data in held.parts.items()})
            self._expect("CompleteMultipartUpload", upload.key, if_match, if_absent=if_absent)
            parts = [held.parts[number] for number in sorted(held.parts)]
            digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
            etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
            del self._uploads[upload.upload_id]
            return self._store(upload.key, b"".join(parts), etag, upload.initiated, held.content_type)

    # --- within the lock ---------------------------------------------------------------------------------------

    def _current(self, key: str) -> StoredVersion | None:
        with self._lock:
            history = self._history.get(key)
            return history[-1] if history and history[-1].data is not None else None

    def _version(self, key: str, version_id: str) -> StoredVersion | None:
        with self._lock:
            return next((one for one in self._history.get(key, ()) if one.info.version_id == version_id), None)

    def _open(self, upload: OpenUpload) -> _Parts:
        held = self._uploads.get(upload.upload_id)
        if held is None:
            raise NotFoundError("UploadPart", upload.key, "NoSuchUpload: it was completed or aborted")
        return held

    def _expect(self, operation: str, key: str, if_match: str | None, *, if_absent: bool) -> None:
        current = self._current(key)
        found = current.info.etag if current else None
        if if_absent and found is not None:
            raise PreconditionFailedError(operation, key, f"there is one, with ETag {found}")
        if if_match is not None and found != if_match:
            raise PreconditionFailedError(operation, key, f"the ETag is {found}, not {if_match}")

    def _store(self, key: str, data: bytes, etag: str, time: datetime, content_type: str) -> ObjectInfo:
        version_id = f"version-{self._next()}" if self._versioned else None
        version = StoredVersion(ObjectInfo(key, len(data), etag, time, version_id), data, content_type)
        if key not in self._history:
            self._history[key] = []
            insort(self._keys, key)
        if not self._versioned:
            self._history[key].clear()
        self._history[key].append(version)
        return version.info

    def _next(self) -> int:
        with self._lock:
            self._serial += 1
            return self._serial

    def _second(self) -> datetime:
        return self._clock().replace(microsecond=0)


class MemoryUpload:
    """A multipart upload into a `MemoryStore`.

    Attributes:
        key: Where it goes.
    """

    def __init__(self, store: MemoryStore, upload: OpenUpload) -> None:
        """Bind the open `upload` to its `store`."""
        self.key = upload.key
        self._store = store
        self._upload = upload

    def put_part(self, number: int, data: bytes) -> None:
        """Keep part `number`."""
        self._store.put_part(self._upload, number, data)

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Make part `number` of bytes `[start, stop)` of `source_key`."""
        check_source_range(self.key, source_key, start, stop)
        try:
            source = self._store.get(source_key, if_match=if_match, span=(start, stop))
        except NotFoundError as error:
            raise PreconditionFailedError("UploadPartCopy", self.key, f"{source_key!r} is gone") from error
        if (source.start, source.stop) != (start, stop):
            raise StoreError("UploadPartCopy", self.key, f"InvalidRange: [{start}, {stop}) of {source.info.size} bytes")
        self._store.put_part(self._upload, number, source.read())

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        """Make the parts the object."""
        return self._store.complete_upload(self._upload, if_match, if_absent=if_absent)

    def abort(self) -> None:
        """Throw the parts away."""
        self._store.abort_upload(self._upload)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
