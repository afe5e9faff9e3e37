"""A run of many hours records them in batches, and loses none whatever ends it."""

from __future__ import annotations

import gc
import threading
import time
from types import SimpleNamespace

import dagster as dg
import pytest

from s3_assets.dagster import recorder
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.internals import DATA_VERSION_TAG, latest_tags
from s3_assets.dagster.names import Names
from s3_assets.dagster.recorder import Recorder
from s3_assets_tests.dagster.conftest import Location

ASSET = Names().asset
HOURS = [f"2021-09-01-{hour:02d}:00" for hour in range(24)]


@pytest.fixture
def on_files(deployment):
    """The code location, with its records in SQLite files."""
    with dg.instance_for_test() as instance:
        yield Location(instance, build_definitions())


@pytest.fixture
def full(deployment):
    """A source in each of a day's hours, one of them unusable."""
    for label in HOURS:
        deployment.drop(f"orders/2021-09-01/{label[11:13]}_00_file.csv", b"id,name\n1,a\n")
    deployment.drop("orders/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    return deployment


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The partitions of each batch that is written, filled as they are."""
    written: list[list[str]] = []
    store = recorder.store_batch

    def noted(context, events) -> None:
        if events:
            written.append([str(event.partition) for event, _ in events])
        store(context, events)

    monkeypatch.setattr(recorder, "store_batch", noted)
    return written


def _config(labels: list[str]) -> dict[str, object]:
    keys = [f"orders|{label}" for label in labels]
    return {"ops": {"hourly_gzip": {"config": {"partition_keys": keys}}}}


def test_a_run_of_many_hours_leaves_a_record_of_each(full, on_files: Location, batches) -> None:
    """With its data version, in few writes; the check knows of the unusable source; a second tick asks for nothing."""
    on_files.tick()
    result = on_files.run(_config(HOURS))
    assert result.success
    assert len(latest_tags(on_files.instance, ASSET, [DATA_VERSION_TAG])) == len(HOURS)
    assert sum(map(len, batches)) == len(HOURS) + 1  # and one note
    assert len(batches) < len(HOURS) / 2
    [check] = [one for one in result.get_asset_check_evaluations() if "quarantined" in one.check_name]
    assert not check.passed
    assert on_files.tick().run_requests == []


def test_each_event_has_a_millisecond_of_its_own(full, on_files: Location, batches, monkeypatch) -> None:
    """Dagster's UI lists one of those that share theirs. Here the clock stands still, so all would."""
    now = time.time()
    monkeypatch.setattr(recorder, "time", SimpleNamespace(time=lambda: now, monotonic=time.monotonic))
    assert on_files.run(_config(HOURS)).success
    instance = on_files.instance
    told = [fetch(ASSET, limit=99).records for fetch in (instance.fetch_materializations, instance.fetch_observations)]
    moments = {int(record.timestamp * 1000) - int(now * 1000) for records in told for record in records}
    assert moments == set(range(len(HOURS) + 1))


def test_a_run_of_few_hours_yields_them(full, on_files: Location, batches) -> None:
    """As any asset does: so they are in the result of a run in process."""
    result = on_files.run(_config(HOURS[: recorder.FEW_HOURS]))
    assert result.success
    assert len(result.get_asset_materialization_events()) == recorder.FEW_HOURS
    assert batches == []


def test_what_is_kept_is_written_whatever_ends_the_run(full, on_files: Location, batches, monkeypatch) -> None:
    """Here somebody ends it after three hours."""
    monkeypatch.setattr(recorder, "EVERY_S", 3600)
    add, seen = Recorder.add, []

    def until_the_third(self, made, note):
        yield from add(self, made, note)
        seen.append(str(made.partition))
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "add", until_the_third)
    assert not on_files.run(_config(HOURS)).success
    assert sorted(latest_tags(on_files.instance, ASSET, [DATA_VERSION_TAG])) == sorted(seen)


def test_a_full_batch_is_written_at_once(full, on_files: Location, batches, monkeypatch) -> None:
    """However fast the hours come; so what is kept is bounded."""
    monkeypatch.setattr(recorder, "EVERY_S", 3600)
    monkeypatch.setattr(recorder, "MOST_KEPT", 5)
    assert on_files.run(_config(HOURS)).success
    assert [len(batch) for batch in batches if batch != ["orders|2021-09-01-07:00"]] == [5, 5, 5, 5, 4]


def test_a_write_that_fails_fails_the_run(full, on_files: Location, monkeypatch) -> None:
    """It is in another thread; and what is kept by then is tried once more at the end."""
    kept: list[int] = []

    def full_disk(context, events) -> None:
        kept.append(len(events))
        raise OSError("no space left on device")

    monkeypatch.setattr(recorder, "EVERY_S", 0)
    monkeypatch.setattr(recorder, "store_batch", full_disk)
    result = on_files.run(_config(HOURS))
    assert not result.success
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    assert "no space left" in str(failure.step_failure_data.error)
    assert len(kept) == 2, "the first write, and that at the end"


def test_a_write_that_fails_when_all_hours_are_made_fails_the_run_too(full, on_files: Location, monkeypatch) -> None:
    """No hour comes after it that would meet its error."""
    monkeypatch.setattr(recorder, "EVERY_S", 3600)
    monkeypatch.setattr(recorder, "MOST_KEPT", len(HOURS))
    store = recorder.store_batch

    def full_once(context, events) -> None:
        if events:
            raise OSError("no space left on device")
        store(context, events)

    monkeypatch.setattr(recorder, "store_batch", full_once)
    assert not on_files.run(_config(HOURS)).success


def test_hours_are_made_while_others_are_recorded(full, on_files: Location, monkeypatch) -> None:
    """Else each write is a pause for those who make them."""
    monkeypatch.setattr(recorder, "EVERY_S", 0)
    store, more_came, seen = recorder.store_batch, threading.Event(), []
    add = Recorder.add

    def noted(self, made, note):
        seen.append(made)
        if len(seen) == 2:
            more_came.set()
        yield from add(self, made, note)

    def slow(context, events) -> None:
        assert more_came.wait(60), "the next hour came only after the write of the one before"
        store(context, events)

    monkeypatch.setattr(Recorder, "add", noted)
    monkeypatch.setattr(recorder, "store_batch", slow)
    assert on_files.run(_config(HOURS)).success
    assert len(latest_tags(on_files.instance, ASSET, [DATA_VERSION_TAG])) == len(HOURS)


def test_what_was_loaded_is_set_aside_for_the_time_of_a_run(full, on_files: Location, batches, monkeypatch) -> None:
    """And given back, or what one run leaves would stay for ever in a process that has many."""
    aside: list[int] = []
    store = recorder.store_batch

    def noted(context, events) -> None:
        aside.append(gc.get_freeze_count())
        store(context, events)

    monkeypatch.setattr(recorder, "store_batch", noted)
    assert on_files.run(_config(HOURS)).success
    assert min(aside) > 100_000
    assert gc.get_freeze_count() == 0
