"""Real S3 servers for the tests, all from pip, all on loopback, all ended with the process that started them.

Each has its own way to start; what it does wrong is in one table, in `store/deviations.py`.
"""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from s3_assets.demo.seaweedfs import (
    REGION,
    START_S,
    EmbeddedS3,
    free_port_pairs,
    http_answers,
    make_client,
)
from s3_assets.demo.supervise import ProcessGroup
from s3_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

ACCESS_KEY = "test"
SECRET_KEY = "test-secret"


@dataclass(frozen=True)
class Server:
    """A server that is running.

    Attributes:
        name: `seaweedfs`, `ministack` or `moto`.
        endpoint_url: Where it answers.
        access_key: Of its user.
        secret_key: Of the same.
    """

    name: str
    endpoint_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @cache  # noqa: B019  (there are three servers; a client costs 0.03 CPU-seconds, and each bucket asks for one)
    def client(self) -> S3Client:
        """A plain boto3 client, always the same one."""
        return make_client(self.endpoint_url, self.access_key, self.secret_key)

    def environment(self) -> dict[str, str]:
        """The AWS_* variables with which any S3 client finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def new_bucket(self, *, versioned: bool = False) -> str:
        """Make a bucket with a new name, and tell it."""
        name = f"t-{uuid.uuid4().hex}"
        client = self.client()
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def store(self, bucket: str, **options) -> S3Store:
        """An `S3Store` for `bucket` of this server."""
        import boto3

        session = boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=REGION
        )
        return S3Store(bucket, session=session, endpoint_url=self.endpoint_url, **options)


class SeaweedServer:
    """SeaweedFS as the demo starts it."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedS3(folder)

    def __enter__(self) -> Server:
        self._embedded.start()
        return Server("seaweedfs", self._embedded.endpoint_url, self._embedded.access_key, self._embedded.secret_key)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._embedded.stop()


class SubprocessServer:
    """A server that is a Python program: `ministack` or `moto`."""

    def __init__(self, name: str, folder: Path) -> None:
        (port,) = free_port_pairs(1)
        self._name = name
        self._url = f"http://127.0.0.1:{port}"
        self._folder = folder
        # by itself, ministack would listen on all addresses
        arguments = {
            "ministack": ["-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"],
            "moto": ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        }
        self._command = [sys.executable, *arguments[name]]
        self._process: ProcessGroup | None = None

    def __enter__(self) -> Server:
        self._folder.mkdir(parents=True, exist_ok=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        log_path = self._folder / f"{self._name}.log"
        self._process = ProcessGroup(self._name, self._command, log_path=log_path, cwd=self._folder, env=env)
        try:
            self._process.wait_until(lambda: http_answers(self._url), timeout_s=START_S)
        except BaseException:
            self._process.stop()
            raise
        return Server(self._name, self._url)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop()


def start_server(name: str, folder: Path) -> SeaweedServer | SubprocessServer:
    """The server `name`, as a context manager that gives a `Server`; its files go below `folder`."""
    return SeaweedServer(folder) if name == "seaweedfs" else SubprocessServer(name, folder)
