"""The least IAM policy: which calls are made where, which right each needs, and the document of both.

`BUCKET_RIGHTS`, `OBJECT_RIGHTS` and `QUEUE_RIGHTS` say which right an operation needs, as S3's and SQS's references
have it; `SOURCE`, `TARGET` and so on say who makes which calls. A test compares them with what a server saw. Pure:
nothing is asked, nothing is read but settings.

The invariant: nothing is allowed below the source but reading, and nothing anywhere that no call needs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from s3_assets.hints.queue import server_of
from s3_assets.store.s3 import STAGING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.settings import BackupSettings, Location, Settings

SCRATCH: Final = "_s3_assets_doctor."
"""What the names of scratch objects begin with, directly below the target prefix. No folder: a folder there would be
taken for an event."""

BUCKET_RIGHTS: Final = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
"""What is asked of a bucket."""

OBJECT_RIGHTS: Final = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "GetObject of a version": "s3:GetObjectVersion",
    "HeadObject of a version": "s3:GetObjectVersion",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObject of a version": "s3:DeleteObjectVersion",
}
"""What is asked of an object. A copy needs s3:GetObject on what it copies, too."""

QUEUE_RIGHTS: Final = {
    "ReceiveMessage": "sqs:ReceiveMessage",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessageBatch": "sqs:DeleteMessage",
}
"""What is asked of the queue of hints."""

_READS: Final = ("ListObjectsV2", "GetObject", "HeadObject")
_UPLOADS: Final = ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload")

SOURCE: Final = (*_READS, "HeadBucket")
"""Sensor, builds, plan and verify, of the source."""

TARGET: Final = (
    *(*_READS, "HeadBucket", "PutObject", *_UPLOADS, "UploadPartCopy", "DeleteObject"),
    *("GetObject of a version", "HeadObject of a version", "ListObjectVersions", "ListMultipartUploads"),
)
"""Builds, history and rebuilds, of the hour files. Deleted is an hour file whose last source went, under `drop`."""

DOCTOR: Final = ("DeleteObject of a version",)
"""What a checkup needs beside it, of its scratch keys."""

STAGED: Final = (
    *("PutObject", *_UPLOADS, "CopyObject", "UploadPartCopy", "GetObject", "HeadObject"),
    "DeleteObject of a version",
)
"""Staged uploads, and finding out which way to commit is safe. AWS needs neither."""

BACKUP: Final = (*(*_READS, "PutObject", *_UPLOADS, "ListParts", "ListMultipartUploads", "GetObject of a version"),)
"""The daily backup, of its copies and manifests. It deletes nothing."""


def action_of(operation: str) -> str | None:
    """The right that an operation (S3's or SQS's own name) needs; None for one that is not known."""
    return {**BUCKET_RIGHTS, **OBJECT_RIGHTS, **QUEUE_RIGHTS}.get(operation)


@dataclass(frozen=True, slots=True)
class Wants:
    """What there is to be allowed.

    Attributes:
        source: Of the hour files; None where there are none.
        target: The same.
        staged: Whether large uploads may go to staging keys, and may be tried there.
        backup: Where the daily backup goes; None where there is none.
        hints_queue: The queue's URL; None where there is none.
        region: The client's, for the queue's ARN where its URL names none, and for the partition.
    """

    source: Location | None = None
    target: Location | None = None
    staged: bool = False
    backup: Location | None = None
    hints_queue: str | None = None
    region: str = "us-east-1"


def wants(settings: Settings | None, backup: BackupSettings | None, *, is_aws: bool, region: str) -> Wants:
    """What the settings ask for; on AWS, and where `S3_ASSETS_LARGE_COMMIT` says so, nothing is staged."""
    staged = settings is not None and (
        settings.large_commit == "stage" or (settings.large_commit == "auto" and not is_aws)
    )
    return Wants(
        source=None if settings is None else settings.source,
        target=None if settings is None else settings.target,
        staged=staged,
        backup=None if backup is None else backup.target,
        hints_queue=None if settings is None else settings.hints_queue,
        region=region,
    )


def policy(wanted: Wants) -> dict[str, Any]:
    """The document, as IAM takes it."""
    return {"Version": "2012-10-17", "Statement": list(_statements(wanted))}


def _statements(wanted: Wants) -> Iterator[dict[str, Any]]:
    arn = _Arns(wanted.region)
    listed: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    if wanted.source is not None:
        _note(listed, wanted.source, SOURCE)
        yield _objects("Sources", arn.objects(wanted.source), SOURCE)
    if wanted.target is not None:
        staging = replace(wanted.target, prefix=STAGING_PREFIX)  # of the bucket, not below the target's prefix
        _note(listed, wanted.target, TARGET)
        _note(listed, staging, ("ListObjectsV2",))  # of uploads that are open: also where nothing is staged
        yield _objects("HourFiles", arn.objects(wanted.target), TARGET)
        yield _objects("Checkup", arn.objects(wanted.target, SCRATCH), DOCTOR)
        if wanted.staged:
            yield _objects("Staging", arn.objects(staging), STAGED)
    if wanted.backup is not None:
        _note(listed, wanted.backup, BACKUP)
        yield _objects("Backup", arn.objects(wanted.backup), BACKUP)
    for number, (bucket, actions) in enumerate(sorted(listed.items()), start=1):
        yield from _listing(f"List{number}", arn.bucket(bucket), actions)
    if wanted.hints_queue is not None:
        queue = arn.queue(wanted.hints_queue)
        yield _statement("Hints", sorted(set(QUEUE_RIGHTS.values())), queue)


def _note(listed: dict[str, dict[str, list[str]]], where: Location, operations: tuple[str, ...]) -> None:
    for action in {BUCKET_RIGHTS[operation] for operation in operations if operation in BUCKET_RIGHTS}:
        listed[where.bucket][action].append(where.prefix)


def _objects(name: str, resource: str, operations: tuple[str, ...]) -> dict[str, Any]:
    actions = {OBJECT_RIGHTS[operation] for operation in operations if operation in OBJECT_RIGHTS}
    return _statement(name, sorted(actions), resource)


def _listing(name: str, resource: str, actions: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Statements about a bucket, one for each set of prefixes."""
    by_prefixes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for action, prefixes in actions.items():
        # there is no condition for open uploads: they are of the bucket
        bounded = action != "s3:ListBucketMultipartUploads" and "" not in prefixes
        by_prefixes[tuple(sorted(set(prefixes))) if bounded else ()].append(action)
    for letter, (below, some) in zip("ABCD", sorted(by_prefixes.items()), strict=False):
        statement = _statement(f"{name}{letter}", sorted(some), resource)
        if below:
            # IfExists: a GET of an object that is not there is answered by 404 only to who may list, and that
            # question names no prefix. So a listing without any prefix is allowed too: keys, not contents.
            like = {"s3:prefix": [f"{escaped(prefix)}*" for prefix in below]}
            statement["Condition"] = {"StringLikeIfExists": like}
        yield statement


def _statement(name: str, actions: list[str], resource: str) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource}


def escaped(text: str) -> str:
    """Text of which no character is a wildcard or a variable (IAM user guide, policy variables)."""
    return re.sub(r"[*?$]", lambda match: "${" + match[0] + "}", text)


@dataclass(frozen=True, slots=True)
class _Arns:
    region: str

    @property
    def _partition(self) -> str:
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rpartition("-")[0].rpartition("-")[0], "aws")

    def bucket(self, name: str) -> str:
        return f"arn:{self._partition}:s3:::{name}"

    def objects(self, where: Location, name: str = "") -> str:
        return f"{self.bucket(where.bucket)}/{escaped(where.prefix)}{name}*"

    def queue(self, url: str) -> str:
        region = server_of(url)[1] or self.region
        account, _, name = urlsplit(url).path.strip("/").rpartition("/")
        return f"arn:{self._partition}:sqs:{region}:{account}:{name}"


def object_arn(where: Location, region: str, name: str = "") -> str:
    """The ARN of all objects of a place whose names begin with `name`, for messages."""
    return _Arns(region).objects(where, name)


def bucket_arn(bucket: str, region: str) -> str:
    """The ARN of a bucket, for messages."""
    return _Arns(region).bucket(bucket)
