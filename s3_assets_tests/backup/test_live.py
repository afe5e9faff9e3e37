"""The backup as it runs: code server, daemon and webserver over a real folder and SeaweedFS. Nobody asks for a day."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from s3_assets.dagster.backup import BACKUP_POOL, DAILY_BACKUP, DAILY_BACKUP_JOB
from s3_assets.demo.stack import LOCATION, REPOSITORY, DagsterStack
from s3_assets_tests.backup.conftest import SEOUL, backup_on
from s3_assets_tests.backup.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOUND_S = 240
MAX_RUNTIME_S = 20
SCHEDULE = "daily_backup_schedule"
FOUND_SCHEDULE = """
query ($schedule: ScheduleSelector!) { scheduleOrError(scheduleSelector: $schedule) { ... on Schedule {
  scheduleState { id selectorId }
} } }
"""
STOP_SCHEDULE = """
mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on ScheduleStateResult { scheduleState { status } }
  ... on PythonError { message }
} }
"""
LAUNCH = """
mutation ($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message }
} }
"""
HERE = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}


def wait(what: str, condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it gives something."""
    until = time.monotonic() + BOUND_S
    while not (found := condition()):
        assert time.monotonic() < until, f"not within {BOUND_S} s: {what}"
        time.sleep(0.5)
    return found


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_day_is_backed_up_by_the_daemon_one_run_at_a_time_and_none_for_ever(running, folder, tmp_path: Path) -> None:
    """The schedule ticks, and yesterday is there, with its manifest; log files have its run.

    A second run of the day waits while the first one does: behind a store that does not answer. A run that takes
    longer than it may is ended, and tried once more by the instance.
    """
    server = running("seaweedfs")
    backup = backup_on(server, folder.path)
    day = datetime.now(SEOUL).date() - timedelta(days=1)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=SEOUL)
    contents = {f"{number % 3}/과속 {number}.json": f"[{number}]".encode() for number in range(30)}
    for name, data in contents.items():
        folder.put(name, data, noon)
    with Gate(server.endpoint_url) as gate:
        environment = {
            **server.environment(),
            **backup.environment,
            "AWS_ENDPOINT_URL": gate.url,
            "S3_ASSETS_BACKUP_START_DATE": str(day),
            "S3_ASSETS_BACKUP_CRON": "* * * * *",
            "S3_ASSETS_LOG_DIR": str(tmp_path / "logs"),
        }
        stack = DagsterStack(tmp_path / "dagster", environment)
        stack.start()
        try:
            stack.wait_ready("late_backup_sensor")
            with dg.DagsterInstance.from_config(str(stack.home)) as instance:
                live = Live(stack, instance, str(day))
                first = wait("the schedule's run", lambda: live.ended(schedule=SCHEDULE))
                assert first.status is dg.DagsterRunStatus.SUCCESS
                assert first.tags["dagster/schedule_name"] == SCHEDULE
                assert backup.body(f"{day}/1/과속 1.json") == b"[1]"
                assert backup.keys() == sorted([f".s3_assets-manifests/{day}.json", *(f"{day}/{n}" for n in contents)])
                assert instance.get_materialized_partitions(DAILY_BACKUP) == {str(day)}
                live.stop_schedule()
                wait("an end of all runs", live.is_idle)

                one_waits_for_another(live, gate)

                folder.put("late.json", b"[0]", noon)
                a_long_run_is_ended(live, gate)
                assert backup.body(f"{day}/late.json") == b"[0]"
        finally:
            gate.open()
            stack.stop()
    told = "".join(path.read_text() for path in (tmp_path / "logs").glob("info_*.log"))
    assert f" run={first.run_id} job={DAILY_BACKUP_JOB} step=daily_backup: {day}: 30 files, 30 sent\n" in told
    assert " tick=late_backup_sensor: " in told
    assert server.secret_key not in told


def one_waits_for_another(live: Live, gate: Gate) -> None:
    """The first is held by the gate with the pool's one slot; the second is seen by the daemon, and left waiting."""
    gate.shut()
    holder = live.launch()
    wait("the first run's request", lambda: gate.waiting)
    waiter = live.launch()
    looks = live.looks_of_the_queue()
    wait("two looks of the daemon at its queue", lambda: live.looks_of_the_queue() > looks + timedelta(seconds=31))
    slots = live.instance.event_log_storage.get_concurrency_info(BACKUP_POOL)
    assert {slot.run_id for slot in slots.claimed_slots} == {holder}
    assert live.status(holder) is dg.DagsterRunStatus.STARTED
    assert live.status(waiter) in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED)
    gate.open()
    wait("both runs", lambda: live.is_ended(holder) and live.is_ended(waiter))
    assert [live.status(each) for each in (holder, waiter)] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert [live.sent(each) for each in (holder, waiter)] == [0, 0]


def a_long_run_is_ended(live: Live, gate: Gate) -> None:
    """By run monitoring; then the store answers again, and the retry makes the day right."""
    gate.shut()
    long = live.launch(**{"dagster/max_runtime": str(MAX_RUNTIME_S)})
    wait("the long run's request", lambda: gate.waiting)
    wait("its end", lambda: live.is_ended(long))
    assert live.status(long) is dg.DagsterRunStatus.FAILURE
    said = [entry.dagster_event.message for entry in live.instance.all_logs(long) if entry.dagster_event]
    assert any(f"exceeding maximum runtime of {MAX_RUNTIME_S} seconds" in str(message) for message in said)
    gate.open()
    retry = wait("the retry", lambda: live.ended(parent=long))
    assert retry.status is dg.DagsterRunStatus.SUCCESS
    assert live.sent(retry.run_id) == 1


class Live:
    """A deployment that runs, and its instance beside it."""

    def __init__(self, stack: DagsterStack, instance: dg.DagsterInstance, day: str) -> None:
        self.stack, self.instance, self.day = stack, instance, day

    def launch(self, **tags: str) -> str:
        """A run of the day, as from the UI; its id."""
        given = {"dagster/partition": self.day, **tags}
        run = {
            "selector": {**HERE, "jobName": DAILY_BACKUP_JOB},
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": name, "value": value} for name, value in given.items()]},
        }
        answer = self.stack.ask(LAUNCH, {"run": run})
        assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", answer
        return answer["data"]["launchRun"]["run"]["runId"]

    def stop_schedule(self) -> None:
        """It ticks each minute here."""
        found = self.stack.ask(FOUND_SCHEDULE, {"schedule": {**HERE, "scheduleName": SCHEDULE}})
        state = found["data"]["scheduleOrError"]["scheduleState"]
        answer = self.stack.ask(STOP_SCHEDULE, {"id": state["id"]})
        assert answer["data"]["stopRunningSchedule"]["scheduleState"]["status"] == "STOPPED", answer

    def ended(self, schedule: str | None = None, parent: str | None = None) -> dg.DagsterRun | None:
        """The first run of the day that has ended, of a schedule or after another run."""
        tags = {"dagster/partition": self.day}
        tags |= {} if schedule is None else {"dagster/schedule_name": schedule}
        tags |= {} if parent is None else {"dagster/parent_run_id": parent}
        ended = [run for run in self.instance.get_runs(dg.RunsFilter(tags=tags)) if run.is_finished]
        return ended[-1] if ended else None

    def is_idle(self) -> bool:
        """Whether no run of the job is under way."""
        return all(run.is_finished for run in self.instance.get_runs(dg.RunsFilter(job_name=DAILY_BACKUP_JOB)))

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """Of a run."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def is_ended(self, run_id: str) -> bool:
        """Whether a run is."""
        run = self.instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    def looks_of_the_queue(self) -> datetime:
        """When the daemon that starts queued runs last said that it is there; it says so every 30 s."""
        beat = self.instance.get_daemon_heartbeats()["QUEUED_RUN_COORDINATOR"]
        return datetime.fromtimestamp(beat.timestamp, SEOUL)

    def sent(self, run_id: str) -> int:
        """How many files a run sent, by its materialization."""
        filters = dg.AssetRecordsFilter(asset_key=DAILY_BACKUP, asset_partitions=[self.day])
        for record in self.instance.fetch_materializations(filters, limit=100).records:
            if record.run_id == run_id and record.asset_materialization is not None:
                return int(record.asset_materialization.metadata["files_sent"].value)
        raise AssertionError(run_id)
