"""What live tests lean on: which processes are found, what a gate holds up, how much a share is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from s3_assets_tests.scale import DEFAULT, SCALE, SEED_VARIABLE, SHARE_VARIABLE, soak
from s3_assets_tests.soak.gate import READ, WRITE, Gate
from s3_assets_tests.soak.living import children, command_line, kill, wait_until


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_children_of_any_thread_are_found():
    """A code server starts runs from the threads that answer its requests."""
    started: list[subprocess.Popen[bytes]] = []
    end = threading.Event()

    def start() -> None:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "of-a-thread"]))
        end.wait(60)

    thread = threading.Thread(target=start)
    thread.start()
    try:
        wait_until(lambda: bool(started), 60, "the process", poll_s=0.01)
        [child] = started
        wait_until(lambda: b"of-a-thread" in command_line(child.pid), 60, "its command line", poll_s=0.01)
        assert child.pid in children(os.getpid())
    finally:
        kill(started[0].pid)
        started[0].wait()
        end.set()
        thread.join()
    assert child.pid not in children(os.getpid())
    assert command_line(child.pid) == b""
    kill(child.pid)


def test_a_closed_gate_holds_up_who_comes_until_it_is_opened(tmp_path):
    """And says who waits; the other one is open."""
    gate = Gate(tmp_path / "gate")
    gate.go_through(READ)
    gate.close(READ)
    gate.go_through(WRITE)
    passed = threading.Event()
    thread = threading.Thread(target=lambda: [Gate(tmp_path / "gate").go_through(READ), passed.set()])
    thread.start()
    wait_until(lambda: gate.waiting() == {os.getpid()}, 60, "somebody at the gate", poll_s=0.01)
    assert not passed.is_set()
    gate.open()
    thread.join(60)
    assert passed.is_set()
    assert gate.waiting() == set()


def test_a_share_is_no_less_than_every_run_tries():
    """Down to the smallest."""
    for share in (1.0, 0.2, 0.001):
        some = soak(share)
        assert some.full
        assert min(some.histories, some.server_histories, some.races, some.large_races) >= 1
        assert some.examples(50, 1000) >= DEFAULT.examples(50, 1000) == 50
    assert soak(1).examples(50, 1000) == 1000
    assert (soak(1).every_small, soak(0.2).every_small, soak(0.2).histories) == (1, 5, 167)


@pytest.mark.scaled
def test_a_soak_shows_in_no_environment():
    """The package refuses variables that it does not know, here and in each process that a test starts."""
    assert SHARE_VARIABLE not in os.environ
    assert SEED_VARIABLE not in os.environ
    assert (soak(SCALE.share) if SCALE.full else DEFAULT) == SCALE
