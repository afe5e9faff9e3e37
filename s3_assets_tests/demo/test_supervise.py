"""A group ends as a whole: when asked to, when its program ends, and when the process that started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from s3_assets.demo.supervise import ProcessGroup, ServerStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_S = 120

# Starts a child that ignores SIGINT, tells both pids, and waits.
STUBBORN_CHILD = """
import pathlib, signal, subprocess, sys, os, time
ignore = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE)
child.stdout.readline()
pathlib.Path("pids.new").write_text(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
if sys.argv[1:] != ["end"]:
    time.sleep(600)
print("the last words", flush=True)
sys.exit(3)
"""

# Is killed by the test while its group is running.
STARTER = """
import pathlib, sys, time
from s3_assets.demo.supervise import ProcessGroup
here = pathlib.Path.cwd()
group = ProcessGroup("it", [sys.executable, "-c", sys.argv[1]], log_path=here / "log", cwd=here, env={})
time.sleep(600)
"""


def wait_until(ready: Callable[[], bool]) -> None:
    """Wait for a condition, within bounds."""
    deadline = time.monotonic() + WAIT_S
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() != "" and not state.startswith("Z")


def pids_in(folder: Path) -> list[int]:
    """What the program and its child are, once both are there."""
    wait_until((folder / "pids").exists)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def start(folder: Path, *arguments: str) -> ProcessGroup:
    """The stubborn program."""
    command = [sys.executable, "-c", STUBBORN_CHILD, *arguments]
    return ProcessGroup("it", command, log_path=folder / "log", cwd=folder, env={})


def test_stop_ends_children_that_ignore_the_signal(tmp_path):
    """After `stop` nothing of the group is left; stopping again is no error."""
    group = start(tmp_path)
    pids = pids_in(tmp_path)
    assert group.exit_code is None
    group.stop()
    assert not any(map(is_running, pids))
    group.stop()


def test_a_program_that_ends_takes_its_children_along(tmp_path):
    """Its exit code and its last words are there to be told."""
    group = start(tmp_path, "end")
    pids = pids_in(tmp_path)
    wait_until(lambda: group.exit_code is not None)
    assert group.exit_code == 3
    assert "the last words" in group.tail()
    assert not any(map(is_running, pids))
    group.stop()


def test_a_group_does_not_outlive_a_killed_starter(tmp_path):
    """SIGKILL leaves no time to tidy up, and nothing is left all the same."""
    starter = subprocess.Popen([sys.executable, "-c", STARTER, STUBBORN_CHILD], cwd=tmp_path)
    try:
        pids = pids_in(tmp_path)
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    wait_until(lambda: not any(map(is_running, pids)))


def test_it_tells_why_it_did_not_start(tmp_path):
    """The error has the end of the log."""
    command = [sys.executable, "-c", "import sys; print('no space left', file=sys.stderr); sys.exit(3)"]
    group = ProcessGroup("it", command, log_path=tmp_path / "log", cwd=tmp_path, env={})
    with pytest.raises(ServerStartError, match=r"(?s)code 3.*no space left") as caught:
        group.wait_until(lambda: False, timeout_s=WAIT_S)
    group.stop()
    assert caught.value.hint


def test_it_is_not_waited_for_for_ever(tmp_path):
    """What never answers is given up."""
    group = start(tmp_path)
    with pytest.raises(ServerStartError, match="did not answer"):
        group.wait_until(lambda: False, timeout_s=0.1)
    group.stop()
