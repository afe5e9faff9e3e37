"""`s3-assets demo`: the whole thing on this machine, with nothing but this package's `demo` extra installed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from s3_assets.demo.bucket import DemoBucket
from s3_assets.demo.once import OnceCheck
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def write_line(line: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_demo(*, once: bool, directory: Path, out: Callable[[str], None] = write_line) -> int:
    """Run the demo; the exit code.

    Args:
        once: Without Dagster: build, check that every hour file equals its sources, and end.
        directory: Where everything goes; made if it is not there.
        out: Takes the lines to be shown.

    Raises:
        S3AssetsError: A server did not start, or the store failed.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with _own_environment(), _signals_as_interrupts():
        try:
            return _run_once(directory, out) if once else _run_live(directory, out)
        except KeyboardInterrupt:
            out("interrupted; everything that was started has ended")
            return 128 + signal.SIGINT


def _run_once(directory: Path, out: Callable[[str], None]) -> int:
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="once-", dir=directory))
    keep = False
    try:
        with EmbeddedS3(folder) as server:
            out(f"SeaweedFS answers at {server.endpoint_url} after {time.monotonic() - began:.1f} s")
            keep = not OnceCheck(DemoBucket(server), datetime.now(UTC), out).run()
    except S3AssetsError:
        keep = True
        raise
    finally:
        if keep:
            out(f"NOT right: see what it says; the S3 data and the server's log are kept in {folder}")
        else:
            shutil.rmtree(folder)
    if not keep:
        out(f"every hour file holds exactly the rows of its sources; {time.monotonic() - began:.1f} s")
    return int(keep)


def _run_live(directory: Path, out: Callable[[str], None]) -> int:
    from s3_assets.demo.live import run_live

    return run_live(directory, out)


@contextmanager
def _own_environment() -> Iterator[None]:
    """Nobody's AWS profile, settings or proxy may reach into the demo, or the demo into somebody's account."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("AWS_", "S3_ASSETS_", "DAGSTER_")):
            del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (before.get(name), "127.0.0.1", "localhost")))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: raise KeyboardInterrupt, so that everything is tidied up.

    SIGINT is set too: a shell without job control makes what it starts with `&` ignore it.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
