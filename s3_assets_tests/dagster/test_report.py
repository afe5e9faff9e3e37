"""`delivery_report` through Dagster: what it asks S3 for, what it says, and what asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._serdes import serialize_value  # the form of an event's row is not public
from dagster_aws.s3 import S3Resource

from s3_assets.dagster import assets, report
from s3_assets.dagster.assets import LAYER_TAG, asset_owners
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.dagster.metadata import console_of, folder_link, object_link
from s3_assets.dagster.names import Names
from s3_assets.dagster.report import DAYS_AGO, delivery_report_schedule, read_day
from s3_assets.dagster.report_metadata import MOST_QUARANTINED, report_metadata, sentence
from s3_assets.errors import StoreError
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.ledger import Quarantined
from s3_assets.opening import open_pipeline
from s3_assets.report.charts import IN_PLACE_CHARACTERS
from s3_assets.report.day import Arrival, HourOfDay, report_day
from s3_assets.settings import load_settings
from s3_assets_tests.dagster.conftest import materializations
from s3_assets_tests.deployment import FIVE_FILES

if TYPE_CHECKING:
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets_tests.dagster.conftest import Location
    from s3_assets_tests.deployment import Deployment

EVENT = "customer_new_customer_event"
DAY = "2021-09-01"
ODD = "a|b 상품"
CHARTS = ("arrivals_by_minute", "arrivals_by_hour", "minutes_with_sources", "source_sizes")


def run_report(location: Location, **asked: Any) -> dg.ExecuteInProcessResult:
    """The report's job, with a config or a partition."""
    job = location.definitions.resolve_job_def("delivery_report_job")
    if "partition" in asked:
        return job.execute_in_process(
            instance=location.instance, partition_key=asked["partition"], raise_on_error=False
        )
    config = {"ops": {"delivery_report": {"config": asked}}}
    return job.execute_in_process(instance=location.instance, run_config=config, raise_on_error=False)


def values(one: dg.AssetMaterialization) -> dict[str, Any]:
    """Its metadata, as plain values where they are plain."""
    return {name: value.value for name, value in one.metadata.items() if hasattr(value, "value")}


@pytest.fixture
def five_files(deployment: Deployment, location: Location) -> None:
    """The five files, one more that is broken, and their hours made."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    deployment.drop(f"{EVENT}/{DAY}/07_30_bad.csv", b'id,name\n1,"never closed\n')
    location.instance.add_dynamic_partitions("event", [EVENT])
    keys = [f"{EVENT}|{DAY}-{hh}:00" for hh in ("07", "08")]
    assert location.run({"ops": {"hourly_gzip": {"config": {"partition_keys": keys}}}}).success


def test_a_day_is_reported_from_its_sources_and_hour_files(
    deployment: Deployment, location: Location, five_files: None
) -> None:
    """All late by years, one quarantined, one not taken in yet; nothing is written to S3."""
    deployment.drop(f"{EVENT}/{DAY}/08_20_new.csv", b"id,name\n128,f\n")
    before = {info.key: info.etag for info in deployment.store.list("")}
    result = run_report(location, partition=f"{DAY}|{EVENT}")
    assert result.success
    assert {info.key: info.etag for info in deployment.store.list("")} == before
    [one] = materializations(result).values()
    assert str(one.partition) == f"{DAY}|{EVENT}"
    said = values(one)
    sizes = sorted([*(len(data) for data in FIVE_FILES.values()), 24, 14])
    wanted = {
        "sources": 7,
        "late_sources": 7,
        "late_share": 1.0,
        "late_by_a_week_share": 1.0,
        "early_sources": 0,
        "hours_over": 24,
        "hours_without_sources": 22,
        "missing_minutes": 0,
        "quarantined_sources": 1,
        "gone_sources": 0,
        "waiting_sources": 1,
        "rows": 5,
        "source_bytes": sum(sizes),
        "smallest_source_bytes": sizes[0],
        "largest_source_bytes": sizes[-1],
        "sources_at": f"s3://{deployment.store.bucket}/source/{EVENT}/{DAY}/",
    }
    assert {name: said[name] for name in wanted} == wanted
    files = [deployment.store.head(f"target/{EVENT}/{DAY}/{hh}.csv.gz") for hh in ("07", "08")]
    assert said["hour_file_bytes"] == sum(info.size for info in files if info is not None)
    assert [record.data["reason"] for record in one.metadata["quarantined"].records] == ["unclosed quote"]
    hours = {record.data["hour"]: record.data for record in one.metadata["hours"].records}
    assert (len(hours), hours["08:00"]["sources"], hours["08:00"]["note"]) == (24, 2, "1 not taken in yet")
    assert one.description == "7 sources in 24 hours that are over, 7 late, 1 quarantined, 22 hours without any"
    assert "open_in_s3" not in said  # SeaweedFS has no console


def test_one_run_reports_on_many_days_of_all_events(
    deployment: Deployment, location: Location, five_files: None
) -> None:
    """Also on an event that delivered nothing, and on one whose name has to be escaped; never before the start."""
    deployment.drop(f"{ODD}/{DAY}/07_00_file.csv", b"id\n1\n")
    location.instance.add_dynamic_partitions("event", ["a%7Cb 상품"])
    result = run_report(location, days=["2021-08-31", DAY, "2021-09-02"])
    assert result.success
    found = {key: values(one)["sources"] for key, one in materializations(result).items()}
    odd = "a%7Cb 상품"
    assert found == {f"{DAY}|{EVENT}": 6, f"{DAY}|{odd}": 1, f"2021-09-02|{EVENT}": 0, f"2021-09-02|{odd}": 0}
    only = run_report(location, days=[DAY, "2999-01-01"], events=[ODD])
    assert list(materializations(only)) == [f"{DAY}|{odd}"]
    alone = run_report(location, partition=f"{DAY}|{odd}")
    assert [values(one)["sources"] for one in materializations(alone).values()] == [1]


@pytest.mark.parametrize(
    "asked, said",
    [
        ({}, "It is not clear which days"),
        ({"days": ["yesterday"]}, "is no day"),
        ({"days": [DAY], "events": ["paymnets"]}, "'paymnets' is no event of delivery_report"),
    ],
)
def test_what_is_not_clear_is_refused(location: Location, asked: dict[str, Any], said: str) -> None:
    """With what to write in its place."""
    result = run_report(location, **asked)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert said in failure.step_failure_data.user_failure_data.description


def test_one_report_that_cannot_be_made_spoils_no_other(
    location: Location, five_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are there, and the run is red and says which and why."""
    location.instance.add_dynamic_partitions("event", ["other"])

    def fail_for_one(site: Pipeline, event: str, day: str, now: datetime) -> Any:
        if event == EVENT:
            raise StoreError("ListObjectsV2", f"source/{event}/{day}/", "the connection was cut")
        return read_day(site, event, day, now)

    monkeypatch.setattr(report, "read_day", fail_for_one)
    result = run_report(location, days=[DAY])
    assert not result.success
    assert list(materializations(result)) == [f"{DAY}|other"]
    [failure] = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description
    assert said.startswith(f"1 of 2 reports could not be made. First: {EVENT} {DAY}: ")
    assert "the connection was cut" in said


def test_today_has_the_hours_that_have_begun(deployment: Deployment) -> None:
    """The others are neither empty nor missing."""
    with open_pipeline(load_settings(deployment.environment)) as site:
        found = read_day(site, EVENT, "2024-06-01", datetime(2024, 6, 1, 9, 30, tzinfo=UTC))
        assert (len(found.hours), found.hours_over, found.empty_hours) == (10, 9, 9)
        assert read_day(site, EVENT, "2024-06-02", datetime(2024, 6, 1, 9, 30, tzinfo=UTC)).hours == ()


# --- what is shown -----------------------------------------------------------------------------------------


def worst_day() -> Any:
    """As much of everything as there can be: a file each minute, all of them late, many quarantined."""
    bad = tuple(
        Quarantined(f"e/{DAY}/07_00_{'x' * 900}{number}.csv", "t", 1, "unclosed quote", "why " * 500, None, alone=True)
        for number in range(300)
    )
    return report_day(
        HourOfDay(
            Hour("e", f"{DAY}-{hh:02d}:00"),
            is_over=True,
            arrivals=tuple(
                Arrival(minute, 1 << (minute % 40), delay := timedelta(minutes=minute * (hh + 3)), delay)
                for minute in range(60)
                if (minute + hh) % 3
            ),
            gone=0,
            waiting=10**9,
            quarantined=bad,
            rows=10**12,
            plain_bytes=10**15,
            file_bytes=10**14,
            problem="its footer is damaged " * 100 if hh % 2 else "",
        )
        for hh in range(24)
    )


def test_the_largest_report_is_small_and_its_charts_are_in_place() -> None:
    """It lives in the event log: 50 kB at most, whatever producers do; each chart below what the UI hides."""
    shown = report_metadata(worst_day())
    assert len(serialize_value(dg.AssetMaterialization("delivery_report", metadata=shown))) < 50_000
    for name in CHARTS:
        assert isinstance(shown[name], dg.MarkdownMetadataValue)
        assert len(shown[name].value) < IN_PLACE_CHARACTERS
    assert list(shown)[: len(CHARTS)] == list(CHARTS)
    assert len(shown["quarantined"].records) == MOST_QUARANTINED
    quiet = report_metadata(report_day([HourOfDay(Hour("e", f"{DAY}-00:00"), is_over=True, arrivals=())]))
    assert not set(CHARTS) & set(quiet)  # nothing to draw


def test_what_is_plotted_is_a_number() -> None:
    """The UI plots ints and floats over partitions, each under its name."""
    shown = report_metadata(worst_day())
    plotted = {name for name, value in shown.items() if isinstance(value, int | float)}
    assert plotted >= {"sources", "late_share", "late_by_a_day_share", "missing_minutes", "rows", "source_bytes"}
    assert plotted >= {"quarantined_sources", "compression_ratio", "median_delay_seconds", "hour_file_bytes"}


def test_a_quiet_day_is_said_in_one_clause() -> None:
    """Nothing is named that is not there."""
    hour = Hour("e", f"{DAY}-00:00")
    one = HourOfDay(hour, is_over=True, arrivals=(Arrival(0, 1, timedelta(), timedelta()),))
    assert sentence(report_day([one])) == "1 sources in 1 hours that are over"


# --- what asks for it, and what it hangs on ----------------------------------------------------------------


def test_the_schedule_asks_for_some_days_again() -> None:
    """So that what came late is counted: one run, all events, and a day again after two, three, eight and 31 days."""
    schedule = delivery_report_schedule(Names())
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    tick = datetime(2024, 3, 1, 1, 30, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=tick) as context:
        request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    days = request.run_config["ops"]["delivery_report"]["config"]["days"]
    assert days == ["2024-02-29", "2024-02-28", "2024-02-27", "2024-02-22", "2024-01-30"]
    assert len(days) == len(DAYS_AGO)
    assert request.run_key == "2024-03-01"


def test_assets_say_what_they_are() -> None:
    """Descriptions, kinds, a layer to select them by, and their code where the package is a checkout."""
    graph = build_definitions().resolve_asset_graph()
    layers = {key.to_user_string(): graph.get(key).tags[LAYER_TAG] for key in graph.get_all_asset_keys()}
    assert layers == {"source_csv": "source", "hourly_gzip": "hour_files", "delivery_report": "report"}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.kinds
    for name in ("hourly_gzip", "delivery_report"):
        metadata = graph.get(dg.AssetKey(name)).metadata
        [reference] = metadata["dagster/code_references"].code_references
        assert reference.file_path.endswith(f"s3_assets/dagster/{'report' if 'report' in name else 'assets'}.py")


@pytest.mark.parametrize(
    "owner, owners",
    [
        ("@data-team", ["team:data-team"]),
        ("data team", ["team:data team"]),
        ("ann@example.com", ["ann@example.com"]),
        ("<!subteam^S0123ABCD>", []),
        ("", []),
    ],
)
def test_the_owner_of_alerts_owns_the_assets(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, owner: str, owners: list[str]
) -> None:
    """In the form that Dagster takes; it refuses others when definitions load."""
    toml = tmp_path / "settings.toml"
    toml.write_text(f'[alerts]\nowner = "{owner}"\n' if owner else "")
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(toml))
    graph = build_definitions().resolve_asset_graph()
    assert {tuple(graph.get(key).owners) for key in graph.get_all_asset_keys()} == {tuple(owners)}


def test_settings_of_alerts_that_are_wrong_keep_no_definitions_from_loading() -> None:
    """`alerts_sensor` tells what is wrong with them."""
    assert asset_owners({"S3_ASSETS_SLACK_TOKEN": "nonsense"}) == []


def test_names_of_groups_and_pipelines_stand_apart() -> None:
    """Each has its own report, job and schedule beside its hour files."""
    names = HourlyPipeline("orders").names("big")
    assert report.report_key(names) == dg.AssetKey(["orders", "delivery_report_big"])
    assert report.report_op(names) == "orders_delivery_report_big"


# --- links -------------------------------------------------------------------------------------------------


@pytest.fixture
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS as the environment leaves it."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_only_aws_has_a_page_for_an_object(no_endpoint: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads nowhere is worse than none; another store's objects are named by `dagster/uri`."""
    aws = console_of(S3Resource().get_client())
    assert aws == "https://s3.console.aws.amazon.com"
    assert console_of(S3Resource(region_name="cn-north-1").get_client()) == "https://console.amazonaws.cn"
    assert console_of(S3Resource(endpoint_url="http://127.0.0.1:9000").get_client()) is None
    uri = "s3://raw/target/a b+c/2024-06-01/07.csv.gz"
    link = object_link(aws, uri)["open_in_s3"].value
    assert link == f"{aws}/s3/object/raw?prefix=target%2Fa%20b%2Bc%2F2024-06-01%2F07.csv.gz"
    assert folder_link(aws, "s3://raw/x/")["open_in_s3"].value == f"{aws}/s3/buckets/raw?prefix=x%2F"
    assert object_link(None, uri) == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://minio.example.com")
    assert console_of(S3Resource().get_client()) is None


def test_an_hour_links_to_its_file_and_says_what_share_was_late(
    location: Location, five_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where AWS has the file; the share is plotted."""
    monkeypatch.setattr(assets, "console_of", lambda s3: "https://console")
    [one] = materializations(location.run(partition=f"{EVENT}|{DAY}-07:00")).values()
    said = values(one)
    uri = said["dagster/uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    assert said["open_in_s3"] == f"https://console/s3/object/{bucket}?prefix={key.replace('/', '%2F')}"
    assert said["late_share"] == 1.0
