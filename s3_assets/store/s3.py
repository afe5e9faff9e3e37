"""A bucket on S3 or a compatible store.

obstore does what it is fast and right at: GET, HEAD and conditional PUT of one object. boto3 does the rest:
listings (`s3_listing`), multipart uploads (`s3_commit`), deletes, and the keys that obstore can't address.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s3_assets.errors import (
    BodyCutError,
    BucketNotFoundError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
)
from s3_assets.store import s3_listing
from s3_assets.store.contract import TARGET_CONTENT_TYPE, Download, ObjectInfo, ObjectVersion, OpenUpload, Upload
from s3_assets.store.parts import check_conditions
from s3_assets.store.s3_client import Limits, S3Clients
from s3_assets.store.s3_commit import Commit, begin_upload, remove_staged, staged_for, staging_prefixes
from s3_assets.store.s3_errors import RangeNotSatisfiableError, translate, translated
from s3_assets.store.s3_multipart import conditions, etag_header, plain_etag, this_second
from s3_assets.store.s3_probe import Findings, probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import boto3
    from obstore import GetOptions, GetResult, ObjectMeta, PutMode

CHUNK_BYTES = 1024 * 1024
"""How much a download yields at a time, at least; one that is no larger is read in one go."""

STAGING_PREFIX = ".s3_assets-staging/"
"""Where large targets are put together on stores that can't complete an upload conditionally."""

_NOT_FOR_OBSTORE = re.compile(r"^/|/$|//|(?:^|/)\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")
"""Keys that obstore refuses, or silently turns into others (the first and the last `/`)."""


class S3Store:
    """One bucket; safe to use from many threads.

    Attributes:
        bucket: Its name.
        findings: What the store was seen to do with conditional commits; None before it mattered.
    """

    def __init__(
        self,
        bucket: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        large_commit: Commit | str = "auto",
        staging_prefix: str = STAGING_PREFIX,
        limits: Limits | None = None,
    ) -> None:
        """Describe the bucket; nothing is imported, read or sent yet.

        Args:
            bucket: Its name.
            session: Whose credentials, region and profile to use; None makes one from the environment.
            endpoint_url: Of a compatible store; None leaves it to AWS_ENDPOINT_URL(_S3), the profile, or AWS.
            region: None leaves it to the session, AWS_REGION, then us-east-1.
            large_commit: How multipart uploads are committed: `complete`, `stage`, `spool`, or `auto` to find out.
            staging_prefix: For `stage` and for the scratch keys of `auto`; may need a statement in the policy.
            limits: Timeouts and retries.

        Raises:
            ValueError: `large_commit` is none of the four.
        """
        self._bucket = bucket
        self._clients = S3Clients(bucket, session=session, endpoint_url=endpoint_url, region=region, limits=limits)
        self._commit = None if large_commit == "auto" else Commit(large_commit)
        self._staging_prefix = staging_prefix
        self._bucket_is_there = False
        self._probe_lock = threading.Lock()
        self.findings: Findings | None = None

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._bucket

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in the server's order."""
        for page in s3_listing.pages(self._clients.boto, self._bucket, prefix):
            yield from page.objects

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """The folders and objects directly under `prefix`."""
        seen: set[str] = set()
        for page in s3_listing.pages(self._clients.boto, self._bucket, prefix, delimiter="/"):
            yield from page.objects
            for folder in page.folders:
                if folder not in seen:
                    seen.add(folder)
                    yield folder

    def head(self, key: str) -> ObjectInfo | None:
        """The object's description, or None."""
        try:
            with translated("HeadObject", key):
                if _NOT_FOR_OBSTORE.search(key):
                    answer: Any = self._clients.boto.head_object(Bucket=self._bucket, Key=key)
                    return _info_of_answer(key, answer, answer["ContentLength"])
                return _info_of_meta(key, self._clients.obstore.head(key))
        except NotFoundError:
            self._check_bucket()
            return None

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
        if (span is not None and span[1] <= span[0]) or suffix == 0:
            return self._nothing(key, if_match, span, suffix, version_id)  # HTTP has no empty range
        try:
            with translated("GetObject", key):
                if _NOT_FOR_OBSTORE.search(key):
                    return self._get_by_boto(key, if_match, span, suffix, version_id)
                options: GetOptions = {} if version_id is None else {"version": version_id}
                if if_match is not None:
                    options["if_match"] = etag_header(if_match)
                if span is not None:
                    options["range"] = span
                elif suffix is not None:
                    options["range"] = {"suffix": suffix}
                result = self._clients.obstore.get(key, options=options)
                start, stop = result.range
                return Download(
                    _info_of_meta(key, result.meta),
                    start,
                    stop,
                    _chunks(key, _pieces(result, stop - start), stop - start),
                )
        except RangeNotSatisfiableError:
            return self._nothing(key, if_match, span, suffix, version_id)

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """The versions of an object, newest first."""
        return s3_listing.versions(self._clients.boto, self._bucket, key)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = TARGET_CONTENT_TYPE,
    ) -> ObjectInfo:
        """Write the object in one piece. `last_modified` is this host's clock: the answer does not tell."""
        check_conditions("PutObject", key, if_match, if_absent=if_absent)
        with translated("PutObject", key, conditional=if_match is not None):
            if _NOT_FOR_OBSTORE.search(key):
                condition = conditions(if_match, if_absent=if_absent)
                answer: Any = self._clients.boto.put_object(
                    Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, **condition
                )
                return _info_of_answer(key, answer, len(data))
            mode: PutMode = "overwrite"
            client = self._clients.obstore
            if if_absent or if_match is not None:
                mode = "create" if if_match is None else {"e_tag": etag_header(if_match)}  # no 'version': None
                client = self._clients.obstore_on_condition
            result = client.put(key, data, attributes={"Content-Type": content_type}, mode=mode, use_multipart=False)
            etag = plain_etag(result["e_tag"])
            return ObjectInfo(key, len(data), etag, this_second(), _version(result["version"]))

    def start_upload(self, key: str, *, content_type: str = TARGET_CONTENT_TYPE) -> Upload:
        """Begin a multipart upload, to be committed in the way that this store was found to honour."""
        findings = self.probe()
        return begin_upload(self, self._clients.boto, key, content_type, findings, self._staging_prefix)

    def probe(self) -> Findings:
        """What the store does with conditional commits: found out once, when first asked for."""
        with self._probe_lock:
            if self.findings is None:
                self.findings = probe(self._clients, self._commit, self._staging_prefix)
            return self.findings

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The open uploads below `prefix`; staged ones too, also where their parts are one staged object already."""
        boto, encoded, staging = self._clients.boto, self._clients.is_aws, self._staging_prefix
        for upload in s3_listing.uploads(boto, self._bucket, prefix, encoded=encoded):
            if not upload.key.startswith(staging):
                yield upload
        for wanted in staging_prefixes(staging, prefix):
            for upload in s3_listing.uploads(boto, self._bucket, wanted, encoded=encoded):
                if (key := staged_for(staging, upload.key, prefix)) is not None:
                    yield replace(upload, key=key, staged=upload.key)
            for info in self.list(wanted):
                if (key := staged_for(staging, info.key, prefix)) is not None:
                    yield OpenUpload(key, "", info.last_modified, staged=info.key)

    def abort_upload(self, upload: OpenUpload) -> None:
        """Throw an open upload away."""
        place = upload.staged or upload.key
        try:
            if not upload.upload_id:
                staged = self.head(place)
                if staged is not None:  # else a mark of deletion would be left
                    remove_staged(self._clients.boto, self._bucket, place, staged.version_id)
                return
            with translated("AbortMultipartUpload", place):
                self._clients.boto.abort_multipart_upload(Bucket=self._bucket, Key=place, UploadId=upload.upload_id)
        except NotFoundError:
            return

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete the object. With `if_match` it is looked at first: not every store checks on delete."""
        if if_match is None:
            with translated("DeleteObject", key):
                self._clients.boto.delete_object(Bucket=self._bucket, Key=key)
            return
        self._expect("DeleteObject", key, if_match)
        try:
            with translated("DeleteObject", key):
                self._clients.boto.delete_object(Bucket=self._bucket, Key=key, IfMatch=etag_header(if_match))
        except NotFoundError:
            return
        except PreconditionFailedError:
            if self._expect("DeleteObject", key, if_match) is not None:  # some answer 412 where there is none
                raise

    # --- inside ------------------------------------------------------------------------------------------------

    def _expect(self, operation: str, key: str, if_match: str) -> ObjectInfo | None:
        found = self.head(key)
        if found is not None and found.etag != if_match:
            raise PreconditionFailedError(operation, key, f"the ETag is {found.etag}, not {if_match}")
        return found

    def _check_bucket(self) -> None:
        """A HEAD that says 404 does not say whether the key or the bucket is missing: ask once."""
        if self._bucket_is_there:
            return
        try:
            with translated("HeadBucket", self._bucket):
                self._clients.boto.head_bucket(Bucket=self._bucket)
        except NotFoundError as error:
            raise BucketNotFoundError("HeadBucket", self._bucket, "NoSuchBucket") from error
        except StoreUnavailableError:
            raise
        except StoreError:  # not allowed to ask
            pass
        self._bucket_is_there = True

    def _nothing(
        self, key: str, if_match: str | None, span: tuple[int, int] | None, suffix: int | None, version_id: str | None
    ) -> Download:
        """The download of a range that has no byte: HTTP has no way to say it, so ask for the object's size."""
        info = self.head(key) if version_id is None else self._head_version(key, version_id)
        if info is None:
            raise NotFoundError("GetObject", key, "NoSuchKey")
        if if_match is not None and info.etag != if_match:
            raise PreconditionFailedError("GetObject", key, f"the ETag is {info.etag}, not {if_match}")
        asked = (span is None or span[1] > span[0]) and suffix != 0
        if asked and info.size > 0 and (span is None or span[0] < info.size):
            raise StoreUnavailableError("GetObject", key, "the range was refused: the object changed meanwhile")
        start = info.size if span is None else min(span[0], info.size)
        return Download(info, start, start, ())

    def _head_version(self, key: str, version_id: str) -> ObjectInfo:
        with translated("HeadObject", key):
            answer: Any = self._clients.boto.head_object(Bucket=self._bucket, Key=key, VersionId=version_id)
        return _info_of_answer(key, answer, answer["ContentLength"])

    def _get_by_boto(
        self, key: str, if_match: str | None, span: tuple[int, int] | None, suffix: int | None, version_id: str | None
    ) -> Download:
        options: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        if if_match is not None:
            options["IfMatch"] = etag_header(if_match)
        if span is not None:
            options["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        elif suffix is not None:
            options["Range"] = f"bytes=-{suffix}"
        answer: Any = self._clients.boto.get_object(Bucket=self._bucket, Key=key, **options)
        body = answer["Body"]
        start, size = 0, answer["ContentLength"]
        stop = size
        if told := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.get("ContentRange", "")):
            start, stop, size = int(told[1]), int(told[2]) + 1, int(told[3])
        chunks = _chunks(key, body.iter_chunks(CHUNK_BYTES), stop - start)
        return Download(_info_of_answer(key, answer, size), start, stop, chunks, body.close)


def _pieces(result: GetResult, expected: int) -> Iterator[bytes]:
    """The body as obstore gives it: a small one in one piece, with the least overhead."""
    if expected <= CHUNK_BYTES:
        yield result.bytes().to_bytes()
    else:
        yield from result.stream(min_chunk_size=CHUNK_BYTES)


def _chunks(key: str, source: Iterable[bytes], expected: int) -> Iterator[bytes]:
    """The body in pieces; whatever breaks it off is a `BodyCutError`."""
    found = 0
    try:
        for chunk in source:
            found += len(chunk)
            yield chunk
    except Exception as error:
        if translate(error, "GetObject", key) is None:
            raise
        raise BodyCutError(key, expected=expected, found=found) from error


def _info_of_meta(key: str, meta: ObjectMeta) -> ObjectInfo:
    modified = meta["last_modified"].replace(microsecond=0)
    return ObjectInfo(key, meta["size"], plain_etag(meta["e_tag"]), modified, _version(meta["version"]))


def _info_of_answer(key: str, answer: dict[str, Any], size: int) -> ObjectInfo:
    modified = answer.get("LastModified", this_second()).replace(microsecond=0)
    return ObjectInfo(key, size, plain_etag(answer.get("ETag")), modified, _version(answer.get("VersionId")))


def _version(version_id: str | None) -> str | None:
    """None for the `null` that stands for no version where versioning was never on."""
    return version_id if version_id != "null" else None
