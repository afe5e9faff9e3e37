"""deploy/helm: what runs get is what Kubernetes takes, and the chart, where it is given, takes the values.

The chart is Dagster's, and not a part of this project: `DAGSTER_CHART=folder make test-deploy` tries it
(docs/deploy.md).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3_assets.settings import load_settings
from s3_assets_tests.deploy.test_files_instances import limits_of, read

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

HELM = Path(__file__).parents[2] / "deploy" / "helm"
CHART_VARIABLE = "DAGSTER_CHART"
KUBERNETES = "1.35"


def values() -> dict[str, Any]:
    """values.yaml."""
    return yaml.safe_load((HELM / "values.yaml").read_text(encoding="utf-8"))


def launcher() -> dict[str, Any]:
    """Of the run launcher."""
    return values()["runLauncher"]["config"]["k8sRunLauncher"]


def valid(document: dict[str, Any]) -> None:
    """By the schemas of Kubernetes, with no name that they don't know."""
    import kubernetes_validate

    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_settings_can_be_used():
    """And Kubernetes takes the ConfigMap that holds them."""
    document = yaml.safe_load((HELM / "settings.yaml").read_text(encoding="utf-8"))
    valid(document)
    settings = {name: value for name, value in document["data"].items() if name.startswith("S3_ASSETS_")}
    assert load_settings(settings).hints_queue
    [deployment] = values()["dagster-user-deployments"]["deployments"]
    assert deployment["envConfigMaps"] == launcher()["envConfigMaps"] == [{"name": document["metadata"]["name"]}]
    assert deployment["envSecrets"] == launcher()["envSecrets"]


def test_a_run_s_job_is_one(monkeypatch):
    """As dagster-k8s makes it of the launcher's config: resources, account, folder, and no more rights than needed."""
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job

    context = K8sContainerContext(
        service_account_name="dagster",
        image_pull_policy=launcher()["imagePullPolicy"],
        env_config_maps=[one["name"] for one in launcher()["envConfigMaps"]],
        env_secrets=[one["name"] for one in launcher()["envSecrets"]],
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(
            {_snake(key): value for key, value in launcher()["runK8sConfig"].items()}
        ),
    )
    config = DagsterK8sJobConfig(job_image="image:1", dagster_home="/opt/dagster/home", instance_config_map="i")
    job = construct_dagster_k8s_job(
        config, ["dagster", "api", "execute_run"], "a-run", context.run_k8s_config, labels={}
    )
    from kubernetes.client import ApiClient

    document = ApiClient().sanitize_for_serialization(job)
    valid(document)
    assert document["spec"]["activeDeadlineSeconds"] == read("")["run_monitoring"]["max_runtime_seconds"]
    pod = document["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == values()["dagster-user-deployments"]["serviceAccount"]["name"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    [one] = pod["containers"]
    assert one["resources"]["limits"] == {"memory": "2Gi"}
    assert one["securityContext"]["allowPrivilegeEscalation"] is False
    assert {"configMapRef": {"name": "s3-assets"}} in one["envFrom"]
    assert {"secretRef": {"name": "s3-assets"}} in one["envFrom"]
    assert {mount["name"] for mount in one["volumeMounts"]} >= {"spool"}
    with pytest.raises(Exception, match="nonsense"):
        valid({**document, "nonsense": 1})


def _snake(name: str) -> str:
    """`podSpecConfig` is `pod_spec_config`; `containerConfig` and `k8s` names hold no digits here."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def test_limits_are_those_of_the_other_cluster():
    """ECS and Kubernetes carry as many runs."""
    concurrency, ecs = values()["concurrency"], read("ecs")["concurrency"]
    runs = concurrency["runs"]
    assert runs["maxConcurrentRuns"] == ecs["runs"]["max_concurrent_runs"]
    assert limits_of({"runs": {"tag_concurrency_limits": runs["tagConcurrencyLimits"]}}) == limits_of(ecs)
    assert concurrency["pools"] == {"defaultLimit": ecs["pools"]["default_limit"], "granularity": "op"}


def test_the_rest_is_as_in_the_plain_one():
    """The chart says it in its own words."""
    plain, found = read(""), values()
    assert found["pythonLogs"]["managedPythonLoggers"] == plain["python_logs"]["managed_python_loggers"]
    assert found["pythonLogs"]["dagsterHandlerConfig"] == plain["python_logs"]["dagster_handler_config"]
    assert found["retention"]["sensor"]["purgeAfterDays"] == plain["retention"]["sensor"]["purge_after_days"]
    assert found["dagsterDaemon"]["runRetries"]["maxRetries"] == plain["run_retries"]["max_retries"]
    monitoring = found["dagsterDaemon"]["runMonitoring"]
    assert monitoring["maxRuntimeSeconds"] == plain["run_monitoring"]["max_runtime_seconds"]
    assert monitoring["freeSlotsAfterRunEndSeconds"] == plain["run_monitoring"]["free_slots_after_run_end_seconds"]


def test_no_secret_is_written_down():
    """Passwords and tokens are in Secrets, made by hand or by an operator."""
    text = (HELM / "values.yaml").read_text(encoding="utf-8") + (HELM / "settings.yaml").read_text(encoding="utf-8")
    assert "postgresqlPassword:" not in text
    assert "S3_ASSETS_SLACK_TOKEN:" not in text


@pytest.fixture
def chart() -> Path:
    """Dagster's, of the version of constraints.txt."""
    if not os.environ.get(CHART_VARIABLE):
        pytest.skip(f"Dagster's chart is not given: helm pull dagster/dagster --untar, then {CHART_VARIABLE}=dagster")
    return Path(os.environ[CHART_VARIABLE])


def test_the_chart_s_schema_takes_them(chart):
    """Over the chart's own values, as Helm lays them."""
    import jsonschema

    def laid(below: Any, above: Any) -> Any:
        if isinstance(below, dict) and isinstance(above, dict):
            return below | {key: laid(below.get(key), value) for key, value in above.items()}
        return above

    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    own = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    unknown = [key for key in values() if key not in schema["properties"]]
    assert unknown == []
    jsonschema.validate(laid(own, values()), schema)


def test_helm_renders_them(chart):
    """And Kubernetes takes each thing that comes out."""
    if shutil.which("helm") is None:
        pytest.skip("helm is not installed")
    done = subprocess.run(
        ["helm", "template", "dagster", str(chart), "--values", str(HELM / "values.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    documents = [one for one in yaml.safe_load_all(done.stdout) if one]
    for document in documents:
        valid(document)
    [instance] = [one for one in documents if one["kind"] == "ConfigMap" and "dagster.yaml" in one["data"]]
    rendered = yaml.safe_load(instance["data"]["dagster.yaml"])
    assert rendered["concurrency"] == read("ecs")["concurrency"]
    assert rendered["run_monitoring"]["enabled"] is True
