"""deploy/compose: one list of settings in two files, a file that Compose reads, and a container as runs get it."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sysconfig
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3_assets.settings import SETTINGS, load_alert_settings, load_settings

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"}
REGION = {"AWS_REGION", "AWS_DEFAULT_REGION"}


def compose() -> dict[str, Any]:
    """compose.yaml."""
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))


def launcher() -> dict[str, Any]:
    """The run launcher's config."""
    return yaml.safe_load((COMPOSE / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]["config"]


def example() -> dict[str, str]:
    """What env.example gives, with the blanks filled in."""
    lines = (COMPOSE / "env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    blank = {name for name, value in given.items() if not value}
    assert blank == {"DAGSTER_PG_PASSWORD", "DOCKER_GID"}
    return given | {"DAGSTER_PG_PASSWORD": "not-a-secret", "DOCKER_GID": "998"}


def test_every_setting_reaches_sensors_and_runs():
    """A setting that is missing in one of the lists would hold for ticks and not for runs, or for neither."""
    everything = {setting.variable for setting in SETTINGS} | AWS | REGION
    assert set(compose()["x-settings"]) == everything
    assert sorted(launcher()["env_vars"]) == sorted(everything | {"DAGSTER_PG_PASSWORD"})
    services = compose()["services"]
    for name in ("code", "daemon", "watchdog"):
        assert everything | {"DAGSTER_PG_PASSWORD"} <= set(services[name]["environment"]), name


def test_the_example_is_enough():
    """With all else empty, as Compose fills it in, settings can be used."""
    given = dict.fromkeys(compose()["x-settings"], "") | example()
    settings = {name: value for name, value in given.items() if name.startswith("S3_ASSETS_")}
    assert str(load_settings(settings).source) == "s3://my-raw-bucket/source/"
    assert load_alert_settings(settings).dagster_url == "https://dagster.example.com"


def test_what_is_empty_is_not_set_for_aws(monkeypatch):
    """An empty endpoint or key is none: AWS's own endpoint, and credentials from elsewhere."""
    import boto3

    for name in AWS:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = boto3.Session()
    assert session.client("s3").meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    assert session.get_credentials() is None


def compose_program() -> list[str] | None:
    """`docker compose`, or the program of its own; None where there is neither."""
    own = str(Path(sysconfig.get_path("scripts")) / "docker-compose")
    for command in ([own], ["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and " v1" not in asked.stdout:
                return command
    return None


def test_compose_reads_it():
    """With the example filled in; each service has what it was meant to have."""
    command = compose_program()
    if command is None:
        pytest.skip("Docker Compose 2 or later is not installed")
    done = subprocess.run(
        [*command, "-f", str(COMPOSE / "compose.yaml"), "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **example()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    services = read["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon", "watchdog"}
    assert services["daemon"]["environment"]["S3_ASSETS_SOURCE"] == "s3://my-raw-bucket/source/"
    assert services["daemon"]["environment"]["DAGSTER_PG_PASSWORD"] == "not-a-secret"
    assert "S3_ASSETS_SLACK_TOKEN" not in services["webserver"]["environment"]
    assert services["code"]["build"]["dockerfile"] == "deploy/Dockerfile"
    assert Path(services["code"]["build"]["context"]) == COMPOSE.parents[1]
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", [])} == {"127.0.0.1"}
    docker = {name for name, one in services.items() if "docker.sock" in json.dumps(one.get("volumes", []))}
    assert docker == {"webserver", "daemon"}
    assert read["networks"]["s3-assets"]["name"] == launcher()["networks"][0]
    assert launcher()["container_kwargs"]["volumes"][0].startswith(read["volumes"]["logs"]["name"] + ":")


@pytest.mark.parametrize(
    "name", ["DAGSTER_PG_PASSWORD", "DOCKER_GID", "S3_ASSETS_SOURCE", "S3_ASSETS_TARGET", "AWS_REGION"]
)
def test_compose_names_what_is_missing(name):
    """Before anything starts."""
    command = compose_program()
    if command is None:
        pytest.skip("Docker Compose 2 or later is not installed")
    given = {key: value for key, value in example().items() if key != name}
    done = subprocess.run(
        [*command, "-f", str(COMPOSE / "compose.yaml"), "config", "--quiet"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert name in done.stderr


class Engine(http.server.BaseHTTPRequestHandler):
    """Docker's API as far as a launch needs it: it keeps what it is asked to create. No engine runs in the tests."""

    asked: list[tuple[str, dict[str, Any]]]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name in the standard library)
        """Say nothing."""

    def do_GET(self) -> None:
        """The version, and the one container."""
        self._answer({"ApiVersion": "1.45", "Id": "c1", "State": {"Status": "running"}, "Config": {"Image": "i"}})

    def do_POST(self) -> None:
        """Create or start."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        type(self).asked.append((self.path, json.loads(body) if body else {}))
        self._answer({"Id": "c1", "Warnings": []})

    def _answer(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def engine(monkeypatch):
    """Where the launcher finds Docker."""
    handler = type("OneEngine", (Engine,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()
        thread.join()


def test_a_run_gets_its_container(engine, monkeypatch):
    """As the launcher asks Docker for it: settings, network, folder, and no more rights than needed."""
    from dagster._core.test_utils import create_run_for_test, instance_for_test

    given = dict.fromkeys(launcher()["env_vars"], "") | example()
    for name in launcher()["env_vars"]:
        monkeypatch.setenv(name, given[name])
    how = {"run_launcher": {"module": "dagster_docker", "class": "DockerRunLauncher", "config": launcher()}}
    with instance_for_test(overrides=how) as instance:
        run = create_run_for_test(instance, job_name="hourly_gzip_job")
        instance.run_launcher._launch_container_with_command(run, "s3-assets:local", ["dagster", "api", "execute_run"])
        assert (
            instance.run_launcher.check_run_worker_health(instance.get_run_by_id(run.run_id)).status.name == "RUNNING"
        )
    [create] = [body for path, body in engine.asked if "/containers/create" in path]
    assert [path.rpartition("/")[2] for path, _ in engine.asked] == ["create", "start"]
    environment = dict(one.split("=", 1) for one in create["Env"])
    assert environment["S3_ASSETS_TARGET"] == "s3://my-hourly-bucket/target/"
    assert environment["DAGSTER_PG_PASSWORD"] == "not-a-secret"
    assert create["Image"] == "s3-assets:local"
    assert create["Healthcheck"]["Test"] == ["NONE"]
    host = create["HostConfig"]
    assert host["NetworkMode"] == "s3-assets"
    assert host["Binds"] == ["s3-assets-logs:/opt/dagster/home/storage"]
    assert host["Memory"] == 2 << 30
    assert host["AutoRemove"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
