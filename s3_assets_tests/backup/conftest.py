"""A local folder with files of known days, and its backup in a bucket of its own on SeaweedFS."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.config import Config

from s3_assets.backup.reading import Patience
from s3_assets.backup.run import DayResult, back_up
from s3_assets.backup.site import BackupSite, open_backup
from s3_assets.demo.seaweedfs import REGION
from s3_assets.settings import load_backup_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from s3_assets_tests.servers import Server

SEOUL = ZoneInfo("Asia/Seoul")
DAY = date(2026, 11, 20)
QUICK = Patience(tries=3, pause_s=0.02, settle_s=0.01)
"""For file systems with times of some milliseconds' grain, as those of test machines are."""


@dataclass(frozen=True)
class Folder:
    """A local folder."""

    path: Path

    def put(self, name: str, data: bytes = b"{}", when: datetime | None = None) -> Path:
        """Write a file that was last changed at `when`; noon of `DAY` in Seoul if not given."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.date(name, when)
        return path

    def date(self, name: str, when: datetime | None = None) -> None:
        """Give a file the time of its last change."""
        when = when or datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=SEOUL)
        stamp = int(when.timestamp() * 1_000_000_000) + 123_456_789
        os.utime(self.path / name, ns=(stamp, stamp))


@dataclass
class Requests:
    """Counts what is really sent, by the client's own events."""

    made: Counter[str] = field(default_factory=Counter)

    def __call__(self, event_name: str, **_: Any) -> None:
        """Note one."""
        self.made[event_name.rpartition(".")[2]] += 1

    def take(self) -> dict[str, int]:
        """What was sent since the last call."""
        made, self.made = dict(self.made), Counter()
        return made


@dataclass(frozen=True)
class Backup:
    """A folder and its backup.

    Attributes:
        server: Which one.
        bucket: Its bucket, with versions.
        environment: Settings and credentials.
        folder: What is backed up.
        requests: What `run` and `site` sent.
    """

    server: Server
    bucket: str
    environment: dict[str, str]
    folder: Folder
    requests: Requests = field(default_factory=Requests)

    def site(self, **settings: str) -> BackupSite:
        """Opened as a run does, with its own counters."""
        chosen = load_backup_settings({**self.environment, **settings})
        session, endpoint_url = session_of(self.server), self.server.endpoint_url
        site = open_backup(chosen, session=session, endpoint_url=endpoint_url, patience=QUICK)
        site.bucket._clients.boto.meta.events.register("before-send.s3", self.requests)
        return site

    def run(self, day: date = DAY, **options: Any) -> DayResult:
        """Back up a day."""
        return back_up(self.site(), day, **options)

    @property
    def client(self) -> S3Client:
        """A client beside those whose requests are counted."""
        return client_of(self.server)

    def keys(self) -> list[str]:
        """All keys in the bucket, without the prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(one["Key"].removeprefix("backup/") for page in pages for one in page.get("Contents", ()))

    def body(self, key: str) -> bytes:
        """What is under a key, without the prefix."""
        return self.client.get_object(Bucket=self.bucket, Key=f"backup/{key}")["Body"].read()

    def uploads(self) -> list[str]:
        """The keys of open uploads."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]


@cache
def session_of(server: Server) -> boto3.Session:
    """One for all: each new session reads botocore's model of S3 again, which takes longer than most tests."""
    return boto3.Session(server.access_key, server.secret_key, region_name=REGION)


@cache
def client_of(server: Server) -> S3Client:
    """The same."""
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    return session_of(server).client("s3", endpoint_url=server.endpoint_url, config=config)


def backup_on(server: Server, folder: Path, *, versioned: bool = True) -> Backup:
    """A backup of `folder` to a new bucket of `server`."""
    bucket = f"t-{uuid.uuid4().hex}"
    client_of(server).create_bucket(Bucket=bucket)
    if versioned:
        status = {"Status": "Enabled"}
        client_of(server).put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)
    environment = {
        "S3_ASSETS_BACKUP_DIR": str(folder),
        "S3_ASSETS_BACKUP_TARGET": f"s3://{bucket}/backup/",
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
    }
    return Backup(server, bucket, environment, Folder(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A new folder with nothing in it but one."""
    path = tmp_path / "local"
    (path / "other").mkdir(parents=True)
    return Folder(path)


@pytest.fixture
def backup(running: Callable[[str], Server], folder: Folder) -> Backup:
    """Of `folder`, on SeaweedFS."""
    return backup_on(running("seaweedfs"), folder.path)
