"""A Dagster instance on disk, in the state that daemons and code servers would have left it in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from s3_assets.dagster.internals import make_storage

if TYPE_CHECKING:
    from pathlib import Path

DAGSTER_YAML = "run_monitoring:\n  enabled: true\ntelemetry:\n  enabled: false\n"


def make_home(folder: Path) -> None:
    """A new instance, with its storage; to copy one is much faster."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text(DAGSTER_YAML)
    make_storage(folder)


class Home:
    """DAGSTER_HOME; ages are in seconds, back from now."""

    def __init__(self, folder: Path) -> None:
        """Of a folder that `make_home` made, or a copy of one."""
        self.folder = folder
        self.instance = dg.DagsterInstance.from_config(str(folder))

    def beat(self, age_s: float = 0, *, process: str = "a", but: str = "") -> None:
        """A heartbeat of each daemon that the instance needs, `but` of one."""
        for name in self.instance.get_required_daemon_types():
            if name != but:
                self.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age_s, name, process, []))

    def sensor(self, name: str, *ages_s: float, on: bool = True, location: str = "s3_assets", fails: str = "") -> None:
        """A sensor of every 30 seconds, with ticks so long ago, the last one first; they fail with `fails`."""
        data = SensorInstigatorData(min_interval=30, last_sensor_start_timestamp=time.time() - 86_400)
        status = InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED
        self._add(name, InstigatorType.SENSOR, data, status, location, ages_s, fails)

    def schedule(self, name: str, *ages_s: float) -> None:
        """A schedule as its code declares it, with ticks so long ago."""
        data = ScheduleInstigatorData("0 20 * * *", start_timestamp=time.time() - 10 * 86_400)
        self._add(name, InstigatorType.SCHEDULE, data, InstigatorStatus.DECLARED_IN_CODE, "s3_assets", ages_s, "")

    def well(self, *, alerts_s: float = 5) -> None:
        """All that there has to be, without a backup; but the alerts' last tick may be so long ago."""
        self.beat()
        self.sensor("source_sensor", 5)
        self.sensor("alerts_sensor", alerts_s)

    def run(self, status: dg.DagsterRunStatus, location: str | None = "s3_assets") -> str:
        """A run of a code location; its id."""
        origin = location and RemoteJobOrigin(_repository(location), "hourly_gzip_job")
        run = dg.DagsterRun("hourly_gzip_job", remote_job_origin=origin or None)
        self.instance.add_run(run)
        event = dg.DagsterEvent(_EVENTS[status].value, "hourly_gzip_job")
        self.instance.run_storage.handle_run_event(run.run_id, event)
        return run.run_id

    def _add(self, name, kind, data, status, location, ages_s, fails) -> None:
        origin = RemoteInstigatorOrigin(_repository(location), name)
        state = InstigatorState(origin, kind, status, data)
        if self.instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
            self.instance.add_instigator_state(state)
        else:
            self.instance.update_instigator_state(state)
        error = SerializableErrorInfo(f"dagster.Failure: {fails}\n", [], "Failure") if fails else None
        for age_s in reversed(ages_s):
            self.instance.create_tick(
                TickData(
                    state.instigator_origin_id,
                    name,
                    kind,
                    TickStatus.FAILURE if fails else TickStatus.SKIPPED,
                    time.time() - age_s,
                    run_ids=[],
                    selector_id=state.selector_id,
                    error=error,
                )
            )


_EVENTS = {
    dg.DagsterRunStatus.QUEUED: dg.DagsterEventType.RUN_ENQUEUED,
    dg.DagsterRunStatus.STARTING: dg.DagsterEventType.RUN_STARTING,
    dg.DagsterRunStatus.STARTED: dg.DagsterEventType.RUN_START,
}


def _repository(location: str) -> RemoteRepositoryOrigin:
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), location_name=location)
    return RemoteRepositoryOrigin(place, "__repository__")
