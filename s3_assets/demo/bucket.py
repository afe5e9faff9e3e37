"""The demo's bucket: where producers drop, and where hour files appear, which are looked at with plain boto3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.settings import Settings, load_settings
from s3_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    import boto3
    from mypy_boto3_s3 import S3Client

    from s3_assets.demo.sample import Drop
    from s3_assets.demo.seaweedfs import EmbeddedS3
    from s3_assets.hour_file.keys import Hour

BUCKET: Final = "demo"
SOURCE_PREFIX: Final = "source/"
TARGET_PREFIX: Final = "target/"
START_DATE: Final = "2021-09-01"

_THREADS = 8
_LINK_S = 7 * 24 * 3600
"""How long a link is valid, in seconds: as long as S3 allows."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One object as a listing shows it."""

    etag: str
    size: int


class DemoBucket:
    """One versioned bucket with sources and hour files, on a server that is running.

    Attributes:
        server: Whose bucket it is.
        store: The bucket as the pipeline sees it; producers drop through it, because it is fast.
    """

    def __init__(self, server: EmbeddedS3) -> None:
        """Make the bucket if it is not there."""
        self.server = server
        server.create_bucket(BUCKET, versioned=True)
        self.store = S3Store(BUCKET, session=self.session(), endpoint_url=server.endpoint_url)
        self._client: S3Client = server.client()

    def environment(self) -> dict[str, str]:
        """The variables with which `s3-assets` and Dagster work on this bucket."""
        return {
            **self.server.environment(),
            "S3_ASSETS_SOURCE": f"s3://{BUCKET}/{SOURCE_PREFIX}",
            "S3_ASSETS_TARGET": f"s3://{BUCKET}/{TARGET_PREFIX}",
            "S3_ASSETS_START_DATE": START_DATE,
        }

    def settings(self) -> Settings:
        """The same as settings."""
        return load_settings(self.environment())

    def session(self) -> boto3.Session:
        """Credentials of the bucket, for a process whose environment has none."""
        import boto3

        server = self.server
        return boto3.Session(
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=server.environment()["AWS_REGION"],
        )

    def drop(self, drops: Iterable[Drop]) -> None:
        """Put source objects, several at once."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for put in [pool.submit(self._put, drop) for drop in drops]:
                put.result()

    def remove(self, drop: Drop) -> None:
        """Delete a source object, as a lifecycle rule does: a delete marker hides it."""
        self._client.delete_object(Bucket=BUCKET, Key=SOURCE_PREFIX + drop.key)

    def sources(self) -> dict[str, Shown]:
        """The source objects, by their keys below the prefix."""
        return self._list(SOURCE_PREFIX)

    def targets(self) -> dict[str, Shown]:
        """The hour files, by their keys below the prefix."""
        return self._list(TARGET_PREFIX)

    def read(self, hour: Hour) -> bytes:
        """An hour file, as it is stored."""
        key = TARGET_PREFIX + KeyGrammar.target_key(hour)
        data: bytes = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def link(self, hour: Hour) -> str:
        """An address that fetches an hour file without a key, for a week."""
        where = {"Bucket": BUCKET, "Key": TARGET_PREFIX + KeyGrammar.target_key(hour)}
        link: str = self._client.generate_presigned_url("get_object", Params=where, ExpiresIn=_LINK_S)
        return link

    def _put(self, drop: Drop) -> None:
        self.store.put(SOURCE_PREFIX + drop.key, drop.data, content_type="text/csv")

    def _list(self, prefix: str) -> dict[str, Shown]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {
            shown["Key"].removeprefix(prefix): Shown(shown["ETag"], shown["Size"])
            for page in pages
            for shown in page.get("Contents", ())
        }
