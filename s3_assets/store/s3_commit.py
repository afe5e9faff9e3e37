"""How a large target is committed: a multipart upload that becomes the object only if a condition holds.

Three ways, from best to worst. `complete`: CompleteMultipartUpload with the condition. `stage`: the upload goes to a
staging key, and CopyObject with the condition makes it the target (5 GiB at most). `spool`: the parts are kept in a
file on this host, and one PutObject with the condition sends it (5 GiB at most). `s3_probe` finds out which one a
store honours.

The invariant: whatever goes wrong, the target is the old object or the whole new one, and no upload is left open.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from s3_assets.errors import StoreError
from s3_assets.store.contract import ObjectInfo, Store, Upload
from s3_assets.store.parts import check_conditions
from s3_assets.store.s3_errors import translated
from s3_assets.store.s3_multipart import (
    AbortOnLeaving,
    PartsUpload,
    check_single_size,
    conditions,
    etag_header,
    plain_etag,
    this_second,
)
from s3_assets.store.s3_spool import SpooledUpload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from s3_assets.store.s3_probe import Findings

_log = logging.getLogger(__name__)

NO_VERSION = "null"
"""The version of what was written while versioning was off or suspended, which not every server tells. A deletion that
names none leaves a delete mark where it is suspended (S3 user guide, deleting objects from suspended buckets)."""

MAX_KEY_BYTES = 1024
"""The longest key, in UTF-8 (S3 user guide, object key names)."""

_SERIAL = re.compile(r"[0-9a-f]{32}")


class Commit(StrEnum):
    """A way to commit a multipart upload."""

    COMPLETE = "complete"
    STAGE = "stage"
    SPOOL = "spool"


def staging_key(prefix: str, key: str) -> str:
    """A new key under `prefix` that begins with `key` where it fits, so that it can be found by it."""
    name = f"{prefix}{key}.{uuid.uuid4().hex}"
    if len(name.encode()) <= MAX_KEY_BYTES:
        return name
    return f"{prefix}{_digest(key)}.{uuid.uuid4().hex}"


def staging_prefixes(prefix: str, wanted: str) -> list[str]:
    """Where the staging keys of keys that start with `wanted` are; of one that is too long, if it is the whole key."""
    room = MAX_KEY_BYTES - len(prefix.encode()) - len(uuid.uuid4().hex) - 1
    if len(wanted.encode()) <= room:
        return [prefix + wanted]
    return [f"{prefix}{_digest(wanted)}."]


def staged_for(prefix: str, staged: str, wanted: str) -> str | None:
    """The key that a staging key `staged` was made for, if it starts with `wanted`; else None."""
    name, _, serial = staged.removeprefix(prefix).rpartition(".")
    if not staged.startswith(prefix) or not _SERIAL.fullmatch(serial):
        return None
    if name.startswith(wanted):
        return name
    return wanted if name == _digest(wanted) else None


def remove_staged(client: S3Client, bucket: str, key: str, version_id: str | None) -> None:
    """Remove a staging object; its version too, or it would stay, and be paid for."""
    with translated("DeleteObject", key):
        client.delete_object(Bucket=bucket, Key=key, VersionId=version_id or NO_VERSION)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def begin_upload(
    store: Store, client: S3Client, key: str, content_type: str, findings: Findings, staging_prefix: str
) -> Upload:
    """Begin an upload to `key` that is committed the way that `findings` say."""
    if findings.commit is Commit.SPOOL:
        return SpooledUpload(store, client, key, content_type)
    write_key = key if findings.commit is Commit.COMPLETE else staging_key(staging_prefix, key)
    parts = PartsUpload(store, client, write_key, content_type, copies_checked=findings.copies_checked)
    return DirectUpload(key, parts) if findings.commit is Commit.COMPLETE else StagedUpload(key, parts)


class DirectUpload(AbortOnLeaving):
    """Committed by CompleteMultipartUpload with the condition.

    Attributes:
        key: Where it goes.
    """

    def __init__(self, key: str, parts: PartsUpload) -> None:
        """Commit `parts`, which go to `key` itself."""
        self.key = key
        self._parts = parts

    def put_part(self, number: int, data: bytes) -> None:
        """Send part `number`."""
        self._parts.put_part(number, data)

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Have the server copy part `number`."""
        self._parts.copy_part(number, source_key, start, stop, if_match=if_match)

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        """Make the parts the object if the condition holds."""
        check_conditions("CompleteMultipartUpload", self.key, if_match, if_absent=if_absent)
        return self._parts.complete(conditions(if_match, if_absent=if_absent))

    def abort(self) -> None:
        """Throw the parts away."""
        self._parts.abort()


class StagedUpload(AbortOnLeaving):
    """Completed to a staging key, then committed by CopyObject with the condition.

    Attributes:
        key: Where it goes.
    """

    def __init__(self, key: str, parts: PartsUpload) -> None:
        """Commit `parts`, which go to a staging key, to `key`."""
        self.key = key
        self._parts = parts
        self._staged: ObjectInfo | None = None

    def put_part(self, number: int, data: bytes) -> None:
        """Send part `number`."""
        self._parts.put_part(number, data)
        self._check_size()

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Have the server copy part `number`."""
        self._parts.copy_part(number, source_key, start, stop, if_match=if_match)
        self._check_size()

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        """Make the parts the object if the condition holds."""
        check_conditions("CopyObject", self.key, if_match, if_absent=if_absent)
        if self._staged is None:
            self._staged = self._parts.complete({})
        staged = self._staged
        bucket = self._parts.store.bucket
        with translated("CopyObject", self.key, conditional=True):
            answer: Any = self._parts.client.copy_object(
                Bucket=bucket,
                Key=self.key,
                CopySource={"Bucket": bucket, "Key": staged.key},
                CopySourceIfMatch=etag_header(staged.etag),
                **conditions(if_match, if_absent=if_absent),
            )
        result = answer["CopyObjectResult"]
        modified = result.get("LastModified", this_second()).astimezone(UTC).replace(microsecond=0)
        info = ObjectInfo(self.key, staged.size, plain_etag(result["ETag"]), modified, answer.get("VersionId"))
        try:
            self._remove_staged()
        except StoreError as error:  # the commit stands; only the scratch object is left
            _log.warning("the staging object %r could not be removed: %s", staged.key, error)
            self._staged = None
        return info

    def abort(self) -> None:
        """Throw the parts, or the staged object, away."""
        self._parts.abort()
        self._remove_staged()

    def _remove_staged(self) -> None:
        staged, self._staged = self._staged, None
        if staged is None:
            return
        remove_staged(self._parts.client, self._parts.store.bucket, staged.key, staged.version_id)

    def _check_size(self) -> None:
        check_single_size("CopyObject", self.key, self._parts.size)
