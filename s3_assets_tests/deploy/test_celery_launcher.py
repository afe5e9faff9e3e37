"""The launcher asks real workers over a real Redis about runs; `test_celery` shows what run monitoring makes of it."""

from __future__ import annotations

import os
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test
from dagster._core.utils import make_new_run_id

from s3_assets.dagster.internals import WorkerStatus
from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.supervise import ProcessGroup
from s3_assets_tests.deploy.debian_servers import Redis, missing
from s3_assets_tests.soak.living import ROOT, children, kill, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.deploy, pytest.mark.slow, pytest.mark.xdist_group("deploy_celery_launcher")]

BOUND_S = 120
TASK_TAG = "dagster-celery/task_id"
SLEEPER = """
import os, time
from dagster_celery.make_app import make_app

app = make_app()

@app.task(name="sleep")
def sleep(until_there):
    while not os.path.exists(until_there):
        time.sleep(0.05)
"""
"""A worker's module as dagster-celery's own, with a task that lasts until a file is there."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """One for all of it."""
    if reason := missing():
        pytest.skip(reason)
    with Redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
def instance(tmp_path: Path, broker: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """With the launcher that deploy/celery names, which takes no answer for one of the past."""
    from s3_assets.dagster import celery_launcher  # of the extra `deploy`

    monkeypatch.setattr(celery_launcher, "LOOK_S", -1)
    monkeypatch.setenv("DAGSTER_CELERY_BROKER", broker.url)
    example = yaml.safe_load((ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
    mine = {name: example[name] for name in ("run_launcher", "run_monitoring")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(mine))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that no worker has is lost at the second look."""
    monkeypatch.setattr("s3_assets.dagster.celery_launcher.SILENCE_S", 0)


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    """What run monitoring is told."""
    return instance.run_launcher.check_run_worker_health(run).status


def started(instance: dg.DagsterInstance, task: str) -> dg.DagsterRun:
    """A run that a task carries."""
    return create_run_for_test(instance, job_name="a_job", status=dg.DagsterRunStatus.STARTED, tags={TASK_TAG: task})


def at_work(instance: dg.DagsterInstance, until_there: Path) -> str:
    """A task that lasts, once a worker has it."""
    task: str = instance.run_launcher.celery.send_task("sleep", [str(until_there)], queue="dagster").id
    wait_until(lambda: task in instance.run_launcher._tasks_at_work(time.monotonic()), BOUND_S, "a worker has it")
    return task


@pytest.fixture
def worker(tmp_path: Path, broker: Redis) -> Iterator[ProcessGroup]:
    """One with deploy/celery's settings."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    path = os.pathsep.join([str(ROOT / "deploy" / "celery"), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": path, "DAGSTER_CELERY_BROKER": broker.url}
    command = [str(Path(sysconfig.get_path("scripts")) / "celery"), "-A", "sleeper", "worker", "--concurrency=1"]
    group = ProcessGroup("worker", command, log_path=tmp_path / "worker.log", cwd=tmp_path, env=environment)
    yield group
    group.stop()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("whole", [True, False], ids=["with its worker", "with its process"])
def test_a_run_lives_while_a_worker_has_it_and_is_lost_when_it_is_killed(
    instance: dg.DagsterInstance, worker: ProcessGroup, tmp_path: Path, whole: bool
):
    """Whatever the result backend says: of a worker that was killed it says nothing new."""
    run = started(instance, at_work(instance, tmp_path / "end"))
    assert [health(instance, run) for _ in range(3)] == [WorkerStatus.RUNNING] * 3
    [main] = children(worker.pid)
    for pid in [main, *children(main)] if whole else children(main):
        kill(pid)
    wait_until(lambda: health(instance, run) is WorkerStatus.NOT_FOUND, BOUND_S, "it is known to be lost")


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_task_has_ended_without_it_is_lost(
    instance: dg.DagsterInstance, worker: ProcessGroup, tmp_path: Path
):
    """As when the last event could not be written. dagster-celery's own takes the task's success for the run's."""
    task = at_work(instance, tmp_path / "end")
    (tmp_path / "end").touch()
    wait_until(lambda: worker.exit_code is None and task_state(instance, task) == "SUCCESS", BOUND_S, "its end")
    run = started(instance, task)
    wait_until(lambda: health(instance, run) is WorkerStatus.NOT_FOUND, BOUND_S, "it is known to be lost")


def task_state(instance: dg.DagsterInstance, task: str) -> str:
    """What the result backend has of it."""
    return str(instance.run_launcher.celery.AsyncResult(task).state)


def test_a_run_that_no_worker_has_is_asked_about_again(instance: dg.DagsterInstance):
    """A worker may be finding its broker again; it has a minute."""
    run = started(instance, "nobody's")
    assert [health(instance, run) for _ in range(2)] == [WorkerStatus.RUNNING] * 2


@pytest.mark.usefixtures("impatient")
def test_nothing_is_concluded_without_the_broker(
    instance: dg.DagsterInstance, broker: Redis, monkeypatch: pytest.MonkeyPatch
):
    """It is an error, which run monitoring logs."""
    run = started(instance, "nobody's")
    [port] = free_port_pairs(1)
    monkeypatch.setattr(instance.run_launcher.celery.conf, "broker_url", f"redis://127.0.0.1:{port}/0")
    for _ in range(2):
        with pytest.raises(Exception, match="refused"):
            health(instance, run)


def test_all_runs_of_a_round_are_asked_about_at_once(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
    """The question takes seconds, and run monitoring looks at one run after the other."""
    monkeypatch.setattr("s3_assets.dagster.celery_launcher.LOOK_S", 3600)
    control, asked = instance.run_launcher.celery.control, []
    inspect = control.inspect
    monkeypatch.setattr(control, "inspect", lambda **options: asked.append(options) or inspect(**options))
    for number in range(5):
        health(instance, started(instance, f"nobody's {number}"))
    assert len(asked) == 1


def test_a_run_is_said_to_be_cancelling_before_it_is_interrupted(instance: dg.DagsterInstance):
    """Else Dagster takes the interruption for a failure."""
    run = started(instance, "nobody's")
    assert instance.run_launcher.terminate(run.run_id)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELING


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED])
def test_a_run_that_has_ended_is_left(instance: dg.DagsterInstance, status: dg.DagsterRunStatus):
    """As one that nobody knows, and one that was never handed to Celery."""
    ended = create_run_for_test(instance, job_name="a_job", status=status, tags={TASK_TAG: "nobody's"})
    never = create_run_for_test(instance, job_name="a_job", status=dg.DagsterRunStatus.STARTING)
    assert not any(
        instance.run_launcher.terminate(run_id) for run_id in (ended.run_id, never.run_id, make_new_run_id())
    )
    assert instance.get_run_by_id(ended.run_id).status is status
