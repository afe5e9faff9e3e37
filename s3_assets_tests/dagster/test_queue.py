"""The sensor's runs in Dagster's queue: urgent ones first, and none waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from s3_assets.dagster.names import Names
from s3_assets.dagster.records import (
    FIRST_PRIORITY,
    OTHER_PRIORITY,
    PRIORITY_TAG,
    URGENCY_TAG,
    URGENT_PRIORITY,
    WAITS_AT_MOST,
    InstanceRecords,
)

NAMES = Names()
QUEUED, STARTED = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED


def add(instance: dg.DagsterInstance, urgency: str, status: dg.DagsterRunStatus = QUEUED, job: str = NAMES.job) -> str:
    """A run of the sensor's, made just now; its id."""
    priority = URGENT_PRIORITY if urgency == "urgent" else OTHER_PRIORITY
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name="s3_assets")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), job)
    tags = {URGENCY_TAG: urgency, PRIORITY_TAG: priority}
    run = dg.DagsterRun(job, status=status, tags=tags, remote_job_origin=origin)
    instance.add_run(run)
    return run.run_id


def queue(instance: dg.DagsterInstance) -> list[str]:
    """The queue as Dagster's daemon orders it."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[QUEUED]), ascending=True)
    return [run.run_id for run in QueuedRunCoordinatorDaemon(1)._priority_sort(runs)]


def records(instance: dg.DagsterInstance, later: timedelta) -> InstanceRecords:
    """What the sensor knows some time later."""
    return InstanceRecords(instance, NAMES, datetime.now(UTC) + later)


@pytest.mark.parametrize("make", [dg.DagsterInstance.ephemeral, dg.instance_for_test])
def test_a_run_of_the_sweep_goes_first_once_it_waited_long_one_at_a_time(make) -> None:
    """Else urgent runs, which come as long as sources do, could keep it waiting for ever."""
    with make() as instance:
        old, next_one = add(instance, "sweep"), add(instance, "sweep")
        urgent = add(instance, "urgent")
        assert queue(instance) == [urgent, old, next_one]
        assert records(instance, WAITS_AT_MOST / 2).let_one_go_first() is None
        assert queue(instance) == [urgent, old, next_one]
        later = records(instance, WAITS_AT_MOST + timedelta(seconds=1))
        assert later.let_one_go_first() == old
        assert queue(instance) == [old, urgent, next_one]
        assert later.let_one_go_first() is None  # while it waits,
        run = instance.get_run_by_id(old)
        assert run is not None
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name), run_id=old)
        assert later.let_one_go_first() is None  # and while it runs
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name), run_id=old)
        assert later.let_one_go_first() == next_one
        assert queue(instance) == [next_one, urgent]


def test_runs_of_others_and_urgent_ones_are_left_as_they_are() -> None:
    """Another pipeline's sensor looks after its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        add(instance, "urgent")
        add(instance, "sweep", job="another_job")
        add(instance, "sweep", status=STARTED)
        assert records(instance, timedelta(hours=2)).let_one_go_first() is None
        assert [run.tags[PRIORITY_TAG] for run in instance.get_runs() if run.tags[PRIORITY_TAG] == FIRST_PRIORITY] == []


def test_an_urgent_run_that_is_queued_is_known_to_wait() -> None:
    """One that runs does not, nor does one of the sweep."""
    with dg.DagsterInstance.ephemeral() as instance:
        add(instance, "urgent", status=STARTED)
        add(instance, "sweep")
        assert not records(instance, timedelta(0)).under_way().urgent_waits
        add(instance, "urgent")
        under_way = records(instance, timedelta(0)).under_way()
        assert (under_way.urgent_waits, under_way.urgent, under_way.runs) == (True, 2, 1)
