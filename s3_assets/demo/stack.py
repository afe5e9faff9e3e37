"""Dagster for the demo: code server, webserver and daemon on loopback, with a home of their own.

The same processes as `dagster dev` starts, without its two supervisors: fewer to start, and each has its own log.
"""

from __future__ import annotations

import json
import os
import socket
import sysconfig
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from s3_assets.demo.supervise import ProcessGroup
from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE: Final = "s3_assets.dagster.definitions"
LOCATION: Final = "s3_assets"
REPOSITORY: Final = "__repository__"
"""What Dagster calls the repository of a `Definitions`."""

READY_S: Final = 180
"""Longest wait for the code server, and then for the UI and the code location, in seconds; each takes about ten."""

GRPC_S: Final = 180
"""How long a call of the code server may take, in seconds.

Dagster's own 60 are too few on a machine under load: a run whose process is not up by then fails.
"""

_POLL_S = 0.2
_ANSWER_S = 10

DAGSTER_YAML: Final = """\
# Made by `s3-assets demo`.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    default_limit: 1  # no two runs on hour files at once; deploy/dagster.yaml says more
    granularity: op
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1  # 5 by default: the demo is watched
run_launcher:
  module: s3_assets.dagster.launcher  # Dagster's default one, which can also tell that a run died with its code server
  class: WatchedRunLauncher
run_monitoring:
  enabled: true  # off by default, and max_runtime needs it
  start_timeout_seconds: 180
  poll_interval_seconds: 15
  free_slots_after_run_end_seconds: 30
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false  # the sensor asks again for an hour that failed; this is for lost processes
python_logs:
  managed_python_loggers: [s3_assets]
  dagster_handler_config:
    handlers:
      s3_assets_files: {class: s3_assets.logs.LogFiles}  # none unless S3_ASSETS_LOG_DIR is set
retention:
  sensor:
    purge_after_days:
      skipped: 1
      success: 7
      failure: 7
"""

_SENSORS = """
query { workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError {
  __typename
  ... on PythonError { message }
  ... on RepositoryLocation { repositories { name sensors { name } } }
} } } } }
"""

_START_SENSOR = """
mutation ($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
  __typename
  ... on Sensor { sensorState { status } }
  ... on PythonError { message }
  ... on SensorNotFoundError { message }
  ... on UnauthorizedError { message }
} }
"""


_LAUNCH = """
mutation ($run: ExecutionParams!) { launchRun(executionParams: $run) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } }
} }
"""


class DagsterStackError(S3AssetsError):
    """A part of Dagster did not start, or ended by itself; the message has the tail of its log."""

    hint = "look at the whole log"


class DagsterStack:
    """Dagster's processes.

    Attributes:
        home: DAGSTER_HOME: its state; kept.
        url: Of the UI, once started.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], *, module: str = MODULE) -> None:
        """Describe it; start with `start`.

        Args:
            home: Made if it is not there.
            environment: What runs and sensors need, beside what this process has.
            module: With the definitions, as `defs`.
        """
        self.home = home
        self._module = module
        self._environment = environment
        self._commands: dict[str, list[str]] = {}
        self._parts: dict[str, ProcessGroup] = {}
        self._port = 0

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start all parts: the daemon once the code server answers, the others without waiting for them.

        A daemon that finds no code server takes runs off the queue all the same, and they fail.

        Raises:
            ServerStartError: The code server ended, or did not answer in time; all that was started has been ended.
        """
        from s3_assets.dagster.internals import make_storage

        self.home.mkdir(parents=True, exist_ok=True)
        code_port, self._port = _free_ports(2)
        (self.home / "dagster.yaml").write_text(DAGSTER_YAML)
        workspace = self.home / "workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {code_port}\n"
            f"      location_name: {LOCATION}\n"
        )
        code = ["dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(code_port), "--log-level", "warning"]
        code += ["--module-name", self._module, "--attribute", "defs", "--location-name", LOCATION]
        web = ["dagster-webserver", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(self._port)]
        daemon = ["dagster-daemon", "run", "--workspace", str(workspace)]
        make_storage(self.home)
        self._commands = {"code-server": code, "webserver": web, "daemon": daemon}
        try:
            self.restart("code-server")
            self.restart("webserver")
            self._parts["code-server"].wait_until(lambda: code_server_answers(code_port), timeout_s=READY_S)
            self.restart("daemon")
        except BaseException:
            self.stop()
            raise

    def restart(self, name: str) -> None:
        """Start one part again, `code-server`, `webserver` or `daemon`; what is left of it is ended first."""
        if name in self._parts:
            self._parts[name].stop()
        self._parts[name] = self._run(name, self._commands[name])

    def pid(self, name: str) -> int:
        """Process id of the guard of a part; the part is its child."""
        return self._parts[name].pid

    def wait_ready(self, sensor: str) -> None:
        """Wait until the UI answers and the code location with `sensor` is loaded.

        Raises:
            DagsterStackError: A part ended, or it took too long.
        """
        deadline = time.monotonic() + READY_S
        while sensor not in (seen := self._look()):
            self.check()
            if time.monotonic() > deadline:
                tails = "\n".join(part.tail() for part in self._parts.values())
                raise DagsterStackError(f"Dagster was not ready within {READY_S} s, last seen: {seen}\n{tails}")
            time.sleep(_POLL_S)

    def start_sensor(self, sensor: str) -> None:
        """Turn a sensor on; it stays on over restarts.

        Raises:
            DagsterStackError: It can't be turned on.
        """
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "sensorName": sensor}
        answer = self.ask(_START_SENSOR, {"sensor": selector})
        done = (answer.get("data") or {}).get("startSensor") or {}
        if (done.get("sensorState") or {}).get("status") != "RUNNING":
            raise DagsterStackError(f"the sensor {sensor} can't be turned on: {json.dumps(answer)}")

    def launch(self, job: str, run_config: Mapping[str, object]) -> str:
        """Ask for a run of a job; its id.

        Raises:
            DagsterStackError: It is refused.
        """
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        answer = self.ask(_LAUNCH, {"run": {"selector": selector, "runConfigData": json.dumps(run_config)}})
        launched = (answer.get("data") or {}).get("launchRun") or {}
        if "run" not in launched:
            raise DagsterStackError(f"a run of {job} can't be launched: {json.dumps(answer)}")
        return str(launched["run"]["runId"])

    def check(self) -> None:
        """Nothing, if all parts are running.

        Raises:
            DagsterStackError: One has ended.
        """
        for part in self._parts.values():
            if (code := part.exit_code) is not None:
                raise DagsterStackError(f"Dagster's {part.name} ended with code {code}; {part.tail()}")

    def stop(self) -> None:
        """End all parts, runs included, and wait until nothing is left. Twice is no error."""
        for part in self._parts.values():
            part.begin_stop()
        for part in self._parts.values():
            part.stop()
        self._parts.clear()

    def _run(self, name: str, command: list[str]) -> ProcessGroup:
        program = Path(sysconfig.get_path("scripts")) / command[0]
        env = {
            **os.environ,
            "DAGSTER_GRPC_TIMEOUT_SECONDS": str(GRPC_S),
            **self._environment,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONUNBUFFERED": "1",
        }
        log_path = self.home / f"{name}.log"
        return ProcessGroup(name, [str(program), *command[1:]], log_path=log_path, cwd=self.home, env=env)

    def _look(self) -> str:
        """Names of the sensors that are loaded, or what is in the way."""
        try:
            answer = self.ask(_SENSORS, {})
        except (OSError, ValueError) as error:
            return f"the webserver does not answer yet ({error})"
        return json.dumps(answer)

    def ask(self, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """The webserver's answer to a GraphQL query.

        Raises:
            OSError: It does not answer.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with _DIRECT.open(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy of the environment: it is loopback."""


def code_server_answers(port: int) -> bool:
    """Whether a code server on loopback has loaded its code and takes calls: gRPC's health check, as Dagster's own."""
    # All three come with Dagster, and without types.
    import grpc  # type: ignore[import-untyped]
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse  # type: ignore[import-untyped]
    from grpc_health.v1.health_pb2_grpc import HealthStub  # type: ignore[import-untyped]

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=_ANSWER_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
