"""The checkup of Dagster: its folder, daemons, limits and sensors, over a real storage; and all of it alive."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from s3_assets.doctor import dagster as module
from s3_assets.doctor.dagster import dagster
from s3_assets.doctor.findings import Verdict
from s3_assets_tests.soak.living import SENSOR, Living, wait_until

RECOMMENDED = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
SOURCE = {"S3_ASSETS_SOURCE": "s3://bucket/source/"}


class Home:
    """A DAGSTER_HOME with a daemon that lives and a sensor that ticks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def beat(self, ago: timedelta = timedelta(0)) -> None:
        """All daemons gave a sign of life so long ago."""
        with dg.DagsterInstance.from_config(str(self.folder)) as instance:
            when = (datetime.now(UTC) - ago).timestamp()
            for name in instance.get_required_daemon_types():
                instance.add_daemon_heartbeat(DaemonHeartbeat(when, name, "id", []))

    def sensor(self, name: str, status: InstigatorStatus, *ticks: TickStatus, ago: timedelta = timedelta(0)) -> None:
        """A sensor as the daemon writes it down; its last tick was so long ago."""
        place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name="s3_assets")
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
        when = (datetime.now(UTC) - ago).timestamp()
        data = SensorInstigatorData(min_interval=30, last_sensor_start_timestamp=when)
        state = InstigatorState(origin, dg._core.definitions.run_request.InstigatorType.SENSOR, status, data)
        with dg.DagsterInstance.from_config(str(self.folder)) as instance:
            instance.add_instigator_state(state)
            for tick in ticks:
                made = TickData(
                    instigator_origin_id=state.instigator_origin_id,
                    instigator_name=name,
                    instigator_type=state.instigator_type,
                    status=tick,
                    timestamp=when,
                    selector_id=state.selector_id,
                    error=SerializableErrorInfo("Boom: no", [], "Boom") if tick is TickStatus.FAILURE else None,
                )
                instance.create_tick(made)

    def forget_sensors(self) -> None:
        """As if the daemon had never seen one."""
        with dg.DagsterInstance.from_config(str(self.folder)) as instance:
            for state in instance.all_instigator_state():
                instance.purge_ticks(
                    state.instigator_origin_id, state.selector_id, before=datetime.now(UTC).timestamp() + 60
                )
                instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)

    def look(self, **environ: str) -> list[tuple[Verdict, str]]:
        """What a checkup says."""
        findings = list(dagster({"DAGSTER_HOME": str(self.folder), **SOURCE, **environ}))
        assert all(one.todo for one in findings if one.verdict is not Verdict.PASS)
        return [(one.verdict, f"{one.seen} -> {one.todo}") for one in findings]

    def wrong(self, **environ: str) -> list[tuple[Verdict, str]]:
        """What is not as it should be."""
        return [(verdict, words) for verdict, words in self.look(**environ) if verdict is not Verdict.PASS]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it should be: recommended configuration, a daemon, both sensors on; made once, as it takes a while."""
    made = Home(tmp_path_factory.mktemp("home"))
    shutil.copy(RECOMMENDED, made.folder)
    made.beat()
    made.sensor(SENSOR, InstigatorStatus.RUNNING, TickStatus.SKIPPED)
    made.sensor("alerts_sensor", InstigatorStatus.DECLARED_IN_CODE, TickStatus.SKIPPED)
    return made.folder


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    """The same, of the test's own. A long run may have passed since it was made."""
    made = Home(shutil.copytree(template, tmp_path / "home"))
    made.beat()
    return made


def test_the_recommended_instance_has_nothing_to_be_said(home: Home) -> None:
    """All lines pass."""
    assert home.wrong() == []
    assert len(home.look()) == 6


@pytest.mark.parametrize(
    "given, words", [("", "is not set"), ("relative", "no folder"), ("/nonexistent/home", "no folder")]
)
def test_a_home_that_is_none_is_named(given, words) -> None:
    """And nothing else is looked at."""
    [found] = dagster({"DAGSTER_HOME": given})
    assert found.verdict is Verdict.FAIL
    assert words in found.seen
    assert "export DAGSTER_HOME" in found.todo


@pytest.mark.parametrize("text", ["run_monitoring: [", "run_monitorin: {enabled: true}"], ids=["yaml", "key"])
def test_a_configuration_that_can_not_be_read_is_named(tmp_path: Path, text) -> None:
    """By its file."""
    (tmp_path / "dagster.yaml").write_text(text)
    [found] = dagster({"DAGSTER_HOME": str(tmp_path)})
    assert found.verdict is Verdict.FAIL
    assert f"mend {tmp_path}/dagster.yaml" in found.todo


def test_a_daemon_that_never_ran_or_has_ended_is_named(home: Home) -> None:
    """And its sensors are not called dead for it."""
    home.beat(timedelta(minutes=10))
    [(verdict, words)] = home.wrong()
    assert verdict is Verdict.FAIL
    assert "the daemon is not running (all of it): it gave a sign of life 0:10 h ago" in words
    assert "dagster-daemon run" in words
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        instance.wipe_daemon_heartbeats()
    [(verdict, words)] = home.wrong()
    assert "a sign of life never" in words


def test_each_line_that_is_missing_in_the_configuration_is_a_warning(home: Home) -> None:
    """Dagster's defaults: no limit, no monitoring, no retries; and what a limit of the pool's own mends."""
    (home.folder / "dagster.yaml").unlink()
    found = home.wrong()
    assert [verdict for verdict, _ in found] == [Verdict.WARN] * 3
    limit, monitoring, retries = (words for _, words in found)
    assert "dagster instance concurrency set hour_files 1" in limit
    assert "runs are not monitored" in monitoring
    assert "is not launched again" in retries
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        instance.event_log_storage.set_concurrency_slots("hour_files", 1)
    assert "counts runs, not ops" in home.wrong()[0][1]


def test_a_sensor_that_is_off_or_fails_or_is_quiet_is_named(home: Home) -> None:
    """Each by its name, with what does not happen."""
    home.sensor("late_backup_sensor", InstigatorStatus.STOPPED)
    [(verdict, words)] = home.wrong(S3_ASSETS_BACKUP_DIR="/data")
    assert verdict is Verdict.FAIL
    assert "late_backup_sensor is off: nobody notices a day that is missing -> turn it on" in words
    home.forget_sensors()
    [(verdict, words)] = home.wrong()
    assert "source_sensor is off: no hour is looked at" in words


@pytest.mark.parametrize(
    "ticks, ago, words",
    [
        (
            [TickStatus.FAILURE] * 3,
            timedelta(0),
            "source_sensor failed 3 ticks in a row or more: no ->",
        ),
        ([TickStatus.SKIPPED], timedelta(hours=1), "has not ticked for 1:00 h, while the daemon lives"),
    ],
    ids=["fails", "quiet"],
)
def test_a_sensor_that_is_on_and_does_nothing_is_named(home: Home, ticks, ago, words) -> None:
    """Whether its ticks fail, or there are none."""
    home.forget_sensors()
    home.sensor(SENSOR, InstigatorStatus.RUNNING, *ticks, ago=ago)
    [(verdict, found)] = home.wrong()
    assert verdict is Verdict.FAIL
    assert words in found


@pytest.mark.soak
def test_a_living_deployment_is_well_until_its_daemon_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real daemon's own heartbeats and ticks."""
    with Living(tmp_path, "2026-01-01") as living:
        environ = {**os.environ, "DAGSTER_HOME": str(living.stack.home), **SOURCE}

        def faults() -> list[str]:
            return [one.seen for one in dagster(environ) if one.verdict is Verdict.FAIL]

        wait_until(lambda: faults() == [], 120, "a checkup without a fault")
        monkeypatch.setattr(module, "BEAT_S", 1)  # in place of three minutes
        living.stack._parts["daemon"].stop()
        wait_until(lambda: any("the daemon is not running" in words for words in faults()), 60, "the daemon is missed")
