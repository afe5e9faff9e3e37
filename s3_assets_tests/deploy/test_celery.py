"""One big backfill on many workers: deploy/celery as it is, with a worker that is killed, one that stops, and a cancel.

One deployment for all of it. Runs are held up at a gate, so that what is to happen in the middle of them does.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.cli.replay import REPLAY_TAG
from s3_assets.demo.bucket import TARGET_PREFIX
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.deploy.debian_servers import missing
from s3_assets_tests.soak.gate import READ, WRITE
from s3_assets_tests.soak.living import HEADER, SENSOR, UNDER_WAY, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from s3_assets_tests.deploy.celery_stack import Workers

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("deploy_celery"),
]

LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  ... on LaunchBackfillSuccess { backfillId }
} }
"""
BOUND_S = 900
FIRST = datetime(2024, 6, 1, tzinfo=UTC)
EVENTS = [f"event_{number}" for number in range(4)]
HOURS = [Hour(event, f"{FIRST + timedelta(hours=n):%Y-%m-%d-%H:00}") for event in EVENTS for n in range(500)]
SOURCE_BYTES = 5_000
OUTAGE_S = 5
"""Of Redis, while a run is being launched, in seconds: longer than Celery waits by itself."""

CHUNK = 100
"""Hours of two sources that make a megabyte."""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Two workers, and the sources of 2,000 hours of which nothing is made yet."""
    if reason := missing():
        pytest.skip(reason)
    from s3_assets_tests.deploy.celery_stack import Workers  # of the extra `deploy`

    with Workers(tmp_path_factory.mktemp("workers"), f"{FIRST:%Y-%m-%d}", "worker-1", "worker-2", gated=True) as made:
        made.send_all((hour, f"{number}0_file", rows(hour, number)) for hour in HOURS for number in range(2))
        yield made


@pytest.fixture
def workers(deployed: Workers) -> Iterator[Workers]:
    """With all hours made before; with the gate open afterwards, whatever happened, and nothing under way."""
    if len(deployed.etags()) < len(HOURS):
        assert deployed.replay().end(BOUND_S)[0] == 0
    yield deployed
    deployed.gate.open()
    wait_until(deployed.idle, BOUND_S, "no run queued or running")


def rows(hour: Hour, number: int) -> bytes:
    """Of a source object that has 5,000 bytes."""
    line = f"{hour.event} {hour.label} {number}".encode()
    lines = [b"%d,%s\n" % (10_000 + place, line) for place in range(SOURCE_BYTES // (len(line) + 7))]
    last = SOURCE_BYTES - len(HEADER) - sum(map(len, lines))
    if last < 3:
        last += len(lines.pop())
    return b"".join(lines) + b"0," + b"x" * (last - 3) + b"\n"


def runs(workers: Workers, of: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
    """The runs of which something holds, newest first."""
    return [run for run in workers.tagged_runs() if of(run)]


def replayed(run: Mapping[str, Any]) -> bool:
    """Whether it is a replay's."""
    return REPLAY_TAG in run["tags"]


def made_of(workers: Workers, hours: list[str]) -> set[str]:
    """The hour files that stand, of those hours."""
    keys = {TARGET_PREFIX + KeyGrammar.target_key(Hour.of_partition_key(hour)) for hour in hours}
    return keys & workers.etags().keys()


def close_gate(workers: Workers, prefix: str) -> None:
    """Close it, without the traces of those who waited there before."""
    workers.gate.open()
    workers.gate.close(prefix)


def both_at_the_gate(workers: Workers) -> dict[str, str]:
    """The run of each worker, once both wait there."""
    found: dict[str, str] = {}

    def both_say() -> bool:
        found.update(workers.at_work())
        return len({*found.values()} - {""}) == 2

    wait_until(lambda: len(workers.gate.waiting()) == 2, BOUND_S, "both workers at the gate")
    wait_until(both_say, BOUND_S, "both workers say what they work on")
    return found


def test_a_killed_worker_costs_the_rest_of_its_chunk(deployed: Workers):
    """Of 2,000 hours in chunks of a megabyte, on two workers: all are right, and none was written twice."""
    workers = deployed
    began = time.monotonic()
    replay = workers.replay(S3_ASSETS_MEGABYTES_PER_RUN="1")
    run, chunk = caught_in_the_middle(workers, "worker-2")
    stood = made_of(workers, chunk)
    workers.kill_worker("worker-2")
    wait_until(lambda: workers.at_work().keys() == {"worker-1"}, BOUND_S, "one worker is left")
    workers.stack.start_worker("worker-2")  # before the other one, which is at the gate, can do all of it
    workers.gate.open()
    noticed_s = wait_until(lambda: status(workers, run) == "FAILURE", BOUND_S, "the run is known to be lost")
    code, said = replay.end(BOUND_S)
    took_s = time.monotonic() - began

    assert code == 0, said
    assert [len(one["hours"]) for one in said["runs"]] == [CHUNK] * 20
    assert {one["status"] for one in said["runs"]} == {"SUCCESS"}
    assert workers.wrong(HOURS) == []
    assert set(workers.versions().values()) == {1}, "an hour file was written twice"
    assert len(workers.versions()) == len(HOURS)
    audit = workers.command("verify", "--deep")
    assert audit.returncode == 0, audit.stdout + audit.stderr

    ended = runs(workers, replayed)
    [lost] = [one for one in ended if one["status"] != "SUCCESS"]
    [again] = [one for one in ended if one["tags"].get("dagster/parent_run_id") == run]
    assert lost["runId"] == run
    assert len(ended) == 21
    carried = [workers.carrier(one) for one in ended if one["status"] == "SUCCESS"]
    assert {*carried} == {"worker-1", "worker-2"}
    print(  # noqa: T201  (what docs/celery.md says of it)
        f"2,000 hours in {took_s:.0f} s; worker-2 was killed with {len(stood)} of its chunk's {CHUNK} hours written, "
        f"its run was known to be lost {noticed_s:.0f} s later, and another run of it wrote the {CHUNK - len(stood)} "
        f"that were left, on {workers.carrier(again)}; runs by worker: {carried.count('worker-1')} and "
        f"{carried.count('worker-2')}"
    )


def caught_in_the_middle(workers: Workers, worker: str) -> tuple[str, list[str]]:
    """The run of a worker that waits at the closed gate with a part of its hours written, and its hours."""
    for _ in range(12):
        before = len(workers.etags())
        wait_until(lambda before=before: len(workers.etags()) >= before + 50, BOUND_S, "more hour files", poll_s=0.1)
        close_gate(workers, WRITE)
        run = both_at_the_gate(workers)[worker]
        hours = workers.hours_of(run)
        if 0 < len(made_of(workers, hours)) < CHUNK:
            return run, hours
        workers.gate.open()
    raise AssertionError(f"{worker} was never in the middle of a chunk")


def status(workers: Workers, run_id: str) -> str:
    """Of a run, as it is now."""
    [run] = runs(workers, lambda run: run["runId"] == run_id)
    return str(run["status"])


def test_a_late_file_goes_before_what_is_left_of_a_replay(workers: Workers):
    """The sensor's urgent run is queued after the chunks of a replay, and begins before any that had not begun."""
    workers.stack.start_sensor(SENSOR)
    close_gate(workers, READ)
    replay = workers.replay("--rebuild", "--event", EVENTS[0], S3_ASSETS_HOURS_PER_RUN="50")
    both_at_the_gate(workers)
    wait_until(lambda: len(runs(workers, waits_of_replay)) == 8, BOUND_S, "eight chunks in the queue, two at the gate")
    late = Hour("late", f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d-%H:00}")
    workers.send(late, "00_a", b"1,late\n")
    wait_until(lambda: bool(runs(workers, is_urgent)), BOUND_S, "a run that the sensor asks for")
    waiting = {run["runId"] for run in runs(workers, waits_of_replay)}
    assert len(waiting) == 8
    workers.gate.open()
    code, said = replay.end(BOUND_S)
    assert code == 0, said
    wait_until(workers.idle, BOUND_S, "the end of the urgent run")
    [urgent] = runs(workers, is_urgent)
    later = runs(workers, lambda run: run["runId"] in waiting)
    assert urgent["status"] == "SUCCESS"
    assert urgent["startTime"] < min(run["startTime"] for run in later)
    assert workers.wrong() == []


def waits_of_replay(run: Mapping[str, Any]) -> bool:
    """Whether it is a replay's run in Dagster's queue."""
    return replayed(run) and run["status"] == "QUEUED"


def is_urgent(run: Mapping[str, Any]) -> bool:
    """Whether it is one that the sensor found urgent."""
    return run["tags"].get("s3_assets/urgency") == "urgent"


def test_a_cancelled_replay_is_over(workers: Workers):
    """What runs is interrupted, what waits is taken out of the queue, and nothing is tried again."""
    before = {run["runId"] for run in workers.tagged_runs()}
    close_gate(workers, READ)
    replay = workers.replay("--rebuild", "--event", EVENTS[1], S3_ASSETS_HOURS_PER_RUN="100")
    both_at_the_gate(workers)
    mine = runs(workers, lambda run: replayed(run) and run["runId"] not in before)
    wait_until(lambda: len(runs(workers, lambda run: run["runId"] not in before)) == 5, BOUND_S, "five runs")
    done = workers.command("replay", "--cancel", mine[0]["tags"][REPLAY_TAG], "--url", workers.stack.url)
    workers.gate.open()
    assert done.returncode == 0, done.stdout + done.stderr
    code, said = replay.end(BOUND_S)
    assert code == 1
    assert {one["status"] for one in said["runs"]} == {"CANCELED"}
    wait_until(workers.idle, BOUND_S, "nothing is left")
    after = runs(workers, lambda run: run["runId"] not in before)
    assert [run["status"] for run in after] == ["CANCELED"] * 5
    assert workers.wrong() == []


def test_two_replays_of_the_same_hours_are_safe(workers: Workers):
    """Plans never overlap, two people's may: both workers then write the same hours, and each is right."""
    both = ["--rebuild", "--event", EVENTS[2], "--from", "2024-06-02", "--to", "2024-06-03"]
    close_gate(workers, READ)
    replays = [workers.replay(*both), workers.replay(*both)]
    at_work = both_at_the_gate(workers)
    hours = [workers.hours_of(run) for run in at_work.values()]
    assert hours[0] == hours[1]
    assert len(hours[0]) == 48
    workers.gate.open()
    assert [replay.end(BOUND_S)[0] for replay in replays] == [0, 0]
    assert workers.wrong() == []


def test_a_worker_that_is_told_to_stop_ends_its_run_first(workers: Workers):
    """As an upgrade does it: nothing is lost, and nothing is asked for twice."""
    before = {run["runId"] for run in workers.tagged_runs()}
    close_gate(workers, READ)
    replay = workers.replay("--rebuild", "--event", EVENTS[3], S3_ASSETS_HOURS_PER_RUN="125")
    run = both_at_the_gate(workers)["worker-2"]
    workers.ask_worker_to_stop("worker-2")
    workers.gate.open()
    wait_until(lambda: workers.stack.has_ended("worker-2"), BOUND_S, "the worker's end")
    assert status(workers, run) == "SUCCESS"
    workers.stack.start_worker("worker-2")
    code, said = replay.end(BOUND_S)
    assert code == 0, said
    after = runs(workers, lambda run: run["runId"] not in before)
    assert [run["status"] for run in after] == ["SUCCESS"] * 4
    assert not UNDER_WAY & {run["status"] for run in workers.tagged_runs()}


def test_a_broker_that_loses_everything_disturbs_no_run(workers: Workers):
    """What runs goes on without Redis, and ends; what is launched meanwhile waits for it."""
    before = {run["runId"] for run in workers.tagged_runs()}

    def states() -> set[str]:
        return {run["status"] for run in runs(workers, lambda run: run["runId"] not in before)}

    close_gate(workers, READ)
    replay = workers.replay("--rebuild", "--event", EVENTS[3], S3_ASSETS_HOURS_PER_RUN="125")
    both_at_the_gate(workers)
    workers.redis.stop()
    workers.gate.open()
    wait_until(lambda: {"SUCCESS", "STARTING"} <= states(), BOUND_S, "a run that has ended, and one that is launched")
    launched = time.monotonic()
    wait_until(lambda: time.monotonic() - launched > OUTAGE_S, BOUND_S, "a launch that has to wait")
    workers.redis.start()
    code, said = replay.end(BOUND_S)
    assert code == 0, said
    assert states() == {"SUCCESS"}
    assert len(workers.tagged_runs()) == len(before) + 4


def test_a_backfill_from_the_ui_goes_to_the_workers(workers: Workers):
    """One run for each event, cut by Dagster; what is right is only looked at."""
    before, files = {run["runId"] for run in workers.tagged_runs()}, workers.etags()
    workers.stack.start_sensor(SENSOR)  # which makes events into partitions
    keys = [f"{event}|2024-06-02-{hour:02d}:00" for event in EVENTS for hour in range(24)]
    asked = {"assetSelection": [{"path": ["hourly_gzip"]}], "partitionNames": keys, "fromFailure": False}

    def launched() -> bool:
        return bool(workers.stack.ask(LAUNCH, {"backfill": asked})["data"]["launchPartitionBackfill"])

    def mine() -> list[dict[str, Any]]:
        return runs(workers, lambda run: run["runId"] not in before and "dagster/backfill" in run["tags"])

    wait_until(launched, BOUND_S, "a backfill", poll_s=5)
    wait_until(lambda: [run["status"] for run in mine()] == ["SUCCESS"] * len(EVENTS), BOUND_S, "its runs")
    assert {workers.carrier(run) for run in mine()} <= {"worker-1", "worker-2"}
    assert {key: etag for key, etag in workers.etags().items() if key in files} == files
