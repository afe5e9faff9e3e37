"""The code location loads anywhere, without settings, and without a word to S3."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from s3_assets.dagster.definitions import build_definitions
from s3_assets.errors import SettingsError

ROOT = Path(__file__).parents[2]
BARE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def test_definitions_validate_with_no_environment_set(tmp_path: Path) -> None:
    """As CI and a fresh checkout do."""
    dagster = Path(sys.executable).with_name("dagster")
    command = [dagster, "definitions", "validate", "-w", ROOT / "workspace.yaml"]
    environment = {**BARE, "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location s3_assets" in done.stdout + done.stderr


def test_loading_definitions_makes_no_connection(tmp_path: Path) -> None:
    """A process in which every socket is refused loads them, with all settings given."""
    program = (
        "import socket\n"
        "def refuse(*arguments): raise SystemExit('a connection was made while definitions loaded')\n"
        "socket.socket.connect = refuse\n"
        "import s3_assets.dagster.definitions as d\n"
        "print(sorted(key.to_user_string() for key in d.defs.resolve_asset_graph().get_all_asset_keys()))\n"
    )
    environment = {
        **BARE,
        "S3_ASSETS_SOURCE": "s3://nowhere/source/",
        "S3_ASSETS_TARGET": "s3://nowhere/target/",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "['delivery_report', 'hourly_gzip', 'source_csv']"), (
        done.stderr
    )


def test_a_bad_start_date_is_named_when_definitions_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one setting that loading needs."""
    monkeypatch.setenv("S3_ASSETS_START_DATE", "tomorrow")
    with pytest.raises(SettingsError, match="S3_ASSETS_START_DATE: found 'tomorrow'"):
        build_definitions()


def test_the_launchpad_shows_where_settings_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables by name, with their meaning; never a value of them."""
    monkeypatch.setenv("S3_ASSETS_SOURCE", "s3://secret-name/source/")
    definitions = build_definitions()
    resource = (definitions.resources or {})["pipeline"]
    assert isinstance(resource.source, dg.EnvVar)
    assert resource.source.env_var_name == "S3_ASSETS_SOURCE"
    schema = type(resource).to_config_schema().as_field()
    assert all(field.description for field in schema.config_type.fields.values())


def test_hours_start_at_the_setting_and_end_with_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partial hours appear during the hour."""
    from datetime import UTC, datetime

    from s3_assets.hour_file.keys import label_of

    monkeypatch.setenv("S3_ASSETS_START_DATE", "2026-01-01")
    asset = build_definitions().resolve_assets_def("hourly_gzip")
    assert isinstance(asset.partitions_def, dg.MultiPartitionsDefinition)
    hours = asset.partitions_def.get_partitions_def_for_dimension("hour").get_partition_keys()
    before = label_of(datetime.now(UTC))
    assert hours[0] == "2026-01-01-00:00"
    assert hours[-1] in {before, label_of(datetime.now(UTC))}


def test_the_example_of_an_instance_is_one(tmp_path: Path) -> None:
    """deploy/dagster.yaml loads, and says what the README says of it."""
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "deploy" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit == 1
        assert str(concurrency.pool_config.pool_granularity) == "PoolGranularity.OP"
        assert not instance.nux_enabled
        assert not instance.telemetry_enabled


def test_runs_on_hour_files_share_a_pool() -> None:
    """So that a limit of one keeps them apart."""
    asset = build_definitions().resolve_asset_graph().get(dg.AssetKey("hourly_gzip"))
    assert asset.pools == {"hour_files"}


def test_the_grid_may_go_back_less_far_than_the_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older is made right all the same; only the grid leaves it out."""
    monkeypatch.setenv("S3_ASSETS_START_DATE", "2021-01-01")
    hours = {}
    for days in ("0", "3"):
        monkeypatch.setenv("S3_ASSETS_GRID_DAYS", days)
        partitions = build_definitions().resolve_asset_graph().get(dg.AssetKey("hourly_gzip")).partitions_def
        assert isinstance(partitions, dg.MultiPartitionsDefinition)
        hours[days] = partitions.get_partitions_def_for_dimension("hour").get_partition_keys()
    assert hours["0"][0] == "2021-01-01-00:00"
    assert 3 * 24 < len(hours["3"]) <= (31 + 4) * 24
    assert hours["3"][0][8:] == "01-00:00"
    assert hours["3"][-1] == hours["0"][-1]


def test_groups_are_assets_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each with its job, its sensor, its checks and its own partitions; without any there is one of each."""
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(tmp_path / "a.toml"))
    (tmp_path / "a.toml").write_text('[groups]\npayments = ["pay*"]\n')
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    names = {"hourly_gzip", "hourly_gzip_payments"}
    reports = {"delivery_report", "delivery_report_payments"}
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {"source_csv", *names, *reports}
    partitions = set()
    for name in names:
        of_asset = graph.get(dg.AssetKey(name)).partitions_def
        assert isinstance(of_asset, dg.MultiPartitionsDefinition)
        events = of_asset.get_partitions_def_for_dimension("event")
        assert isinstance(events, dg.DynamicPartitionsDefinition)
        partitions.add(events.name)
    assert partitions == {"event", "event_payments"}
    sensors = {sensor.name: sensor.job_name for sensor in definitions.sensors or () if sensor.name != "alerts_sensor"}
    assert sensors == {
        "source_sensor": "hourly_gzip_job",
        "source_sensor_payments": "hourly_gzip_payments_job",
    }
    for job in (*sensors.values(), "verify_job", "verify_payments_job", *(f"{name}_job" for name in reports)):
        assert definitions.resolve_job_def(job).name == job
