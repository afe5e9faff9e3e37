"""deploy/celery as it is, on this machine: Postgres, Redis, all of Dagster, and Celery workers that can be killed.

For tests and for bench/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from dagster_celery.make_app import make_app
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from s3_assets.demo.bucket import TARGET_PREFIX
from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.stack import LOCATION, DagsterStack
from s3_assets_tests.deploy.debian_servers import Postgres, Redis
from s3_assets_tests.soak.living import ROOT, SENSOR, Living, children, kill, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

CONFIGURATION = ROOT / "deploy" / "celery"
UNIT = CONFIGURATION / "s3-assets-worker@.service"
CONFIG = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { runConfigYaml } } }"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "s3-assets")

START_S = 300
"""Longest wait for the workers, in seconds."""

ANSWER_S = 5
"""So long a worker may take to say what it works on, in seconds; all of it is waited for."""

COMMAND_S = 600
"""Longest that a command of Dagster's may take, in seconds."""


class CeleryStack(DagsterStack):
    """Dagster's processes with deploy/celery's configuration; workers are parts of it, too."""

    def start(self) -> None:
        """Start all but workers, and don't wait for them."""
        self.home.mkdir(parents=True)
        shutil.copy(CONFIGURATION / "dagster.yaml", self.home)
        code_port, self._port = free_port_pairs(2)
        workspace = self.home / "workspace.yaml"
        server = {"host": "127.0.0.1", "port": code_port, "location_name": LOCATION}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        code = ["dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(code_port), "--log-level", "warning"]
        code += ["--module-name", self._module, "--attribute", "defs", "--location-name", LOCATION]
        web = ["dagster-webserver", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(self._port)]
        self._commands = {
            "code-server": code,
            "webserver": web,
            "daemon": ["dagster-daemon", "run", "--workspace", str(workspace)],
        }
        self.dagster("instance", "concurrency", "set", "hour_files", "2")  # which makes Postgres's tables, too
        for name in self._commands:
            self.restart(name)

    def start_worker(self, name: str) -> None:
        """By its unit's command; its name is `worker-` and the unit's instance."""
        [line] = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
        program, *arguments = shlex.split(line.replace("%i", name.removeprefix("worker-")).replace("%%", "%"))
        self._commands[name] = [Path(program).name, *arguments]
        self.restart(name)

    def dagster(self, *arguments: str) -> None:
        """Run a command of Dagster's own to its end."""
        program = str(Path(sysconfig.get_path("scripts")) / "dagster")
        done = subprocess.run(
            [program, *arguments],
            env={**os.environ, **self._environment, "DAGSTER_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        assert done.returncode == 0, f"dagster {' '.join(arguments)}: {done.stdout}{done.stderr}"

    def has_ended(self, name: str) -> bool:
        """Whether a part has ended by itself."""
        return self._parts[name].exit_code is not None


class Workers(Living):
    """A live deployment whose runs are carried by workers; its sensor is off until it is turned on.

    Attributes:
        redis: The broker.
    """

    stack: CeleryStack
    redis: Redis

    def __init__(self, folder: Path, start_date: str, *names: str, gated: bool = False) -> None:
        """Describe it.

        Args:
            folder: Made if it is not there.
            start_date: The first hour partition's date.
            names: Of its workers.
            gated: Whether runs wait at `gate` while it is closed.
        """
        super().__init__(folder, start_date, gated=gated)
        self._names = names
        self._others = ExitStack()
        self._replays = ExitStack()
        self._environment: dict[str, str] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._others, self._replays:
            super().__exit__(kind, error, trace)

    def start_dagster(self) -> None:
        """All of it."""
        self.redis = self._others.enter_context(Redis(self.folder / "redis"))
        postgres = self._others.enter_context(Postgres())
        self._celery = make_app({"broker": self.redis.url, "backend": self.redis.url})
        self._environment = {
            **self.bucket.environment(),
            **self._settings,
            "PYTHONPATH": os.pathsep.join([str(CONFIGURATION), str(ROOT)]),
            "DAGSTER_PG_URL": postgres.url,
            "DAGSTER_CELERY_BROKER": self.redis.url,
        }
        self.stack = CeleryStack(self.folder / "dagster", self._environment, module=self._module)
        self.stack.start()
        for name in self._names:
            self.stack.start_worker(name)
        self.stack.wait_ready(SENSOR)
        wait_until(lambda: set(self.at_work()) == {*self._names}, START_S, "all workers answer")

    # --- workers -------------------------------------------------------------------------------------------------

    def at_work(self) -> dict[str, str]:
        """The run that each worker that answers works on; empty for none."""
        answers = self._celery.control.inspect(timeout=ANSWER_S).active() or {}
        runs = {run["tags"].get(DAGSTER_CELERY_TASK_ID_TAG): run["runId"] for run in self.tagged_runs()}
        return {
            worker.partition("@")[0]: next((runs.get(task["id"], "") for task in tasks), "")
            for worker, tasks in answers.items()
        }

    def carrier(self, run: Mapping[str, Any]) -> str:
        """The worker that carried a run that has ended, by Celery's own record."""
        result = self._celery.AsyncResult(run["tags"][DAGSTER_CELERY_TASK_ID_TAG])
        return str(result.worker).partition("@")[0]

    def cpu_of_workers(self) -> float:
        """CPU seconds that the workers have used, in sum."""
        return sum(cpu_s(self.stack.pid(name)) for name in self.at_work())

    def kill_worker(self, name: str) -> None:
        """SIGKILL a worker with all of its processes, as a machine does that goes down."""
        for pid in _below(self.stack.pid(name)):
            kill(pid)

    def ask_worker_to_stop(self, name: str) -> None:
        """As systemd does."""
        for pid in children(self.stack.pid(name)):
            os.kill(pid, signal.SIGTERM)

    # --- replays -------------------------------------------------------------------------------------------------

    def replay(self, *options: str, **settings: str) -> Replaying:
        """Begin `s3-assets replay`; it ends with this, if not before."""
        environment = {**os.environ, **self._environment, **settings}
        return self._replays.enter_context(Replaying([*options, "--url", self.stack.url], environment))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an `s3-assets` command to its end."""
        environment = {**os.environ, **self._environment}
        return subprocess.run([PROGRAM, *arguments], env=environment, check=False, capture_output=True, text=True)

    def tagged_runs(self) -> list[dict[str, Any]]:
        """All runs, newest first, with their tags as a mapping."""
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in self.runs()]

    def hours_of(self, run_id: str) -> list[str]:
        """The partition keys that a run was asked for."""
        config = yaml.safe_load(self.stack.ask(CONFIG, {"run": run_id})["data"]["runOrError"]["runConfigYaml"])
        found: list[str] = config["ops"]["hourly_gzip"]["config"]["partition_keys"]
        return found

    def versions(self) -> Counter[str]:
        """How many versions each hour file has."""
        pages = self._server.client().get_paginator("list_object_versions")
        found = pages.paginate(Bucket=self.store.bucket, Prefix=TARGET_PREFIX)
        return Counter(version["Key"] for page in found for version in page.get("Versions", []))


class Replaying:
    """A `s3-assets replay` that is under way."""

    def __init__(self, options: list[str], environment: Mapping[str, str]) -> None:
        """Begin it."""
        self._process = subprocess.Popen(
            [PROGRAM, "replay", "--json", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self, bound_s: float) -> tuple[int, dict[str, Any]]:
        """Wait for it; its exit code, and what it says."""
        said, errors = self._process.communicate(timeout=bound_s)
        assert said, errors
        return self._process.returncode, json.loads(said)


def cpu_s(pid: int | None = None) -> float:
    """CPU seconds of all that comes from a process, or from this one, those that have ended included (Linux)."""
    ticks = 0
    for each in _below(os.getpid() if pid is None else pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            after_name = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(word) for word in after_name[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _below(pid: int) -> list[int]:
    """All processes that come from a process, parents first."""
    return [each for child in children(pid) for each in (child, *_below(child))]
