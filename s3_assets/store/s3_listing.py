"""Listings, page by page, right for any key.

obstore can't be used for them: it drops the last `/` of a folder marker and the first `/` of a key without a word,
and one key with `//`, `.` or a control character fails the whole listing. botocore is right but spends most of its
time on a generic parser, so the pages are parsed here, and botocore keeps signing, retries and connections.

The invariant: a page that can't be read in full, or says that there is more but not where, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from s3_assets.errors import StoreUnavailableError
from s3_assets.store.contract import ObjectInfo, ObjectVersion, OpenUpload
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

_PAGE = "S3AssetsPage"
_EMPTY_LISTING = b"<ListBucketResult/>"
_OK = 200
_ERROR, _HEAD_BYTES = b"<Error", 500


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of ListObjectsV2.

    Attributes:
        objects: The objects in it.
        folders: The common prefixes in it.
        token: Where the next page begins; None is the end.
    """

    objects: list[ObjectInfo]
    folders: list[str]
    token: str | None


def read_pages_fast(client: S3Client) -> None:
    """Have the `client` parse ListObjectsV2 with `parse_page`: 6 times less CPU than botocore's own parser.

    By this name of the event it comes before a handler of botocore's that is registered for `before-parse.s3.*` and
    parses each body once more, only to see whether it is an error.
    """
    client.meta.events.register("before-parse.*.ListObjectsV2", _parse_before_botocore)


def _parse_before_botocore(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    if response_dict["status_code"] != _OK or _ERROR in response_dict["body"][:_HEAD_BYTES]:
        return  # an error, also one that came as a success: botocore knows it, and tries again
    try:
        page = parse_page(response_dict["body"])
    except ValueError as error:
        customized_response_dict[_PAGE] = error
    else:
        customized_response_dict[_PAGE] = page
    response_dict["body"] = _EMPTY_LISTING


def parse_page(body: bytes) -> Page:
    """Read the XML of ListObjectsV2.

    Keys are decoded where the answer says that they are encoded (`EncodingType`): AWS and others write a space as
    `+` or as `%20`, and a plus always as `%2B`.

    Raises:
        ValueError: It is not a whole and consistent page.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat has bounded entity expansion since 2.4.1
    except ET.ParseError as error:
        message = "the listing is not XML"
        raise ValueError(message) from error
    space, brace, name = root.tag.rpartition("}")
    namespace = space + brace
    truncated = root.findtext(f"{namespace}IsTruncated")
    token = root.findtext(f"{namespace}NextContinuationToken") or None
    if name != "ListBucketResult" or truncated not in {"true", "false"}:
        message = "the answer is not a listing"
        raise ValueError(message)
    if truncated == "true" and token is None:
        message = "the listing goes on but does not say where"
        raise ValueError(message)
    decode = unquote_plus if root.findtext(f"{namespace}EncodingType") == "url" else str
    key_tag, size_tag, etag_tag, time_tag = (f"{namespace}{tag}" for tag in ("Key", "Size", "ETag", "LastModified"))
    objects = []
    try:
        for entry in root.iter(f"{namespace}Contents"):
            field = {child.tag: child.text or "" for child in entry}
            etag = field[etag_tag].strip('"')
            objects.append(
                ObjectInfo(decode(field[key_tag]), int(field[size_tag]), etag, whole_second(field[time_tag]))
            )
    except KeyError as error:
        message = f"an object in the listing has no {error.args[0].removeprefix(namespace)}"
        raise ValueError(message) from error
    folders = [decode(entry.findtext(f"{namespace}Prefix") or "") for entry in root.iter(f"{namespace}CommonPrefixes")]
    return Page(objects, folders, token if truncated == "true" else None)


def whole_second(text: str) -> datetime:
    """An S3 timestamp, aware, without its fraction, which only some servers have."""
    return datetime.fromisoformat(text).replace(microsecond=0)


def pages(client: S3Client, bucket: str, prefix: str, *, delimiter: str = "") -> Iterator[Page]:
    """The pages of the listing of `prefix`, lazily.

    Raises:
        StoreUnavailableError: A page was not whole, or points back to itself.
    """
    options: dict[str, Any] = {"Delimiter": delimiter} if delimiter else {}
    while True:
        with translated("ListObjectsV2", prefix):
            answer: Any = client.list_objects_v2(Bucket=bucket, Prefix=prefix, EncodingType="url", **options)
        page = answer.get(_PAGE)
        if not isinstance(page, Page):
            raise StoreUnavailableError("ListObjectsV2", prefix, str(page or "botocore did not hand over the page"))
        if page.token is not None and page.token == options.get("ContinuationToken"):
            raise StoreUnavailableError("ListObjectsV2", prefix, "the listing does not get on")
        yield page
        if page.token is None:
            return
        options["ContinuationToken"] = page.token


def uploads(client: S3Client, bucket: str, prefix: str, *, encoded: bool) -> Iterator[OpenUpload]:
    """The open multipart uploads whose key starts with `prefix`, lazily.

    Keys are asked for `encoded` only where that is known to be done: SeaweedFS 4.48 says so and doesn't.

    Raises:
        StoreUnavailableError: The listing says that there is more but does not get on.
    """
    encoding: dict[str, Any] = {"EncodingType": "url"} if encoded else {}
    options: dict[str, Any] = {}
    while True:
        with translated("ListMultipartUploads", prefix):
            answer = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **encoding, **options)
        decode = unquote_plus if encoded and answer.get("EncodingType") == "url" else str
        for found in answer.get("Uploads", []):
            key = decode(found["Key"])
            if key.startswith(prefix):  # moto lists all, whatever the prefix
                yield OpenUpload(key, found["UploadId"], found["Initiated"])
        if not answer.get("IsTruncated"):
            return
        markers = {"KeyMarker": decode(answer.get("NextKeyMarker", ""))}
        if answer.get("NextUploadIdMarker"):
            markers["UploadIdMarker"] = answer["NextUploadIdMarker"]
        if markers == options or not markers["KeyMarker"]:
            raise StoreUnavailableError("ListMultipartUploads", prefix, "the listing does not get on")
        options = markers


def versions(client: S3Client, bucket: str, key: str) -> Iterator[ObjectVersion]:
    """The versions of the object `key` and the marks of its deletions, newest first.

    The server's answer has both in one order, botocore hands them over apart: the time puts them together again.

    Raises:
        StoreUnavailableError: The listing says that there is more but does not get on.
    """
    found: list[tuple[bool, datetime, ObjectVersion]] = []
    options: dict[str, Any] = {}
    while True:
        with translated("ListObjectVersions", key):
            answer: Any = client.list_object_versions(Bucket=bucket, Prefix=key, **options)
        for is_deleted, entries in ((False, answer.get("Versions", [])), (True, answer.get("DeleteMarkers", []))):
            found.extend(
                (entry["IsLatest"], entry["LastModified"], _version(key, entry, is_deleted=is_deleted))
                for entry in entries
                if entry["Key"] == key
            )
        if not answer.get("IsTruncated"):
            break
        markers = {
            "KeyMarker": answer.get("NextKeyMarker", ""),
            "VersionIdMarker": answer.get("NextVersionIdMarker", ""),
        }
        if markers == options or not markers["KeyMarker"]:
            raise StoreUnavailableError("ListObjectVersions", key, "the listing does not get on")
        options = markers
    found.sort(key=lambda version: version[:2], reverse=True)  # stable: the server's order within a second
    return (version for _, _, version in found)


def _version(key: str, entry: dict[str, Any], *, is_deleted: bool) -> ObjectVersion:
    """An entry of ListObjectVersions; the version `null` is none: versioning was off when it was written."""
    version_id = entry.get("VersionId")
    etag = (entry.get("ETag") or "").strip('"')
    modified = entry["LastModified"].replace(microsecond=0)
    info = ObjectInfo(key, entry.get("Size") or 0, etag, modified, None if version_id == "null" else version_id)
    return ObjectVersion(info, is_deleted)
