"""A program and all that it starts, as one group: started together, watched, and ended together, whatever happens.

Dagster's programs start others (a run is a process of its own) and end on SIGINT; what is left of the group after
that is killed. The group also ends when this process does, killed or not: a guard waits for the pipe to break.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GRACE_S = 8
"""How long a group may take to end by itself, in seconds."""

TAIL_LINES = 20

_POLL_S = 0.05

_GUARD = """
import os, signal, subprocess, sys, threading, time
grace_s = float(sys.argv[1])
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)
lock = threading.Lock()
def send(number):
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
def end(code):
    lock.acquire()  # for good: the first one ends this process
    deadline = time.monotonic() + grace_s
    send(signal.SIGINT)
    while time.monotonic() < deadline and (child.poll() is None or send(0)):
        if child.poll() is not None:
            deadline = min(deadline, time.monotonic() + 3)
        time.sleep(0.05)
    send(signal.SIGKILL)
    child.wait()
    os._exit(code)
def follow():
    code = child.wait()
    end(code if code >= 0 else 128 - code)
threading.Thread(target=follow, daemon=True).start()
sys.stdin.buffer.read()
end(0)
"""
"""Runs a command as a group, ends the group when its own stdin ends or when the command does."""


class ServerStartError(S3AssetsError):
    """A server of the demo or the tests did not start; the message has the tail of its log."""

    hint = "look at the whole log; a port may be taken, the disk full, or another server may use the folder"


class ProcessGroup:
    """A program that is running, with all that it starts.

    Attributes:
        name: For people.
        log_path: Where its output goes.
    """

    def __init__(self, name: str, command: Sequence[str], *, log_path: Path, cwd: Path, env: Mapping[str, str]) -> None:
        """Start `command`; its output goes to a new `log_path`."""
        self.name = name
        self.log_path = log_path
        with log_path.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-c", _GUARD, str(GRACE_S), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,  # Ctrl-C is for us; we end it
            )

    @property
    def pid(self) -> int:
        """Of the guard, whose child the program is."""
        return self._guard.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._guard.poll()

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until `ready`, but not longer than it runs.

        Raises:
            ServerStartError: It ended, or was not ready within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            try:
                code = self._guard.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                raise ServerStartError(f"{self.name} did not answer within {timeout_s} s; {self.tail()}") from None
            raise ServerStartError(f"{self.name} ended with code {code}; {self.tail()}")

    def begin_stop(self) -> None:
        """Ask it to end, and don't wait. Twice is no error."""
        if self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()

    def stop(self) -> None:
        """End it and wait until nothing of it is left. Twice is no error."""
        self.begin_stop()
        try:
            self._guard.wait(timeout=GRACE_S + 5)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()

    def tail(self) -> str:
        """The end of its log, with where that is."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n  ".join([f"the end of {self.log_path}:", *lines])
