"""Dagster's processes: which waits for which, and what they are told. Others stand in for them, and take as long."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from s3_assets.demo.stack import DagsterStack, code_server_answers
from s3_assets.demo.supervise import ProcessGroup, ServerStartError

if TYPE_CHECKING:
    from pathlib import Path

# Listens at once, as a port does whose server still loads; answers when the file is there, for what Dagster asks.
SERVER = """
import pathlib, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
servicer, server = health.HealthServicer(), grpc.server(ThreadPoolExecutor(2))
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
servicer.set("DagsterApi", health_pb2.HealthCheckResponse.NOT_SERVING)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
pathlib.Path("listens").touch()
while not pathlib.Path("loaded").exists():
    time.sleep(0.05)
servicer.set("DagsterApi", health_pb2.HealthCheckResponse.SERVING)
time.sleep(600)
"""
LOADER = """
import pathlib, time
while not pathlib.Path("listens").exists():
    time.sleep(0.05)
pathlib.Path("loaded").touch()
time.sleep(600)
"""


class StandIns(DagsterStack):
    """The same order and environment, with light programs in place of Dagster's.

    Attributes:
        answered: Whether the code server answered when each part was started.
        fails: Whether the code server ends at once.
    """

    def __init__(self, home: Path, *, fails: bool = False) -> None:
        super().__init__(home, {})
        self.answered: dict[str, bool] = {}
        self.fails = fails

    def _run(self, name: str, command: list[str]) -> ProcessGroup:
        port = self._commands["code-server"][6]
        self.answered[name] = code_server_answers(int(port))
        code = {"code-server": "raise SystemExit('no code')" if self.fails else SERVER, "webserver": LOADER}
        words = [sys.executable, "-c", code.get(name, "import time; time.sleep(600)"), port]
        return ProcessGroup(name, words, log_path=self.home / f"{name}.log", cwd=self.home, env={})


def test_the_daemon_waits_for_the_code_server(tmp_path: Path) -> None:
    """Which listens before it can answer: else the daemon takes runs off the queue, and they fail."""
    stack = StandIns(tmp_path / "dagster")
    try:
        stack.start()
        stack.check()
        assert stack.answered == {"code-server": False, "webserver": False, "daemon": True}
    finally:
        stack.stop()


def test_a_code_server_that_ends_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """With the end of its log; the webserver, which was started with it, has ended too."""
    stack = StandIns(tmp_path / "dagster", fails=True)
    with pytest.raises(ServerStartError, match=r"code-server ended with code 1(?s:.*)no code"):
        stack.start()
    assert "daemon" not in stack.answered
    assert stack._parts == {}


def test_dagster_gives_a_call_of_the_code_server_three_minutes(tmp_path: Path) -> None:
    """On a machine under load a run's process takes longer to start than the minute that it has by itself."""
    stack = DagsterStack(tmp_path, {})
    said = "from dagster._grpc.client import DEFAULT_GRPC_TIMEOUT as s; print('seconds:', s)"
    part = stack._run("said", ["python", "-c", said])
    try:
        with pytest.raises(ServerStartError, match="seconds: 180"):
            part.wait_until(lambda: False, timeout_s=120)
    finally:
        part.stop()
