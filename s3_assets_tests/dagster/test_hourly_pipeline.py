"""Pipelines in a code location of one's own: side by side, each with its own settings; problems told at once."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from s3_assets.alerts.problems import HOUR, RUN
from s3_assets.dagster.alert_scope import told_of
from s3_assets.dagster.alerts import watches
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.dagster.internals import DATA_VERSION_TAG, latest_tags
from s3_assets.dagster.notes import failing_hours
from s3_assets.dagster.resources import OWN_SETTINGS, PipelineSettings, from_values
from s3_assets.dagster.watched.hours import failing_hour_problems
from s3_assets.dagster.watched.runs import run_problems
from s3_assets.errors import SettingsError
from s3_assets.settings import PIPELINE_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets_tests.servers import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "library" / "definitions.py"
GOOD = {"source": "s3://raw/orders/", "target": "s3://hourly/orders/"}
SEVEN = "placed|2025-02-03-07:00"


def example() -> dg.Definitions:
    """The definitions of the example, loaded anew as a code server does."""
    spec = importlib.util.spec_from_file_location("example_of_a_library", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.defs


def tick(definitions: dg.Definitions, sensor: str, instance: dg.DagsterInstance) -> dg.SensorResult:
    """Evaluate a sensor once, and add the partitions that it asks for."""
    with dg.build_sensor_context(
        instance=instance, definitions=definitions, resources=definitions.resources
    ) as context:
        result = definitions.resolve_sensor_def(sensor)(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return result


# --- the example -------------------------------------------------------------------------------------------


def test_two_pipelines_and_an_asset_of_ones_own_work_side_by_side(
    running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asks for, makes and records its own hour, of an event that both have; a third asset reads one of them."""
    server = running("seaweedfs")
    buckets = {name: server.store(server.new_bucket()) for name in ("orders", "clicks")}
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for name, store in buckets.items():
        monkeypatch.setenv(f"{name.upper()}_SOURCE", f"s3://{store.bucket}/in/")
        monkeypatch.setenv(f"{name.upper()}_TARGET", f"s3://{store.bucket}/out/")
    buckets["orders"].put("in/placed/2025-02-03/07_00_a.csv", b"id,country\n1,KR\n2,DE\n")
    buckets["orders"].put("in/placed/2025-02-03/07_30_b.csv", b"id,country\n3,KR\n")
    buckets["clicks"].put("in/placed/2025-02-03/07-10-c.csv", b"page\n/home\n")  # a pattern of its own
    definitions = example()
    with dg.DagsterInstance.ephemeral() as instance:
        for name in buckets:
            [request] = tick(definitions, f"{name}_source_sensor", instance).run_requests or ()
            job = definitions.resolve_job_def(f"{name}_hourly_gzip_job")
            assert job.execute_in_process(instance=instance, run_config=dict(request.run_config)).success
            assert tick(definitions, f"{name}_source_sensor", instance).run_requests == []
        keys = {
            "orders": dg.AssetKey(["orders", "hourly_gzip"]),
            "clicks": dg.AssetKey(["web", "clicks", "hourly_gzip"]),
        }
        versions = {name: latest_tags(instance, key, [DATA_VERSION_TAG]) for name, key in keys.items()}
        assert [list(found) for found in versions.values()] == [[SEVEN], [SEVEN]]
        assert versions["orders"] != versions["clicks"]
        assert {name: list(instance.get_dynamic_partitions(f"{name}/event")) for name in buckets} == {
            "orders": ["placed"],
            "clicks": ["placed"],
        }
        for store in buckets.values():
            assert [info.key for info in store.list("out/")] == ["out/placed/2025-02-03/07.csv.gz"]
        downstream = dg.AssetKey(["orders", "orders_by_country"])
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[downstream], partition_key=SEVEN
        )
        [made] = result.get_asset_materialization_events()
        assert {name: value.value for name, value in made.materialization.metadata.items()} == {
            "orders": 3,
            "KR": 2,
            "DE": 1,
        }


# --- names -------------------------------------------------------------------------------------------------


def every_name(definitions: dg.Definitions) -> set[str]:
    """What is registered: assets, jobs, sensors, schedules, resources, partitions."""
    repository = definitions.get_repository_def()
    graph = definitions.resolve_asset_graph()
    found = {key.to_user_string() for key in graph.get_all_asset_keys()}
    for key in graph.get_all_asset_keys():
        if isinstance(grid := graph.get(key).partitions_def, dg.MultiPartitionsDefinition):
            events = grid.get_partitions_def_for_dimension("event")
            assert isinstance(events, dg.DynamicPartitionsDefinition)
            found.add(f"partitions {events.name}")
    jobs = {name for name in repository.job_names if not name.startswith("__")}
    automations = {one.name for one in (*repository.sensor_defs, *repository.schedule_defs)}
    return found | jobs | automations | {f"resource {name}" for name in definitions.resources or ()}


def test_the_default_pipeline_keeps_the_names_that_history_hangs_on() -> None:
    """Assets, jobs, sensors, partitions and resources, as they were before pipelines had names."""
    assert every_name(build_definitions()) >= {
        "source_csv",
        "hourly_gzip",
        "partitions event",
        "hourly_gzip_job",
        "verify_job",
        "source_sensor",
        "alerts_sensor",
        "resource pipeline",
        "resource s3",
    }


def test_pipelines_share_no_name() -> None:
    """Whatever a pipeline is made of, now or later; so two of them and the default can be merged."""
    orders, clicks = (HourlyPipeline(name, GOOD) for name in ("orders", "clicks"))
    parts = [one.definitions() for one in (HourlyPipeline(), orders, clicks)]
    first, second, third = map(every_name, parts)
    assert first & second == first & third == second & third == set()
    assert all("orders" in name for name in second)
    assert every_name(dg.Definitions.merge(*parts)) == first | second | third


def test_two_pipelines_of_one_name_are_refused() -> None:
    """By Dagster, when the code location loads, and not by one of them going missing."""
    with pytest.raises(dg.DagsterInvariantViolationError, match="orders_pipeline"):
        dg.Definitions.merge(*(HourlyPipeline("orders", GOOD).definitions() for _ in range(2)))


def test_the_executor_of_a_code_location_is_left_alone() -> None:
    """Our jobs run in one process whatever it is."""
    other = dg.Definitions(executor=dg.multiprocess_executor)
    merged = dg.Definitions.merge(HourlyPipeline("orders", GOOD).definitions(), other)
    assert merged.executor is dg.multiprocess_executor
    assert merged.resolve_job_def("orders_hourly_gzip_job").executor_def.name == "in_process"


def test_groups_and_the_grid_are_a_pipelines_own(tmp_path: Path) -> None:
    """From the TOML file that its own setting names."""
    (tmp_path / "a.toml").write_text('[groups]\nrefunds = ["refund*"]\n')
    pipeline = HourlyPipeline("orders", {**GOOD, "config": str(tmp_path / "a.toml"), "start_date": "2024-06-01"})
    names = every_name(pipeline.definitions())
    assert {"orders/hourly_gzip_refunds", "orders_source_sensor_refunds", "partitions orders/event_refunds"} <= names
    hours = pipeline.partitions().get_partitions_def_for_dimension("hour")
    assert hours.get_first_partition_key() == "2024-06-01-00:00"


# --- settings ----------------------------------------------------------------------------------------------


def read(pipeline: HourlyPipeline) -> Any:
    """Its settings, as a run reads them from the resource."""
    found = []

    @dg.op(required_resource_keys={pipeline.names().settings})
    def look(context):
        resource = context.resources.original_resource_dict[pipeline.names().settings]
        found.append((resource.settings(), resource.alert_settings()))

    @dg.job(resource_defs=pipeline.definitions().resources)
    def looking() -> None:
        look()

    assert looking.execute_in_process().success
    return found[0]


def test_a_pipeline_with_settings_reads_none_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what one forgot would quietly be that of another: here an unknown variable does not even disturb it."""
    for name, value in {"TARGET": "s3://theirs/out/", "HOT_DAYS": "9", "SLACK_CHANNEL": "#theirs", "TYPO": "x"}.items():
        monkeypatch.setenv(f"S3_ASSETS_{name}", value)
    hourly, alerts = read(HourlyPipeline("orders", {**GOOD, "fetch_threads": 3}))
    assert (str(hourly.target), hourly.hot_days, hourly.fetch_threads) == ("s3://hourly/orders/", 2, 3)
    assert alerts.slack_channel is None


def test_a_setting_in_a_variable_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when definitions load; numbers and secrets too."""
    settings = {
        **GOOD,
        "hot_days": dg.EnvVar("ORDERS_DAYS"),
        "tick_seconds": dg.EnvVar.int("ORDERS_SECONDS"),
        "slack_token": dg.EnvVar("ORDERS_TOKEN"),
        "slack_channel": "#orders",
    }
    pipeline = HourlyPipeline("orders", settings)
    for name, value in {"DAYS": "5", "SECONDS": "7", "TOKEN": "xoxb-1-2"}.items():
        monkeypatch.setenv(f"ORDERS_{name}", value)
    hourly, alerts = read(pipeline)
    assert (hourly.hot_days, hourly.tick_seconds, alerts.slack_token) == (5, 7, "xoxb-1-2")
    shown = (pipeline.definitions().resources or {})["orders_pipeline"]._get_non_default_public_field_values()
    assert shown["slack_token"].env_var_name == "ORDERS_TOKEN"


def test_what_can_be_said_is_the_table_of_settings() -> None:
    """Each row is a field of the resource, and taken when it is written down."""
    assert set(PipelineSettings.model_fields) == {"environment", *(setting.name for setting in PIPELINE_SETTINGS)}
    plain = {setting.name: setting.example for setting in PIPELINE_SETTINGS if not setting.secret}
    resource = from_values(plain)
    assert {name: str(getattr(resource, name)) for name in plain} == plain


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"source": "s3://raw/"}, "target: not set; needs s3://bucket/prefix/"),
        ({**GOOD, "hotdays": 3}, "hotdays: there is no such setting; did you mean hot_days?"),
        ({**GOOD, "start_date": "1.6.2024"}, "start_date: found '1.6.2024'"),
        ({**GOOD, "start_date": True}, "start_date: found True"),
        ({**GOOD, "target": "s3://raw/orders/out/"}, "which is inside source"),
        ({**GOOD, "backup_dir": "/var"}, "backup_dir: no setting of a pipeline; it is set by S3_ASSETS_BACKUP_DIR"),
        ({**GOOD, "slack_token": "xoxb-9-very-secret"}, 'dg.EnvVar("SLACK_TOKEN")'),
        ({**GOOD, "config": "/nowhere/a.toml"}, "config: found '/nowhere/a.toml', which can't be read"),
        ({**GOOD, "source": dg.EnvVar("NOT_SET_ANYWHERE"), "hot_days": "many"}, "hot_days: found 'many'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_problem_is_told_when_the_pipeline_is_defined(settings: Mapping[str, Any], problem: str) -> None:
    """By the names that were written, with the pipeline's, and with no secret."""
    with pytest.raises(SettingsError) as caught:
        HourlyPipeline("orders", settings)
    [line] = caught.value.problems
    assert line.startswith("pipeline orders: ")
    assert problem in line
    assert "very-secret" not in line


def test_all_problems_are_told_at_once() -> None:
    """Of the names and of the values."""
    with pytest.raises(SettingsError) as caught:
        HourlyPipeline("orders", {"sauce": "s3://raw/", "hot_days": 99})
    assert [line.split(": ")[1] for line in caught.value.problems] == ["sauce", "source", "target", "hot_days"]


@pytest.mark.parametrize("name", ["Orders", "1st", "a-b", "a b", "x" * 42])
def test_a_name_that_dagster_would_not_take_is_refused(name: str) -> None:
    """It becomes part of the names of ops and jobs."""
    with pytest.raises(SettingsError, match="name: found"):
        HourlyPipeline(name, GOOD)


def test_a_run_tells_problems_by_the_names_that_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable may turn out wrong only then."""
    pipeline = HourlyPipeline("orders", {**GOOD, "source": dg.EnvVar("ORDERS_SOURCE")})
    monkeypatch.setenv("ORDERS_SOURCE", "raw/orders")
    with pytest.raises(SettingsError, match=r"- source: found 'raw/orders'"):
        read(pipeline)


def test_a_command_that_an_error_names_comes_with_whose_settings_it_needs(
    running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line reads the environment's: there it would be about another pipeline's hour of the same name."""
    server = running("seaweedfs")
    store = server.store(server.new_bucket())
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3_ASSETS_SOURCE", f"s3://{store.bucket}/in/")
    monkeypatch.setenv("S3_ASSETS_TARGET", f"s3://{store.bucket}/out/")
    store.put("in/placed/2025-02-03/07_00_a.csv", b"id\n1\n")
    store.put("out/placed/2025-02-03/07.csv.gz", b"someone's data")
    own = {"source": f"s3://{store.bucket}/in/", "target": f"s3://{store.bucket}/out/"}
    said: list[str] = []
    for pipeline in (HourlyPipeline(), HourlyPipeline("orders", own)):
        definitions = pipeline.definitions()
        with dg.DagsterInstance.ephemeral() as instance:
            config = {"ops": {pipeline.names().op: {"config": {"partition_keys": [SEVEN]}}}}
            job = definitions.resolve_job_def(pipeline.names().job)
            assert not job.execute_in_process(instance=instance, run_config=config, raise_on_error=False).success
            [failing] = failing_hours(instance, pipeline.asset).values()
            said.append(failing.words)
            job = definitions.resolve_job_def(pipeline.names().verify_job)
            result = job.execute_in_process(instance=instance)
            [evaluation] = result.get_asset_check_evaluations()
            metadata = {name: value.value for name, value in evaluation.metadata.items()}
            assert metadata.get("to_mend", "") == ("" if not pipeline.name else OWN_SETTINGS)
    assert "s3-assets sync --rebuild --event placed" in said[0]
    assert said[1] == said[0].removesuffix(")") + f"; {OWN_SETTINGS})"


# --- alerts ------------------------------------------------------------------------------------------------


def test_each_alerts_sensor_tells_of_its_own_and_one_of_the_rest() -> None:
    """Nothing twice, and nothing left out but each sensor itself, which can't."""

    @dg.op
    def nothing() -> None:
        """Do it."""

    @dg.job
    def nightly() -> None:
        nothing()

    pipelines = [
        HourlyPipeline(alerts="location"),
        HourlyPipeline("orders", GOOD),
        HourlyPipeline("clicks", GOOD, alerts="none"),
    ]
    parts = [pipeline.definitions() for pipeline in pipelines]
    repository = dg.Definitions.merge(*parts, dg.Definitions(jobs=[nightly])).get_repository_def()
    assert "clicks_alerts_sensor" not in {sensor.name for sensor in repository.sensor_defs}
    jobs, automations = told_of(repository, "alerts_sensor", "location")
    own_jobs, own_automations = told_of(repository, "orders_alerts_sensor", "pipeline")
    assert own_jobs >= {"orders_hourly_gzip_job", "orders_verify_job"}
    assert "orders_source_sensor" in own_automations
    assert all(name.startswith("orders_") for name in own_jobs | own_automations)
    assert jobs >= {"nightly", "hourly_gzip_job", "clicks_hourly_gzip_job"}
    assert automations >= {"source_sensor", "clicks_source_sensor", "orders_alerts_sensor"}
    assert jobs & own_jobs == automations & own_automations == set()
    assert jobs | own_jobs == set(repository.job_names)
    every = {one.name for one in (*repository.sensor_defs, *repository.schedule_defs)}
    assert automations | own_automations == every - {"alerts_sensor"}


@pytest.mark.parametrize(
    "pipeline, told",
    [
        ("", {"alerts_sensor": "payments 2024-06-01-07:00"}),
        ("orders", {"orders_alerts_sensor": "payments 2024-06-01-07:00"}),
        ("clicks", {"alerts_sensor": "clicks/hourly_gzip payments|2024-06-01-07:00"}),
    ],
    ids=["default", "own sensor", "no sensor"],
)
def test_a_run_from_the_ui_that_was_lost_is_told_by_one_sensor(pipeline: str, told: dict[str, str]) -> None:
    """Its job is Dagster's own for all assets of the code location. Whose hours nobody tells is told as a run."""
    pipelines = {
        "alerts_sensor": HourlyPipeline(alerts="location"),
        "orders_alerts_sensor": HourlyPipeline("orders", GOOD),
        "": HourlyPipeline("clicks", GOOD, alerts="none"),
    }
    definitions = dg.Definitions.merge(*(one.definitions() for one in pipelines.values()))
    run = dg.DagsterRun(
        "__ASSET_JOB",
        asset_selection=frozenset([HourlyPipeline(pipeline, GOOD).asset]),
        tags={"dagster/partition": "payments|2024-06-01-07:00"},
    )
    found: dict[str, list[str]] = {}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_FAILURE", run.job_name), run_id=run.run_id)
        for sensor, one in pipelines.items():
            if sensor:
                with dg.build_sensor_context(
                    instance=instance, repository_def=definitions.get_repository_def(), sensor_name=sensor
                ) as context:
                    every = watches(context, [one.names()], "pipeline" if one.name else "location")
                    for watch in (watch for watch in every if watch.kinds & {HOUR.name, RUN.name}):
                        for problem in watch.source(instance, datetime.now(UTC)):
                            found.setdefault(sensor, []).append(problem.thing)
    assert found == {sensor: [thing] for sensor, thing in told.items()}


def test_a_failed_run_downstream_is_a_problem_of_its_job_and_of_no_hour() -> None:
    """An asset of one's own may have the partitions of hour files; its runs make none."""

    @dg.op
    def broken() -> None:
        """Fail."""
        raise ValueError

    @dg.job
    def downstream() -> None:
        broken()

    names, now = HourlyPipeline("orders", GOOD).names(), datetime.now(UTC) + timedelta(minutes=30)
    with dg.DagsterInstance.ephemeral() as instance:
        downstream.execute_in_process(instance=instance, tags={"dagster/partition": SEVEN}, raise_on_error=False)
        assert list(failing_hour_problems([names])(instance, now)) == []
        [problem] = run_problems({"downstream"}, None, [names])(instance, now)
    assert problem.thing == f"downstream {SEVEN}"
