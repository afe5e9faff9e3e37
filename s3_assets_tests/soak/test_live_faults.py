"""What a live deployment makes of each fault of its own: killed in the middle of its work, or with its memory wiped.

One deployment for all of it. Runs are held up at a gate, so that what is killed is killed in the middle.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from s3_assets.hour_file.keys import Hour
from s3_assets_tests.soak.gate import READ, WRITE
from s3_assets_tests.soak.living import Living, command_line, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("live")]

BOUND_S = 600
STANDING = [Hour(event, f"2021-09-0{day}-07:00") for event in ("orders", "payments") for day in (1, 2, 3)]
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """With six hour files."""
    with Living(tmp_path_factory.mktemp("live"), "2021-09-01", gated=True) as living:
        living.send_all((hour, "00_a", b"1,2\n") for hour in STANDING)
        all_right(living)
        yield living


@pytest.fixture
def living(deployed: Living) -> Iterator[Living]:
    """Quiet before; and after: all right, what stood is as it was, and nothing was written without need."""
    quiet(deployed)
    before = deployed.etags()
    assert len(before) >= len(STANDING)
    yield deployed
    deployed.gate.open()
    all_right(deployed)
    quiet(deployed)
    after = deployed.etags()
    assert {key: after.get(key) for key in before} == before
    assert deployed.wrong() == []
    assert deployed.needless_writes() == []


def all_right(living: Living) -> None:
    """Wait until each hour file holds what was sent."""
    wait_until(lambda: not living.wrong(), BOUND_S, "all hours right")


def quiet(living: Living) -> None:
    """Wait until nothing runs, and a tick that began later has asked for nothing."""
    wait_until(living.idle, BOUND_S, "no run queued or running")
    now = time.time()
    wait_until(lambda: any(not tick["runIds"] for tick in ticks_since(living, now)), BOUND_S, "a tick in vain")
    assert living.idle()


def ticks_since(living: Living, when: float) -> list[dict[str, Any]]:
    """That began after `when`, and have ended well; none where the code location can't be asked now."""
    try:
        since = [tick for tick in living.ticks() if tick["timestamp"] > when]
    except (OSError, KeyError, TypeError):
        return []
    return [tick for tick in since if tick["status"] in ("SUCCESS", "SKIPPED")]


def under_way(living: Living, prefix: str) -> tuple[Hour, dict[str, Any], int]:
    """A new hour, the run that makes it, which waits at the gate, and the run's process."""
    living.gate.close(prefix)
    hour = Hour("orders", f"2021-10-01-{next(numbers):02d}:00")
    living.send(hour, "00_a", b"%d,new\n" % hash(hour.label))
    wait_until(living.gate.waiting, BOUND_S, "a run at the gate")
    [run] = [run for run in living.runs() if run["status"] == "STARTED"]
    [process] = living.gate.waiting()
    assert not living.has(hour, 1)
    return hour, run, process


def status(living: Living, run: dict[str, Any]) -> str:
    """Of a run, as it is now."""
    [found] = [one for one in living.runs() if one["runId"] == run["runId"]]
    return str(found["status"])


def test_a_run_that_is_killed_is_made_up_for(living: Living):
    """Dagster sees that it is lost; its hour is made right by another."""
    _, run, process = under_way(living, WRITE)
    assert living.kill_a_run() == process
    living.gate.open()
    all_right(living)
    wait_until(lambda: status(living, run) == "FAILURE", BOUND_S, "the run is known to be lost")


def test_a_daemon_that_is_killed_disturbs_no_run(living: Living):
    """The run that is under way goes on, and the next daemon does not ask for its hour."""
    before = len(living.runs())
    _, run, process = under_way(living, WRITE)
    living.kill("daemon")
    began = time.time()
    wait_until(lambda: bool(ticks_since(living, began)), BOUND_S, "a tick of the new daemon")
    assert living.run_processes() == [process]
    living.gate.open()
    wait_until(lambda: status(living, run) == "SUCCESS", BOUND_S, "the run's end")
    quiet(living)
    assert len(living.runs()) == before + 1


def test_a_code_server_that_is_killed_takes_its_runs_along_and_no_row(living: Living):
    """Where a container is evicted, all in it is gone. The next code server does not know the run: so it is lost."""
    _, run, process = under_way(living, WRITE)
    living.kill("code-server")
    assert command_line(process) == b""
    living.gate.open()
    all_right(living)
    assert status(living, run) == "FAILURE"


def test_an_hour_that_failed_is_asked_for_again_without_a_change(living: Living):
    """Its source can't be read for a while: the run fails, red, and after a rest a new one makes the hour right."""
    hour, run, _ = under_way(living, READ)
    sources = living.bucket.sources()
    [(_, rows)] = living.sent[hour]
    mend = living.damage(rows)
    living.gate.open()
    wait_until(lambda: status(living, run) == "FAILURE", BOUND_S, "the failed run")
    assert not living.has(hour, 1)
    mend()
    all_right(living)
    assert living.bucket.sources() == sources
    wait_until(living.idle, BOUND_S, "the end of the run")
    assert living.runs()[0]["status"] == "SUCCESS"
    assert living.runs()[0]["runId"] != run["runId"]


def test_a_cursor_that_is_lost_costs_looking_again(living: Living):
    """Nothing is asked for."""
    before = len(living.runs())
    living.wipe_cursor()
    quiet(living)
    assert len(living.runs()) == before


def test_an_instance_that_is_lost_costs_looking_again(living: Living):
    """All hours are asked for, and found right."""
    living.wipe_dagster()
    wait_until(lambda: bool(succeeded(living)), BOUND_S, "a run after the loss")
    quiet(living)
    assert {run["status"] for run in living.runs()} == {"SUCCESS"}


def succeeded(living: Living) -> list[dict[str, Any]]:
    """Runs, of all there are."""
    return [run for run in living.runs() if run["status"] == "SUCCESS"]
