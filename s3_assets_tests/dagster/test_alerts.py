"""Alerts through Dagster's own entry points: what is read from its storage, and what one tick after another says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from s3_assets.alerts.problems import BREAKER, HOUR, QUARANTINED, RUN, Problem
from s3_assets.alerts.state import AlertState
from s3_assets.controller.records import Failing
from s3_assets.dagster.alerts import INTERVAL_S
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.internals import DATA_VERSION_TAG
from s3_assets.dagster.names import Names
from s3_assets.dagster.records import FAILED_TAG
from s3_assets.dagster.watched.hours import (
    SETTLES_WITHIN,
    failing_hour_problems,
    hour_problem,
    quarantined_problems,
)
from s3_assets.dagster.watched.look import BLIND_TICKS, Watch, blind_problems, look
from s3_assets.dagster.watched.runs import FAILED_TICKS, automation_problems, run_problems
from s3_assets.hour_file.changes import data_version
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.alerts.slack_stand_in import FAILS, OK, TOKEN, SlackStandIn, refuses
from s3_assets_tests.dagster.alerting import Daemon, slack_for, wipe
from s3_assets_tests.dagster.conftest import Location
from s3_assets_tests.deployment import FIVE_FILES, Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

ASSET = dg.AssetKey("hourly_gzip")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PAYMENTS = Hour("payments", "2024-06-01-07:00")
FOREIGN = "target 'payments/2024-06-01/07.csv.gz' is damaged: no ledger (it may be someone's data: move it away)"
EVENT = "customer_new_customer_event"


# --- what is read ------------------------------------------------------------------------------------------


def failing(**changes) -> Failing:
    """An hour that failed once, a minute ago, and may be right with the next try."""
    once = Failing(
        hour=PAYMENTS,
        since=NOW - timedelta(minutes=1),
        last=NOW - timedelta(minutes=1),
        tries=1,
        error="StoreUnavailableError",
        words="GetObject: no answer",
        permanent=False,
        target_etag="",
        run_id="0b3ff1b6-9c0e",
    )
    return replace(once, **changes)


@pytest.mark.parametrize(
    "changes, settled, by_itself",
    [
        ({}, False, True),
        ({"tries": 2}, True, True),
        ({"since": NOW - SETTLES_WITHIN}, True, True),
        ({"error": "ForeignTargetError", "permanent": True}, True, False),
        ({"error": "BreakerOpenError"}, True, False),
    ],
)
def test_an_hour_is_a_problem_once_a_retry_did_not_help_or_can_not(changes, settled, by_itself):
    """Before its second failure nothing is said, unless it is permanent or the retry does not come."""
    problem = hour_problem(failing(**changes), NOW)
    assert (problem.settled, problem.by_itself) == (settled, by_itself)


def test_a_failing_hour_says_what_there_is_to_know():
    """Its error's words, since when, how often, when it is tried again, and the run."""
    problem = hour_problem(failing(last=NOW, tries=3), NOW)
    assert problem == Problem(
        HOUR,
        "payments 2024-06-01-07:00",
        "GetObject: no answer",
        event="payments",
        label="2024-06-01-07:00",
        cause="StoreUnavailableError",
        since=NOW - timedelta(minutes=1),
        tries=3,
        heals="it is tried again at 12:04 UTC, and from then on until it is right",
        by_itself=True,
        page="runs/0b3ff1b6-9c0e",
        page_name="run 0b3ff1b6",
    )


def test_the_breaker_is_an_alert_of_its_own():
    """With its own words: somebody has to decide."""
    problem = hour_problem(failing(error="BreakerOpenError", words="9 of 10 sources vanished"), NOW)
    assert (problem.kind, problem.words) == (BREAKER, "9 of 10 sources vanished")


@pytest.fixture
def memory() -> Iterator[dg.DagsterInstance]:
    """An instance that is quick, and has no ticks."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def on_disk() -> Iterator[dg.DagsterInstance]:
    """An instance on SQLite, as `dagster dev` has it; to make one takes longer than most tests."""
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def instance(on_disk: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """The instance on SQLite, as new."""
    yield on_disk
    wipe(on_disk)


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The code location."""
    return build_definitions()


def partition_of(hour: Hour) -> dg.MultiPartitionKey:
    """The hour's partition."""
    return dg.MultiPartitionKey({"event": hour.partition_key.split("|")[0], "hour": hour.label})


def record_failure(instance: dg.DagsterInstance, hour: Hour, *, since: datetime, error: str, permanent: bool) -> None:
    """As a run does, of an hour that it could not make right."""
    metadata = {
        "error": error,
        "words": f"{FOREIGN} of {hour.label}",
        "tries": 1,
        "since": dg.MetadataValue.timestamp(since.timestamp()),
        "permanent": permanent,
        "next_try": dg.MetadataValue.timestamp(since.timestamp()),
        "hour_file_etag": "",
    }
    instance.report_runless_asset_event(dg.AssetObservation(ASSET, partition=partition_of(hour), metadata=metadata))


def materialize(instance: dg.DagsterInstance, hour: Hour, quarantined: dict[str, str] | None = None) -> None:
    """As a run does, of an hour that it made right but for some sources."""
    some = quarantined or {}
    tags = {DATA_VERSION_TAG: data_version("f1", len(some))}
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=partition_of(hour), tags=tags))
    if some:
        words = "; ".join(f"{source}: {reason} (in line 2)" for source, reason in some.items())
        note = dg.AssetObservation(
            ASSET, partition=partition_of(hour), metadata={"quarantined": len(some), "words": words}
        )
        instance.report_runless_asset_event(note)


def test_quarantined_sources_are_a_problem_until_their_hour_is_without(memory):
    """With their names and reasons; another hour's are told beside."""
    materialize(memory, PAYMENTS, {"07_30_bad.csv": "unclosed quote"})
    materialize(memory, Hour("a|b", "2024-06-01-08:00"), {f"{n}.csv": "ragged row" for n in range(5)})
    materialize(memory, Hour("clicks", "2024-06-01-08:00"))
    other, first = quarantined_problems([Names()])(memory, NOW)
    assert (first.kind, first.thing, first.words) == (
        QUARANTINED,
        "payments 2024-06-01-07:00",
        "07_30_bad.csv: unclosed quote (in line 2)",
    )
    assert first.since is not None
    assert first.page == "assets/hourly_gzip?view=partitions&partition=payments%7C2024-06-01-07%3A00"
    assert other.event == "a|b"
    materialize(memory, PAYMENTS)
    assert [problem.event for problem in quarantined_problems([Names()])(memory, NOW)] == ["a|b"]


class FlakyError(Exception):
    """What the job below fails with."""


@dg.op(config_schema={"fails": bool})
def work(context) -> None:
    """Fail, or not."""
    if context.op_config["fails"]:
        raise FlakyError("the disk is full")


@dg.job
def nightly() -> None:
    """A job beside the hours."""
    work()


@dg.job(name=Names().job)
def of_hours() -> None:
    """By its name, the job that makes hours."""
    work()


def run_nightly(instance: dg.DagsterInstance, *, fails: bool, job: dg.JobDefinition = nightly, **tags: str) -> str:
    """Run it, and tell the run's id."""
    config = {"ops": {"work": {"config": {"fails": fails}}}}
    result = job.execute_in_process(
        instance=instance,
        run_config=config,
        raise_on_error=False,
        tags={name.replace("__", "/"): v for name, v in tags.items()},
    )
    return result.run_id


def test_a_job_whose_last_run_failed_is_a_problem_until_one_succeeds(memory):
    """With the error's own words, since the first of the failures in a row."""
    source = run_problems({"nightly"}, None, [Names()])
    run_nightly(memory, fails=True)
    run_nightly(memory, fails=False)
    assert list(source(memory, datetime.now(UTC))) == []
    began = datetime.now(UTC)
    run_nightly(memory, fails=True)
    last = run_nightly(memory, fails=True)
    [problem] = source(memory, datetime.now(UTC))
    assert (problem.kind, problem.thing, problem.tries) == (RUN, "nightly", 2)
    assert (problem.words, problem.cause) == ("the disk is full", "FlakyError")
    assert problem.page == f"runs/{last}"
    assert problem.since is not None
    assert began <= problem.since <= datetime.now(UTC)
    run_nightly(memory, fails=False)
    assert list(source(memory, datetime.now(UTC))) == []


def test_partitions_of_a_job_are_problems_of_their_own(memory):
    """Another day's success mends nothing."""
    run_nightly(memory, fails=True, dagster__partition="2024-06-01")
    run_nightly(memory, fails=True)
    run_nightly(memory, fails=False, dagster__partition="2024-06-02")
    problems = run_problems({"nightly"}, None, [Names()])(memory, datetime.now(UTC))
    assert sorted(problem.thing for problem in problems) == ["nightly", "nightly 2024-06-01"]


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"]), config_schema={"fails": bool})
def daily(context) -> None:
    """By the job of its own, or by Dagster's."""
    if context.op_execution_context.op_config["fails"]:
        raise FlakyError("the disk is full")


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"]), config_schema={"fails": bool})
def weekly(context) -> None:
    """Beside it, with the same partitions."""
    if context.op_execution_context.op_config["fails"]:
        raise FlakyError("no paper")


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"]), config_schema={"fails": bool})
def halfway(context) -> None:
    """Fails when all of it is made."""
    context.log_event(dg.AssetMaterialization("halfway", partition=context.partition_key))
    if context.op_execution_context.op_config["fails"]:
        raise FlakyError("no answer")


@dg.asset_check(asset=daily)
def checked() -> dg.AssetCheckResult:
    """Of no matter here."""
    return dg.AssetCheckResult(passed=True)


BOTH = dg.Definitions(
    assets=[daily, weekly, halfway],
    asset_checks=[checked],
    jobs=[dg.define_asset_job("daily_job", [daily]), dg.define_asset_job("both_job", [daily, weekly])],
    executor=dg.in_process_executor,
)
ASSET_JOBS = {"daily_job", "both_job", "__ASSET_JOB"}


def run_assets(
    instance: dg.DagsterInstance, job: str, *assets: str, fails: tuple[str, ...] = (), partition: str | None = "mon"
) -> None:
    """A job of assets, or, from the assets' page, Dagster's own for some of them."""
    found = BOTH.resolve_implicit_global_asset_job_def() if job == "__ASSET_JOB" else BOTH.resolve_job_def(job)
    ops = {asset: {"config": {"fails": asset in fails}} for asset in assets}
    found.execute_in_process(
        instance=instance,
        run_config={"ops": ops},
        partition_key=partition,
        asset_selection=[dg.AssetKey(asset) for asset in assets] if job == "__ASSET_JOB" else None,
        raise_on_error=False,
    )


def asset_runs(instance: dg.DagsterInstance) -> list[str]:
    """The things that are problems."""
    return sorted(problem.thing for problem in run_problems(ASSET_JOBS, None, [Names()])(instance, datetime.now(UTC)))


def test_a_failed_run_of_an_asset_is_over_when_the_partition_was_made_by_whichever_job(memory):
    """As an alert advises: from the asset's page. Another partition, or another asset with the same, mends nothing."""
    run_assets(memory, "daily_job", "daily", fails=("daily",))
    assert asset_runs(memory) == ["daily_job mon"]
    run_assets(memory, "__ASSET_JOB", "daily", partition="tue")
    run_assets(memory, "__ASSET_JOB", "weekly")
    assert asset_runs(memory) == ["daily_job mon"]
    run_assets(memory, "__ASSET_JOB", "daily")
    assert asset_runs(memory) == []
    run_assets(memory, "daily_job", "daily", fails=("daily",))
    assert asset_runs(memory) == ["daily_job mon"]  # what was made before it failed mends nothing


def test_a_failed_run_from_an_assets_page_is_told_by_its_asset(memory):
    """Not by Dagster's name for the job of all assets: a success of another asset is none of this one."""
    run_assets(memory, "__ASSET_JOB", "daily", fails=("daily",))
    assert asset_runs(memory) == ["daily mon"]
    run_assets(memory, "__ASSET_JOB", "weekly")
    assert asset_runs(memory) == ["daily mon"]
    run_assets(memory, "__ASSET_JOB", "daily", "weekly", fails=("weekly",))
    assert asset_runs(memory) == ["daily, weekly mon"]  # daily was made by it
    run_assets(memory, "daily_job", "daily")
    assert asset_runs(memory) == ["daily, weekly mon"]
    run_assets(memory, "__ASSET_JOB", "weekly")
    assert asset_runs(memory) == []


def test_of_a_job_with_several_assets_only_what_failed_has_to_be_made_again(memory):
    """What it made before it failed stands, and is not enough."""
    run_assets(memory, "both_job", "daily", "weekly", fails=("weekly",))
    assert asset_runs(memory) == ["both_job mon"]
    run_assets(memory, "daily_job", "daily")
    assert asset_runs(memory) == ["both_job mon"]
    run_assets(memory, "__ASSET_JOB", "weekly")
    assert asset_runs(memory) == []


def test_one_partition_does_not_end_what_was_for_others(memory):
    """A run over a range, or over what its config says, has no partition of its own."""
    run_assets(memory, "daily_job", "daily", fails=("daily",), partition=None)
    run_assets(memory, "__ASSET_JOB", "daily")
    run_assets(memory, "daily_job", "daily")
    assert asset_runs(memory) == ["daily_job"]


def test_what_a_run_made_before_it_failed_does_not_end_it(memory):
    """A check after it may have failed, or the last of its steps."""
    run_assets(memory, "__ASSET_JOB", "halfway", fails=("halfway",))
    assert asset_runs(memory) == ["halfway mon"]
    run_assets(memory, "__ASSET_JOB", "halfway")
    assert asset_runs(memory) == []


DAILY, CHECKED = dg.AssetKey("daily"), dg.AssetCheckKey(dg.AssetKey("daily"), "checked")


@pytest.mark.parametrize(
    "assets, checks, name, is_over",
    [
        ([], [CHECKED], "daily:checked", True),
        ([DAILY], None, "daily:checked", True),
        ([DAILY], [], "daily:checked", False),
        ([], [dg.AssetCheckKey(DAILY, "other")], "daily:checked", False),
    ],
)
def test_a_failed_run_of_a_check_is_over_when_one_with_it_succeeded(memory, assets, checks, name, is_over):
    """A run that says nothing of checks has all of its assets."""
    add_run(memory, "FAILURE", [], [CHECKED])
    assert asset_runs(memory) == [name]
    add_run(memory, "SUCCESS", assets, checks)
    assert asset_runs(memory) == ([] if is_over else [name])


def test_a_run_of_many_assets_is_named_by_the_first(memory):
    """A message holds no list of hundreds."""
    add_run(memory, "FAILURE", [dg.AssetKey(f"a{number}") for number in range(9)], None)
    assert asset_runs(memory) == ["a0, a1, a2 and 6 more"]


def add_run(instance: dg.DagsterInstance, ends: str, assets: list, checks: list | None) -> None:
    """One of Dagster's own job, as a page launches it, that ended so."""
    run = dg.DagsterRun(
        "__ASSET_JOB",
        asset_selection=frozenset(assets),
        asset_check_selection=None if checks is None else frozenset(checks),
    )
    instance.add_run(run)
    instance.report_dagster_event(dg.DagsterEvent(f"PIPELINE_{ends}", run.job_name), run_id=run.run_id)


@pytest.mark.parametrize(
    "jobs, later, tags",
    [
        ({"another"}, timedelta(0), {}),
        ({"nightly"}, timedelta(days=1, minutes=1), {}),
        ({"nightly"}, timedelta(0), {"dagster__will_retry": "true"}),
        ({"nightly"}, timedelta(0), {FAILED_TAG.replace("/", "__"): "2"}),
        ({Names().job}, timedelta(0), {"job": of_hours, "dagster__partition": "payments|2024-06-01-07:00"}),
    ],
    ids=["another location's", "a day ago", "will be retried", "names its hours", "of an hour"],
)
def test_runs_that_are_no_problem_of_a_job(memory, jobs, later, tags):
    """Of other locations, long ago, about to be retried, or told hour by hour."""
    run_nightly(memory, fails=True, **tags)
    assert list(run_problems(jobs, None, [Names()])(memory, datetime.now(UTC) + later)) == []


def test_the_hours_of_a_run_that_died_are_problems_until_a_run_came_to_its_end_with_them(memory):
    """A run that failed without a word on its hours; after one of them succeeds, the other is still a problem."""
    run_nightly(memory, fails=True, job=of_hours, dagster__partition="payments|2024-06-01-07:00")
    run_nightly(memory, fails=True, job=of_hours, dagster__partition="payments|2024-06-01-08:00")
    first, second = failing_hour_problems([Names()])(memory, datetime.now(UTC))
    assert {first.label, second.label} == {"2024-06-01-07:00", "2024-06-01-08:00"}
    assert (first.words, first.cause, first.settled) == ("the disk is full", "run lost", False)
    later = list(failing_hour_problems([Names()])(memory, datetime.now(UTC) + SETTLES_WITHIN))
    assert [problem.settled for problem in later] == [True, True]
    run_nightly(memory, fails=True, job=of_hours, dagster__partition="payments|2024-06-01-08:00")
    assert [
        problem.label for problem in failing_hour_problems([Names()])(memory, datetime.now(UTC)) if problem.settled
    ] == ["2024-06-01-08:00"]
    run_nightly(memory, fails=False, job=of_hours, dagster__partition="payments|2024-06-01-08:00")
    assert [problem.label for problem in failing_hour_problems([Names()])(memory, datetime.now(UTC))] == [
        "2024-06-01-07:00"
    ]


def test_hours_on_record_are_read_with_their_words(memory):
    """As the runs left them; one that was made right since is none."""
    record_failure(memory, PAYMENTS, since=NOW, error="ForeignTargetError", permanent=True)
    other = Hour("payments", "2024-06-01-08:00")
    record_failure(memory, other, since=NOW, error="ForeignTargetError", permanent=True)
    materialize(memory, other)
    [problem] = failing_hour_problems([Names()])(memory, NOW)
    assert (problem.thing, problem.since, problem.cause) == (str(PAYMENTS), NOW, "ForeignTargetError")


@dataclass
class Ticking:
    """A sensor as the daemon keeps it, with its ticks."""

    instance: dg.DagsterInstance
    name: str = "source_sensor"
    location: str = "s3_assets"
    status: InstigatorStatus = InstigatorStatus.RUNNING

    def __post_init__(self) -> None:
        """Put it into the instance's storage."""
        target = LoadableTargetOrigin(module_name="x")
        place = InProcessCodeLocationOrigin(target, location_name=self.location)
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), self.name)
        data = SensorInstigatorData(min_interval=30)
        self.state = self.instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SENSOR, self.status, data)
        )

    def tick(self, status: TickStatus, message: str = "", *, at: float) -> None:
        """One tick."""
        cause = SerializableErrorInfo(f"dagster.Failure: {message}\n", [], "Failure")
        error = SerializableErrorInfo("SensorExecutionError: Error", [], "SensorExecutionError", cause)
        self.instance.create_tick(
            TickData(
                self.state.instigator_origin_id,
                self.name,
                InstigatorType.SENSOR,
                status,
                at,
                run_ids=[],
                selector_id=self.state.selector_id,
                error=error if status is TickStatus.FAILURE else None,
            )
        )


def test_a_sensor_is_a_problem_while_its_ticks_fail_in_a_row(instance):
    """A tick under way says nothing yet; one that is good ends it."""
    sensor, at = Ticking(instance), NOW.timestamp()
    source = automation_problems({"source_sensor"}, "s3_assets")
    sensor.tick(TickStatus.SUCCESS, at=at)
    for number in range(1, FAILED_TICKS + 1):
        assert list(source(instance, NOW)) == []
        sensor.tick(TickStatus.FAILURE, f"no bucket, try {number}", at=at + 30 * number)
    sensor.tick(TickStatus.STARTED, at=at + 300)
    [problem] = source(instance, NOW)
    assert (problem.thing, problem.words, problem.cause) == ("source_sensor", "no bucket, try 3", "Failure")
    assert (problem.tries, problem.since) == (FAILED_TICKS, NOW + timedelta(seconds=30))
    assert problem.page == "locations/s3_assets/sensors/source_sensor"
    sensor.tick(TickStatus.SKIPPED, at=at + 330)
    assert list(source(instance, NOW)) == []


@pytest.mark.parametrize(
    "about",
    [{"status": InstigatorStatus.STOPPED}, {"location": "elsewhere"}, {"name": "another_sensor"}],
    ids=["switched off", "of another location", "of another name"],
)
def test_sensors_that_are_no_problem_of_ours(instance, about):
    """Switched off, or somebody else's."""
    sensor = Ticking(instance, **about)
    for number in range(5):
        sensor.tick(TickStatus.FAILURE, "no", at=NOW.timestamp() + number)
    assert list(automation_problems({"source_sensor"}, "s3_assets")(instance, NOW)) == []


def test_what_can_not_be_looked_at_hides_nothing_else_and_is_told_after_a_while(instance):
    """The others are looked at; nothing is concluded about its kinds."""

    def broken(_instance, _now):
        raise OSError("database is locked")

    sources = [
        Watch("failed runs", frozenset({"run"}), broken),
        Watch("hours", frozenset({"hour"}), lambda _instance, now: [hour_problem(failing(tries=2), now)]),
    ]
    seen = look(sources, instance, NOW)
    assert (len(seen.problems), seen.blind_kinds) == (1, {"run"})
    state = AlertState()
    for tick in range(1, BLIND_TICKS + 1):
        state = state.seen(seen.blind)
        [problem] = blind_problems(seen, state)
        assert problem.settled == (tick == BLIND_TICKS)
    assert problem.words == "OSError: database is locked"


# --- what is said ------------------------------------------------------------------------------------------


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStandIn]:
    """A Slack on loopback, and a deployment that uses it; its S3 is nowhere."""
    with slack_for(monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def daemon(instance: dg.DagsterInstance, definitions: dg.Definitions) -> Daemon:
    """A daemon with an empty cursor."""
    return Daemon(instance, definitions)


def test_the_first_failure_the_silence_and_the_recovery(instance, daemon, slack, monkeypatch):
    """The exact messages; in between, and after, nothing is sent."""
    monkeypatch.setenv("S3_ASSETS_DAGSTER_URL", "https://dagster.example.com/")
    assert daemon.tick() == "no problem; no alert open"
    since = datetime.now(UTC) - timedelta(minutes=5)
    record_failure(instance, PAYMENTS, since=since, error="ForeignTargetError", permanent=True)
    assert daemon.tick() == "1 problem; 1 alert open; 1 message sent"
    assert slack.posted[0]["text"] == (
        "payments: 1 hour can't be made right (ForeignTargetError)\n"
        "2024-06-01-07:00\n"
        f"  {FOREIGN} of 2024-06-01-07:00\n"
        f"Since: {since:%Y-%m-%d %H:%M} UTC (5 min)\n"
        "Heals by itself: no: somebody has to do what the error says; then it is tried again by itself, within a day"
    )
    assert slack.posted[0]["channel"] == "#data"
    assert daemon.tick() == daemon.tick() == "1 problem; 1 alert open"
    assert daemon.wrong == ["payments: 1 hour can't be made right, 2024-06-01-07:00"]
    materialize(instance, PAYMENTS)
    assert daemon.tick() == "no problem; no alert open; 1 message sent"
    assert daemon.wrong == []
    assert slack.posted[1]["text"] == (
        f"payments: 1 hour right again\n2024-06-01-07:00\nSince: {since:%Y-%m-%d %H:%M} UTC, for 5 min"
    )
    assert daemon.tick() == "no problem; no alert open"
    assert len(slack.asked) == 2


def test_a_storm_is_one_message(instance, daemon, slack):
    """Thirty hours of one event, in one night."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    for day in range(1, 4):
        for hour in range(14, 24):
            label = f"2024-06-{day:02d}-{hour:02d}:00"
            record_failure(instance, Hour("payments", label), since=since, error="AccessDeniedError", permanent=True)
    assert daemon.tick() == "30 problems; 1 alert open; 1 message sent"
    assert slack.posted[0]["text"].split("\n")[:2] == [
        "payments: 30 hours can't be made right (AccessDeniedError)",
        "2024-06-01-14:00 to 23:00, 2024-06-02-14:00 to 23:00, 2024-06-03-14:00 to 23:00",
    ]
    assert daemon.tick() == "30 problems; 1 alert open"
    assert len(str(daemon.cursor).encode()) < 500


def test_a_tick_names_ten_of_what_is_wrong_the_errors_first(instance, daemon, slack):
    """And counts the rest: it is a line of a table."""
    materialize(instance, Hour("a", "2024-06-01-07:00"), {"x.csv": "damaged gzip"})
    for event in "bcdefghijkl":
        hour = Hour(event, "2024-06-01-07:00")
        record_failure(instance, hour, since=NOW, error=f"{event.upper()}Error", permanent=True)
    while "waiting" in daemon.tick():
        pass
    *named, last = daemon.wrong
    assert [one.split(":")[0] for one in named] == list("bcdefghij")
    assert last == "k: 1 hour can't be made right, 2024-06-01-07:00; and 2 alerts more"


def test_a_retry_that_succeeds_says_nothing(instance, daemon, slack):
    """Failed once, right a minute later."""
    record_failure(instance, PAYMENTS, since=datetime.now(UTC), error="StoreUnavailableError", permanent=False)
    assert daemon.tick() == "no problem; no alert open"
    materialize(instance, PAYMENTS)
    assert daemon.tick() == "no problem; no alert open"
    assert slack.asked == []


def test_while_slack_is_down_ticks_say_so_and_nothing_is_lost(instance, daemon, slack):
    """The alert goes out at the first tick after."""
    record_failure(instance, PAYMENTS, since=NOW, error="ForeignTargetError", permanent=True)
    slack.standing = FAILS
    said = daemon.tick()
    assert said.startswith("1 problem; no alert open; 1 message waiting; an alert for #data was not sent: HTTP 500")
    assert daemon.wrong == ["payments: 1 hour can't be made right, 2024-06-01-07:00"]
    slack.standing = OK
    assert daemon.tick() == "1 problem; 1 alert open; 1 message sent"


def test_a_refused_token_is_said_in_the_tick(instance, daemon, slack, monkeypatch, caplog):
    """Clearly, with what to do, and without the token."""
    slack.standing = refuses("invalid_auth")
    record_failure(instance, PAYMENTS, since=NOW, error="ForeignTargetError", permanent=True)
    said = daemon.tick()
    assert "refused: Slack says invalid_auth (check the token (S3_ASSETS_SLACK_TOKEN)" in said
    assert TOKEN not in said + caplog.text


def test_routes_send_an_event_to_its_people(instance, daemon, slack, monkeypatch, tmp_path):
    """By the TOML file, with the owner's name in the message; other events go to the channel for all."""
    config = tmp_path / "s3_assets.toml"
    config.write_text(
        '[[alerts.routes]]\nevents = ["pay*"]\nowner = "@pay"\n[alerts.owners]\n"@pay" = "#payments"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    for event in ("payments", "clicks"):
        hour = Hour(event, "2024-06-01-07:00")
        record_failure(instance, hour, since=NOW, error="ForeignTargetError", permanent=True)
    daemon.tick()
    found = {message["channel"]: message["text"] for message in slack.posted}
    assert found.keys() == {"#payments", "#data"}
    assert "Owner: @pay" in found["#payments"]
    assert "Owner" not in found["#data"]


def test_settings_that_are_wrong_are_told_where_alerts_still_can(instance, daemon, slack, monkeypatch, tmp_path):
    """A file that can't be read costs the routes, not the alert."""
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(tmp_path / "gone.toml"))
    monkeypatch.delenv("S3_ASSETS_SOURCE")
    daemon.tick()
    [message] = slack.posted
    assert message["text"].startswith("2 settings that can't be used\nS3_ASSETS_CONFIG, S3_ASSETS_SOURCE\n")


def test_alert_settings_that_are_wrong_fail_the_tick(instance, daemon, slack, monkeypatch):
    """There is nobody to tell: the tick is red, with the words, and without the token."""
    monkeypatch.setenv("S3_ASSETS_SLACK_TOKEN", "hunter2 secret")
    with pytest.raises(dg.Failure, match="S3_ASSETS_SLACK_TOKEN: found something else") as raised:
        daemon.tick()
    assert "hunter2" not in str(raised.value.description)


def test_without_a_token_alerts_go_to_the_log_once_a_change(instance, daemon, slack, monkeypatch, capsys):
    """In the same words, at their level; once there is a token, they go to Slack."""
    monkeypatch.delenv("S3_ASSETS_SLACK_TOKEN")
    record_failure(instance, PAYMENTS, since=NOW, error="ForeignTargetError", permanent=True)
    materialize(instance, Hour("clicks", "2024-06-01-07:00"), {"x.csv": "damaged gzip"})
    for _ in range(3):
        daemon.tick()
    logged = [line.partition(" - dagster - ")[2] for line in capsys.readouterr().err.split("\n")]
    assert [line for line in logged if line] == [
        "ERROR - payments: 1 hour can't be made right (ForeignTargetError)",
        "WARNING - clicks: 1 hour with unusable source objects",
    ]
    assert slack.asked == []
    monkeypatch.setenv("S3_ASSETS_SLACK_TOKEN", TOKEN)
    daemon.tick()
    assert [line.split(":")[0] for line in slack.titles] == ["payments", "clicks"]


def test_an_emptied_cursor_costs_one_repeated_message(instance, daemon, slack):
    """And no more."""
    record_failure(instance, PAYMENTS, since=NOW, error="ForeignTargetError", permanent=True)
    daemon.tick()
    daemon.cursor = None
    daemon.tick()
    daemon.tick()
    assert len(slack.posted) == 2


def test_the_sensor_is_on_from_the_start(definitions):
    """An alert that has to be switched on is missing when it is needed."""
    sensor = definitions.resolve_sensor_def("alerts_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == INTERVAL_S


def test_an_hour_that_fails_for_good_is_told_from_end_to_end(
    deployment: Deployment, daemon: Daemon, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign file in the target's place on a real store, a real run, its message; then a rebuild, and the end."""
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    deployment.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"someone's data")
    location = Location(daemon.instance, build_definitions())
    daemon.instance.add_dynamic_partitions("event", [EVENT])
    config = {"partition_keys": [f"{EVENT}|2021-09-01-07:00", f"{EVENT}|2021-09-01-08:00"]}
    failed = location.run({"ops": {"hourly_gzip": {"config": config}}})
    assert not failed.success
    assert daemon.tick() == "1 problem; 1 alert open; 1 message sent"
    lines = slack.posted[0]["text"].split("\n")
    assert lines[:2] == [f"{EVENT}: 1 hour can't be made right (ForeignTargetError)", "2021-09-01-07:00"]
    assert "s3-assets sync --rebuild" in lines[2]
    assert lines[-1] == f"Look: run {failed.run_id[:8]}"
    assert location.run({"ops": {"hourly_gzip": {"config": {**config, "rebuild": True}}}}).success
    assert daemon.tick() == "no problem; no alert open; 1 message sent"
    assert slack.titles[1] == f"{EVENT}: 1 hour right again"
