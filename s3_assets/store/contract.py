"""What the rest of the package asks of an object store, and nothing more.

A `Store` is one bucket. Keys are whole keys in it, any legal S3 key. One conformance suite
(`s3_assets_tests/store/test_conformance.py`) runs against every implementation; what it can't show for a server
is stated in docs/stores.md.

All methods may be called from many threads. All raise the classes of `s3_assets.errors` and no other: a client
library's own exception never passes through. Calls that can be repeated safely are retried inside, within bounds;
`StoreUnavailableError` means that those were used up.

ETags are opaque and come without the double quotes that HTTP puts around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from s3_assets.errors import BodyCutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from types import TracebackType

MIN_PART_BYTES = 5 * 1024 * 1024
"""The smallest part of a multipart upload but the last (S3 API, CompleteMultipartUpload, EntityTooSmall)."""

MAX_PART_BYTES = 5 * 1024 * 1024 * 1024
"""The largest part, uploaded or copied (S3 API, multipart upload limits)."""

MAX_PARTS = 10_000
"""The most parts in one upload (S3 API, multipart upload limits)."""

TARGET_CONTENT_TYPE = "application/gzip"
"""Content-Type of hour files. Never Content-Encoding: clients would decode on the way, and not all of it."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of one object.

    Attributes:
        key: Whole key in the bucket.
        size: Bytes.
        etag: Opaque, without quotes.
        last_modified: Aware, one-second granularity; a multipart upload's start, so never a proof of what is new.
        version_id: Where versioning is on and the call tells it (GET, PUT, HEAD; listings do not).
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or the mark that it was deleted.

    Attributes:
        info: Its description; of a mark only key, time and version mean something.
        is_deleted: Whether it is such a mark.
    """

    info: ObjectInfo
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted, whatever the store has made of its parts meanwhile.

    Attributes:
        key: What it was to become.
        upload_id: The store's own name for it.
        initiated: When it was begun, by the store's clock.
        staged: The key where its parts are, if that is another.
    """

    key: str
    upload_id: str
    initiated: datetime
    staged: str | None = None


class Download:
    """A GET under way: iterate over its chunks once, or `read` it whole.

    Attributes:
        info: The object as of this GET; `info.size` is the whole object's, whatever the range.
        start: First byte of the range, from the object's start.
        stop: One past the last byte.

    Raises:
        BodyCutError: The body ended before `stop - start` bytes came, also when it ended cleanly, or went past.
    """

    def __init__(
        self,
        info: ObjectInfo,
        start: int,
        stop: int,
        chunks: Iterable[bytes],
        close: Callable[[], None] | None = None,
    ) -> None:
        """Wrap `chunks`; `close` frees the connection if the reader stops early."""
        self.info = info
        self.start = start
        self.stop = stop
        self._chunks = chunks
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        expected = self.stop - self.start
        found = 0
        for chunk in self._chunks:
            found += len(chunk)
            if found > expected:
                break
            yield chunk
        if found != expected:
            raise BodyCutError(self.info.key, expected=expected, found=found)

    def read(self) -> bytes:
        """All bytes of the range."""
        return b"".join(self)

    def close(self) -> None:
        """Let go of the connection; needed only where iteration stopped early."""
        if self._close is not None:
            self._close()


@runtime_checkable
class Upload(Protocol):
    """A multipart upload under way. As a context manager it aborts on leaving unless it was completed."""

    key: str

    def put_part(self, number: int, data: bytes) -> None:
        """Upload part `number` (from 1). Repeating a number replaces it. Parts may come in any order, in threads.

        Every part but the last in order must have at least `MIN_PART_BYTES`.
        """
        ...

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Make part `number` of bytes `[start, stop)` of `source_key`, on the server, if its ETag is `if_match`.

        Raises:
            PreconditionFailedError: The source is no longer that, or is gone.
        """
        ...

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        """Make the parts, in order of number, the object: all at once, or not at all.

        Conditions as in `Store.put`. An error in a 200 answer is raised like any other.
        """
        ...

    def abort(self) -> None:
        """Throw the parts away. Calling it twice, or after completion, does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Store(Protocol):
    """One bucket."""

    @property
    def bucket(self) -> str:
        """Name of the bucket, for messages and URIs."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix` (any string), in no promised order, no key twice.

        Lazy. An exception from the iterator means that the listing is unknown, whatever came before it: it must
        never be read as 'the rest is gone'.
        """
        ...

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """What is directly under `prefix`, which is empty or ends in `/`, in no promised order, nothing twice.

        The distinct continuations up to and with the next `/` as whole prefixes (strings), and the objects that
        have none. Lazy, and unknown on an exception, as `list`.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """The object's description, or None where there is none."""
        ...

    def get(
        self,
        key: str,
        *,
        if_match: str | None = None,
        span: tuple[int, int] | None = None,
        suffix: int | None = None,
        version_id: str | None = None,
    ) -> Download:
        """Start reading the object, or bytes `[span[0], span[1])`, or the last `suffix` bytes of it.

        A range that reaches past the end is cut to it; an empty object gives no bytes whatever the range. With
        `version_id` that version is read, whether it is the one that stands or not.

        Raises:
            NotFoundError: There is no such object (with or without `if_match`), or no such version.
            PreconditionFailedError: Its ETag is not `if_match`.
        """
        ...

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """The versions of the very object `key` and the marks of its deletions, newest first.

        Where versioning was never on: the object that stands, which then has no version. Two of the same second may
        have changed places, but the one that stands is the first.
        """
        ...

    def put(
        self,
        key: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = TARGET_CONTENT_TYPE,
    ) -> ObjectInfo:
        """Write the object in one piece, atomically.

        Args:
            key: Where.
            data: What.
            if_match: Only if the object is there with this ETag.
            if_absent: Only if there is no object. At most one of the two conditions; none writes always.
            content_type: As which media type.

        Raises:
            PreconditionFailedError: The condition does not hold. After a lost answer it may also be this very
                write that is found: read again before you conclude anything.
            WriteConflictError: Another write was under way.
        """
        ...

    def start_upload(self, key: str, *, content_type: str = TARGET_CONTENT_TYPE) -> Upload:
        """Begin a multipart upload; nothing is visible under `key` before it is completed."""
        ...

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The multipart uploads to keys that start with `prefix` that are still open, in no promised order.

        A staged one whose key is so long that its staging key does not hold it is found by its whole key only.
        """
        ...

    def abort_upload(self, upload: OpenUpload) -> None:
        """Throw an open upload away, whoever began it. One that is gone already is no error."""
        ...

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete the object (a delete marker where versioning is on). One that is gone already is no error.

        Raises:
            PreconditionFailedError: It is there with another ETag than `if_match`.
        """
        ...
