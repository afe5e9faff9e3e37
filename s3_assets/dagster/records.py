"""What Dagster remembers of the hours, as the controller wants to know it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from s3_assets.controller.records import Failing, LostRun, UnderWay
from s3_assets.dagster.internals import (
    DATA_VERSION_TAG,
    hours_asked_for,
    latest_tags,
    op_config,
    range_asked_for,
    tag_run,
)
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import failing_hours, quarantined_hours
from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.keys import Hour, escape_event

BUSY_AT_MOST = timedelta(hours=3)
"""So long a run that is starting or running keeps its hours from being asked for again.

It may be dead without anybody having noticed; two runs on one hour cost time, and nothing else.
"""

FAILURE_MEMORY = timedelta(days=1)
"""Lost runs are remembered so long."""

FAILED_TAG = "s3_assets/failed"
"""Tag of a run that came to its end although hours failed in it: how many. A failed run without it was lost."""

URGENCY_TAG = "s3_assets/urgency"
"""Tag of the sensor's own runs: `urgent` or `sweep`."""

PRIORITY_TAG = "dagster/priority"
"""Dagster's own: runs of a higher one leave the queue first."""

URGENT_PRIORITY, OTHER_PRIORITY = "10", "-10"
"""Of the sensor's runs. Those of people and backfills, which give none, come in between."""

FIRST_PRIORITY = "20"
"""Of a run of the sweep that has waited too long."""

WAITS_AT_MOST = timedelta(minutes=10)
"""So long a run of the sweep waits for others."""

_QUEUED = [dg.DagsterRunStatus.QUEUED]
_RUNNING = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class InstanceRecords:
    """`controller.records.Records` over a Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance, names: Names, now: datetime) -> None:
        """Read what there is of a group of events."""
        self._instance = instance
        self._names = names
        self._asset, self._op, self._partitions = names.asset, names.op, names.events
        self._now = now

    def events(self) -> Collection[str]:
        """The events that are partitions."""
        return self._instance.get_dynamic_partitions(self._partitions)

    def versions(self, hours: Collection[Hour]) -> Mapping[Hour, str]:
        """The recorded data versions."""
        keys = {hour.partition_key: hour for hour in hours}
        found = latest_tags(self._instance, self._asset, [DATA_VERSION_TAG], keys)
        return {keys[key]: tags[DATA_VERSION_TAG] for key, tags in found.items() if key in keys}

    def failing(self) -> Mapping[Hour, Failing]:
        """The hours that fail."""
        return failing_hours(self._instance, self._asset)

    def left_out(self) -> Collection[Hour]:
        """The hours that leave out sources."""
        return quarantined_hours(self._instance, self._asset).keys()

    def under_way(self) -> UnderWay:
        """By config, partition or range of the runs that are queued or running, whoever launched them."""
        hours: set[Hour] = set()
        ranges: list[Callable[[Hour], bool]] = []
        own: Counter[str] = Counter()
        urgent_waits = False
        order = {event: place for place, event in enumerate(self.events())}
        queued = self._instance.get_run_records(dg.RunsFilter(statuses=_QUEUED))
        running = self._instance.get_run_records(
            dg.RunsFilter(statuses=_RUNNING, updated_after=self._now - BUSY_AT_MOST)
        )
        for record in [*queued, *running]:
            run = record.dagster_run
            if not self._is_ours(run):
                continue
            some = list(hours_of(hours_asked_for(run, self._op)))
            in_range = self._range(run, order)
            hours.update(some)
            ranges += [] if in_range is None else [in_range]
            own[run.tags.get(URGENCY_TAG, "")] += 1
            urgent_waits |= run.status in _QUEUED and run.tags.get(URGENCY_TAG) == "urgent"
        return UnderWay(
            own["sweep"],
            own["urgent"],
            lambda hour: hour in hours or any(holds(hour) for holds in ranges),
            urgent_waits=urgent_waits,
        )

    def let_one_go_first(self) -> str | None:
        """Put the sweep's run that has waited longest, and too long, before all others; its id.

        Urgent runs come for as long as sources do. Where they take all of the pool's time, the others would wait for
        ever. One goes first at a time, so an urgent run waits for one of them at most.
        """
        every = dg.RunsFilter(statuses=[*_QUEUED, *_RUNNING], tags={URGENCY_TAG: "sweep"})
        ours = [one for one in self._instance.get_run_records(every) if self._is_ours(one.dagster_run)]
        if any(one.dagster_run.tags.get(PRIORITY_TAG) == FIRST_PRIORITY for one in ours):
            return None
        queued = [one for one in ours if one.dagster_run.status in _QUEUED]
        oldest = min(queued, key=lambda one: one.create_timestamp, default=None)
        if oldest is None or self._now - oldest.create_timestamp.astimezone(UTC) < WAITS_AT_MOST:
            return None
        tag_run(self._instance, oldest.dagster_run.run_id, {PRIORITY_TAG: FIRST_PRIORITY})
        return oldest.dagster_run.run_id

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        return makes_hours(run, self._names)

    def _range(self, run: dg.DagsterRun, order: Mapping[str, int]) -> Callable[[Hour], bool] | None:
        """Whether an hour is in the range of a backfill's run, or in that which a run's config names."""
        ends = list(hours_of(range_asked_for(run) or ()))
        if len(ends) == 2:  # noqa: PLR2004  (first and last)
            places = [order.get(escape_event(end.event), -1) for end in ends]
            first, last = (end.label for end in ends)
            return lambda hour: (
                0 <= places[0] <= order.get(escape_event(hour.event), -1) <= places[1] and first <= hour.label <= last
            )
        config = op_config(run, self._op)
        begin, end, events = (config.get(name) or "" for name in ("first", "last", "events"))
        if not (begin or end or events):
            return None
        return lambda hour: str(begin) <= hour.label <= str(end or "9") and (not events or hour.event in events)

    def lost(self) -> Collection[LostRun]:
        """The runs that failed lately without coming to their own end."""
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=self._now - FAILURE_MEMORY)
        return [
            LostRun(hours, record.update_timestamp.astimezone(UTC))
            for record in self._instance.get_run_records(failed, limit=1000)
            if FAILED_TAG not in record.dagster_run.tags
            and self._is_ours(record.dagster_run)
            and (hours := set(hours_of(hours_asked_for(record.dagster_run, self._op))))
        ]


def makes_hours(run: dg.DagsterRun, names: Names) -> bool:
    """Whether a run makes hour files of a group: by its job, or by the one that the UI launches for any assets.

    An asset downstream may have the same partitions: its runs make none.
    """
    return run.job_name == names.job or names.asset in (run.asset_selection or ())


def hours_of(keys: Iterable[str]) -> Iterator[Hour]:
    """Partition keys to hours; a key of another form is another asset's."""
    for key in keys:
        try:
            yield Hour.of_partition_key(key)
        except KeyGrammarError:
            continue
