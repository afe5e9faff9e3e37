"""Metrics of real ticks and real runs, as Prometheus reads them."""

from __future__ import annotations

import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from s3_assets.alerts.state import AlertState
from s3_assets.controller import tick
from s3_assets.dagster import metrics, sensors
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.internals import kept_text
from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.metrics.publish import Publisher
from s3_assets_tests.dagster.alerting import Daemon, slack_for
from s3_assets_tests.dagster.conftest import asked_for
from s3_assets_tests.deployment import FIVE_FILES, Deployment

if TYPE_CHECKING:
    from pathlib import Path

EVENT = "customer_new_customer_event"


class Node:
    """What node_exporter reads.

    Attributes:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[tuple[str, ...], float]:
        """Each sample's value, by its name without `s3_assets_` and its own labels, in order of their names."""
        return samples(self.path.read_text())


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Of the pipeline without a name and the events in no group."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("pipeline"), labels.pop("group")) == ("", "")
            found[sample.name.removeprefix("s3_assets_"), *labels.values()] = sample.value
    return found


@pytest.fixture
def publisher(monkeypatch):
    """That of a process which has just begun."""
    made = Publisher()
    monkeypatch.setattr(metrics, "PUBLISHER", made)
    yield made
    made.close()


@pytest.fixture
def node(publisher, monkeypatch, tmp_path) -> Node:
    """Metrics are on."""
    path = tmp_path / "s3_assets.prom"
    monkeypatch.setenv("S3_ASSETS_METRICS_FILE", str(path))
    return Node(path)


@pytest.fixture
def five(deployment: Deployment) -> Deployment:
    """Four sources in one hour, one in the next."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    return deployment


def test_a_tick_and_its_run_are_counted(node, five, location):
    """What is behind before the run, and what was made of which sources after it."""
    began = datetime.now(UTC).timestamp()
    result = location.tick()
    before = node.read()
    assert before["hours_behind", EVENT] == 2
    assert 0 < before["oldest_unbuilt_source_age_seconds", EVENT] < 600
    assert before["sources_listed_total",] == 5
    assert before["ticks_total", "ok"] == 1
    assert before["ticks_total", "failed"] == 0
    assert before["last_tick_timestamp_seconds",] >= began
    assert before["tick_seconds_total",] == before["last_tick_seconds",] > 0
    assert before["tick_requests_total", "list"] > 0
    assert not [key for key in before if key[0] == "hours_made_total"]

    [request] = result.run_requests
    run = location.launch(request)
    location.tick()
    after = node.read()
    assert after["hours_behind", EVENT] == after["oldest_unbuilt_source_age_seconds", EVENT] == 0
    assert after["hours_made_total", EVENT, "build"] == 2
    assert after["source_changes_total", "late", EVENT] == 5  # they came years after their hour
    made = [event.materialization.metadata for event in run.all_events if event.is_step_materialization]
    for direction, name in (("downloaded", "bytes_downloaded"), ("uploaded", "bytes_uploaded")):
        assert after["run_bytes_total", direction] == sum(told[name].value for told in made) > 0
    requests = {key[1]: value for key, value in after.items() if key[0] == "run_requests_total"}
    assert requests == sum((Counter(told["requests_by_kind"].value) for told in made), Counter())
    assert sum(requests.values()) == sum(told["requests"].value for told in made) > 0
    assert after["sources_listed_total",] == 10
    assert after["ticks_total", "ok"] == 2
    assert after["failing_hours", EVENT] == after["quarantined_sources", EVENT] == 0


def test_failing_hours_and_quarantined_sources_are_those_on_record(node, deployment, location):
    """One hour can't be made, since its hour file is someone else's; one leaves out a source."""
    deployment.store.put("target/pay/2021-09-01/07.csv.gz", b"not ours")
    deployment.drop("pay/2021-09-01/07_00_a.csv", b"id\n1\n")
    deployment.drop("pay/2021-09-01/08_00_a.csv", b"id\n1\n")
    deployment.drop("pay/2021-09-01/08_00_b.csv", b'id\n"1\n')
    location.tick_and_launch()
    location.tick()
    found = node.read()
    assert found["failing_hours", "pay"] == found["quarantined_sources", "pay"] == found["hours_behind", "pay"] == 1
    assert found["hours_made_total", "pay", "build"] == 1


def test_counters_go_on_after_a_restart_and_count_nothing_twice(node, five, location, monkeypatch):
    """Where one tick can't read all records the next goes on there, also in a new process."""
    monkeypatch.setattr(metrics, "MOST_READ", 1)
    location.tick_and_launch()
    location.tick()
    before = node.read()
    node.path.unlink()
    monkeypatch.setattr(metrics, "PUBLISHER", Publisher())
    location.tick()
    after = node.read()
    location.tick()
    last = node.read()
    made = [found["hours_made_total", EVENT, "build"] for found in (before, after, last)]
    assert made == [1, 2, 2]
    assert [found["ticks_total", "ok"] for found in (before, after, last)] == [2, 3, 4]


def test_a_late_file_of_an_old_hour_is_as_old_as_it_is(node, five, location, monkeypatch):
    """Not as old as the sources that its hour file has."""
    location.tick_and_launch()
    location.tick()
    five.drop(f"{EVENT}/2021-09-01/07_59_file_200.csv", b"id,name\n200,z\n")
    late = five.store.head(f"source/{EVENT}/2021-09-01/07_59_file_200.csv").last_modified
    an_hour_on = late + timedelta(hours=1)
    monkeypatch.setattr(sensors, "clock", lambda: an_hour_on)
    location.tick()
    assert node.read()["oldest_unbuilt_source_age_seconds", EVENT] == 3600


def test_an_hour_that_a_tick_does_not_look_at_stays_behind(node, five, location, monkeypatch):
    """While the sweep stands still, ticks see the recent dates alone."""
    location.tick()
    monkeypatch.setattr(tick, "RUNS_UNDER_WAY", 0)
    result = location.tick()
    assert asked_for(result) == []
    found = node.read()
    assert found["sources_listed_total",] == 5
    assert found["hours_behind", EVENT] == 2


def test_an_hour_whose_sources_are_taken_back_is_behind_no_more(node, five, location):
    """It was never made, and there is nothing left to make."""
    location.tick()
    for key in FIVE_FILES:
        if "/08_" in key:
            five.store.delete(f"source/{key}")
    location.tick()
    assert node.read()["hours_behind", EVENT] == 1


def test_a_tick_that_fails_is_counted(node, five, location, monkeypatch):
    """It leaves the time of the last good one, and what was known."""
    location.tick()
    before = node.read()
    monkeypatch.setenv("S3_ASSETS_SOURCE", "s3://no-such-bucket-anywhere/source/")
    with pytest.raises(dg.Failure):
        location.tick()
    after = node.read()
    assert after["ticks_total", "failed"] == 1
    assert after["ticks_total", "ok"] == 1
    assert after["last_tick_timestamp_seconds",] == before["last_tick_timestamp_seconds",]
    assert after["hours_behind", EVENT] == 2


def test_the_same_is_served(publisher, monkeypatch, five, location):
    """By the process that ticks."""
    (port,) = free_port_pairs(1)
    monkeypatch.setenv("S3_ASSETS_METRICS_ADDRESS", str(port))
    location.tick()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert samples(answer.read().decode())["hours_behind", EVENT] == 2


def test_trouble_fails_no_tick(node, five, location, monkeypatch, capsys):
    """It is in the tick's log, once."""
    monkeypatch.setenv("S3_ASSETS_METRICS_FILE", str(node.path.parent / "no" / "a.prom"))
    for _ in range(2):
        assert len(asked_for(location.tick())) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "no metrics are written" in line]
    assert len(said) == 1
    assert "no/a.prom: No such file or directory" in said[0]


def test_off_by_default(publisher, five, location, tmp_path, monkeypatch):
    """Nothing is written, kept or served; and once they are on, what was made before is no leap of a counter."""
    location.tick_and_launch()
    assert list(tmp_path.iterdir()) == []
    assert kept_text(location.instance, metrics._key(location.names.sensor)) is None
    assert publisher._served is None
    assert publisher._exposition.text() == b""
    monkeypatch.setenv("S3_ASSETS_METRICS_FILE", str(tmp_path / "a.prom"))
    location.tick()
    location.tick()
    assert not [key for key in Node(tmp_path / "a.prom").read() if key[0] == "hours_made_total"]


def test_alerts_that_were_sent_are_counted(node, monkeypatch):
    """As many as Slack got, in all; what is open is what the sensor remembers."""
    counted = []
    with slack_for(monkeypatch) as slack, dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(instance, build_definitions())
        for threads in ("8", "many", "many", "8"):
            monkeypatch.setenv("S3_ASSETS_FETCH_THREADS", threads)
            daemon.tick()
            found = node.read()
            counted.append((found["alerts_sent_total",], found["alerts_open",]))
            assert counted[-1] == (len(slack.posted), len(AlertState.load(daemon.cursor).open))
    assert 0 < counted[1][0] < counted[3][0]
    assert counted[1][1] > 0
