"""A deployment's settings over a bucket of its own on a real server, for tests of Dagster and of the CLI."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.store.s3 import S3Store
    from s3_assets_tests.servers import Server


@dataclass(frozen=True)
class Deployment:
    """Source and target in one bucket.

    Attributes:
        store: The bucket.
        environment: Settings and credentials.
    """

    store: S3Store
    environment: Mapping[str, str]

    def drop(self, key: str, data: bytes) -> None:
        """Put a source object; `key` is relative to the source prefix."""
        self.store.put(f"source/{key}", data, content_type="text/csv")

    def hour_file(self, key: str) -> bytes:
        """The inflated bytes of an hour file; `key` is relative to the target prefix."""
        return gzip.decompress(self.store.get(f"target/{key}").read())

    def etag(self, key: str) -> str:
        """Of an hour file; empty where there is none."""
        info = self.store.head(f"target/{key}")
        return "" if info is None else info.etag


def deploy(server: Server, **settings: str) -> Deployment:
    """A new bucket on `server`, and settings for it."""
    bucket = server.new_bucket(versioned=True)
    environment = {
        **server.environment(),
        "S3_ASSETS_SOURCE": f"s3://{bucket}/source/",
        "S3_ASSETS_TARGET": f"s3://{bucket}/target/",
        "S3_ASSETS_START_DATE": "2021-09-01",
        **settings,
    }
    return Deployment(server.store(bucket), environment)


FIVE_FILES = {
    "customer_new_customer_event/2021-09-01/07_00_file_123.csv": b"id,name\n123,a\n",
    "customer_new_customer_event/2021-09-01/07_15_file_124.csv": b"id,name\n124,b\n",
    "customer_new_customer_event/2021-09-01/07_27_file_125.csv": b"id,name\n125,c\n",
    "customer_new_customer_event/2021-09-01/07_50_file_126.csv": b"id,name\n126,d\n",
    "customer_new_customer_event/2021-09-01/08_15_file_127.csv": b"id,name\n127,e\n",
}
"""The layout that the pipeline replaces; the old one lost 07_00."""
