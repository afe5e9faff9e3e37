"""`s3-assets plan --explain` as a person calls it: over S3 on a real server, and an instance of Dagster."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from s3_assets.dagster.hour_records import hour_record, record_in
from s3_assets.hour_file.changes import data_version
from s3_assets.hour_file.keys import Hour, label_of
from s3_assets.hour_file.ledger import Quarantined, encode, read_footer, read_ledger
from s3_assets_tests.deployment import FIVE_FILES, Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_assets.dagster.hour_records import HourRecord

EVENT = "customer_new_customer_event"
SEVEN = Hour(EVENT, "2021-09-01-07:00")
TARGET = f"target/{EVENT}/2021-09-01/07.csv.gz"
ASSET = dg.AssetKey("hourly_gzip")
BOUND_S = 120
REPOSITORY = RemoteRepositoryOrigin(
    InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name="s3_assets"), "__repository__"
)


@dataclass
class Records:
    """An instance of Dagster, and what it has on record of one hour."""

    instance: dg.DagsterInstance
    hour: Hour = SEVEN
    partition: dg.MultiPartitionKey = field(init=False)

    def __post_init__(self) -> None:
        event, label = self.hour.partition_key.split("|")
        self.partition = dg.MultiPartitionKey({"event": event, "hour": label})

    def made(self, version: str) -> None:
        """A materialization, as runs record it."""
        self.instance.add_dynamic_partitions("event", [self.partition.keys_by_dimension["event"]])
        event = dg.AssetMaterialization(ASSET, partition=self.partition, tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def failed(self, *, permanent: bool, etag: str = "") -> None:
        """A note on a failure, as runs record it."""
        metadata = {
            "error": "StoreUnavailableError",
            "words": "the store is away",
            "tries": 3,
            "since": dg.MetadataValue.timestamp(time.time() - 600),
            "permanent": permanent,
            "next_try": dg.MetadataValue.timestamp(time.time()),
            "hour_file_etag": etag,
        }
        self.instance.report_runless_asset_event(
            dg.AssetObservation(ASSET, partition=self.partition, metadata=metadata)
        )

    def run(self, status: DagsterRunStatus, config: dict[str, Any]) -> str:
        """A run of the job, as the sensor asks for one; its id."""
        run = dg.DagsterRun(
            job_name="hourly_gzip_job",
            run_config={"ops": {"hourly_gzip": {"config": config}}},
            status=status,
            remote_job_origin=RemoteJobOrigin(REPOSITORY, "hourly_gzip_job"),
        )
        return self.instance.add_run(run).run_id

    def sensor(self, status: InstigatorStatus = InstigatorStatus.RUNNING, *, beat_s_ago: float | None = 1) -> None:
        """Turn it on, with a tick that asked for nothing, and let the daemon beat."""
        origin = RemoteInstigatorOrigin(REPOSITORY, "source_sensor")
        state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData(min_interval=30))
        self.instance.add_instigator_state(state)
        self.instance.create_tick(
            TickData(
                state.instigator_origin_id,
                "source_sensor",
                InstigatorType.SENSOR,
                TickStatus.SKIPPED,
                time.time(),
                selector_id=state.selector_id,
            )
        )
        if beat_s_ago is not None:
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - beat_s_ago, "SENSOR", "1", []))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One on SQLite for all: opening it takes a second. The commands of docs/questions.md open theirs by themselves."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def records(storage: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Emptied."""
    storage.wipe()
    storage.wipe_all_schedules()
    monkeypatch.setenv("DAGSTER_HOME", storage.root_directory)
    monkeypatch.setattr("s3_assets.dagster.hour_records.hour_record", partial(record_in, storage))
    return Records(storage)


@pytest.fixture
def five(deployment: Deployment, call) -> Deployment:
    """Two hours that are up to date on S3."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    assert call("sync")[0] == 0
    return deployment


def explained(call, hour: Hour = SEVEN, *options: str) -> tuple[int, str, dict[str, str], dict[str, Any]]:
    """The exit code, the headline, the facts by name, and the whole document."""
    code, out, _ = call("plan", "--explain", hour.event, hour.label, "--json", *options)
    told = json.loads(out)
    return code, told["headline"], {fact["about"]: fact["text"] for fact in told["facts"]}, told


def fingerprint(call) -> str:
    """Of the hour's sources as they are."""
    return str(explained(call)[3]["plan"]["fingerprint"])


def late(five: Deployment, count: int = 1) -> None:
    """Drop late sources."""
    for number in range(count):
        five.drop(f"{EVENT}/2021-09-01/07_59_late_{number}.csv", b"id,name\n7,59\n")


def test_s3_alone_is_enough_to_say_why(five: Deployment, call, monkeypatch) -> None:
    """And it says that nothing else was asked. The difference is told by name, the first few."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    code, headline, facts, told = explained(call)
    assert (code, headline) == (0, f"{SEVEN} is up to date: the hour file equals its sources")
    assert "4 rows of 4 sources" in facts["hour file"]
    assert facts["Dagster"] == "DAGSTER_HOME is not set here: this looked at S3 only"
    assert facts["next"] == "nothing is to be done"
    assert (told["up_to_date"], told["dagster"]) == (True, None)
    late(five, 8)
    five.drop(f"{EVENT}/2021-09-01/07_00_file_123.csv", b"id,name\n1,other\n")
    code, out, err = call("plan", "--explain", SEVEN.partition_key)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{SEVEN} is out of date: 1 rewritten, 8 late sources"
    assert sum(line.startswith("  late ") for line in lines) == 4
    assert "  rewritten   07_00_file_123.csv, 16 B: its content changed: ETag " in out
    assert "and 4 more sources" in out
    assert lines[-1] == (
        f"  next        `s3-assets sync --event {EVENT} --from {SEVEN.label} --to {SEVEN.label}` "
        "brings it up to date now"
    )


def test_an_hour_with_a_quarantined_source_is_up_to_date_and_says_what_is_left_out(
    five: Deployment, call, monkeypatch
) -> None:
    """And what the producer must do; it is ingested when its content changes."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    five.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    call("sync")
    code, out, _ = call("plan", "--explain", SEVEN.partition_key)
    lines = out.splitlines()
    assert (code, lines[0]) == (
        0,
        (
            f"{SEVEN} is up to date: the hour file holds all usable sources; "
            "1 source is quarantined: 07_30_bad.csv (unclosed quote)"
        ),
    )
    place = next(
        place for place, line in enumerate(lines) if line.startswith("  quarantined 07_30_bad.csv: unclosed q")
    )
    assert lines[place + 1].strip() == "the producer must fix it; it is ingested when its content changes"
    assert lines[-1] == (
        "  next        nothing until something changes; "
        "quarantined: the producer must fix it; it is ingested when its content changes"
    )
    told = explained(call)[3]
    assert told["up_to_date"]
    assert told["left_out"] == {
        "quarantined": {
            "sources": 1,
            "first": [{"key": f"{EVENT}/2021-09-01/07_30_bad.csv", "reason": "unclosed quote"}],
        }
    }
    five.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b"id,name\n1,closed\n")
    call("sync")
    assert explained(call)[1].endswith("is up to date: the hour file equals its sources")


def test_an_hour_with_a_source_that_waits_says_for_what(five: Deployment, call, tmp_path: Path, monkeypatch) -> None:
    """For the header that stands, with the command that decides anew; one that is gone meanwhile is named still."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_schema_change = "quarantine"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    other = f"{EVENT}/2021-09-01/07_40_other.csv"
    five.drop(other, b"id,colour\n1,red\n")
    call("sync")
    command = f"`s3-assets sync --rebuild --event {EVENT} --from {SEVEN.label} --to {SEVEN.label}`"
    code, headline, facts, _ = explained(call)
    assert code == 0
    assert "holds all sources that fit its header; 1 source waits: 07_40_other.csv (" in headline
    assert facts["waiting"].startswith("07_40_other.csv: ")
    waits = f"it waits because of the header that stands; {command} decides anew by rows"
    assert facts["next"] == f"nothing until something changes; waiting: {waits}"
    words = json.loads(call("where", other, "--json")[1])[0]["words"]
    assert words[0].startswith("waiting, so not in s3://")
    assert words[1] == waits
    five.store.delete(f"source/{other}")
    _, headline, facts, _ = explained(call)
    assert "1 source is gone and in no hour file: 07_40_other.csv (" in headline
    assert facts["next"].endswith(f"lost: {command} looks for the rows in older versions of the hour file")


def test_an_hour_that_outlived_a_source_says_that_its_rows_stay(five: Deployment, call, monkeypatch) -> None:
    """Under `keep`, whatever the source shows now."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    five.store.delete(f"source/{EVENT}/2021-09-01/07_15_file_124.csv")
    code, headline, facts, _ = explained(call)
    assert (code, headline) == (
        0,
        (
            f"{SEVEN} is up to date: the hour file holds all usable sources; "
            "rows of 1 source that is gone stay: 07_15_file_124.csv"
        ),
    )
    assert facts["vanished"].startswith(
        "rows of 1 source gone from the source stay: 07_15_file_124.csv; they stay under"
    )
    assert facts["next"].startswith("nothing until something changes; vanished: they stay under on_vanished")


def test_rows_that_can_leave_are_said(five: Deployment, call, monkeypatch) -> None:
    """Of a rewritten source, as far as the ledger tells."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    five.drop(f"{EVENT}/2021-09-01/07_00_file_123.csv", b"id,name\n")
    assert explained(call)[2]["rows"] == (
        f"up to 1 row leaves (from 1 source: {EVENT}/2021-09-01/07_00_file_123.csv rewritten)"
    )


def test_a_forged_reason_does_not_fill_the_terminal(five: Deployment, call, monkeypatch) -> None:
    """Nor do keys, details and headers of any length."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    five.drop(f"{EVENT}/2021-09-01/07_{'3' * 200}_x.csv", b"x" * 100)
    target = five.store.get(TARGET)
    file = target.read()
    footer = read_footer("", file, len(file))
    ledger = read_ledger("", footer, file[footer.reading_start :])
    [source] = [one for one in five.store.list("source/") if "_333" in one.key]
    bad = Quarantined(
        source.key.removeprefix("source/"), source.etag, source.size, "r" * 100_000, "d" * 100_000, None, alone=True
    )
    five.store.put(TARGET, file[: footer.data_length] + encode(replace(ledger, quarantined=(bad,))))
    for command in (["plan", "--explain", *SEVEN.partition_key.split("|")], ["show", EVENT, SEVEN.label], ["plan"]):
        code, out, _ = call(*command)
        assert code == 0
        assert len(out) < 5000, command
    assert len(call("plan", "--json")[1]) < 10_000
    assert len(call("where", bad.key)[1]) < 2000


@pytest.mark.parametrize(
    "label, words", [("2021-08-31-23:00", "before the start date, 2021-09-01"), ("2199-01-01-00:00", "in the future")]
)
def test_an_hour_outside_the_window_is_left_alone(five: Deployment, records: Records, call, label, words) -> None:
    """Whatever is there: it says so, and that nothing follows."""
    code, headline, facts, told = explained(call, Hour(EVENT, label))
    assert code == 0
    assert headline.startswith(f"{EVENT} {label} is left alone: it is ")
    assert words in headline
    assert facts["next"] == "nothing"
    assert not told["up_to_date"]


def test_a_late_file_waits_for_the_sensor(five: Deployment, records: Records, call) -> None:
    """When the hour was made and of what, that the sensor is on, when it ticked, and when it looks there again."""
    records.made(fingerprint(call))
    records.sensor()
    _, _, facts, told = explained(call)
    assert "of the sources that are there now" in facts["Dagster"]
    assert facts["next"] == "nothing is to be done"
    assert told["dagster"]["prospect"] == "left as it is"
    late(five)
    _, headline, facts, told = explained(call)
    assert headline.endswith("is out of date: 1 late source")
    assert "of other sources, or other settings, than now" in facts["Dagster"]
    assert facts["sensor"].startswith("source_sensor is on, last tick 20")
    assert "daemon" not in facts["sensor"]
    assert facts["next"].startswith("source_sensor asks for it when its sweep comes to that month")
    assert told["dagster"]["prospect"] == "asked for"


def test_a_recent_hour_is_looked_at_in_the_next_tick(deployment: Deployment, records: Records, call) -> None:
    """Also one that was never made, of an event that is no partition yet."""
    now = datetime.now(UTC)
    hour = Hour("fresh", label_of(now))
    deployment.drop(f"fresh/{hour.date}/{hour.hh}_00_x.csv", b"a\n1\n")
    records.sensor()
    _, headline, facts, _ = explained(call, hour)
    assert headline.endswith("is out of date: no hour file yet; 1 new source")
    assert "hourly_gzip was never materialized for this hour" in facts["Dagster"]
    assert "'fresh' is no partition yet" in facts[""]
    assert facts["next"].startswith("source_sensor asks for it at its next tick, within 30 s")


@pytest.mark.parametrize(
    "config",
    [
        {"partition_keys": [f"other|{SEVEN.label}", SEVEN.partition_key]},
        {"first": "2021-09-01-00:00", "last": "2021-09-01-23:00"},
    ],
)
def test_a_run_that_holds_the_hour_is_named(five: Deployment, records: Records, call, config) -> None:
    """Queued, by its keys or by a range; a run of other hours is not, and nor is one that ended."""
    late(five)
    records.sensor()
    other = records.run(DagsterRunStatus.QUEUED, {"partition_keys": [f"{EVENT}|2021-09-01-08:00"]})
    ended = records.run(DagsterRunStatus.SUCCESS, config)
    run = records.run(DagsterRunStatus.QUEUED, config)
    _, _, facts, told = explained(call)
    assert facts["run"].startswith(f"{run} QUEUED since ")
    assert [one["id"] for one in told["dagster"]["runs"]] == [run]
    assert {other, ended}.isdisjoint(one["id"] for one in told["dagster"]["runs"])
    assert facts["next"] == "a run that has it brings it up to date, or says why it can't"


def test_a_run_that_is_silent_for_hours_holds_nothing(five: Deployment, records: Records, call, monkeypatch) -> None:
    """It is named all the same, with that word."""
    late(five)
    records.sensor()
    records.run(DagsterRunStatus.STARTED, {"partition_keys": [SEVEN.partition_key]})
    monkeypatch.setattr("s3_assets.dagster.hour_records.BUSY_AT_MOST", timedelta(seconds=-5))
    _, _, facts, told = explained(call)
    assert facts["run"].endswith("it blocks nothing any more")
    assert told["dagster"]["prospect"] == "asked for"


def test_an_hour_that_failed_rests_and_says_until_when(five: Deployment, records: Records, call) -> None:
    """How often it failed, with which words, and when it is tried next."""
    late(five)
    records.sensor()
    records.failed(permanent=False)
    _, _, facts, told = explained(call)
    assert facts["failed"].startswith("3 times since 20")
    assert facts["failed"].endswith("the store is away")
    assert facts["next"].startswith("it rests after failing: source_sensor asks for it after 20")
    assert told["dagster"]["rests_until"] is not None


def test_a_foreign_hour_file_is_a_problem_to_fix(five: Deployment, records: Records, call) -> None:
    """With the command; the sensor does not notice where the sources are those on record."""
    records.made(fingerprint(call))
    records.sensor()
    five.store.put(TARGET, b"someone's data")
    code, headline, facts, _ = explained(call)
    assert (code, headline) == (1, f"{SEVEN} can't be brought up to date as it is")
    assert "there is no ledger at its end" in facts["problem"]
    assert f"s3-assets sync --rebuild --event {EVENT}" in facts["problem"]
    assert "the sensor does not look into files; fix the problem first" in facts["next"]
    records.failed(permanent=True, etag=five.store.head(TARGET).etag)
    _, _, facts, told = explained(call)
    assert told["dagster"]["prospect"] == "stuck"
    assert facts["next"].startswith("it is stuck: source_sensor asks for it after 20")
    assert facts["next"].endswith("or when its hour file is another one; fix the problem first")
    code, headline, _, _ = explained(call, SEVEN, "--rebuild")
    assert code == 0
    assert "is out of date: in place of a damaged file: there is no ledger" in headline


def test_a_sensor_that_is_off_or_has_no_daemon_is_told(five: Deployment, records: Records, call) -> None:
    """Since then nothing happens by itself."""
    late(five)
    _, _, facts, _ = explained(call)
    assert facts["sensor"] == "source_sensor was never turned on"
    assert facts["next"].startswith("nothing by itself: source_sensor is off (in the UI: Automation); `s3-assets sync")
    records.sensor(beat_s_ago=3600)
    _, _, facts, _ = explained(call)
    assert "the daemon that evaluates it has no heartbeat since 20" in facts["sensor"]
    assert facts["next"].startswith("source_sensor asks for it once its daemon runs: when its sweep comes")


def test_what_was_made_by_hand_is_up_to_date_although_dagster_does_not_know(
    five: Deployment, records: Records, call
) -> None:
    """The run that the sensor asks for writes nothing."""
    records.sensor()
    _, headline, facts, _ = explained(call)
    assert "is up to date" in headline
    assert facts["next"].endswith("it is up to date, which is not on record; the run writes nothing")


def test_an_hour_that_forgets_an_unusable_source_says_a_command_that_works(
    deployment: Deployment, call, monkeypatch
) -> None:
    """No rebuild is needed for it. Where it was the only one, there is no hour file, and nothing is left to do."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    hour, bad = Hour("payments", SEVEN.label), "payments/2021-09-01/07_00_bad.csv"
    deployment.drop(bad, b'id\n"6\n')
    deployment.drop("payments/2021-09-01/07_10_good.csv", b"id\n6\n")
    deployment.drop("payments/2021-09-01/08_00_bad.csv", b'id\n"6\n')
    call("sync")
    deployment.store.delete(f"source/{bad}")
    deployment.store.delete("source/payments/2021-09-01/08_00_bad.csv")
    _, headline, facts, _ = explained(call, hour)
    assert headline.endswith("is out of date: 1 forget source")
    command = facts["next"].split("`")[1].split()[1:]
    assert "--rebuild" not in command
    assert call(*command)[0] == 0
    assert explained(call, hour)[3]["up_to_date"]
    _, headline, facts, told = explained(call, Hour("payments", "2021-09-01-08:00"))
    assert headline == "payments 2021-09-01-08:00 has no source objects and no hour file: there is nothing to write"
    assert (facts["next"], told["up_to_date"]) == ("nothing is to be done", True)


def test_of_an_hour_whose_sources_are_gone_it_says_what_the_sensor_does(
    deployment: Deployment, records: Records, call
) -> None:
    """Only its sweep sees hour files, ticks list sources of recent dates; what Dagster never made is left."""
    now = datetime.now(UTC)
    hour = Hour("payments", label_of(now))
    bad, good = (f"payments/{hour.date}/{hour.hh}_00_{name}.csv" for name in ("bad", "good"))
    deployment.drop(bad, b'id\n"6\n')
    deployment.drop(good, b"id\n6\n")
    call("sync")
    [made] = json.loads(call("sync", "--json")[1])["hours"]
    deployment.store.delete(f"source/{bad}")
    deployment.store.delete(f"source/{good}")
    records.sensor()
    _, _, facts, told = explained(call, hour)
    assert told["dagster"]["prospect"] == "left as it is"
    assert facts["next"].startswith("nothing: nothing of it is on record, and the sensor does not look into files; `s3")
    Records(records.instance, hour).made(data_version(made["fingerprint"], made["quarantined"]))
    _, _, facts, told = explained(call, hour)
    assert told["dagster"]["prospect"] == "asked for"
    assert facts["next"].startswith("source_sensor asks for it when its sweep comes to that month")


def test_an_hour_without_a_usable_row_says_why_it_has_no_hour_file(five: Deployment, records: Records, call) -> None:
    """As far as it is on record: it is not said that nothing is to be done."""
    hour = Hour(EVENT, "2021-09-01-09:00")
    five.drop(f"{EVENT}/2021-09-01/09_00_bad.csv", b'id\n"6\n')
    [made] = [one for one in json.loads(call("sync", "--json")[1])["hours"] if one["hour"] == hour.label]
    assert (made["verdict"], made["quarantined"]) == ("empty", 1)
    assert made["left_out"]["quarantined"]["sources"] == 1
    out = call("sync")[1]
    assert f"  1 source is quarantined: {EVENT}/2021-09-01/09_00_bad.csv (unclosed quote); the producer must" in out
    records.sensor()
    Records(records.instance, hour).made(data_version(made["fingerprint"], 1, has_file=False))
    _, _, facts, told = explained(call, hour)
    assert told["dagster"]["prospect"] == "left as it is"
    assert facts["next"] == (
        "nothing until something changes: on record, none of its sources has a usable row, so there is no hour file; "
        "the producer must fix them"
    )


def test_the_breaker_is_told_with_what_opens_it(
    five: Deployment, records: Records, call, tmp_path: Path, monkeypatch
) -> None:
    """Exit 1, as of `plan`; with --accept-vanished it is what would then be done."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    call("sync", "--rebuild")
    for name in ("07_00_file_123", "07_15_file_124", "07_27_file_125"):
        five.store.delete(f"source/{EVENT}/2021-09-01/{name}.csv")
    records.sensor(InstigatorStatus.STOPPED)
    code, headline, facts, _ = explained(call)
    assert code == 1
    assert facts["sensor"] == "source_sensor is off"
    assert "3 of 4 known sources vanished or lost all their rows at once" in headline
    assert "s3-assets sync --accept-vanished" in facts["next"]
    assert explained(call, SEVEN, "--accept-vanished")[0] == 0
    records.instance.wipe_all_schedules()
    records.sensor()
    assert explained(call)[3]["dagster"]["prospect"] == "asked for"
    assert "s3-assets sync --accept-vanished" in explained(call)[2]["next"]
    five.store.delete(f"source/{EVENT}/2021-09-01/07_50_file_126.csv")
    call("sync", "--accept-vanished")
    records.made(fingerprint(call))
    assert "of the sources that are there now" in explained(call)[2]["Dagster"]


@pytest.mark.parametrize("config", [None, "a: [", "storage:\n  postgres:\n    postgres_url: postgresql://nowhere/x\n"])
def test_an_instance_that_cant_be_read_is_one_sentence(
    five: Deployment, call, monkeypatch, tmp_path: Path, config: str | None
) -> None:
    """With what to check, beside all that S3 says. Exit 1: a half of what was asked for is missing."""
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere/at/all" if config is None else str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(config or "")
    code, out, err = call("plan", "--explain", EVENT, SEVEN.label)
    assert (code, err) == (1, "")
    headline, *facts = out.splitlines()
    assert headline == f"{SEVEN} is up to date: the hour file equals its sources"
    assert [fact.split()[0] for fact in facts] == ["sources", "hour", "Dagster", "next"]
    assert "Dagster's records can't be read: " in facts[2]
    assert "check DAGSTER_HOME" in facts[2]
    assert facts[3].endswith("nothing is to be done")


def test_what_s3_says_is_printed_before_dagster_is_asked(five: Deployment, call, monkeypatch) -> None:
    """Its storage may take its time, and then fail."""
    late(five)
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere/at/all")
    said: list[str] = []

    def listening(*arguments: Any) -> HourRecord:
        said.append(sys.stdout.getvalue())  # type: ignore[attr-defined]  # of capsys
        return hour_record(*arguments)

    monkeypatch.setattr("s3_assets.dagster.hour_records.hour_record", listening)
    code, out, _ = call("plan", "--explain", EVENT, SEVEN.label)
    assert code == 1
    assert [line.split()[0] for line in said[0].splitlines()] == [EVENT, "sources", "hour", "late"]
    assert out.startswith(said[0])
    assert out.rstrip().endswith("brings it up to date now")
    told = explained(call)[3]
    assert (told["headline"], told["dagster"]) == (f"{SEVEN} is out of date: 1 late source", None)
    assert "Dagster's records can't be read: " in {fact["about"]: fact["text"] for fact in told["facts"]}["Dagster"]


def test_a_storage_that_never_answers_is_not_waited_for(five: Deployment, tmp_path: Path) -> None:
    """A database that takes connections and says no word: neither the command nor its end hang.

    Dagster's Postgres is no package of these tests, so the wait for its first word is put in its place.
    """
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = "import socket, dagster; dagster.DagsterInstance.get = staticmethod(lambda: "
        script += f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]})).recv(1)); "
        script += "from s3_assets.cli import explain, main; explain.PATIENCE_S = 0.5; "
        script += f"main.main(['plan', '--explain', {EVENT!r}, {SEVEN.label!r}])"
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
    assert (done.returncode, done.stderr) == (1, "")
    headline, *_, dagster, then = done.stdout.splitlines()
    assert headline == f"{SEVEN} is up to date: the hour file equals its sources"
    assert dagster.startswith(
        "  Dagster     Dagster's records can't be read: no answer within 0.5 s (check DAGSTER_HOME"
    )
    assert then.endswith("nothing is to be done")
