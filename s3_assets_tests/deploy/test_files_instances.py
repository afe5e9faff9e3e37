"""Each dagster.yaml makes an instance that works, over a real Postgres; where they differ, they differ on purpose."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test

from s3_assets.cli.replay import REPLAY_TAG
from s3_assets.dagster.names import POOL
from s3_assets.dagster.records import URGENCY_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.deploy.debian_servers import Postgres

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

DEPLOY = Path(__file__).parents[2] / "deploy"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "DAGSTER_PG_HOST": "db.example.com",
    "DAGSTER_PG_USERNAME": "dagster",
    "DAGSTER_PG_PASSWORD": "pa:ss/w@rd",
    "DAGSTER_PG_DB": "dagster",
}
LAUNCHERS = {"single": "WatchedRunLauncher", "compose": "DockerRunLauncher", "ecs": "EcsRunLauncher"}


def read(name: str) -> dict[str, Any]:
    """The document of a way to deploy; empty for the one that needs nothing."""
    return yaml.safe_load((DEPLOY / name / "dagster.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Debian's."""
    from s3_assets_tests.deploy.debian_servers import Postgres, postgres_programs

    if postgres_programs() is None:
        pytest.skip("Postgres is not installed: apt-get install postgresql")
    with Postgres() as running:
        yield running


@pytest.fixture
def database(postgres) -> str:
    """The URL of an empty one."""
    import psycopg2

    name = f"t{uuid.uuid4().hex}"
    with closing(psycopg2.connect(postgres.url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return postgres.url.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("name", LAUNCHERS)
def test_it_makes_an_instance_that_works(name, database, tmp_path, monkeypatch):
    """What it says is understood, its storage keeps a run, and its launcher can tell whether a run lives."""
    document = read(name)
    for variable, value in {**ENVIRONMENT, "DAGSTER_PG_URL": database}.items():
        monkeypatch.setenv(variable, value)
    if found := document["storage"]["postgres"].get("postgres_db"):
        assert found["scheme"] == "postgresql+psycopg2"
        [folder] = parse_qs(urlsplit(database).query)["host"]
        found.update(hostname="", db_name=urlsplit(database).path[1:], params={"host": folder})
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(document))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = create_run_for_test(instance, job_name="a_job", tags={URGENCY_TAG: "sweep"})
        assert [one.run_id for one in instance.get_runs(dg.RunsFilter(tags={URGENCY_TAG: "sweep"}))][:1] == [run.run_id]
        assert type(instance.run_launcher).__name__ == LAUNCHERS[name]
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 43200
        assert instance.run_retries_enabled
        assert not instance.run_retries_max_retries > 1
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert limits == document["concurrency"]["runs"]["tag_concurrency_limits"]
        # as the daemon does before the first run
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        pool = instance.event_log_storage.get_concurrency_info(POOL)
        assert pool.slot_count == document["concurrency"]["pools"]["default_limit"]


def test_a_pool_s_limit_is_changed_by_command_on_postgres(database, tmp_path, monkeypatch):
    """Dagster 1.13 can't follow a change of default_limit there; docs/deploy.md says what to do instead."""
    import sqlalchemy.exc

    monkeypatch.setenv("DAGSTER_PG_URL", database)
    document = read("single")
    for limit in (1, 2):
        document["concurrency"]["pools"]["default_limit"] = limit
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(document))
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            storage = instance.event_log_storage
            if limit == 1:
                storage.initialize_concurrency_limit_to_default(POOL)
                continue
            with pytest.raises(sqlalchemy.exc.InternalError, match="aborted"):
                storage.initialize_concurrency_limit_to_default(POOL)
            storage.set_concurrency_slots(POOL, limit)  # dagster instance concurrency set
            [pool] = [one for one in storage.get_pool_limits() if one.name == POOL]
            assert (pool.limit, pool.from_default) == (2, False)


def limits_of(concurrency: dict[str, Any]) -> dict[tuple[str, str | None], int]:
    """How many runs with a tag may be under way."""
    return {(one["key"], one.get("value")): one["limit"] for one in concurrency["runs"]["tag_concurrency_limits"]}


@pytest.mark.parametrize("name", LAUNCHERS)
def test_one_place_is_left_for_what_is_new(name):
    """However much is swept up, backfilled and replayed: of the runs, and of a pool with more than one place."""
    concurrency = read(name)["concurrency"]
    limits = limits_of(concurrency)
    assert set(limits) == {(URGENCY_TAG, "sweep"), ("dagster/backfill", None), (REPLAY_TAG, None)}
    places = concurrency["pools"]["default_limit"]
    assert sum(limits.values()) < concurrency["runs"]["max_concurrent_runs"]
    assert places == 1 or sum(limits.values()) < places < concurrency["runs"]["max_concurrent_runs"]
    assert concurrency["pools"]["granularity"] == "op"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_rest_is_as_in_the_plain_one(name):
    """A change in one of them is a change in all; what differs is named here."""
    plain, other = read(""), read(name)
    differ = {"storage", "concurrency", "run_launcher", "compute_logs", "telemetry"}
    if name == "ecs":
        other["run_monitoring"]["start_timeout_seconds"] = plain["run_monitoring"]["start_timeout_seconds"]
    assert {key: value for key, value in other.items() if key not in differ} == {
        key: value for key, value in plain.items() if key not in differ
    }


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_workspace_names_the_code_location_as_everywhere(name):
    """Another name would be another code location: no sensor on, no history."""
    text = (DEPLOY / name / "workspace.yaml").read_text(encoding="utf-8")
    [server] = [one["grpc_server"] for one in yaml.safe_load(text)["load_from"]]
    assert server == {"host": {"compose": "code"}.get(name, "127.0.0.1"), "port": 4000, "location_name": "s3_assets"}
