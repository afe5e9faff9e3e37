"""Where a backup comes from and where it goes, opened from the settings; and the manifests that are there.

Keys: a copy is `{prefix}{YYYY-MM-DD}/{path}`, a manifest `{prefix}.s3_assets-manifests/{YYYY-MM-DD}.json`, where no
copy can be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from s3_assets.backup.bucket import BackupBucket
from s3_assets.backup.globs import Selection
from s3_assets.backup.manifest import Manifest, decode
from s3_assets.backup.reading import Patience
from s3_assets.backup.walk import Walk, walk
from s3_assets.errors import NoBackupError
from s3_assets.store.s3_client import Limits, S3Clients

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    import boto3

    from s3_assets.settings import BackupSettings

MANIFESTS = ".s3_assets-manifests/"
"""Where manifests are, below the prefix."""

_MANIFEST_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.json")


@dataclass(frozen=True)
class BackupSite:
    """A folder and its backup.

    Attributes:
        folder: Absolute.
        selection: Which files of it.
        zone: Whose days.
        bucket: Where copies go.
        prefix: Of all keys; empty, or ends in `/`.
        threads: How many files at the same time.
        patience: How long a file that changes is waited for.
    """

    folder: Path
    selection: Selection
    zone: ZoneInfo
    bucket: BackupBucket
    prefix: str
    threads: int
    patience: Patience = field(default_factory=Patience)

    def walk(self) -> Walk:
        """What is in the folder.

        Raises:
            BackupFolderError: It can't be taken for what is to be backed up.
        """
        return walk(self.folder, self.selection, self.zone, prefix=self.prefix)

    def day_prefix(self, day: date) -> str:
        """What the keys of the copies of a day begin with."""
        return f"{self.prefix}{day.isoformat()}/"

    def manifest_key(self, day: date) -> str:
        """The key of the day's manifest."""
        return f"{self.prefix}{MANIFESTS}{day.isoformat()}.json"

    def uri(self, key: str) -> str:
        """The address of a key."""
        return f"s3://{self.bucket.name}/{key}"

    def manifest(self, day: date) -> tuple[Manifest, str] | None:
        """The day's manifest and its ETag; None where there is none.

        Raises:
            DamagedManifestError: It can't be read.
        """
        key = self.manifest_key(day)
        found = self.bucket.read(key)
        return None if found is None else (decode(key, found[0], day), found[1])

    def manifest_of(self, day: date) -> Manifest:
        """The day's manifest.

        Raises:
            NoBackupError: There is none.
            DamagedManifestError: It can't be read.
        """
        found = self.manifest(day)
        if found is None:
            raise NoBackupError(day.isoformat(), self.uri(self.manifest_key(day)))
        return found[0]

    def backed_up_days(self) -> dict[date, str]:
        """The days that have a manifest, each with its ETag as it is listed."""
        listed = self.bucket.copies(f"{self.prefix}{MANIFESTS}")
        return {
            date.fromisoformat(match[1]): copy.etag
            for name, copy in listed.items()
            if (match := _MANIFEST_NAME.fullmatch(name))
        }


def open_backup(
    settings: BackupSettings,
    *,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    limits: Limits | None = None,
    patience: Patience | None = None,
) -> BackupSite:
    """The backup that the settings describe. Nothing is sent to S3, and no file is looked at, by opening it.

    Args:
        settings: Where and how.
        session: Whose credentials to use; None takes them from the environment, as every AWS tool does.
        endpoint_url: Of an S3-compatible store; None leaves it to AWS_ENDPOINT_URL, or AWS.
        region: None leaves it to the session.
        limits: Timeouts and retries.
        patience: How long a file that changes is waited for.
    """
    target = settings.target
    clients = S3Clients(target.bucket, session=session, endpoint_url=endpoint_url, region=region, limits=limits)
    return BackupSite(
        folder=settings.directory,
        selection=Selection(settings.include, settings.exclude, settings.groups),
        zone=settings.calendar.zone,
        bucket=BackupBucket(clients),
        prefix=target.prefix,
        threads=settings.threads,
        patience=patience or Patience(),
    )
