"""One prefix in two code locations, as examples/split has it: no event is in both of them, and none in neither."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml

from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.demo.stack import DAGSTER_YAML
from s3_assets.demo.supervise import ProcessGroup
from s3_assets.errors import SettingsError
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets_tests.servers import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "split"
EVENTS = {
    "billing": {"pay_card", "payments|EU", "refunds"},
    "others": {"clicks", "page_views", "orders", "repayments", "Pay_card"},
}
"""Some events of each; `Pay_card` and `repayments` are in no group, though they look like it."""
LABEL = "2025-02-03-07:00"
BOUND_S = 600


def load() -> Any:
    """The module that both code locations are made of, anew, as a code server loads it."""
    spec = importlib.util.spec_from_file_location("example_of_a_split", EXAMPLE / "definitions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def workspace() -> dict[str, str]:
    """Attributes of the module, by the names of the code locations that `workspace.yaml` makes of them."""
    entries = [entry["python_file"] for entry in yaml.safe_load((EXAMPLE / "workspace.yaml").read_text())["load_from"]]
    assert {entry["relative_path"] for entry in entries} == {"definitions.py"}
    return {entry["location_name"]: entry["attribute"] for entry in entries}


def sensors_of(definitions: dg.Definitions) -> list[str]:
    """The names of its source sensors."""
    return [one.name for one in definitions.get_repository_def().sensor_defs if "source_sensor" in one.name]


def tick(definitions: dg.Definitions, sensor: str, instance: dg.DagsterInstance) -> list[tuple[str, dict[str, Any]]]:
    """Evaluate a sensor once, add the partitions that it asks for; job and config of each run that it asks for."""
    with dg.build_sensor_context(
        instance=instance, definitions=definitions, resources=definitions.resources
    ) as context:
        one = definitions.resolve_sensor_def(sensor)
        result = one(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    assert isinstance(one.job_name, str)
    return [(one.job_name, dict(request.run_config)) for request in result.run_requests or ()]


def events_in(config: Mapping[str, Any]) -> set[str]:
    """The events of the hours in a run's config."""
    [op] = config["ops"].values()
    return {Hour.of_partition_key(key).event for key in op["config"]["partition_keys"]}


@pytest.fixture
def bucket(running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A bucket on SeaweedFS with a source of each event, and the environment that the example reads."""
    server = running("seaweedfs")
    name = server.new_bucket()
    environment = {
        **server.environment(),
        "SPLIT_SOURCE": f"s3://{name}/source/",
        "SPLIT_TARGET": f"s3://{name}/target/",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    made = Deployment(server.store(name), environment)
    for event in set.union(*EVENTS.values()):
        made.drop(f"{event}/2025-02-03/07_00_a.csv", b"id\n1\n")
    return made


def hour_files(bucket: Deployment) -> set[str]:
    """The events that have the hour's file."""
    keys = [info.key.removeprefix("target/") for info in bucket.store.list("target/")]
    assert all(key.endswith("/2025-02-03/07.csv.gz") for key in keys)
    return {key.partition("/")[0] for key in keys}


# --- what is whose -----------------------------------------------------------------------------------------


def test_each_location_does_its_own_events_and_together_they_do_all(bucket: Deployment) -> None:
    """Asked for, made, put on record and asked for no more, over one bucket and one instance; then a late file."""
    module = load()
    assert workspace().keys() == EVENTS.keys()
    locations = {name: getattr(module, attribute) for name, attribute in workspace().items()}
    with dg.DagsterInstance.ephemeral() as instance:
        asked: dict[str, set[str]] = {}
        for name, definitions in locations.items():
            for sensor in sensors_of(definitions):
                for job, config in tick(definitions, sensor, instance):
                    assert not events_in(config) & set().union(*asked.values())
                    asked.setdefault(name, set()).update(events_in(config))
                    done = definitions.resolve_job_def(job).execute_in_process(instance=instance, run_config=config)
                    assert done.success
        assert asked == EVENTS
        assert hour_files(bucket) == set.union(*EVENTS.values())
        bucket.drop("refunds/2025-02-03/07_59_late.csv", b"id\n2\n")
        again = {
            sensor: [events_in(config) for _, config in tick(definitions, sensor, instance)]
            for definitions in locations.values()
            for sensor in sensors_of(definitions)
        }
        assert again.pop("billing_source_sensor_payments") == [{"refunds"}]
        assert again == {"others_source_sensor": [], "others_source_sensor_web": []}


def test_a_location_refuses_the_events_of_the_other(bucket: Deployment) -> None:
    """Whoever asks: the run is red and says whose the event is; nothing is written."""
    definitions = load().billing
    config = {"ops": {"billing_hourly_gzip_payments": {"config": {"partition_keys": [f"orders|{LABEL}"]}}}}
    job = definitions.resolve_job_def("billing_hourly_gzip_payments_job")
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(dg.Failure, match="'orders' is an event of"):
        job.execute_in_process(instance=instance, run_config=config)
    assert hour_files(bucket) == set()


def test_locations_share_no_name_and_leave_no_group_out() -> None:
    """In one instance two assets, jobs, sensors or partitions of one name would share their history."""
    module = load()
    groups = [group for some in module.LOCATIONS.values() for group in some]
    assert sorted(groups) == ["", "payments", "web"]
    names = {}
    for name, attribute in workspace().items():
        repository = getattr(module, attribute).get_repository_def()
        graph = getattr(module, attribute).resolve_asset_graph()
        jobs = {job for job in repository.job_names if not job.startswith("__")}
        automations = {one.name for one in (*repository.sensor_defs, *repository.schedule_defs)}
        names[name] = jobs | automations | {key.to_user_string() for key in graph.get_all_asset_keys()}
        hour_file_assets = {key for key in graph.get_all_asset_keys() if "hourly_gzip" in key.path[-1]}
        assert len(hour_file_assets) == len(module.LOCATIONS[name]) == len(sensors_of(getattr(module, attribute)))
        assert f"{name}_alerts_sensor" in automations
        assert {key.asset_key for key in graph.asset_check_keys} >= hour_file_assets
    assert names["billing"] & names["others"] == set()


@pytest.mark.parametrize(
    "locations, wrong",
    [
        ({"billing": ["payments"], "others": [""]}, r"\['web'\]"),
        ({"billing": ["payments"], "others": ["web"]}, r"\[''\]"),
        ({"billing": ["payments", "web"], "others": ["web", ""]}, r"\['web'\]"),
        ({"billing": ["payments", "paymets"], "others": ["web", ""]}, r"\['paymets'\]"),
    ],
    ids=["left out", "the rest left out", "in two", "mistyped"],
)
def test_a_split_that_does_not_add_up_does_not_load(
    locations: dict[str, list[str]], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event in no location would be made by nobody, and nobody would notice."""
    module = load()
    monkeypatch.setattr(module, "LOCATIONS", locations)
    with pytest.raises(ValueError, match=wrong):
        module.check()


@pytest.mark.parametrize(
    "groups, words",
    [
        (["paymets"], "groups: found 'paymets'; the groups are '', 'payments', 'web': see [groups] in the TOML"),
        ([], "groups: names none, so there is nothing to make; leave it out for all of them"),
    ],
)
def test_groups_that_are_not_there_are_refused(groups: list[str], words: str, bucket: Deployment) -> None:
    """Also where nobody compares them with the file."""
    settings = {"source": dg.EnvVar("SPLIT_SOURCE"), "target": dg.EnvVar("SPLIT_TARGET"), "start_date": "2024-06-01"}
    pipeline = HourlyPipeline("x", {**settings, "config": str(EXAMPLE / "groups.toml")}, groups=groups)
    with pytest.raises(SettingsError) as raised:
        pipeline.definitions()
    assert raised.value.problems == [words]


# --- live --------------------------------------------------------------------------------------------------


def run_dagster(environment: Mapping[str, str], *arguments: str) -> None:
    """The command line of Dagster, to its end."""
    command = [str(Path(sysconfig.get_path("scripts")) / "dagster"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=BOUND_S)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def home(bucket: Deployment, tmp_path: Path) -> dict[str, str]:
    """The environment of a daemon with a home of its own, whose sensors have threads."""
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML + "sensors:\n  use_threads: true\n  num_workers: 5\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("S3_ASSETS_")}
    return {**kept, **bucket.environment, "DAGSTER_HOME": str(tmp_path), "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "300"}


@pytest.mark.soak
@pytest.mark.timeout(2700)
def test_a_daemon_over_the_workspace_makes_all_hours_each_in_its_location(
    bucket: Deployment, home: dict[str, str], tmp_path: Path
) -> None:
    """Two code servers that the daemon starts by `workspace.yaml`; no run holds an event of the other location."""
    where = ["-w", str(EXAMPLE / "workspace.yaml")]
    run_dagster(home, "definitions", "validate", *where)
    for name in EVENTS:
        run_dagster(home, "sensor", "start", "--start-all", "-l", name, *where)
    daemon = [str(Path(sysconfig.get_path("scripts")) / "dagster-daemon"), "run", *where]
    everything = set.union(*EVENTS.values())
    group = ProcessGroup("daemon", daemon, log_path=tmp_path / "daemon.log", cwd=tmp_path, env=home)
    try:
        until = time.monotonic() + BOUND_S
        while hour_files(bucket) != everything:
            assert time.monotonic() < until, (tmp_path / "daemon.log").read_text()[-5000:]
            time.sleep(0.5)
    finally:
        group.begin_stop()
        group.stop()
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        seen: dict[str, set[str]] = {}
        for run in instance.get_runs():
            assert run.remote_job_origin is not None
            seen.setdefault(run.remote_job_origin.location_name, set()).update(events_in(run.run_config))
    assert seen == EVENTS
