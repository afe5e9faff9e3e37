"""The launcher asks a real code server about runs; the live faults (a soak) show what run monitoring makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import yaml
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionResult
from dagster_shared.serdes import serialize_value

from s3_assets.dagster.internals import WorkerStatus
from s3_assets.dagster.launcher import WatchedRunLauncher
from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.stack import DAGSTER_YAML

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = "import dagster as dg\ndefs = dg.Definitions()\n"
BOUND_S = 120


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """With the launcher that the demo and the example name."""
    home = tmp_path_factory.mktemp("home")
    example = (Path(__file__).parents[2] / "deploy" / "dagster.yaml").read_text()
    launchers = [yaml.safe_load(text)["run_launcher"] for text in (DAGSTER_YAML, example)]
    assert launchers[0] == launchers[1]
    (home / "dagster.yaml").write_text(
        yaml.safe_dump({"run_launcher": launchers[0], "run_monitoring": {"enabled": True}})
    )
    with dg.DagsterInstance.from_config(str(home)) as made:
        assert isinstance(made.run_launcher, WatchedRunLauncher)
        assert made.run_launcher.supports_check_run_worker_health
        yield made


def started_at(instance: dg.DagsterInstance, port: int) -> dg.DagsterRun:
    """A run that was started by the code server at that port."""
    tags = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": port})}
    return create_run_for_test(instance, job_name="a_job", status=dg.DagsterRunStatus.STARTED, tags=tags)


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    """What run monitoring is told."""
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_that_the_code_server_does_not_know_is_lost(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """It was started anew; while nobody answers nothing is concluded."""
    (tmp_path / "small.py").write_text(DEFINITIONS)
    [port] = free_port_pairs(1)
    run = started_at(instance, port)
    assert health(instance, run) is WorkerStatus.RUNNING
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*command, "-f", str(tmp_path / "small.py")], stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + BOUND_S
            while health(instance, run) is not WorkerStatus.NOT_FOUND:
                assert time.monotonic() < until, "the code server did not answer"
                assert server.poll() is None
                time.sleep(0.1)
        finally:
            server.terminate()
    assert health(instance, run) is WorkerStatus.RUNNING


@pytest.mark.parametrize("has_it, status", [(True, WorkerStatus.RUNNING), (False, WorkerStatus.NOT_FOUND)])
def test_what_the_code_server_says_counts(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, has_it: bool, status: WorkerStatus
) -> None:
    """Both answers, as they come over the wire."""
    answer = serialize_value(CanCancelExecutionResult(can_cancel=has_it))
    monkeypatch.setattr(DagsterGrpcClient, "can_cancel_execution", lambda *_, **__: answer)
    assert health(instance, started_at(instance, 1)) is status


def test_a_run_that_no_code_server_started_is_let_be(instance: dg.DagsterInstance) -> None:
    """One in this process, for instance."""
    run = create_run_for_test(instance, job_name="a_job", status=dg.DagsterRunStatus.STARTED)
    assert health(instance, run) is WorkerStatus.RUNNING
