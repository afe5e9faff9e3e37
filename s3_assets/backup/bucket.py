"""The bucket as the backup needs it: a checksum with every byte that is sent, versions, uploads that go on.

The store's contract has none of these, as hour files need none: so this speaks to S3 by itself, with the clients,
the listings and the errors of `s3_assets.store`. Every write carries the SHA-256 of its bytes, which the server
compares; what it says that it holds is compared again, and where it says nothing the bytes are read back.

Counted are calls, not tries, by kind: list, head, get, put, list_uploads, list_parts, start_upload, put_part, complete,
abort. All methods may be called from many threads.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3_assets.backup.plan import Copy
from s3_assets.errors import BodyCutError, DamagedCopyError, NotFoundError
from s3_assets.store import s3_listing
from s3_assets.store.metered import Meter
from s3_assets.store.s3_errors import translate, translated
from s3_assets.store.s3_multipart import conditions, plain_etag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from s3_assets.store.contract import OpenUpload
    from s3_assets.store.s3_client import S3Clients

CHUNK_BYTES = 1024 * 1024
"""How much of a body is read at a time."""

SHA256_METADATA = "sha256"
"""User metadata of a copy: the SHA-256 of the whole, in hexadecimal. A multipart upload's own is one of its parts."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the answer to a PUT, a HEAD or a completed upload describes it.

    Attributes:
        etag: Opaque, without quotes.
        version_id: Where the bucket has versions.
        size: Bytes; None where the answer does not tell.
        sha256: What this package said that it is, from the metadata; None where the answer does not tell.
        checksum: The server's own, as it sends it; None where it does not tell.
    """

    etag: str
    version_id: str | None
    size: int | None = None
    sha256: str | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part of an open upload.

    Attributes:
        number: From 1.
        size: Bytes.
        etag: With its quotes, as the upload is completed with it.
        checksum: Its SHA-256, in base 64; None where the server does not tell.
    """

    number: int
    size: int
    etag: str
    checksum: str | None


class BackupBucket(Meter):
    """One bucket."""

    def __init__(self, clients: S3Clients) -> None:
        """Nothing is sent yet."""
        super().__init__()
        self._clients = clients

    @property
    def name(self) -> str:
        """Of the bucket."""
        return self._clients.bucket

    def copies(self, prefix: str) -> dict[str, Copy]:
        """All objects whose key starts with `prefix`, by the rest of the key."""
        found: dict[str, Copy] = {}
        for page in s3_listing.pages(self._clients.boto, self.name, prefix):
            self.count("list")
            found.update({info.key.removeprefix(prefix): Copy(info.size, info.etag) for info in page.objects})
        return found

    def head(self, key: str) -> Stored | None:
        """What is under the key, or None."""
        self.count("head")
        try:
            with translated("HeadObject", key):
                answer: Any = self._clients.boto.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except NotFoundError:
            return None
        told = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        return _stored(answer, size=answer["ContentLength"], sha256=told.get(SHA256_METADATA))

    def get(self, key: str, *, version_id: str | None = None) -> Iterator[bytes]:
        """The bytes under the key, in pieces; of that version, where one is given.

        Raises:
            NotFoundError: There is no such object, or version.
            BodyCutError: The body ended before all of it came.
        """
        self.count("get")
        wanted: Any = {} if version_id is None else {"VersionId": version_id}
        with translated("GetObject", key):
            answer: Any = self._clients.boto.get_object(Bucket=self.name, Key=key, **wanted)
        body, expected, found = answer["Body"], answer["ContentLength"], 0
        try:
            for chunk in body.iter_chunks(CHUNK_BYTES):
                found += len(chunk)
                self.count("get", down=len(chunk), requests=0)
                yield chunk
        except Exception as error:
            if translate(error, "GetObject", key) is None:
                raise
            raise BodyCutError(key, expected=expected, found=found) from error
        finally:
            body.close()
        if found != expected:
            raise BodyCutError(key, expected=expected, found=found)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """All of a small object, and its ETag; None where there is none."""
        self.count("get")
        try:
            with translated("GetObject", key):
                answer: Any = self._clients.boto.get_object(Bucket=self.name, Key=key)
                data = answer["Body"].read()
        except NotFoundError:
            return None
        self.count("get", down=len(data), requests=0)
        return data, plain_etag(answer["ETag"])

    def put(
        self,
        key: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> Stored:
        """Write the object in one piece if the condition holds, and make sure that it is these bytes.

        Raises:
            PreconditionFailedError: The condition does not hold; after a lost answer it may be this very write.
            DamagedCopyError: The store holds other bytes.
        """
        self.count("put", up=len(data))
        digest = hashlib.sha256(data).digest()
        with translated("PutObject", key, conditional=if_match is not None):
            answer: Any = self._clients.boto.put_object(
                Bucket=self.name,
                Key=key,
                Body=data,
                ContentType=content_type,
                ChecksumSHA256=_base64(digest),
                Metadata={SHA256_METADATA: digest.hex()},
                **conditions(if_match, if_absent=if_absent),
            )
        stored = _stored(answer, size=len(data), sha256=digest.hex())
        self.prove(key, stored, digest)
        return stored

    def prove(self, key: str, stored: Stored, sha256: bytes, parts: Sequence[bytes] = ()) -> None:
        """Make sure that the copy is the bytes of that digest: by the server's checksum, or by reading it back.

        Args:
            key: Of the copy.
            stored: What an answer said of it.
            sha256: Of the whole.
            parts: The digests of its parts, where it may have been sent in parts.

        Raises:
            DamagedCopyError: It is not.
        """
        told = stored.checksum
        if told is None:
            described = self.head(key)
            told = None if described is None else described.checksum
        if told is not None and told in _checksums(sha256, parts):
            return
        found = self.digest(key, version_id=stored.version_id)
        if found != sha256.hex():
            raise DamagedCopyError(key, expected=sha256.hex(), found=found)

    def digest(self, key: str, *, version_id: str | None = None) -> str:
        """The SHA-256 of what is under the key, in hexadecimal, by reading all of it."""
        whole = hashlib.sha256()
        for chunk in self.get(key, version_id=version_id):
            whole.update(chunk)
        return whole.hexdigest()

    # --- uploads in parts --------------------------------------------------------------------------------------

    def open_uploads(self, prefix: str) -> list[OpenUpload]:
        """The uploads below `prefix` that are neither completed nor aborted, the oldest first."""
        self.count("list_uploads")
        found = s3_listing.uploads(self._clients.boto, self.name, prefix, encoded=self._clients.is_aws)
        return sorted(found, key=lambda upload: (upload.initiated, upload.upload_id))

    def start_upload(self, key: str, sha256: bytes) -> str:
        """Begin an upload in parts; its id."""
        self.count("start_upload")
        with translated("CreateMultipartUpload", key):
            answer = self._clients.boto.create_multipart_upload(
                Bucket=self.name,
                Key=key,
                ContentType="application/octet-stream",
                ChecksumAlgorithm="SHA256",
                Metadata={SHA256_METADATA: sha256.hex()},
            )
        return str(answer["UploadId"])

    def parts(self, key: str, upload_id: str) -> Iterator[SentPart]:
        """The parts of an open upload that the store has."""
        options: dict[str, Any] = {}
        while True:
            self.count("list_parts")
            with translated("ListParts", key):
                answer: Any = self._clients.boto.list_parts(Bucket=self.name, Key=key, UploadId=upload_id, **options)
            for part in answer.get("Parts", ()):
                yield SentPart(part["PartNumber"], part["Size"], part["ETag"], part.get("ChecksumSHA256"))
            marker = answer.get("NextPartNumberMarker")
            if not answer.get("IsTruncated") or marker in (None, options.get("PartNumberMarker")):
                return
            options["PartNumberMarker"] = marker

    def put_part(self, key: str, upload_id: str, number: int, data: bytes, sha256: bytes) -> SentPart:
        """Send one part; the server refuses it where it is not of that digest."""
        self.count("put_part", up=len(data))
        checksum = _base64(sha256)
        with translated("UploadPart", key):
            answer = self._clients.boto.upload_part(
                Bucket=self.name,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=data,
                ChecksumSHA256=checksum,
            )
        return SentPart(number, len(data), answer["ETag"], checksum)

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[SentPart],
        *,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> Stored:
        """Make the parts, each sent here or vouched for, the object if the condition holds."""
        self.count("complete")
        listed: Any = [
            {"PartNumber": part.number, "ETag": part.etag, "ChecksumSHA256": part.checksum}
            for part in sorted(parts, key=lambda part: part.number)
        ]
        with translated("CompleteMultipartUpload", key, conditional=True):
            answer: Any = self._clients.boto.complete_multipart_upload(
                Bucket=self.name,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": listed},
                **conditions(if_match, if_absent=if_absent),
            )
        return _stored(answer, size=sum(part.size for part in parts))

    def abort(self, key: str, upload_id: str) -> None:
        """Throw an open upload away; one that is gone already is no error."""
        self.count("abort")
        try:
            with translated("AbortMultipartUpload", key):
                self._clients.boto.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except NotFoundError:
            return


def vouched(part: SentPart, data: bytes, sha256: bytes) -> SentPart | None:
    """The part with its checksum if what the store has is these bytes, by its SHA-256 or by an ETag that is an MD5."""
    checksum = _base64(sha256)
    told = part.checksum or plain_etag(part.etag)
    known = checksum if part.checksum else hashlib.md5(data, usedforsecurity=False).hexdigest()
    return SentPart(part.number, part.size, part.etag, checksum) if (part.size, told) == (len(data), known) else None


def _stored(answer: Mapping[str, Any], *, size: int | None, sha256: str | None = None) -> Stored:
    version = answer.get("VersionId")
    version = None if version == "null" else version  # what stands for no version where versioning was never on
    return Stored(plain_etag(answer.get("ETag")), version, size, sha256, answer.get("ChecksumSHA256"))


def _checksums(sha256: bytes, parts: Sequence[bytes]) -> set[str]:
    """What a server that holds these bytes may say: of the whole, or of the parts, with or without their number."""
    of_parts = _base64(hashlib.sha256(b"".join(parts)).digest())
    return {_base64(sha256)} | ({of_parts, f"{of_parts}-{len(parts)}"} if parts else set())


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
