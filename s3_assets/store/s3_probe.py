"""What a store really does with conditional commits, found out by trying on scratch keys.

Asked: is a stale condition refused by CompleteMultipartUpload, and does exactly one of several writers win there, a
PutObject among them? The same of CopyObject. Is a stale source refused by UploadPartCopy? AWS documents all three and
is not probed: a policy need not allow the scratch keys. A race can show that a store is not safe, never that it is; a
store known not to be is told by its `Server` header.

The invariant: when in doubt, the worse but safer way.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from s3_assets.errors import (
    AccessDeniedError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
)
from s3_assets.store.s3_commit import NO_VERSION, Commit
from s3_assets.store.s3_errors import translated
from s3_assets.store.s3_server import COMPLETE_NOT_ATOMIC, PUT_LOCKED_APART, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from s3_assets.store.s3_client import S3Clients

_log = logging.getLogger(__name__)

RACERS = 4
"""Writers in one race; one more does a PutObject."""

ROUNDS = 2
"""Races of a kind, each with a fresh object."""

PAIRS = 40
"""Races of one writer against one PutObject on a server that is not known: where the two are locked apart, both win in
some 6 of 100, fewer in a crowd."""

PAIRS_S = 2.0
"""No further pair races after so many seconds."""

NO_ETAG = '"00000000000000000000000000000000"'
"""The ETag of nothing."""


@dataclass(frozen=True, slots=True)
class Findings:
    """How large targets are committed on a store, and why.

    Attributes:
        commit: The way.
        copies_checked: Whether UploadPartCopy refuses a source that changed; else parts are copied through this host.
        reason: What was seen, in a few words.
        server: The `Server` header, or empty.
    """

    commit: Commit
    copies_checked: bool
    reason: str
    server: str = ""

    def line(self) -> str:
        """All of it in one line, for the log."""
        copies = "on the server" if self.copies_checked else "through this host"
        server = self.server or "unknown"
        return f"large targets: {self.commit} ({self.reason}); parts copied {copies}; server: {server}"


def probe(clients: S3Clients, wanted: Commit | None, staging_prefix: str) -> Findings:
    """Find out how to commit large targets; `wanted` settles it without trying.

    Raises:
        StoreError: The scratch keys could not be written, or the store did not answer.
    """
    if wanted is not None:
        findings = Findings(wanted, copies_checked=True, reason="as set")
    elif clients.is_aws:
        findings = Findings(Commit.COMPLETE, copies_checked=True, reason="as AWS documents", server="AmazonS3")
    else:
        scratch = _Scratch(clients.boto, clients.bucket, f"{staging_prefix}probe-{uuid.uuid4().hex}/")
        try:
            findings = _try(scratch)
        except AccessDeniedError as error:
            error.hint = f"allow the scratch keys under {staging_prefix!r}, or set how large targets are committed"
            raise
        finally:
            scratch.remove()
    _log.info("bucket %s: %s", clients.bucket, findings.line())
    return findings


def _try(scratch: _Scratch) -> Findings:
    scratch.put("source")
    server = scratch.server
    copies_checked = not scratch.takes_stale_copy_part()
    quirk = known(server, COMPLETE_NOT_ATOMIC)
    why_not = f"{quirk} is known to let several racing completes win" if quirk else scratch.doubt("complete")
    if why_not is None:
        return Findings(Commit.COMPLETE, copies_checked, "stale and racing completes are refused", server)
    no_copy = scratch.doubt("copy")
    if no_copy is None:
        return Findings(Commit.STAGE, copies_checked, f"{why_not}; stale and racing copies are refused", server)
    return Findings(Commit.SPOOL, copies_checked, f"{why_not}; {no_copy}", server)


class _Scratch:
    """The scratch keys below one prefix, and what is tried on them."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self.server = ""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._lock = threading.Lock()
        self._written: list[tuple[str, str | None]] = []
        self._uploads: dict[str, str] = {}

    def put(self, name: str, body: bytes = b"scratch", **condition: Any) -> str:
        """Write a scratch object and tell its ETag as the header has it."""
        key = self._prefix + name
        with translated("PutObject", key):
            answer: Any = self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
        self.server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "")
        self._note(key, answer)
        return str(answer["ETag"])

    def doubt(self, way: str) -> str | None:
        """Why `complete` or `copy` can't be trusted with conditions, or None."""
        name = f"{way}-stale"
        self.put(name)
        for condition in ({"IfMatch": NO_ETAG}, {"IfNoneMatch": "*"}):
            if self._wins(self._writer(way, name, 0, condition)):
                return f"{way} ignores {next(iter(condition))}"
        pairs = 0 if known(self.server, PUT_LOCKED_APART) else PAIRS
        begun = time.monotonic()
        for number in range(ROUNDS + pairs):
            racers = RACERS if number < ROUNDS else 1
            if racers == 1 and time.monotonic() - begun > PAIRS_S:
                break
            name = f"{way}-race-{number}"
            etag = self.put(name, f"before {number}".encode())
            condition = {"IfMatch": etag}
            writers: list[Callable[[], object]] = [self._writer(way, name, racer, condition) for racer in range(racers)]
            writers.append(partial(self.put, name, b"by put", **condition))
            if (winners := self._race(writers)) != 1:
                return f"{winners} of {len(writers)} racing writers won by {way}"
        return None

    def takes_stale_copy_part(self) -> bool:
        """Whether UploadPartCopy copies from a source that is not the one asked for."""
        key = self._prefix + "copy-part"
        with translated("CreateMultipartUpload", key):
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        self._uploads[upload] = key

        def copy() -> None:
            with translated("UploadPartCopy", key):
                self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=1,
                    CopySource={"Bucket": self._bucket, "Key": self._prefix + "source"},
                    CopySourceIfMatch=NO_ETAG,
                )

        return self._wins(copy)

    def remove(self) -> None:
        """Remove every scratch key and upload; what can't be removed is named in the log."""
        for upload, key in self._uploads.items():
            try:
                with translated("AbortMultipartUpload", key):
                    self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            except NotFoundError:
                pass
            except StoreError as error:
                _log.warning("a scratch upload to %r is left: %s", key, error)
        for key, version in self._written:
            try:
                with translated("DeleteObject", key):
                    self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version or NO_VERSION)
            except StoreError as error:
                _log.warning("the scratch key %r is left: %s", key, error)

    def _writer(self, way: str, name: str, racer: int, condition: dict[str, Any]) -> Callable[[], object]:
        """A conditional write to scratch `name`, made ready up to its last call."""
        key = self._prefix + name
        body = f"{way} {name} {racer}".encode()
        if way == "copy":
            source = f"{name}-from-{racer}"
            self.put(source, body)

            def copy() -> None:
                with translated("CopyObject", key, conditional=True):
                    answer = self._client.copy_object(
                        Bucket=self._bucket,
                        Key=key,
                        CopySource={"Bucket": self._bucket, "Key": self._prefix + source},
                        **condition,
                    )
                self._note(key, answer)

            return copy
        with translated("UploadPart", key):
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
            self._uploads[upload] = key
            part = self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)

        def complete() -> None:
            with translated("CompleteMultipartUpload", key, conditional=True):
                answer = self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
                    **condition,
                )
            self._note(key, answer)

        return complete

    def _race(self, writers: list[Callable[[], object]]) -> int:
        """Start all `writers` at once and count those that were not refused."""
        barrier = threading.Barrier(len(writers))

        def run(writer: Callable[[], object]) -> bool:
            barrier.wait(timeout=60)
            return self._wins(writer)

        with ThreadPoolExecutor(len(writers)) as pool:
            outcomes: Iterator[bool] = pool.map(run, writers)
            return sum(outcomes)

    def _wins(self, write: Callable[[], object]) -> bool:
        """Whether the write went through. Refused in whatever words is refused; no answer is no finding."""
        try:
            write()
        except (AccessDeniedError, StoreUnavailableError):
            raise
        except PreconditionFailedError:
            return False
        except StoreError as error:
            _log.debug("a probe was refused: %s", error)
            return False
        return True

    def _note(self, key: str, answer: Any) -> None:
        with self._lock:
            self._written.append((key, answer.get("VersionId")))
