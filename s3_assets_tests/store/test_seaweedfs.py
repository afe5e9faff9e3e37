"""The embedded server starts by itself, keeps its data, and never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from s3_assets.demo.seaweedfs import (
    EmbeddedS3,
    GuardedProcess,
    ServerStartError,
    free_port_pairs,
    http_answers,
)
from s3_assets.store.s3 import S3Store


def wait_until_gone(pid: int) -> None:
    """Wait, within bounds, until there is no process `pid`."""
    pause = threading.Event()
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        pause.wait(0.05)
    raise AssertionError(f"process {pid} still lives")


def test_keeps_data_over_a_restart(tmp_path, monkeypatch) -> None:
    """Also on other ports; the environment it gives is all that a store needs."""
    server = EmbeddedS3(tmp_path)
    with server:
        server.create_bucket("bucket-1")
        server.create_bucket("bucket-1")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        S3Store("bucket-1").put("a", b"kept")
    assert not http_answers(server.endpoint_url)
    again = EmbeddedS3(tmp_path)
    assert (again.access_key, again.secret_key) == (server.access_key, server.secret_key)
    again._state["ports"] = {}
    with again:
        monkeypatch.setenv("AWS_ENDPOINT_URL", again.endpoint_url)
        assert S3Store("bucket-1").get("a").read() == b"kept"
        versioning = again.client().get_bucket_versioning(Bucket="bucket-1")
        assert versioning["Status"] == "Enabled"


def test_ends_with_a_killed_parent(tmp_path) -> None:
    """Even with SIGKILL, which nothing can catch."""
    script = (
        "import os, pathlib, sys\n"
        "from s3_assets.demo.seaweedfs import GuardedProcess\n"
        "process = GuardedProcess([sys.executable, '-c', 'import signal; signal.pause()'],\n"
        "    log_path=pathlib.Path('log'), cwd=pathlib.Path.cwd(), env=os.environ)\n"
        "print(process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    wait_until_gone(pid)


def test_tells_why_it_did_not_start(tmp_path) -> None:
    """The error has the end of the log."""
    command = [sys.executable, "-c", "import sys; print('no space left', file=sys.stderr); sys.exit(3)"]
    process = GuardedProcess(command, log_path=tmp_path / "log", cwd=tmp_path, env=os.environ)
    with pytest.raises(ServerStartError, match=r"(?s)code 3.*no space left") as caught:
        process.wait_until(lambda: False)
    process.stop()
    assert caught.value.hint


def test_does_not_wait_for_ever(tmp_path) -> None:
    """A server that never answers is given up, and ended."""
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    process = GuardedProcess(command, log_path=tmp_path / "log", cwd=tmp_path, env=os.environ)
    with pytest.raises(ServerStartError, match="did not answer"):
        process.wait_until(lambda: False, timeout_s=0.1)
    process.stop()
    process.stop()
    wait_until_gone(process.pid)


def test_ports_have_twins() -> None:
    """Which are ports too."""
    ports = free_port_pairs(5)
    assert len(set(ports)) == 5
    assert all(1024 < port < port + 10_000 < 32_768 for port in ports)
