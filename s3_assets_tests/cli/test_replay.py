"""`s3-assets replay` as a person calls it: over Dagster's own webserver and queue; in a soak over a deployment."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import uvicorn
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import IWorkspaceProcessContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import (
    CompositeTarget,
    EmptyWorkspaceTarget,
    GrpcServerTarget,
    InProcessWorkspaceLoadTarget,
)
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.types import DaemonHeartbeat
from dagster_webserver.app import create_app_from_workspace_process_context

from s3_assets.cli.main import main
from s3_assets.cli.replay import REPLAY_TAG, ReplayRun, look, webserver_url
from s3_assets.cli.webserver import HEARTBEAT_LATE_S, Webserver
from s3_assets.controller.requests import Batch
from s3_assets.dagster import records, sensors
from s3_assets.dagster.names import Names
from s3_assets.dagster.records import URGENCY_TAG
from s3_assets.demo.stack import DagsterStack
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.deployment import FIVE_FILES, Deployment
from s3_assets_tests.soak.living import children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dagster._core.workspace.load_target import WorkspaceLoadTarget

pytestmark = [
    # dagster-graphql 1.13 calls gql 4 in a way that gql deprecates,
    pytest.mark.filterwarnings("ignore:Using variable_values and operation_name arguments:DeprecationWarning"),
    # and Dagster its own property when it describes a schedule.
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning"),
]

EVENT = "customer_new_customer_event"
SEVEN, EIGHT = f"{EVENT}|2021-09-01-07:00", f"{EVENT}|2021-09-01-08:00"
BOUND_S = 300
START_S = 120


# --- a webserver without a daemon --------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A webserver of Dagster's that is running in this process, with a queue that no daemon empties.

    Attributes:
        url: Where.
        instance: Its.
        workspace: The code locations.
    """

    url: str
    instance: dg.DagsterInstance
    workspace: IWorkspaceProcessContext

    def runs(self, replay_id: str) -> list[dg.DagsterRun]:
        """Of a replay, in the order in which they were launched."""
        found = self.instance.get_run_records(dg.RunsFilter(tags={REPLAY_TAG: replay_id}), ascending=True)
        return [record.dagster_run for record in found]


def location(name: str) -> InProcessWorkspaceLoadTarget:
    """Our own code location, called `name`."""
    target = LoadableTargetOrigin(
        executable_path=sys.executable, module_name="s3_assets.dagster.definitions", attribute="defs"
    )
    return InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name=name))


def fresh_location(folder: Path) -> InProcessWorkspaceLoadTarget:
    """Our definitions as they are with the settings of now; those of the module are as old as its import."""
    path = folder / "fresh_definitions.py"
    path.write_text("from s3_assets.dagster.definitions import build_definitions\n\ndefs = build_definitions()\n")
    target = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(path), attribute="defs")
    return InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="fresh"))


@contextmanager
def serve(
    instance: dg.DagsterInstance, targets: Sequence[WorkspaceLoadTarget], *, read_only: bool = False
) -> Iterator[Served]:
    """A webserver for `instance` and `targets`, on a free port of loopback."""
    workspace = CompositeTarget(list(targets)) if targets else EmptyWorkspaceTarget()
    with (
        WorkspaceProcessContext(instance, workspace, read_only=read_only) as context,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening,
    ):
        listening.bind(("127.0.0.1", 0))
        app = create_app_from_workspace_process_context(context)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            wait("the webserver", lambda: server.started, START_S)
            yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", instance, context)
        finally:
            server.should_exit = True
            thread.join(START_S)


def wait(what: str, condition: Callable[[], bool], bound_s: float = BOUND_S) -> None:
    """Until `condition` holds."""
    until = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < until, f"not within {bound_s} s: {what}"
        time.sleep(0.05)


IN_THIS_PROCESS = "dagster._core.launcher.sync_in_memory_run_launcher", "SyncInMemoryRunLauncher"
NOWHERE = "dagster._core.storage.noop_compute_log_manager", "NoOpComputeLogManager"


def instance_with_a_queue(home: Path) -> dg.DagsterInstance:
    """Whose runs are executed in this process once they are taken from it."""
    classes = {
        "run_coordinator": ("dagster", "QueuedRunCoordinator"),
        "run_launcher": IN_THIS_PROCESS,
        "compute_logs": NOWHERE,
    }
    overrides = {name: {"module": module, "class": kind} for name, (module, kind) in classes.items()}
    return dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}, **overrides})


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """That never had a daemon."""
    with instance_with_a_queue(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def served(instance: dg.DagsterInstance) -> Iterator[Served]:
    """With our code location."""
    with serve(instance, [location("ours")]) as server:
        yield server


def beat(instance: dg.DagsterInstance, seconds_ago: float = 0) -> None:
    """What a daemon that takes runs from the queue puts on record now and then."""
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, "QUEUED_RUN_COORDINATOR", "1", []))


@contextmanager
def queue_is_emptied(server: Served) -> Iterator[None]:
    """Dagster's own loop takes runs from the queue and executes them, here in a thread."""
    end, errors = threading.Event(), []

    def work() -> None:
        with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
            while not end.wait(0.05):
                beat(server.instance)
                errors.extend(error for error in daemon.run_iteration(server.workspace) if error is not None)

    beat(server.instance)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
    assert errors == []


def dead_location() -> GrpcServerTarget:
    """A code location at a port where nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
        free.bind(("127.0.0.1", 0))
        return GrpcServerTarget(host="127.0.0.1", port=free.getsockname()[1], socket=None, location_name="theirs")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `s3-assets replay`; its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["replay", *arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


@pytest.fixture
def five(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Two hours with sources, and one that has only an hour file; one hour in a run."""
    monkeypatch.setenv("S3_ASSETS_HOURS_PER_RUN", "1")
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    deployment.store.put("target/payments/2021-09-02/00.csv.gz", b"someone's data")
    return deployment


# --- which hours -------------------------------------------------------------------------------------------


def test_a_dry_run_tells_hours_runs_and_bytes_and_asks_no_webserver(five: Deployment, call, monkeypatch) -> None:
    """Newest first, hours without sources too; the runs are cut by hours and by bytes."""
    nobody = ["--dry-run", "--url", "http://127.0.0.1:9"]
    assert call(*nobody) == (0, "3 hours in 3 runs, 70 B of sources; nothing was launched\n", "")
    code, out, _ = call(*nobody, "--json")
    planned = json.loads(out)
    assert (code, planned["replay"], planned["hours"], planned["bytes"]) == (0, None, 3, 70)
    assert [run["hours"] for run in planned["runs"]] == [["payments|2021-09-02-00:00"], [EIGHT], [SEVEN]]
    assert [(run["bytes"], run["status"], run["id"]) for run in planned["runs"]] == [
        (0, "PLANNED", None),
        (14, "PLANNED", None),
        (56, "PLANNED", None),
    ]
    monkeypatch.setenv("S3_ASSETS_HOURS_PER_RUN", "2")
    planned = json.loads(call(*nobody, "--json")[1])
    assert [run["hours"] for run in planned["runs"]] == [["payments|2021-09-02-00:00", EIGHT], [SEVEN]]
    monkeypatch.setenv("S3_ASSETS_HOURS_PER_RUN", "500")
    monkeypatch.setenv("S3_ASSETS_MEGABYTES_PER_RUN", "1")
    five.drop(f"{EVENT}/2021-09-01/07_59_large.csv", b"id,name\n" + b"1,a\n" * 250_000)
    assert "3 hours in 2 runs" in call(*nobody)[1]
    assert "1 hour in 1 run, 14 B" in call(*nobody, "--from", "2021-09-01-08:00", "--to", "2021-09-01")[1]
    code, _, err = call(*nobody, "--event", "payment")
    assert code == 0
    assert "events that have sources: customer_new_customer_event" in err


def test_changed_only_leaves_out_what_is_right(five: Deployment, call) -> None:
    """What can't be looked at stays in: its run says why."""
    with pytest.raises(SystemExit):
        main(["sync"])
    five.drop(f"{EVENT}/2021-09-01/07_59_file_200.csv", b"id,name\n200,z\n")
    planned = json.loads(call("--dry-run", "--changed-only", "--json")[1])
    assert [run["hours"] for run in planned["runs"]] == [["payments|2021-09-02-00:00"], [SEVEN]]


def test_hours_that_the_breaker_holds_are_named_not_asked_for(five: Deployment, call, tmp_path, monkeypatch) -> None:
    """They would only fail; with --accept-vanished they are in."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    with pytest.raises(SystemExit):
        main(["sync", "--event", EVENT])
    five.store.delete(f"source/{EVENT}/2021-09-01/08_15_file_127.csv")
    asked = ["--dry-run", "--changed-only", "--event", EVENT]
    _, out, err = call(*asked)
    assert out.startswith("0 hours in 0 runs")
    assert "the breaker holds 1 hour, left out here" in err
    assert call(*asked, "--accept-vanished")[1].startswith("1 hour in 1 run")


# --- launching, without a daemon ---------------------------------------------------------------------------


def test_runs_are_what_the_sensor_would_ask_for_under_one_tag(five: Deployment, served: Served, call) -> None:
    """But for the priority, and for what the replay was told; the job's code location is found."""
    code, out, err = call("--url", served.url, "--no-wait", "--json", "--rebuild", "--event", EVENT)
    launched = json.loads(out)
    assert code == 0
    assert f"replay {launched['replay']}: 2 hours in 2 runs" in err
    runs = served.runs(launched["replay"])
    assert [run.run_id for run in runs] == [run["id"] for run in launched["runs"]]
    for run, hour in zip(runs, (EIGHT, SEVEN), strict=True):
        asked = sensors._run_request(Batch((Hour.of_partition_key(hour),), 1, is_urgent=False), Names())
        config = asked.run_config["ops"]["hourly_gzip"]["config"]
        assert run.run_config == {"ops": {"hourly_gzip": {"config": {**config, "rebuild": True}}}}
        expected = {**asked.tags, "dagster/priority": "0", REPLAY_TAG: launched["replay"]}
        del expected[URGENCY_TAG]  # by which the sensor counts its own runs
        assert URGENCY_TAG not in run.tags
        assert {name: run.tags[name] for name in expected} == expected
        assert run.job_name == "hourly_gzip_job"
        assert run.status == dg.DagsterRunStatus.QUEUED
    assert int(records.OTHER_PRIORITY) < 0 < int(records.URGENT_PRIORITY)


def test_each_group_of_events_has_runs_of_its_own(
    five: Deployment, instance: dg.DagsterInstance, call, tmp_path, monkeypatch
) -> None:
    """Of its own job; a code location that was loaded before there was the group is told from one that is not there."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[groups]\nmoney = ["pay*"]\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    monkeypatch.setenv("S3_ASSETS_HOURS_PER_RUN", "500")
    with serve(instance, [fresh_location(tmp_path)]) as grouped:
        _, out, _ = call("--url", grouped.url, "--no-wait", "--json")
        money, others = grouped.runs(json.loads(out)["replay"])
        assert (money.job_name, others.job_name) == ("hourly_gzip_money_job", "hourly_gzip_job")
        keys = [
            run.run_config["ops"][op]["config"]["partition_keys"]
            for run, op in ((money, "hourly_gzip_money"), (others, "hourly_gzip"))
        ]
        assert keys == [["payments|2021-09-02-00:00"], [EIGHT, SEVEN]]
        config.write_text('[groups]\nmoney = ["pay*"]\nnew = ["x*"]\n')
        code, _, err = call("--url", grouped.url, "--no-wait")
        assert code == 1
        assert "the code location 'fresh' has no hourly_gzip_new_job" in err


def test_a_replay_is_cancelled_as_a_whole_and_nothing_else_is(
    five: Deployment, served: Served, call, monkeypatch
) -> None:
    """Also where its runs are more than a page. Twice is no error; an id that nobody gave is."""
    monkeypatch.setattr("s3_assets.cli.webserver.RUNS_A_PAGE", 2)
    monkeypatch.setattr("s3_assets.cli.webserver.TERMINATED_AT_ONCE", 2)
    launch = ["--url", served.url, "--no-wait", "--json"]
    first, second = (json.loads(call(*launch, *some)[1])["replay"] for some in ([], ["--event", "payments"]))
    code, out, err = call("--url", served.url, "--cancel", first)
    assert (code, out, err) == (0, "3 of 3 runs told to end: 3 CANCELED\n", "")
    assert {run.status for run in served.runs(first)} == {dg.DagsterRunStatus.CANCELED}
    assert {run.status for run in served.runs(second)} == {dg.DagsterRunStatus.QUEUED}
    code, out, _ = call("--url", served.url, "--cancel", second, "--json")
    ended = json.loads(out)
    assert (code, ended["standing"], len(ended["runs"])) == (0, [], 1)
    assert call("--url", served.url, "--cancel", second)[0] == 0
    code, out, err = call("--url", served.url, "--cancel", "20210901T070000-000000")
    assert (code, out) == (1, "")
    assert "no run has the tag s3_assets/replay=20210901T070000-000000" in err


def test_without_a_daemon_nothing_is_launched_to_wait_for_ever(five: Deployment, served: Served, call) -> None:
    """Neither where there never was one, nor where it beats no more; without waiting, the runs are queued."""
    before = served.instance.get_runs_count()
    code, out, err = call("--url", served.url)
    assert (code, out, served.instance.get_runs_count()) == (1, "", before)
    assert "error: no Dagster daemon has ever run here" in err
    assert "start `dagster-daemon run`" in err
    assert "no Dagster daemon has ever run here" in call("--url", served.url, "--no-wait", "--event", "payments")[2]

    def problem(seconds_ago: float) -> str:
        now = time.time()
        beat(served.instance, seconds_ago)
        return Webserver(served.url).queue_problem(now)

    last = re.fullmatch(
        r"no Dagster daemon takes runs from the queue: the last sign of one is (\d+) s old",
        problem(HEARTBEAT_LATE_S + 20),
    )
    assert last
    assert int(last[1]) >= HEARTBEAT_LATE_S + 19
    assert problem(0) == ""


def test_a_run_that_dagster_tries_again_is_under_way_until_the_last_try(five: Deployment, served: Served, call) -> None:
    """One whose process was lost; a run that somebody deleted has ended, and not well."""
    launched = json.loads(call("--url", served.url, "--no-wait", "--json", "--event", EVENT)[1])
    lost, retry = (run["id"] for run in launched["runs"])
    run = ReplayRun(Names(), Batch((Hour.of_partition_key(SEVEN),), 1, is_urgent=False), run_id=lost, status="QUEUED")
    web, instance = Webserver(served.url), served.instance
    assert look([run], web) == []
    instance.report_run_failed(instance.get_run_by_id(lost))
    assert look([run], web) == []  # the tag comes a moment later
    instance.add_run_tags(lost, {"dagster/will_retry": "true"})
    assert look([run], web) == []
    instance.add_run_tags(lost, {"dagster/auto_retry_run_id": retry})
    assert look([run], web) == []
    assert run.run_id == retry
    instance.report_run_canceled(instance.get_run_by_id(retry))
    assert look([run], web) == [run]
    assert run.status == "CANCELED"
    deleted = ReplayRun(Names(), run.batch, run_id=lost, status="QUEUED")
    instance.delete_run(lost)
    assert look([deleted], web) == [deleted]
    assert deleted.status == "DELETED"


# --- launching, with a queue that is emptied --------------------------------------------------------------


def test_a_replay_is_waited_for_broken_off_cancelled_and_gone_on_with(
    deployment: Deployment, call, tmp_path: Path, monkeypatch
) -> None:
    """A run that fails is named with its error, on whatever page of its log that is.

    Ctrl-C while it waits leaves the runs be, and says how to cancel them; the same command again goes on.
    """
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    deployment.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"someone's data")
    monkeypatch.setattr("s3_assets.cli.replay.POLL_S", 0.05)
    with instance_with_a_queue(tmp_path) as instance, serve(instance, [location("ours")]) as server:
        monkeypatch.setenv("S3_ASSETS_DAGSTER_URL", server.url)
        with queue_is_emptied(server):
            code, out, err = call("--json")
        [run] = json.loads(out)["runs"]
        assert (code, run["status"], run["done"]) == (1, "FAILURE", 1)
        assert "1 of 2 hours failed" in run["error"]
        assert "there is no ledger at its end" in run["error"]
        assert f"{server.url}/runs/{run['id']} FAILURE, 1 of 2 hours" in err
        assert deployment.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"
        with monkeypatch.context() as small:
            small.setattr("s3_assets.cli.webserver.EVENTS_A_PAGE", 3)
            assert Webserver(server.url).words_of(run["id"]) == run["error"]

        for day in range(2, 8):
            deployment.drop(f"{EVENT}/2021-09-{day:02d}/07_00_x.csv", b"id,name\n1,a\n")
        with monkeypatch.context() as pressed:
            pressed.setenv("S3_ASSETS_HOURS_PER_RUN", "1")
            pressed.setattr("s3_assets.cli.replay.look", partial(press_ctrl_c, look))
            code, out, err = call()
        assert code == 130
        assert "8 hours in 8 runs" in out
        assert "stopped waiting\n8 of 8 runs were launched; they go on without this command" in err
        [replay_id] = re.findall(rf"s3-assets replay --cancel (\S+) --url {server.url}", err)
        assert {run.status for run in server.runs(replay_id)} == {dg.DagsterRunStatus.QUEUED}
        assert call("--cancel", replay_id) == (0, "8 of 8 runs told to end: 8 CANCELED\n", "")

        with queue_is_emptied(server):
            code, out, _ = call("--rebuild")
        assert code == 0, out
        assert out == "8 hours in 1 run, 142 B of sources: 1 SUCCESS, 8 hours done\n"
        assert deployment.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5
        assert [deployment.etag(f"{EVENT}/2021-09-{day:02d}/07.csv.gz") for day in range(2, 8)].count("") == 0


def press_ctrl_c(looked: Callable[..., object], *args: object) -> None:
    """After the first look."""
    looked(*args)
    raise KeyboardInterrupt


# --- what can be in the way --------------------------------------------------------------------------------


def test_a_webserver_that_is_not_there_is_one_sentence(five: Deployment, served: Served, call, running) -> None:
    """So is something else at its address, or a wrong path."""
    code, out, err = call("--url", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err.startswith("error: no webserver answers at http://127.0.0.1:9: ")
    assert "is `dagster dev` or `dagster-webserver` running" in err
    assert len(err.splitlines()) == 1
    for wrong in (running("seaweedfs").endpoint_url, f"{served.url}/prefix"):
        code, out, err = call("--url", wrong)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {wrong} answers with ")
        assert "is it the address of a Dagster webserver" in err
        assert len(err.splitlines()) == 1


@pytest.mark.filterwarnings(
    "ignore:Error loading repository location theirs:UserWarning",  # by Dagster's webserver, as it should
    "ignore:Found MATERIALIZATION nodes:UserWarning",
)
def test_the_code_location_is_found_or_asked_for(five: Deployment, served: Served, call) -> None:
    """None, one that is not loaded, several: each is told."""
    code, _, err = call("--url", served.url, "--no-wait", "--location", "mine")
    assert code == 1
    assert f"no code location 'mine' at {served.url} has hourly_gzip_job; there are: ours (start " in err
    with serve(served.instance, [dead_location()]) as dead:
        code, _, err = call("--url", dead.url)
        assert code == 1
        assert "there are: theirs, which could not be loaded: " in err
    with serve(served.instance, []) as empty:
        code, _, err = call("--url", empty.url)
        assert code == 1
        assert f"no code location at {empty.url} has hourly_gzip_job; there are: none" in err
    with serve(served.instance, [location("blue"), location("green")]) as two:
        code, _, err = call("--url", two.url, "--no-wait")
        assert code == 1
        assert "several code locations have hourly_gzip_job: blue, green (say which with --location)" in err
        chosen = ["--location", "green", "--event", "payments"]
        code, out, err = call("--url", two.url, "--no-wait", "--json", *chosen)
        assert code == 0, err
        [run] = two.runs(json.loads(out)["replay"])
        assert run.tags["dagster/code_location"] == "green"


def test_a_webserver_that_may_not_launch_says_so_and_no_config_is_repeated(
    five: Deployment, served: Served, call
) -> None:
    """A read-only one. What was launched until then is told: nothing."""
    with serve(served.instance, [location("ours")], read_only=True) as reading:
        code, out, err = call("--url", reading.url, "--no-wait", "--json")
    assert code == 1
    assert "UnauthorizedError" in err
    assert "the webserver is read-only" in err
    assert "no run was launched" in err
    assert "partition_keys" not in err
    assert {run["status"] for run in json.loads(out)["runs"]} == {"PLANNED"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://me:hidden@127.0.0.1:3000"],
        ["--url", "dagster.example.com"],
        ["--cancel", "x y"],
        ["--cancel", "20210901T070000-000000", "--from", "2021-09-01"],
        ["--cancel", "20210901T070000-000000", "--no-wait"],
        ["--rebuild", "--changed-only"],
    ],
)
def test_bad_usage_exits_2(five: Deployment, call, arguments) -> None:
    """With what is wrong, without what may be a secret, and nothing asked of anybody."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err
    assert "hidden" not in err


def test_the_address_is_the_option_then_the_setting_then_this_host(monkeypatch) -> None:
    """Without a slash at its end, so that links have one."""
    monkeypatch.delenv("S3_ASSETS_DAGSTER_URL", raising=False)
    assert webserver_url(None) == "http://127.0.0.1:3000"
    monkeypatch.setenv("S3_ASSETS_DAGSTER_URL", "https://dagster.example.com/ui/")
    assert webserver_url(None) == "https://dagster.example.com/ui"
    assert webserver_url("http://other:1/") == "http://other:1"


# --- all of it ---------------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_replay_goes_through_the_daemon(deployment: Deployment, call, tmp_path: Path, monkeypatch) -> None:
    """Runs are waited for; one that fails is named with its error.

    Ctrl-C leaves them be; what was cancelled is gone on with.
    """
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    deployment.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"someone's data")
    stack = DagsterStack(tmp_path / "dagster", deployment.environment)
    try:
        stack.start()
        stack.wait_ready("source_sensor")
        monkeypatch.setenv("S3_ASSETS_DAGSTER_URL", stack.url)
        web = Webserver(stack.url)
        wait("the daemon", lambda: not web.queue_problem(time.time()))

        # One of two hours fails: its run is red, the other hour is right.
        code, out, err = call("--json")
        [run] = json.loads(out)["runs"]
        assert (code, run["status"], run["done"]) == (1, "FAILURE", 1)
        assert "1 of 2 hours failed" in run["error"]
        assert "there is no ledger at its end" in run["error"]
        assert f"{stack.url}/runs/{run['id']} FAILURE, 1 of 2 hours" in err
        assert deployment.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"
        with monkeypatch.context() as small:  # the words are found, on whatever page of the log they are
            small.setattr("s3_assets.cli.webserver.EVENTS_A_PAGE", 3)
            assert web.words_of(run["id"]) == run["error"]

        # Broken off, then cancelled, while the daemon is held up: it would else have done all of it on a fast day.
        for day in range(2, 8):
            deployment.drop(f"{EVENT}/2021-09-{day:02d}/07_00_x.csv", b"id,name\n1,a\n")
        environment = {**deployment.environment, "S3_ASSETS_DAGSTER_URL": stack.url, "S3_ASSETS_HOURS_PER_RUN": "1"}
        [daemon] = children(stack.pid("daemon"))
        os.kill(daemon, signal.SIGSTOP)
        replay_id = _break_off(environment)
        assert call("--cancel", replay_id) == (0, "8 of 8 runs told to end: 8 CANCELED\n", "")
        os.kill(daemon, signal.SIGCONT)

        # The same again, told to replace what failed.
        code, out, _ = call("--rebuild")
        assert code == 0, out
        assert out == "8 hours in 1 run, 142 B of sources: 1 SUCCESS, 8 hours done\n"
        assert deployment.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5
        assert [deployment.etag(f"{EVENT}/2021-09-{day:02d}/07.csv.gz") for day in range(2, 8)].count("") == 0
    finally:
        stack.stop()


def _break_off(environment: dict[str, str]) -> str:
    """Start a replay as a process of its own, press Ctrl-C while it waits, and give its id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "s3_assets.cli.main", "replay"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        web = Webserver(environment["S3_ASSETS_DAGSTER_URL"])
        replay_id = said.removeprefix("replay ").partition(":")[0]
        mine: dict[str, Any] = {"tags": [{"key": REPLAY_TAG, "value": replay_id}]}
        wait("the launches", lambda: len(list(web.all_runs(mine))) == 8)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=BOUND_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said + err
    told = (
        "8 of 8 runs were launched;",
        "7 of 8 runs were launched, and perhaps one more;",
    )  # the last answer is a race
    assert any(f"stopped waiting\n{words} they go on without this command" in err for words in told), err
    assert f"s3-assets replay --cancel {replay_id} --url " in err
    assert "8 hours in 8 runs" in out
    return replay_id
