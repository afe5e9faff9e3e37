"""Debian's own Postgres and Redis, each with a folder and an address of its own, and gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.supervise import ProcessGroup

if TYPE_CHECKING:
    from types import TracebackType

START_S = 60
"""Longest wait for either, in seconds."""


def postgres_programs() -> Path | None:
    """The folder with Debian's newest Postgres; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def missing() -> str | None:
    """Why none of this can start here, and what to do; None where it can."""
    if postgres_programs() is None:
        return "Postgres is not installed: apt-get install postgresql"
    if shutil.which("redis-server") is None:
        return "Redis is not installed: apt-get install redis-server"
    return None


class Postgres:
    """A cluster of its own, reached over a socket."""

    def __init__(self) -> None:
        """Describe it; enter it to start it."""
        programs = postgres_programs()
        assert programs is not None
        self._programs = programs
        self._folder = Path()
        self._process: ProcessGroup | None = None

    @property
    def url(self) -> str:
        """As DAGSTER_PG_URL has it."""
        return f"postgresql+psycopg2://dagster@/postgres?host={self._folder}"

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="s3-assets-pg-"))  # pytest's own are closed to other users
        another = _another_user(self._folder)
        data = self._folder / "data"
        init = [*another, str(self._programs / "initdb"), "--no-sync", "-A", "trust", "-U", "dagster", "-D", str(data)]
        subprocess.run(init, check=True, capture_output=True, cwd=self._folder)
        server = [*another, str(self._programs / "postgres"), "-D", str(data), "-k", str(self._folder)]
        options = ["-c", "listen_addresses=", "-c", "fsync=off"]
        self._process = _start("postgres", [*server, *options], self._folder)
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        self._process.wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, timeout_s=START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop()
        shutil.rmtree(self._folder)


def _another_user(folder: Path) -> list[str]:
    """What a command begins with so that it is not root's, which Postgres refuses; the folder becomes that user's."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


class Redis:
    """A broker on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        """Describe it; enter it to start it."""
        self._folder = folder
        [self._port] = free_port_pairs(1)
        self._process: ProcessGroup | None = None

    @property
    def url(self) -> str:
        """As DAGSTER_CELERY_BROKER has it."""
        return f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def start(self) -> None:
        """Start it, with nothing in it."""
        where = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command = [str(shutil.which("redis-server")), *where, "--save", "", "--appendonly", "no"]
        self._process = _start("redis", command, self._folder)
        self._process.wait_until(self._answers, timeout_s=START_S)

    def stop(self) -> None:
        """End it; all that it held is lost. Twice is no error."""
        if self._process is not None:
            self._process.stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        import redis  # of the extra `deploy`

        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.exceptions.RedisError:
                return False


def _start(name: str, command: list[str], folder: Path) -> ProcessGroup:
    return ProcessGroup(name, command, log_path=folder / f"{name}.log", cwd=folder, env=os.environ)
