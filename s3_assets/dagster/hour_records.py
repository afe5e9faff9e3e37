"""What Dagster remembers of one hour, for a person who asks why: when it was made, what runs hold it, what failed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from s3_assets.controller.records import Failing, LostRun
from s3_assets.dagster.internals import Automation, automations, daemon_beats, hours_asked_for
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import Quarantined, quarantined_hours
from s3_assets.dagster.records import BUSY_AT_MOST, InstanceRecords, hours_of, makes_hours
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import Hour, escape_event

DAEMON_LATE = timedelta(minutes=3)
"""A daemon beats every 30 s; one that has not for so long is not there."""

_NOT_ENDED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class NoInstanceError(S3AssetsError):
    """Dagster's own storage can't be read."""

    hint = "check DAGSTER_HOME, and that its dagster.yaml is the one that the daemon has"


@dataclass(frozen=True, slots=True)
class HoldingRun:
    """A run that works on the hour, or is about to.

    Attributes:
        run_id: Of Dagster.
        status: As Dagster writes it.
        since: Of its last change (aware).
        is_silent: Whether that is so long ago that the sensor takes it for dead.
    """

    run_id: str
    status: str
    since: datetime
    is_silent: bool


@dataclass(frozen=True, slots=True)
class HourRecord:
    """What there is on record of one hour.

    Attributes:
        asset: Of its event's group.
        sensor: Of the same.
        is_partition: Whether its event is a partition.
        version: The data version when it was last made right; None where it never was,
        made: and when that was (aware),
        run_id: in which run.
        failing: That it fails; None where it does not.
        quarantined: That its hour file leaves out sources; None where it does not.
        lost: Runs with it that were lost lately.
        runs: Runs that hold it, newest first.
        sensor_state: Whether it is on, and its last tick; None where nobody ever turned it on or off.
        daemon_beat: When the daemon that evaluates sensors last gave a sign (aware); None for never.
    """

    asset: str
    sensor: str
    is_partition: bool
    version: str | None
    made: datetime | None
    run_id: str
    failing: Failing | None
    quarantined: Quarantined | None
    lost: tuple[LostRun, ...]
    runs: tuple[HoldingRun, ...]
    sensor_state: Automation | None
    daemon_beat: datetime | None


class _HourRecords(InstanceRecords):
    """The same records, with the names of runs."""

    def holding(self, hour: Hour) -> list[HoldingRun]:
        order = {event: place for place, event in enumerate(self.events())}
        found = []
        for record in self._instance.get_run_records(dg.RunsFilter(statuses=_NOT_ENDED)):
            run = record.dagster_run
            if not makes_hours(run, self._names):
                continue
            in_range = self._range(run, order)
            if hour in hours_of(hours_asked_for(run, self._op)) or (in_range is not None and in_range(hour)):
                since = record.update_timestamp.replace(tzinfo=record.update_timestamp.tzinfo or UTC)
                silent = run.status is not dg.DagsterRunStatus.QUEUED and since < self._now - BUSY_AT_MOST
                found.append(HoldingRun(run.run_id, run.status.value, since, silent))
        return found


def hour_record(hour: Hour, group: str, now: datetime) -> HourRecord:
    """What the instance at DAGSTER_HOME knows of an hour of a group of events.

    Raises:
        NoInstanceError: It can't be read.
    """
    try:
        with dg.DagsterInstance.get() as instance:
            return record_in(instance, hour, group, now)
    except Exception as error:  # noqa: BLE001  (YAML, Dagster's own, a database's: each is this error)
        words = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise NoInstanceError(f"Dagster's records can't be read: {words}") from None


def record_in(instance: dg.DagsterInstance, hour: Hour, group: str, now: datetime) -> HourRecord:
    """The same, of an instance that is open."""
    names = Names(group)
    records = _HourRecords(instance, names, now)
    filtered = dg.AssetRecordsFilter(names.asset, asset_partitions=[hour.partition_key])
    made = next(iter(instance.fetch_materializations(filtered, limit=1).records), None)
    states = [state for state in automations(instance, [names.sensor], look_back=3) if state.page == "sensors"]
    beat = daemon_beats(instance).get("SENSOR")
    return HourRecord(
        asset=names.asset.to_user_string(),
        sensor=names.sensor,
        is_partition=escape_event(hour.event) in records.events(),
        version=records.versions([hour]).get(hour),
        made=None if made is None else datetime.fromtimestamp(made.timestamp, UTC),
        run_id="" if made is None else made.run_id,
        failing=records.failing().get(hour),
        quarantined=quarantined_hours(instance, names.asset).get(hour),
        lost=tuple(run for run in records.lost() if hour in run.hours),
        runs=tuple(records.holding(hour)),
        sensor_state=next((state for state in states if state.is_on), states[0] if states else None),
        daemon_beat=None if beat is None else beat.last,
    )
