"""deploy/ecs: ECS would take the task definition, a run is launched by it, and the launcher's rights are those it uses.

Against moto's ECS and a stand-in for the metadata that ECS gives each container. AWS itself was not tried.
"""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
import yaml
from botocore.validate import validate_parameters

from s3_assets.settings import load_alert_settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets_tests.servers import Server

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

ECS = Path(__file__).parents[2] / "deploy" / "ecs"
REGION = "eu-west-1"
ACCOUNT = "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/s3-assets:1"


def task_definition() -> dict[str, Any]:
    """As it is handed to ECS."""
    return json.loads((ECS / "task-definition.json").read_text(encoding="utf-8"))


def container(name: str) -> dict[str, Any]:
    """One of its containers."""
    [found] = [one for one in task_definition()["containerDefinitions"] if one["name"] == name]
    return found


def environment(name: str) -> dict[str, str]:
    """Of one of its containers, without secrets."""
    return {one["name"]: one["value"] for one in container(name)["environment"]}


def test_ecs_would_take_it():
    """By botocore's description of RegisterTaskDefinition: names, types, what is required."""
    model = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    validate_parameters(task_definition(), model.input_shape)
    wrong = {**task_definition(), "containerDefinitions": [{"naem": "x"}]}
    with pytest.raises(botocore.exceptions.ParamValidationError, match="naem"):
        validate_parameters(wrong, model.input_shape)


def test_the_settings_can_be_used():
    """Of sensors (`code`) and of runs, which get what the daemon has."""
    assert {**environment("daemon"), **environment("code")} == {**environment("code"), **environment("daemon")}
    settings = {name: value for name, value in environment("daemon").items() if name.startswith("S3_ASSETS_")}
    assert load_settings(settings).hints_queue
    secret = {one["name"]: "xoxb-1" for one in container("daemon")["secrets"] if one["name"].startswith("S3_ASSETS_")}
    assert load_alert_settings(settings | secret).slack_channel == "#data"


def test_the_webserver_has_no_settings():
    """It talks to Dagster's storage and to ECS."""
    names = {*environment("webserver"), *(one["name"] for one in container("webserver")["secrets"])}
    assert not {name for name in names if name.startswith("S3_ASSETS_")}


def test_no_secret_is_written_down():
    """Passwords and tokens come from Secrets Manager."""
    for one in task_definition()["containerDefinitions"]:
        for pair in one["environment"]:
            assert "PASSWORD" not in pair["name"]
            assert "TOKEN" not in pair["name"]
        for secret in one["secrets"]:
            assert secret["valueFrom"].startswith("arn:aws:secretsmanager:")


class Metadata(http.server.BaseHTTPRequestHandler):
    """What ECS_CONTAINER_METADATA_URI_V4 answers in the daemon's container."""

    task: dict[str, str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name in the standard library)
        """Say nothing."""

    def do_GET(self) -> None:
        """Of the container, and of its task."""
        data = json.dumps(self.task if self.path.endswith("/task") else {"Name": "daemon"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def cluster(running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The service's task on moto, seen from within."""
    server = running("moto")
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    ecs.create_cluster(clusterName="s3-assets")
    document = task_definition()
    for one in document["containerDefinitions"]:
        one.update(cpu=128, memory=512)  # moto can't run a task that leaves this to Fargate
    ecs.register_task_definition(**document)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}}
    [task] = ecs.run_task(
        cluster="s3-assets", taskDefinition="s3-assets", launchType="FARGATE", networkConfiguration=network
    )["tasks"]
    handler = type("OneMetadata", (Metadata,), {"task": {"Cluster": "s3-assets", "TaskARN": task["taskArn"]}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as metadata:
        thread = threading.Thread(target=metadata.serve_forever)
        thread.start()
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{metadata.server_port}")
        yield ecs
        metadata.shutdown()
        thread.join()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The rights that calls of any AWS client need, from now on."""
    asked: set[str] = set()
    real = botocore.client.BaseClient._make_api_call

    def noting(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        asked.add(f"{client.meta.service_model.service_name}:{operation}")
        return real(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noting)
    return asked


def test_a_run_is_launched_and_watched_with_the_rights_of_its_policy(cluster, called):
    """Launched, found alive, ended, found dead: in the likeness of the daemon's task, with the role of runs."""
    from dagster._core.launcher import LaunchRunContext
    from dagster._core.test_utils import create_run_for_test, instance_for_test

    config = yaml.safe_load((ECS / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]
    with instance_for_test(overrides={"run_launcher": config}) as instance:
        run = create_run_for_test(
            instance,
            job_name="hourly_gzip_job",
            status=_status("STARTING"),
            job_code_origin=_origin(),
            remote_job_origin=_remote_origin(),
        )
        instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
        run = instance.get_run_by_id(run.run_id)
        assert instance.run_launcher.check_run_worker_health(run).status.name == "RUNNING"
        assert instance.run_launcher.terminate(run.run_id)
        instance.run_launcher.check_run_worker_health(run)
    needed = set(called)
    [task] = cluster.describe_tasks(cluster="s3-assets", tasks=[run.tags["ecs/task_arn"]])["tasks"]
    made = cluster.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    policy = json.loads((ECS / "launch-policy.json").read_text(encoding="utf-8"))
    passed = {arn for one in policy["Statement"] if one["Action"] == ["iam:PassRole"] for arn in one["Resource"]}
    assert {made["taskRoleArn"], made["executionRoleArn"]} == passed
    assert made["taskRoleArn"].endswith("role/s3-assets-run")
    [one] = made["containerDefinitions"]
    assert (one["name"], one["image"], one.get("healthCheck")) == ("run", IMAGE, None)
    assert {pair["name"] for pair in one["environment"]} >= set(environment("daemon"))
    assert one["secrets"] == container("daemon")["secrets"]
    [allowed] = [one["Resource"] for one in policy["Statement"] if one["Action"] == ["ecs:RunTask"]]
    assert task["taskDefinitionArn"].startswith(allowed.removesuffix("*"))
    granted = {action for one in policy["Statement"] for action in one["Action"]}
    assert needed | {"iam:PassRole", "ecs:TagResource", "logs:GetLogEvents"} == granted


def _status(name: str) -> Any:
    import dagster as dg

    return dg.DagsterRunStatus[name]


def _origin() -> Any:
    """Where the job's code is, as the code server says it: with its image and the container context of the task."""
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

    return JobPythonOrigin(
        job_name="hourly_gzip_job",
        repository_origin=RepositoryPythonOrigin(
            executable_path="python",
            code_pointer=_pointer(),
            container_image=environment("code")["DAGSTER_CURRENT_IMAGE"],
            entry_point=["dagster"],
            container_context=json.loads(environment("code")["DAGSTER_CONTAINER_CONTEXT"]),
        ),
    )


def _pointer() -> Any:
    from dagster._core.code_pointer import ModuleCodePointer

    return ModuleCodePointer("s3_assets.dagster.definitions", "defs")


def _remote_origin() -> Any:
    from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

    location = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=4000, location_name="s3_assets")
    return RemoteJobOrigin(
        repository_origin=RemoteRepositoryOrigin(code_location_origin=location, repository_name="__repository__"),
        job_name="hourly_gzip_job",
    )
