"""A plain multipart upload on the server, and what every way to commit one shares.

Not here: how the target is replaced (`s3_commit`, `s3_spool`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from s3_assets.errors import NotFoundError, PreconditionFailedError, StoreError
from s3_assets.store.contract import Download, ObjectInfo, Store
from s3_assets.store.parts import check_part, check_parts, check_source_range
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

MAX_SINGLE_BYTES = 5 * 1024 * 1024 * 1024
"""The most that one PutObject or CopyObject takes (S3 API)."""


def etag_header(etag: str) -> str:
    """As HTTP wants it: in quotes."""
    return f'"{etag}"'


def plain_etag(etag: str | None) -> str:
    """As our contract wants it: without quotes."""
    return (etag or "").strip('"')


def conditions(if_match: str | None, *, if_absent: bool) -> dict[str, Any]:
    """The conditions of a write as boto3's arguments."""
    if if_match is not None:
        return {"IfMatch": etag_header(if_match)}
    return {"IfNoneMatch": "*"} if if_absent else {}


@dataclass(frozen=True, slots=True)
class _Part:
    etag: str
    size: int


class PartsUpload:
    """A plain multipart upload on the server, without a condition."""

    def __init__(
        self, store: Store, client: S3Client, key: str, content_type: str, *, copies_checked: bool = True
    ) -> None:
        """Begin the upload to `key`; if not `copies_checked`, parts are copied through this host."""
        self.store = store
        self.client = client
        self.key = key
        self._copies_checked = copies_checked
        self._lock = threading.Lock()
        self._parts: dict[int, _Part] = {}
        self._open = True
        with translated("CreateMultipartUpload", key):
            answer = client.create_multipart_upload(Bucket=store.bucket, Key=key, ContentType=content_type)
        self.upload_id = answer["UploadId"]

    @property
    def size(self) -> int:
        """Bytes of all parts so far."""
        with self._lock:
            return sum(part.size for part in self._parts.values())

    def put_part(self, number: int, data: bytes) -> None:
        """Send part `number`."""
        check_part(self.key, number, len(data))
        with translated("UploadPart", self.key):
            answer = self.client.upload_part(
                Bucket=self.store.bucket, Key=self.key, UploadId=self.upload_id, PartNumber=number, Body=data
            )
        with self._lock:
            self._parts[number] = _Part(answer["ETag"], len(data))

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Have the server copy part `number`."""
        check_source_range(self.key, source_key, start, stop)
        check_part(self.key, number, stop - start)
        if not self._copies_checked:
            source = open_range(self.store, self.key, source_key, start, stop, if_match=if_match)
            self.put_part(number, source.read())
            return
        try:
            with translated("UploadPartCopy", self.key):
                answer = self.client.upload_part_copy(
                    Bucket=self.store.bucket,
                    Key=self.key,
                    UploadId=self.upload_id,
                    PartNumber=number,
                    CopySource={"Bucket": self.store.bucket, "Key": source_key},
                    CopySourceRange=f"bytes={start}-{stop - 1}",
                    CopySourceIfMatch=etag_header(if_match),
                )
        except NotFoundError as error:
            if "NoSuchUpload" in error.detail:
                raise
            raise PreconditionFailedError("UploadPartCopy", self.key, f"{source_key!r} is gone") from error
        with self._lock:
            self._parts[number] = _Part(answer["CopyPartResult"]["ETag"], stop - start)

    def complete(self, condition: dict[str, Any]) -> ObjectInfo:
        """Make the parts the object `key` if the `condition` (boto3's arguments) holds."""
        with self._lock:
            parts = dict(self._parts)
        check_parts(self.key, {number: part.size for number, part in parts.items()})
        listed: list[Any] = [{"PartNumber": number, "ETag": parts[number].etag} for number in sorted(parts)]
        with translated("CompleteMultipartUpload", self.key, conditional=True):
            # 404 is: the object to match is gone, or this upload is, perhaps completed by a try whose answer
            # was lost. Both mean: read again.
            answer: Any = self.client.complete_multipart_upload(
                Bucket=self.store.bucket,
                Key=self.key,
                UploadId=self.upload_id,
                MultipartUpload={"Parts": listed},
                **condition,
            )
        self._open = False
        size = sum(part.size for part in parts.values())
        return ObjectInfo(self.key, size, plain_etag(answer["ETag"]), this_second(), answer.get("VersionId"))

    def abort(self) -> None:
        """Throw the parts away."""
        if not self._open:
            return
        try:
            with translated("AbortMultipartUpload", self.key):
                self.client.abort_multipart_upload(Bucket=self.store.bucket, Key=self.key, UploadId=self.upload_id)
        except NotFoundError:
            pass
        self._open = False


class AbortOnLeaving(ABC):
    """Leaving the `with` block aborts; an abort that fails does not hide the error that led to it."""

    key: str

    @abstractmethod
    def abort(self) -> None:
        """Throw away what was uploaded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.abort()
        except StoreError as left:
            if error is None:
                raise
            error.add_note(f"and the upload could not be aborted: {left}")


def open_range(store: Store, key: str, source_key: str, start: int, stop: int, *, if_match: str) -> Download:
    """The bytes that a server that can't copy them safely makes us carry ourselves.

    Raises:
        PreconditionFailedError: The source is no longer that, or is gone.
        StoreError: It has no such range.
    """
    try:
        source = store.get(source_key, if_match=if_match, span=(start, stop))
    except NotFoundError as error:
        raise PreconditionFailedError("UploadPartCopy", key, f"{source_key!r} is gone") from error
    if (source.start, source.stop) != (start, stop):
        raise StoreError("UploadPartCopy", key, f"InvalidRange: [{start}, {stop}) of {source.info.size} bytes")
    return source


def check_single_size(operation: str, key: str, size: int) -> None:
    """Refuse what one PutObject or CopyObject can't carry.

    Raises:
        StoreError: It is over `MAX_SINGLE_BYTES`.
    """
    if size > MAX_SINGLE_BYTES:
        raise StoreError(
            operation,
            key,
            f"EntityTooLarge: {size} bytes, over {MAX_SINGLE_BYTES}, the most that this store commits safely",
            hint="use a store that honours conditions on CompleteMultipartUpload (docs/stores.md)",
        )


def this_second() -> datetime:
    """The time of this host's clock, where an answer does not tell it."""
    return datetime.now(UTC).replace(microsecond=0)
